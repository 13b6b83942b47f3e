"""Where the Jinja templates of this package are compiled; those of other people are in :mod:`speechcue_hf.sandbox`."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def own_templates(folder: str, *, documents: bool = False, escaped: bool = False) -> Environment:
    """The templates of a folder of this package, such as ``captions/templates``; names that are not set are errors.

    In documents, such as cards and programs, a line with nothing but a tag leaves no line. Escaped ones are HTML, in
    which no value is markup.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("speechcue_hf", folder)
    return Environment(
        loader=loader, undefined=StrictUndefined, trim_blocks=documents, lstrip_blocks=documents, autoescape=escaped
    )


def template_source(folder: str, name: str) -> str:
    """The text of a template of this package, for its hash; the folder is as for :func:`own_templates`."""
    from importlib.resources import files

    return (files("speechcue_hf") / folder / name).read_text(encoding="utf-8")


class Markdown(str):
    """What is Markdown already, and goes into a card as it stands."""


@cache
def card_templates(folder: str, *, documents: bool = False) -> Environment:
    """The templates of cards: what a corpus, a model or a server says is text in them, never markup.

    Every value is escaped. The filter ``code`` shows one as code, ``fence`` as a block of text; ``markdown`` is for
    what a template of this package made. In documents, a line with nothing but a tag leaves no line.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    cards = Environment(
        loader=PackageLoader("speechcue_hf", folder),
        undefined=StrictUndefined,
        trim_blocks=documents,
        lstrip_blocks=documents,
        finalize=lambda value: as_text(value) if type(value) is str else value,
    )
    cards.filters |= {"code": as_code, "fence": as_block, "markdown": Markdown}
    return cards


_LONGEST_SAYING = 2000
_LINE_ENDS = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1b\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_MARKS = re.compile(r"[\\`*\[\]<>|~]|&(?=#?\w+;)|^\s*(?=#|--|==)")


def plain_line(text: str) -> str:
    """A text in one line of at most 2,000 characters, without what nobody sees."""
    line = _UNSEEN.sub("", _LINE_ENDS.sub(" ", text))
    return line if len(line) <= _LONGEST_SAYING else line[: _LONGEST_SAYING - 1] + "…"


def as_text(text: str) -> str:
    r"""A text as Markdown that shows it: one line, with no markup of its own.

    Example:
        >>> print(as_text("# Free <b>money</b>"))
        \# Free \<b\>money\</b\>
    """
    return _MARKS.sub(lambda mark: f"{mark[0]}\\" if mark[0].strip() == "" else f"\\{mark[0]}", plain_line(text))


def as_code(text: object) -> Markdown:
    """A text as code within a line, in which nothing is markup."""
    line = plain_line(str(text)).replace("|", "\\|")
    marks = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    blank = " " if "`" in line else ""
    return Markdown(f"{marks}{blank}{line}{blank}{marks}")


def as_block(text: str) -> Markdown:
    """A text as a block, which no line of it can end."""
    marks = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return Markdown(f"{marks}text\n{text}\n{marks}")

"""Where Jinja templates are compiled: those of this package, and those of other people, which may not run code."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment, Template


@cache
def own_templates(folder: str, *, documents: bool = False) -> Environment:
    """The templates of a folder of this package, such as ``captions/templates``; names that are not set are errors.

    In documents, such as cards and programs, a line with nothing but a tag leaves no line.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("speechcue_hf", folder)
    return Environment(loader=loader, undefined=StrictUndefined, trim_blocks=documents, lstrip_blocks=documents)


def template_source(folder: str, name: str) -> str:
    """The text of a template of this package, for its hash; the folder is as for :func:`own_templates`."""
    from importlib.resources import files

    return (files("speechcue_hf") / folder / name).read_text(encoding="utf-8")


@cache
def foreign_template(text: str) -> Template:
    """Compile a template that may come with somebody's model or dataset, as transformers does with chat templates.

    It can look at nothing but what it is given.

    Raises:
        jinja2.TemplateSyntaxError: If it is not valid Jinja2.
    """
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    sandbox = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    return sandbox.from_string(text)

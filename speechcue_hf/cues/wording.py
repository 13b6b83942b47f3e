"""From facts to words: the sentences are the templates in ``wording/``, two for each wording.

Clips with the same facts get the same sentences, so each distinct set of facts is rendered once per batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined, Template

from speechcue_hf.cues.template_variables import CueFeatures, speechcue_variables, speechcuellm_variables

_FACTS = {"speechcuellm": speechcuellm_variables, "speechcue": speechcue_variables}
_NUMBERS = ("slightly", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven")
"""Distances in semitones, in words; from twelve on they are octaves."""


def put_in_words(wording: str, features: CueFeatures) -> tuple[list[str], list[str]]:
    """Describe a batch of clips.

    Args:
        wording: ``"speechcue"`` or ``"speechcuellm"``.
        features: The clips.

    Returns:
        One description and one impression per row.
    """
    facts = _FACTS[wording](features)
    return _render(f"{wording}_description", facts.description), _render(f"{wording}_impression", facts.impression)


def wording_sha256(wording: str) -> str:
    """Hash of a wording's templates, so that a description can be traced to the words it was made with.

    Args:
        wording: ``"speechcue"`` or ``"speechcuellm"``.

    Returns:
        64 hexadecimal digits.
    """
    sources = [_source(f"{wording}_{kind}") for kind in ("description", "impression")]
    return sha256("\0".join(sources).encode()).hexdigest()


def _render(name: str, facts: Mapping[str, Sequence[Any]]) -> list[str]:
    """Render a template once per distinct set of facts."""
    template, names = _template(name), tuple(facts)
    texts: dict[tuple[Any, ...], str] = {}
    for row in (rows := list(zip(*facts.values(), strict=True))):
        if row not in texts:
            texts[row] = template.render(zip(names, row, strict=True)).strip()
    return [texts[row] for row in rows]


@cache
def _template(name: str) -> Template:
    environment = Environment(undefined=StrictUndefined, autoescape=False)
    environment.filters.update(series=_series, sentences=_sentences, sign=_sign)
    environment.globals["numbers"] = _NUMBERS
    return environment.from_string(_source(name))


def _source(name: str) -> str:
    return (files("speechcue_hf.cues") / "wording" / f"{name}.jinja").read_text(encoding="utf-8")


def _sign(degree: int | None) -> int:
    return int(np.sign(degree or 0))


def _series(items: Sequence[str]) -> str:
    """``["a", "", "b", "c"]`` → ``"a, b and c"``."""
    said = [item for item in items if item]
    return " and ".join([", ".join(said[:-1]), said[-1]] if said[1:] else said)


def _sentences(items: Sequence[str]) -> str:
    """``["it rains", ""]`` → ``"It rains."``."""
    return " ".join(f"{item[0].upper()}{item[1:]}." for item in items if item)

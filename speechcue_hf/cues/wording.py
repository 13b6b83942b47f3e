"""From cue features to words: the sentences are the templates in ``wording/``, two for each wording.

Clips with the same template variables get the same sentences, so each distinct set is rendered once per batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from speechcue_hf.cues.table import added_cues
from speechcue_hf.cues.template_variables import (
    CueFeatures,
    added_variables,
    speechcue_variables,
    speechcuellm_variables,
)
from speechcue_hf.templates import own_templates, template_source

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATES = "cues/wording"
_VARIABLES = {"speechcuellm": speechcuellm_variables, "speechcue": speechcue_variables}
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
    variables = _VARIABLES[wording](features)
    descriptions = _render(f"{wording}_description.jinja", variables.description)
    if wording == "speechcue" and added_cues():
        more = _render("speechcue_added.jinja", added_variables(features))
        descriptions = [f"{text} {added}".strip() for text, added in zip(descriptions, more, strict=True)]
    return descriptions, _render(f"{wording}_impression.jinja", variables.impression)


def wording_sha256(wording: str) -> str:
    """Hash of a wording's templates, so that a description can be traced to the words it was made with.

    Args:
        wording: ``"speechcue"`` or ``"speechcuellm"``.

    Returns:
        64 hexadecimal digits.
    """
    sources = [template_source(_TEMPLATES, f"{wording}_{kind}.jinja") for kind in ("description", "impression")]
    return sha256("\0".join(sources).encode()).hexdigest()


def _render(name: str, variables: Mapping[str, Sequence[Any]]) -> list[str]:
    """Render a template once per distinct set of variables."""
    template, names = _template(name), tuple(variables)
    texts: dict[tuple[Any, ...], str] = {}
    for row in (rows := list(zip(*variables.values(), strict=True))):
        if row not in texts:
            texts[row] = template.render(zip(names, row, strict=True)).strip()
    return [texts[row] for row in rows]


@cache
def _template(name: str) -> Template:
    environment = own_templates(_TEMPLATES)
    environment.filters.update(series=_series, sentences=_sentences, sign=_sign)
    environment.globals["numbers"] = _NUMBERS
    return environment.get_template(name)


def _sign(degree: int | None) -> int:
    return int(np.sign(degree or 0))


def _series(items: Sequence[str]) -> str:
    """``["a", "", "b", "c"]`` → ``"a, b and c"``."""
    said = [item for item in items if item]
    return " and ".join([", ".join(said[:-1]), said[-1]] if said[1:] else said)


def _sentences(items: Sequence[str]) -> str:
    """``["it rains", ""]`` → ``"It rains."``."""
    return " ".join(f"{item[0].upper()}{item[1:]}." for item in items if item)

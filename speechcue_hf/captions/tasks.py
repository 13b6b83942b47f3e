"""The tasks that captions answer: which parts are asked for, and the question."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from speechcue_hf.captions.parts import CUE_WORDS, PARTS
from speechcue_hf.errors import CaptionError
from speechcue_hf.templates import own_templates, template_source

_TEMPLATES = "captions/templates"

NAMED = {"style": tuple(part for part in PARTS if part != "emotion"), "explanation": PARTS}
"""Tasks with a name of their own → their parts. All others are called by their parts: ``emotion+pitch``."""

SEMOLLM_TASKS = (
    "style",
    "emotion",
    "emotion+gender",
    "emotion+pitch",
    "emotion+volume",
    "emotion+speed",
    "emotion+transcript",
)
"""The tasks of SEmoLLM: the first for stages 1 and 2, the others for stage 3."""


@dataclass(frozen=True)
class CaptionTask:
    """A question about a clip, and the parts of its answer.

    Args:
        name: ``style``, ``explanation``, or the parts, the emotion first.
        parts: Which of ``PARTS`` the answer states, in their order.
        question: What the model is asked.
    """

    name: str
    parts: tuple[str, ...]
    question: str

    @property
    def cues(self) -> tuple[str, ...]:
        """Those of the parts that are measured."""
        return tuple(part for part in self.parts if part in CUE_WORDS)

    @property
    def named(self) -> dict[str, str]:
        """Its name and the SHA-256 of its question, for records."""
        return {"name": self.name, "sha256": sha256(self.question.encode()).hexdigest()}


def caption_task(name: str) -> CaptionTask:
    """The task of a name.

    Args:
        name: ``style`` (gender, pitch, speed, volume and transcript), ``explanation`` (these and the emotion), or any
            parts, joined by ``+``.

    Returns:
        The task. The questions of ``style`` and ``emotion`` are SEmoLLM's, word for word; further parts beside the
        emotion are asked for in a second sentence, so that no two tasks have the same question.

    Raises:
        CaptionError: If a part is unknown.

    Example:
        >>> caption_task("pitch+volume").question
        'Please describe the pitch and volume in the audio.'
    """
    requested = NAMED.get(name) or name.split("+")
    if unknown := [part for part in requested if part not in PARTS]:
        raise CaptionError(
            f"{name!r} is no task: {unknown[0]!r} is neither a part of captions ({', '.join(PARTS)}) nor one of "
            f"{', '.join(NAMED)}. Join parts by +, as in emotion+pitch."
        )
    parts = tuple(part for part in PARTS if part in requested)
    return CaptionTask(_name(parts), parts, render("question", parts=parts))


def render(template: str, **variables: Any) -> str:
    """Render the template ``"caption"``, ``"question"`` or ``"request"``, without white space around it."""
    return own_templates(_TEMPLATES).get_template(f"{template}.jinja").render(variables).strip()


def templates_sha256(names: Iterable[str]) -> str:
    """SHA-256 of templates, named as in :func:`render`: a caption can be traced to the words it was made with."""
    return sha256("\0".join(template_source(_TEMPLATES, f"{name}.jinja") for name in names).encode()).hexdigest()


def _name(parts: tuple[str, ...]) -> str:
    names = {named: name for name, named in NAMED.items()}
    return names.get(parts) or "+".join(sorted(parts, key=lambda part: (part != "emotion", PARTS.index(part))))

"""The prompts of one dialogue: each turn is rendered once, and no prompt sees a later turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from speechcue_hf.errors import PromptError
from speechcue_hf.prompts.specification import PromptSpecification, compile_template

Row = Mapping[str, Any]

GENDER_NUMBERS = {"male": 0, "female": 1}
"""As SpeechCueLLM numbers the two speakers of an IEMOCAP dialogue."""


@dataclass(frozen=True)
class PromptParts:
    """One prompt in the parts that prompts of the same dialogue may share.

    Args:
        opening: What stands before the conversation.
        turns: The turns shown, oldest first, the target last.
        question: What stands after the conversation.
    """

    opening: str
    turns: tuple[str, ...]
    question: str

    @property
    def text(self) -> str:
        """The whole prompt."""
        return self.opening + "".join(self.turns) + self.question

    def without_oldest(self, count: int) -> PromptParts:
        """The prompt without its ``count`` oldest turns; the target always stays."""
        return PromptParts(self.opening, self.turns[min(count, len(self.turns) - 1) :], self.question)


def dialogue_prompts(
    dialogue: Sequence[Row], specification: PromptSpecification, labels: Sequence[str]
) -> list[PromptParts]:
    """Render the prompts of one dialogue.

    Args:
        dialogue: Its rows, in speaking order from the first turn on.
        specification: The prompt.
        labels: The label words, in order.

    Returns:
        One prompt per turn, made from that turn and those before it.

    Raises:
        PromptError: If a row lacks what the prompt needs, such as a gender.
    """
    turns = _turns(dialogue, specification)
    macros: Any = compile_template(specification.template).make_module({"prompt": specification, "labels": labels})
    plain = [macros.turn(turn, False) for turn in turns]
    cued = [macros.turn(turn, True) for turn in turns] if specification.context_cues else plain
    opening = macros.opening()
    prompts = []
    for last, target in enumerate(turns):
        first = 0 if specification.history is None else max(0, last - specification.history)
        told = max(first, last + 1 - specification.context_cues)
        shown = (*plain[first:told], *cued[told : last + 1])
        prompts.append(PromptParts(opening, shown, macros.question(target)))
    return prompts


def _turns(dialogue: Sequence[Row], specification: PromptSpecification) -> list[dict[str, Any]]:
    """What the template sees of each turn."""
    repairs = str.maketrans(dict(specification.replacements))
    return [
        {
            "speaker": speaker,
            "text": (row["text"] or "").translate(repairs),
            **_heard(row, specification),
            **_cues(row, specification),
        }
        for row, speaker in zip(dialogue, _speakers(dialogue, specification.speakers), strict=True)
    ]


def _speakers(dialogue: Sequence[Row], by: str) -> list[Any]:
    """How the prompt calls the speaker of each turn."""
    if by == "gender":
        return [_gender_number(row) for row in dialogue]
    names = [row["speaker"] for row in dialogue]
    if by == "name":
        return names
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return [numbers[name] for name in names]


def _gender_number(row: Row) -> int:
    if row["gender"] not in GENDER_NUMBERS:
        raise PromptError(
            f"row {row['utterance_id']!r} has no gender, by which this prompt numbers speakers: "
            'take one with "speakers": "appearance", such as speechcuellm'
        )
    return GENDER_NUMBERS[row["gender"]]


def _heard(row: Row, specification: PromptSpecification) -> dict[str, str | None]:
    """Description and impression, where the prompt tells them and the clip is long enough."""
    if not specification.heard:
        return {"description": None, "impression": None}
    shortest = specification.shortest_clip
    told = shortest is None or (row["duration_s"] or 0.0) > shortest
    return {
        "description": row["speech_description"] if specification.description and told else None,
        "impression": row["speech_impression"] if specification.impression and told else None,
    }


def _cues(row: Row, specification: PromptSpecification) -> dict[str, str | None]:
    """Levels that context cues tell; variation of pitch is its deviation, or its range where that is missing."""
    if not specification.context_cues:
        return {"pitch": None, "variation": None}
    return {"pitch": row["f0_mean_hz_level"], "variation": row["f0_sd_hz_level"] or row["f0_range_hz_level"]}

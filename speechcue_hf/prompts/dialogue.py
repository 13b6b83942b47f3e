"""The prompts of one dialogue: each turn is rendered once, and no prompt sees a later turn unless it asks for some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jinja2 import TemplateRuntimeError

from speechcue_hf.dialogues import on_one_line
from speechcue_hf.errors import PromptError
from speechcue_hf.prompts.encoding import Message
from speechcue_hf.prompts.specification import PromptSpecification, compile_template

Row = Mapping[str, Any]

_GENDER_NUMBERS = {"male": 0, "female": 1}
"""As SpeechCueLLM numbers the two speakers of an IEMOCAP dialogue."""


@dataclass(frozen=True)
class PromptParts:
    """One prompt in the parts that prompts of the same dialogue may share.

    Args:
        opening: What stands before the conversation.
        turns: The turns shown, in speaking order.
        question: What stands after the conversation.
        future_turns: How many of the turns come after the target; it is the last of the others.
        in_system: Whether opening and turns are told in a system message.
    """

    opening: str
    turns: tuple[str, ...]
    question: str
    future_turns: int = 0
    in_system: bool = False

    @property
    def messages(self) -> list[Message]:
        """The whole prompt."""
        conversation = self.opening + "".join(self.turns)
        if self.in_system:
            return [{"role": "system", "content": conversation}, {"role": "user", "content": self.question}]
        return [{"role": "user", "content": conversation + self.question}]

    @property
    def expendable(self) -> tuple[str, ...]:
        """The turns in the order in which a budget takes them: the oldest first, then the later ones, last first.

        The target is none of them, and what follows it at once stays longest.
        """
        target = len(self.turns) - 1 - self.future_turns
        return (*self.turns[:target], *reversed(self.turns[target + 1 :]))

    def without(self, count: int) -> PromptParts:
        """The prompt without the first ``count`` of its expendable turns."""
        past = len(self.turns) - 1 - self.future_turns
        oldest, latest = min(count, past), max(0, count - past)
        kept = self.turns[oldest : len(self.turns) - latest]
        return replace(self, turns=kept, future_turns=self.future_turns - latest)


def dialogue_prompts(
    dialogue: Sequence[Row], specification: PromptSpecification, labels: Sequence[str]
) -> list[PromptParts]:
    """Render the prompts of one dialogue.

    Args:
        dialogue: Its rows, in speaking order from the first turn on.
        specification: The prompt.
        labels: The label words, in order.

    Returns:
        One prompt per turn, made from that turn, those before it and as many after it as the prompt shows.

    Raises:
        PromptError: If a row lacks what the prompt needs, such as a gender or the scope of its biography, or the
            template asks for something that is not there.
    """
    try:
        return _rendered(_turns(dialogue, specification), specification, labels)
    except TemplateRuntimeError as error:
        name = specification.name
        raise PromptError(f"prompt {name!r}: its template cannot be filled in: {error.message}") from error


def _rendered(
    turns: Sequence[Mapping[str, Any]], specification: PromptSpecification, labels: Sequence[str]
) -> list[PromptParts]:
    filled = compile_template(specification.template).macros(prompt=specification, labels=labels)
    plain = [filled("turn", turn, False) for turn in turns]
    cued = [filled("turn", turn, True) for turn in turns] if specification.context_cues else plain
    prompts = []
    for place, target in enumerate(turns):
        first = 0 if specification.history is None else max(0, place - specification.history)
        first_cued = max(first, place + 1 - specification.context_cues)
        later = plain[place + 1 : place + 1 + specification.future]
        shown = (*plain[first:first_cued], *cued[first_cued : place + 1], *later)
        opening, question = filled("opening", target), filled("question", target)
        prompts.append(PromptParts(opening, shown, question, len(later), specification.system_message))
    return prompts


def included_scope(row: Row, specification: PromptSpecification) -> str | None:
    """What the biography that a prompt tells was written from.

    Args:
        row: The row.
        specification: The prompt.

    Returns:
        ``history``, the turns before the row, or ``dialogue``, later ones too; None where the prompt tells none.

    Raises:
        PromptError: If the scope of a biography that is told is neither of these.
    """
    if not specification.biography or not row["biography"]:
        return None
    scope: str | None = row["biography_scope"]
    if scope not in ("history", "dialogue"):
        raise PromptError(
            f"row {row['utterance_id']!r} has a biography of scope {scope!r}, so nobody can tell "
            "whether it saw later turns: set the column biography_scope to history or dialogue"
        )
    return scope


def future_record(specification: PromptSpecification, scopes: Iterable[str | None]) -> dict[str, Any]:
    """Say what prompts have of later turns, for the records of training and evaluation.

    Args:
        specification: The prompt.
        scopes: :func:`included_scope` of its rows.

    Returns:
        ``sees_future``, whether later turns were seen, by the prompt or by whoever wrote the biographies that it tells;
        ``future_turns``, how many the prompt shows at most; and ``biography_scope``, ``history``, ``dialogue`` or None.

    Raises:
        PromptError: If some biographies are of one scope and some of the other.

    Example:
        >>> future_record(load_prompt("bioserc"), ["dialogue", None])
        {'sees_future': True, 'future_turns': 5, 'biography_scope': 'dialogue'}
    """
    found = {scope for scope in scopes if scope is not None}
    if len(found) > 1:
        raise PromptError(
            "some rows have a biography of scope dialogue, some of scope history: write them all with one "
            "`speechcue biographies --scope`, else nobody can say whether the model sees the future"
        )
    scope = next(iter(found), None)
    return {
        "sees_future": specification.sees_future or scope == "dialogue",
        "future_turns": specification.future,
        "biography_scope": scope,
    }


def _turns(dialogue: Sequence[Row], specification: PromptSpecification) -> list[dict[str, Any]]:
    """What the template sees of each turn."""
    repairs = str.maketrans(dict(specification.replacements))
    return [
        {
            "speaker": speaker,
            "text": (row["text"] or "").translate(repairs),
            "biography": row["biography"] or None if specification.biography else None,
            **_heard(row, specification),
        }
        for row, speaker in zip(dialogue, _speakers(dialogue, specification), strict=True)
    ]


def _speakers(dialogue: Sequence[Row], specification: PromptSpecification) -> list[Any]:
    """How the prompt calls the speaker of each turn."""
    names = [on_one_line(row["speaker"]) for row in dialogue]
    called: list[Any] = names
    if specification.speakers == "gender":
        called = [_gender_number(row) for row in dialogue]
    elif specification.speakers == "appearance":
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        called = [numbers[name] for name in names]
    return [specification.speaker_names.get(name or "", calling) for name, calling in zip(names, called, strict=True)]


def _gender_number(row: Row) -> int:
    if row["gender"] not in _GENDER_NUMBERS:
        raise PromptError(
            f"row {row['utterance_id']!r} has no gender, by which this prompt numbers speakers: "
            'take one with "speakers": "appearance", such as speechcuellm'
        )
    return _GENDER_NUMBERS[row["gender"]]


def _heard(row: Row, specification: PromptSpecification) -> dict[str, str | None]:
    """What is told of the voice: description and impression of clips that are long enough, levels as context cues."""
    shortest = specification.shortest_clip
    described = specification.heard and (shortest is None or (row["duration_s"] or 0.0) > shortest)
    cued = specification.context_cues
    return {
        "description": row["speech_description"] if specification.description and described else None,
        "impression": row["speech_impression"] if specification.impression and described else None,
        "pitch": row["f0_mean_hz_level"] if cued else None,
        "variation": (row["f0_sd_hz_level"] or row["f0_range_hz_level"]) if cued else None,
    }

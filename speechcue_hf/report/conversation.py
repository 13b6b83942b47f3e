"""One conversation that somebody brings, as a page of the report's turns: nobody says which emotion is right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from datasets import Dataset, DatasetDict

from speechcue_hf import __version__
from speechcue_hf.report.build import MOST_MEGABYTES, sound_of
from speechcue_hf.report.columns import packed
from speechcue_hf.report.corpus import OF_PEOPLE, note_on_page, turns_of
from speechcue_hf.report.page import render_page
from speechcue_hf.report.runs import NO_ANSWER, thousandths

if TYPE_CHECKING:
    from speechcue_hf.inference.explain import Explanation
    from speechcue_hf.inference.recognizer import RecognizedEmotion

SPLIT = "conversation"


class Answers(NamedTuple):
    """What a model says of the turns of a conversation.

    Attributes:
        model: Its name.
        emotions: Of each turn.
        explanations: Of each turn, where the model was asked for them.
    """

    model: str
    emotions: Sequence[RecognizedEmotion]
    explanations: Sequence[Explanation] | None = None


def conversation_page(
    rows: Dataset, answers: Answers | None = None, *, title: str = "Conversation", notes: Sequence[str] = ()
) -> str:
    """Draw a conversation as a page that opens in any browser and sends nothing anywhere.

    Args:
        rows: Its turns, measured and in words, with their clips, as of
            :func:`speechcue_hf.inference.recordings.described_turns`.
        answers: Of a model; None without one.
        title: Of the page.
        notes: What is to stand on top.

    Returns:
        The HTML.
    """
    dataset = DatasetDict({SPLIT: rows})
    curves, clips, left_out = sound_of(dataset, (), MOST_MEGABYTES * 1e6)
    report = {
        "title": title,
        "version": __version__,
        "data": None,
        "turns": turns_of(dataset),
        "table": None,
        "pairs": [],
        "runs": [] if answers is None else [_answers_entry(answers)],
        "curves": curves,
        "licence": [note_on_page(text) for text in (OF_PEOPLE, *notes)],
        "clips_left_out": left_out,
    }
    return render_page(report, clips)


def _answers_entry(answers: Answers) -> dict[str, Any]:
    """Answers as a run of the report, without what can only be said where the true labels are known."""
    found = answers.emotions
    labels = list(dict.fromkeys(label for one in found for label in one.probabilities or {} if label))
    labels += [one.emotion for one in found if one.emotion is not None and one.emotion not in labels]
    likely = [[one.probabilities[label] for label in labels] if one.probabilities else None for one in found]
    explained = answers.explanations
    return {
        "name": answers.model,
        "labels": labels,
        "places": [*range(len(found))],
        "true": None,
        "answers": [NO_ANSWER if one.emotion is None else labels.index(one.emotion) for one in found],
        "probabilities": [thousandths(row) for row in likely],
        "outputs": None,
        "explanations": explained and packed([one.explanation or one.error for one in explained]),
        "claims": explained and [_claims(one) for one in explained],
        "notes": packed([one.note for one in found]),
        "prompts": None,
    }


def _claims(explanation: Explanation) -> list[dict[str, Any]] | None:
    """The levels that an explanation states, each with where its words end; None where there is no explanation."""
    if explanation.explanation is None:
        return None
    return [
        {"end": claim.end, "measured": claim.measured, "contradicted": claim.contradicted}
        for claim in explanation.claims
    ]

"""Listening to a conversation: measured, put into words, and judged by a model where one is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from datasets import Dataset, concatenate_datasets

from speechcue_hf.app.turns import ClipTurn
from speechcue_hf.corpora.joining import put_beside
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.inference.context import ModelContext
from speechcue_hf.inference.recognizer import EmotionRecognizer
from speechcue_hf.inference.recordings import analysis_of, described_turns
from speechcue_hf.report.conversation import Answers, conversation_page

if TYPE_CHECKING:
    from speechcue_hf.inference.explain import Explanation


@dataclass(frozen=True)
class Model:
    """A model that can be chosen.

    Args:
        name: What the page calls it.
        recognizer: The model.
        context: Where it comes from.
    """

    name: str
    recognizer: EmotionRecognizer
    context: ModelContext

    def with_describer(self, describer: SpeechDescriber | None) -> EmotionRecognizer:
        """The recognizer, with a describer where its training brings none."""
        if self.recognizer.training is not None or describer is None:
            return self.recognizer
        return replace(self.recognizer, describer=describer)

    def explain(self, rows: Dataset) -> list[Explanation]:
        """An explanation of each clip; EvaluationError if the model does not hear."""
        from speechcue_hf.inference.explain import Explainer

        explainer = Explainer.of(self.recognizer.classifier, self.context)
        return list(explainer(rows["audio"][:]))


@dataclass(frozen=True)
class Heard:
    """A conversation that was listened to.

    Args:
        rows: Its turns, measured and in words.
        answers: Of the model, where one was chosen.
        compared_with_itself: Whether the levels compare its turns with one another.
    """

    rows: Dataset
    answers: Answers | None
    compared_with_itself: bool

    def page(self, title: str) -> str:
        """The conversation as the report shows it."""
        return conversation_page(self.rows, self.answers, title=title, notes=[self.note] if self.note else [])

    @property
    def note(self) -> str | None:
        """How little the levels may mean."""
        if not self.compared_with_itself:
            return None
        if len(self.rows) == 1:
            return "One turn alone has no levels and no words: choose a describer, or record more turns."
        return (
            f"Levels and words compare these {len(self.rows)} turns with one another; a describer knows more of them."
        )

    def table(self) -> list[dict[str, Any]]:
        """One row for each turn: who says what, emotions, words, measurements."""
        found = self.answers.emotions if self.answers else [None] * len(self.rows)
        said = self.rows.select_columns(["turn", "speaker", "text"])
        return [{**turn, **analysed} for turn, analysed in zip(said, analysis_of(self.rows, found), strict=True)]

    def takes(self) -> list[dict[str, Any]]:
        """The table, with the level of each cue beside it."""
        levels = [name for name in self.rows.column_names if name.endswith("_level")]
        return [{**row, **level} for row, level in zip(self.table(), self.rows.select_columns(levels), strict=True)]

    def describer(self) -> SpeechDescriber:
        """One that compares other clips with these turns; DescriberError if none could be measured."""
        return SpeechDescriber.fit(Dataset(self.rows.data), settings=MeasurementSettings())


def together(takes: Mapping[str, Heard]) -> Heard:
    """Takes of one turn each, under each other; their names stand where the speaker does.

    Args:
        takes: Name → take, all of one model and describer.
    """
    heard = [*takes.values()]
    rows = concatenate_datasets([one.rows for one in heard])
    named = {"speaker": [*takes], "utterance_id": [*takes], "turn": [*range(len(rows))]}
    rows = put_beside(rows, Dataset.from_dict(named))
    answers = [one.answers for one in heard if one.answers]
    return Heard(rows, _joined(answers) if answers else None, any(one.compared_with_itself for one in heard))


def _joined(answers: Sequence[Answers]) -> Answers:
    explained = [one for answer in answers for one in answer.explanations or ()]
    return Answers(answers[0].model, [one for answer in answers for one in answer.emotions], explained or None)


def listen(
    turns: Sequence[ClipTurn],
    *,
    model: Model | None = None,
    describer: SpeechDescriber | None = None,
    explain: bool = False,
) -> Heard:
    """Measure turns, put them into words, and ask a model for their emotions.

    Args:
        turns: In speaking order.
        model: None for measurements and words alone.
        describer: For a model that brings none, and without a model; None compares the turns with one another.
        explain: Ask the model for its reasons, too.

    Raises:
        EvaluationError: If the model lacks something that it needs, or cannot explain.
        DescriberError: If no clip could be measured.
        ValueError: If a turn does not fit its recording.
    """
    recognizer = None if model is None else model.with_describer(describer)
    rows = described_turns(turns, recognizer=recognizer, describer=describer)
    answers = None
    if model is not None and recognizer is not None:
        answers = Answers(model.name, recognizer.recognize(rows), model.explain(rows) if explain else None)
    own = recognizer.describer if recognizer else None
    return Heard(rows, answers, compared_with_itself=describer is None and own is None)

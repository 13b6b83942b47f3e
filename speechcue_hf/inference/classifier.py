"""What every classifier of emotions does, whatever its model: it tells how likely each emotion is for each utterance.

Evaluation, interventions, predictions, explanations, the recognizer, the pipelines and the choice of the best epoch
use nothing else. A further kind of model is a class with these members, and an entry in
:mod:`speechcue_hf.inference.loading`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from datasets import Dataset

if TYPE_CHECKING:
    from speechcue_hf.inference.scoring import LabelScores
    from speechcue_hf.records import TrainingRecord


@dataclass(frozen=True)
class Prediction:
    """What a classifier makes of one utterance.

    Args:
        label: Class id of the likeliest emotion; None where the utterance cannot be judged, or the text that a model
            wrote is no label.
        probabilities: Of the emotions, in the order of their class ids; None where none were measured.
        note: What the model did not see or hear of the utterance, or why it cannot be judged; None if there is nothing
            to say.
        output: The text that a model wrote as its answer.
        explanation: The text that a model wrote about its answer.
        shortened: Whether text or context was cut.
    """

    label: int | None
    probabilities: tuple[float, ...] | None = None
    note: str | None = None
    output: str | None = None
    explanation: str | None = None
    shortened: bool = False

    @property
    def margin(self) -> float | None:
        """Probability of the best label minus that of the second best."""
        if self.probabilities is None:
            return None
        second, best = sorted(self.probabilities)[-2:]
        return best - second


class EmotionClassifier(Protocol):
    """A model with what it needs to read rows."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the emotions, in the order of their class ids."""

    @property
    def words(self) -> tuple[str, ...]:
        """What the model calls them."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that rows must have, beside the emotion."""

    @property
    def training(self) -> TrainingRecord | None:
        """How the model was trained; None for one that was not trained on this task."""

    @property
    def protocol(self) -> Mapping[str, Any]:
        """How answers are read, as far as it can change a result: ``decode`` and what belongs to it."""

    def shown(self, rows: Dataset) -> Mapping[str, Any]:
        """What the model is shown of rows: those values of :class:`speechcue_hf.records.Shown` that it knows."""

    @property
    def voice(self) -> tuple[str, ...]:
        """Those of the columns that carry the voice; none for a model that reads text alone."""

    def without_voice(self) -> EmotionClassifier | None:
        """The same model, told nothing of the voice; None where that leaves nothing to judge by."""

    def predict(self, rows: Dataset, wanted: Sequence[int] | None = None) -> list[Prediction]:
        """Judge utterances.

        Args:
            rows: One per utterance, whole dialogues in speaking order, with the columns that the model reads.
            wanted: Places of the rows that are to be judged, the others being context; None: all.

        Returns:
            One prediction for each row that is wanted, in their order.
        """


def scored_predictions(
    scores: LabelScores, notes: Sequence[str | None], shortened: Sequence[bool] | None = None
) -> list[Prediction]:
    """The likeliest label of each row with its probabilities and its note; by default no row was shortened."""
    cut = shortened or [False] * len(notes)
    rows = zip(scores.predictions.tolist(), scores.probabilities.tolist(), notes, cut, strict=True)
    return [Prediction(label, tuple(likely), note, shortened=short) for label, likely, note, short in rows]


def joined_notes(*notes: str | None) -> str | None:
    """Notes as one, each thing said once; None where there are none.

    Example:
        >>> joined_notes("mains hum; the file ends early", None, "the file ends early")
        'mains hum; the file ends early'
    """
    return "; ".join(dict.fromkeys(part for note in notes if note for part in note.split("; "))) or None


def clip_notes(classifier: EmotionClassifier, rows: Dataset) -> list[str | None]:
    """What is wrong with the clips of rows whose descriptions a classifier reads, or which it does not look at at all.

    A classifier that hears says it itself.

    Args:
        classifier: Of any kind.
        rows: Of its ``measurement_note`` and ``audio_status`` what there is.

    Returns:
        For each row its measurement note, if the classifier reads descriptions; else that the clip is missing, corrupt
        or truncated; else None.
    """
    unknown: list[str | None] = [None] * len(rows)
    if "audio" in classifier.columns:
        return unknown
    described = reads_descriptions(classifier) and "measurement_note" in rows.column_names
    notes = list(rows["measurement_note"]) if described else unknown
    statuses = list(rows["audio_status"]) if "audio_status" in rows.column_names else unknown
    return [
        note or (f"the clip is {status}" if status in ("missing", "corrupt", "truncated") else None)
        for note, status in zip(notes, statuses, strict=True)
    ]


def reads_descriptions(classifier: EmotionClassifier) -> bool:
    """Whether rows must be measured and described for a classifier."""
    return bool(classifier.voice) and "audio" not in classifier.columns

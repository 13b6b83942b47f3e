"""Predictions that were made before, and the mean of several, as classifiers like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from datasets import ClassLabel, Dataset, Features, Value

from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.predictions import label_numbers, references
from speechcue_hf.inference.answers import match_outputs
from speechcue_hf.inference.classifier import EmotionClassifier, Prediction


@dataclass(frozen=True)
class RecordedClassifier:
    """A table of predictions, which are found by utterance id.

    Args:
        table: From :func:`speechcue_hf.evaluation.predictions.read_predictions`.
        words: The label words, in the order of their class ids, which is that of the table's probabilities.
        matching: Rule that makes labels of the column ``output``; None takes the column ``prediction`` as it is.
        sees_future: Whether the model saw later turns, if that is known.

    Raises:
        EvaluationError: If the column asked for is missing, or a word is not in the label set.
        ValueError: If there is no such rule.
    """

    table: Dataset
    words: tuple[str, ...]
    matching: str | None = None
    sees_future: bool | None = None

    training: ClassVar[None] = None
    columns: ClassVar[tuple[str, ...]] = ("utterance_id",)
    voice: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        column = "prediction" if self.matching is None else "output"
        if column not in self.table.column_names:
            fix = "Name a matching rule for its outputs." if self.matching is None else "Leave the matching rule out."
            raise EvaluationError(f"The predictions have no column {column!r}. {fix}")

    @property
    def names(self) -> tuple[str, ...]:
        """The label words."""
        return self.words

    @property
    def protocol(self) -> dict[str, Any]:
        """That predictions were taken as they are, or the rule that made labels of texts."""
        return {"decode": "predictions", "matching": self.matching}

    def shown(self, rows: Dataset) -> dict[str, Any]:
        """Whether the model saw later turns."""
        return {"sees_future": self.sees_future}

    def without_voice(self) -> None:
        """What was predicted cannot be predicted otherwise."""

    @property
    def rows(self) -> Dataset:
        """The rows of the table as rows of a dataset: their ids and labels."""
        names = ("utterance_id", "dialogue_id")
        columns = {**{name: list(self.table[name]) for name in names}, "emotion": references(self.table, self.words)}
        features = {**dict.fromkeys(names, Value("string")), "emotion": ClassLabel(names=list(self.words))}
        return Dataset.from_dict(columns, features=Features(features))

    def predict(self, rows: Dataset, wanted: Sequence[int] | None = None) -> list[Prediction]:
        """Find what was predicted for each row."""
        kept = dict(zip(self.table["utterance_id"], self._predictions(), strict=True))
        ids = list(rows["utterance_id"])
        return [kept[ids[place]] for place in (range(len(ids)) if wanted is None else wanted)]

    def _predictions(self) -> list[Prediction]:
        columns, nothing = self.table.to_dict(), [None] * len(self.table)
        outputs, likely, notes = (columns.get(name, nothing) for name in ("output", "probabilities", "note"))
        if self.matching is None:
            labels = label_numbers(columns["prediction"], self.words)
        else:
            labels = match_outputs([output or "" for output in outputs], self.words, self.matching)
        return [
            Prediction(label, None if values is None else tuple(values), note, output)
            for label, values, note, output in zip(labels, likely, notes, outputs, strict=True)
        ]


@dataclass(frozen=True)
class AveragedClassifier:
    """Several classifiers taken as one: the mean of the probabilities that they give each emotion.

    Args:
        members: Two or more with the same emotions, in any order.
    """

    members: tuple[EmotionClassifier, ...]

    training: ClassVar[None] = None

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the first, in its order."""
        return self.members[0].names

    @property
    def words(self) -> tuple[str, ...]:
        """Those of the first."""
        return self.members[0].words

    @property
    def columns(self) -> tuple[str, ...]:
        """What any of them reads."""
        return tuple(dict.fromkeys(name for member in self.members for name in member.columns))

    @property
    def voice(self) -> tuple[str, ...]:
        """What any of them reads of the voice."""
        return tuple(dict.fromkeys(name for member in self.members for name in member.voice))

    @property
    def protocol(self) -> dict[str, Any]:
        """That it is an ensemble."""
        return {"decode": "ensemble"}

    def shown(self, rows: Dataset) -> dict[str, Any]:
        """Whether one of them sees later turns; None if one that might does not say."""
        states = {member.shown(rows).get("sees_future") for member in self.members}
        return {"sees_future": True if True in states else None if None in states else False}

    def without_voice(self) -> AveragedClassifier | None:
        """The same of the members without it; None if one of them has nothing left."""
        left = [member.without_voice() if member.voice else member for member in self.members]
        return None if None in left else AveragedClassifier(tuple(it for it in left if it is not None))

    def predict(self, rows: Dataset, wanted: Sequence[int] | None = None) -> list[Prediction]:
        """Average what the members say.

        Raises:
            EvaluationError: If one of them has no probabilities for an utterance.
        """
        mean = np.mean([self._probabilities(member, rows, wanted) for member in self.members], axis=0)
        return [
            Prediction(int(row.argmax()), tuple((row / row.sum()).tolist()))
            for row in np.maximum(mean, np.finfo(float).tiny)
        ]

    def _probabilities(
        self, member: EmotionClassifier, rows: Dataset, wanted: Sequence[int] | None
    ) -> list[list[float]]:
        """Of a member, its labels in the order of the first; shape ``(rows, labels)``."""
        order = [member.words.index(word) for word in self.words]
        predictions = member.predict(rows, wanted)
        if any(prediction.probabilities is None for prediction in predictions):
            raise EvaluationError(
                "A member has no probabilities, so there is nothing to average: evaluate it again with --decode score."
            )
        return [[(prediction.probabilities or ())[place] for place in order] for prediction in predictions]

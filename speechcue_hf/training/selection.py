"""Selection by validation score: at each evaluation a trainer asks the classifier that it trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from transformers import Trainer

from speechcue_hf.inference.classifier import Prediction
from speechcue_hf.metrics.scores import weighted_f1


class SelectingTrainer(Trainer):
    """A trainer that scores its model on the selection split as the final evaluation does.

    The scores are logged as ``eval_weighted_f1``, by which the best epoch may be chosen.
    """

    predictions: Callable[[], Sequence[Prediction]]
    """Predictions of the labelled utterances of the selection split by the model as it is."""
    references: Sequence[int]
    """Their true classes."""

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Loss on the selection split, and the score of the classifier."""
        metrics: dict[str, float] = super().evaluate(*args, **kwargs)
        labels = [prediction.label for prediction in self.predictions()]
        scores = {"eval_weighted_f1": weighted_f1(self.references, labels)}
        self.log(dict(scores))
        return metrics | scores

"""The scores of this package as an ``evaluate.Metric``; needs the package ``evaluate``.

Load it offline by path: ``evaluate.load(speechcue_hf.metrics.evaluate_metric.__file__)``.
"""

from typing import Any

import datasets
import evaluate

from speechcue_hf.metrics.scores import accuracy, invalid_rate, macro_f1, weighted_f1

DESCRIPTION = "Emotion recognition in conversation: weighted F1, macro F1, accuracy and the share of invalid answers."
INPUTS = """
Args:
    predictions: Predicted class numbers; -1 for an answer that is no label.
    references: True class numbers.
Returns:
    weighted_f1, macro_f1, accuracy and invalid_rate, each between 0 and 1.
"""


class EmotionRecognition(evaluate.Metric):  # type: ignore[misc]
    """Weighted F1, macro F1, accuracy and invalid-rate; ``-1`` marks an invalid prediction."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation="",
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}),
        )

    def _compute(self, predictions: list[int], references: list[int]) -> dict[str, Any]:
        answers = [None if prediction == -1 else prediction for prediction in predictions]
        return {
            "weighted_f1": weighted_f1(references, answers),
            "macro_f1": macro_f1(references, answers),
            "accuracy": accuracy(references, answers),
            "invalid_rate": invalid_rate(answers),
        }

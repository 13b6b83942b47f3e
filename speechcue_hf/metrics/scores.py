"""Scores of predicted emotions, as plain functions on scikit-learn.

Emotions are class numbers; ``None`` stands for a prediction that is no label at all (only free generation gives those).
It is never repaired into a label: it counts as an error of its true class.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import metrics

INVALID = -1


def weighted_f1(references: Sequence[int], predictions: Sequence[int | None]) -> float:
    """F1 of each class, averaged with the class's share of the references: the usual score of this task.

    Args:
        references: True classes, shape ``(rows,)``.
        predictions: Predicted classes or ``None``, shape ``(rows,)``.

    Returns:
        Between 0 and 1.

    Raises:
        ValueError: If there are no rows, or a different number of references and predictions.

    Example:
        >>> round(weighted_f1([0, 0, 1, 2], [0, None, 1, 1]), 3)
        0.5
    """
    return _average_f1(references, predictions, "weighted")


def macro_f1(references: Sequence[int], predictions: Sequence[int | None]) -> float:
    """F1 of each class, averaged with equal weight over the classes that are referred to or predicted.

    Arguments, result and errors as for ``weighted_f1``.
    """
    return _average_f1(references, predictions, "macro")


def accuracy(references: Sequence[int], predictions: Sequence[int | None]) -> float:
    """Share of the rows whose prediction is right. Arguments, result and errors as for ``weighted_f1``."""
    return float(metrics.accuracy_score(*_arrays(references, predictions)))


def unweighted_accuracy(references: Sequence[int], predictions: Sequence[int | None]) -> float:
    """Mean recall over the classes that are referred to (UA of speech emotion recognition; WA is ``accuracy``).

    Arguments, result and errors as for ``weighted_f1``.

    Example:
        >>> unweighted_accuracy([0, 0, 0, 1], [0, 0, 0, 0])
        0.5
    """
    true, predicted = _arrays(references, predictions)
    return float(metrics.recall_score(true, predicted, labels=np.unique(true), average="macro", zero_division=0))


def invalid_rate(predictions: Sequence[int | None]) -> float:
    """Share of the predictions that are no label; 0 for no predictions."""
    return sum(prediction is None for prediction in predictions) / max(len(predictions), 1)


def per_class_table(
    references: Sequence[int], predictions: Sequence[int | None], labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and support (count in the references) of each class; 0 where a ratio has no denominator.

    Arguments and errors as for ``classification_metrics``.
    """
    columns = metrics.precision_recall_fscore_support(
        *_arrays(references, predictions), labels=range(len(labels)), zero_division=0
    )
    return {
        label: {"precision": float(precision), "recall": float(recall), "f1": float(f1), "support": int(support)}
        for label, precision, recall, f1, support in zip(labels, *columns, strict=True)
    }


def confusion_matrix(references: Sequence[int], predictions: Sequence[int | None], labels: Sequence[str]) -> np.ndarray:
    """Count each pair of true and predicted class. Arguments and errors as for ``classification_metrics``.

    Returns:
        Counts, shape ``(labels, labels + 1)``: true classes down, predicted classes across, invalid in the last column.
    """
    classes = [*range(len(labels)), INVALID]
    counts = metrics.confusion_matrix(*_arrays(references, predictions), labels=classes)
    return np.asarray(counts[:-1])


def classification_metrics(
    references: Sequence[int], predictions: Sequence[int | None], labels: Sequence[str]
) -> dict[str, Any]:
    """Every score of this module in one dictionary that JSON can hold.

    Args:
        references: True classes, shape ``(rows,)``.
        predictions: Predicted classes or ``None``, shape ``(rows,)``.
        labels: Name of each class.

    Returns:
        ``n``, ``weighted_f1``, ``macro_f1``, ``accuracy``, ``unweighted_accuracy``, ``invalid_rate``, ``per_class`` and
        ``confusion_matrix`` (``rows``, ``columns`` and ``counts``).

    Raises:
        ValueError: As for ``weighted_f1``.
    """
    return {
        "n": len(references),
        "weighted_f1": weighted_f1(references, predictions),
        "macro_f1": macro_f1(references, predictions),
        "accuracy": accuracy(references, predictions),
        "unweighted_accuracy": unweighted_accuracy(references, predictions),
        "invalid_rate": invalid_rate(predictions),
        "per_class": per_class_table(references, predictions, labels),
        "confusion_matrix": {
            "rows": list(labels),
            "columns": [*labels, "invalid"],
            "counts": confusion_matrix(references, predictions, labels).tolist(),
        },
    }


def _arrays(references: Sequence[int], predictions: Sequence[int | None]) -> tuple[np.ndarray, np.ndarray]:
    if len(references) != len(predictions) or not len(references):
        raise ValueError(
            f"need as many predictions as references and at least one, got {len(predictions)} and {len(references)}"
        )
    return (
        np.asarray(references, dtype=int),
        np.array([INVALID if prediction is None else prediction for prediction in predictions], dtype=int),
    )


def _average_f1(references: Sequence[int], predictions: Sequence[int | None], average: str) -> float:
    true, predicted = _arrays(references, predictions)
    # Naming the classes keeps "invalid" from being averaged in as if it were one of them.
    classes = sorted({*true.tolist(), *predicted.tolist()} - {INVALID})
    return float(metrics.f1_score(true, predicted, labels=classes, average=average, zero_division=0))

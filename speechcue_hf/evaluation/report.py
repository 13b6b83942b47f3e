"""What an evaluation leaves behind: ``results.json``, ``predictions.parquet`` and ``confusion_matrix.png``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.plots import plot_confusion_matrix
from speechcue_hf.evaluation.predictions import label_numbers, references
from speechcue_hf.metrics.bootstrap import (
    BOOTSTRAP_DRAWS,
    CONFIDENCE,
    bootstrap_weighted_f1,
    counts_by_dialogue,
    few_dialogues_warning,
    interval,
)
from speechcue_hf.metrics.scores import classification_metrics
from speechcue_hf.pictures import picture_files
from speechcue_hf.records import CONFUSION_FILE, PREDICTIONS_FILE, ResultsRecord, write_record


def summarise(predictions: Dataset, labels: Sequence[str]) -> dict[str, Any]:
    """Score a table of predictions.

    Args:
        predictions: As ``speechcue_hf.evaluation.predictions`` describes it.
        labels: The label words, in the order of their class numbers.

    Returns:
        The scores of ``classification_metrics``, and ``weighted_f1_interval`` with its ``low`` and ``high`` end,
        ``confidence``, ``draws``, the number of ``dialogues`` drawn from and a ``warning`` if they are too few, else
        None.

    Raises:
        EvaluationError: If there are no rows, or labels outside the label set.
    """
    if not len(predictions):
        raise EvaluationError("There is no labelled utterance to score.")
    true, predicted = references(predictions, labels), label_numbers(predictions["prediction"], labels)
    counts = counts_by_dialogue(predictions["dialogue_id"], true, predicted, labels)
    low, high = interval(bootstrap_weighted_f1(counts))
    return {
        "labels": tuple(labels),
        **classification_metrics(true, predicted, labels),
        "weighted_f1_interval": {
            "low": low,
            "high": high,
            "confidence": CONFIDENCE,
            "draws": BOOTSTRAP_DRAWS,
            "dialogues": len(counts),
            "warning": few_dialogues_warning(len(counts)),
        },
    }


def write_report(folder: Path, results: ResultsRecord, predictions: Dataset, *, picture_format: str = "png") -> None:
    """Write the results of a table of predictions, the table and its confusion matrix; earlier ones are replaced.

    Args:
        folder: Where they go.
        results: The scores.
        predictions: The table.
        picture_format: ``svg`` draws the confusion matrix as SVG, too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{PREDICTIONS_FILE}.{os.getpid()}"
    predictions.to_parquet(str(unfinished))
    os.replace(unfinished, folder / PREDICTIONS_FILE)
    counts = np.array(results.confusion_matrix["counts"])
    for path in picture_files(folder / CONFUSION_FILE, picture_format):
        plot_confusion_matrix(counts, results.labels, path, title=_title(results))
    write_record(results, folder)


def _title(results: ResultsRecord) -> str:
    where = ", ".join(place for place in ((results.corpus or {}).get("task"), results.split) if place)
    score = f"weighted F1 {100 * results.weighted_f1:.1f} %, n = {results.n}"
    return f"{where}: {score}" if where else score

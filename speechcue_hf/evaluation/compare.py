"""Is one run better than another on the same utterances, or is the difference chance?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.bootstrap import (
    bootstrap_weighted_f1,
    counts_by_dialogue,
    few_dialogues_warning,
    interval,
    sign_probability,
    weighted_f1_from_counts,
)
from speechcue_hf.evaluation.predictions import label_numbers, read_predictions, references
from speechcue_hf.evaluation.report import BOOTSTRAP_DRAWS, read_results


def compare_runs(first: Path, second: Path, *, draws: int = BOOTSTRAP_DRAWS, seed: int = 0) -> dict[str, Any]:
    """Compare two evaluated runs by paired bootstrap over dialogues.

    Args:
        first: Folder of a run, with ``results.json`` and ``predictions.parquet``.
        second: Folder of another run on the same utterances.
        draws: Bootstrap draws; both runs are scored on the same dialogues in each.
        seed: For the random draws.

    Returns:
        ``weighted_f1`` of both runs, their ``difference`` (second minus first) with its 95 % ``interval`` and two-sided
        ``p_value``, ``n``, ``dialogues``, a ``warning`` if these are too few (else None), and how many utterances
        ``both``, ``only_first``, ``only_second`` and ``neither`` got right.

    Raises:
        EvaluationError: If the runs have other label sets, other utterances or other true labels.
    """
    labels = _common_labels(first, second)
    tables = [_sorted_by_utterance(read_predictions(folder)) for folder in (first, second)]
    _check_same_utterances(*tables, names=(str(first), str(second)))
    true = references(tables[0], labels)
    answers = [label_numbers(table["prediction"], labels) for table in tables]
    counts = [counts_by_dialogue(tables[0]["dialogue_id"], true, answer, labels) for answer in answers]
    drawn_first, drawn_second = (bootstrap_weighted_f1(count, draws=draws, seed=seed) for count in counts)
    differences = drawn_second - drawn_first
    scores = [float(weighted_f1_from_counts(count.sum(axis=0))) for count in counts]
    right_first, right_second = (np.array(answer, dtype=object) == np.array(true, dtype=object) for answer in answers)
    return {
        "n": len(true),
        "dialogues": len(counts[0]),
        "weighted_f1": scores,
        "difference": scores[1] - scores[0],
        "interval": list(interval(differences)),
        "p_value": sign_probability(differences),
        "warning": few_dialogues_warning(len(counts[0])),
        "draws": draws,
        "both": int((right_first & right_second).sum()),
        "only_first": int((right_first & ~right_second).sum()),
        "only_second": int((~right_first & right_second).sum()),
        "neither": int((~right_first & ~right_second).sum()),
    }


def _sorted_by_utterance(table: Dataset) -> Dataset:
    return table.select(np.argsort(np.array(table["utterance_id"][:])))


def _common_labels(first: Path, second: Path) -> list[str]:
    labels = [read_results(folder)["labels"] for folder in (first, second)]
    if set(labels[0]) != set(labels[1]):
        raise EvaluationError(
            f"The runs have different label sets: {first} {', '.join(labels[0])}; {second} {', '.join(labels[1])}."
        )
    return list(labels[0])


def _check_same_utterances(first: Dataset, second: Dataset, *, names: tuple[str, str]) -> None:
    rows = [set(zip(table["utterance_id"], table["label"], strict=True)) for table in (first, second)]
    if rows[0] != rows[1]:
        example = min(rows[0] ^ rows[1])
        raise EvaluationError(
            f"{names[0]} and {names[1]} were not scored on the same labelled utterances ({len(rows[0])} and "
            f"{len(rows[1])}; one that differs: {example[0]} labelled {example[1]}). Evaluate both on the same split."
        )

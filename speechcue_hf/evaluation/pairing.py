"""Runs that may be set beside each other: of the same task, with the same labels, on the same utterances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset

from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.predictions import read_predictions
from speechcue_hf.records import ResultsRecord, read_record


@dataclass(frozen=True)
class PairedRuns:
    """Evaluated runs, row by row the same utterances.

    Args:
        task: The task of all; None where a run does not know its own.
        labels: Their label words, in the order of the first run.
        results: The results of each.
        tables: The predictions of each, sorted by utterance.
    """

    task: str | None
    labels: list[str]
    results: list[ResultsRecord]
    tables: list[Dataset]


def pair_runs(folders: Sequence[Path]) -> PairedRuns:
    """Read evaluated runs that were scored on the same utterances.

    Args:
        folders: Of two or more runs, each with ``results.json`` and ``predictions.parquet``.

    Returns:
        The runs.

    Raises:
        RecordError: If a folder holds no results.
        EvaluationError: If it holds no predictions, or the runs are of other tasks (``iemocap-4-ser`` is not
            ``iemocap-6-erc``), or have other label sets, other utterances or other true labels.
    """
    results = [read_record(ResultsRecord, folder) for folder in folders]
    task = _common_task(folders, results)
    labels = _common_labels(folders, results)
    tables = [_sorted_by_utterance(read_predictions(folder)) for folder in folders]
    for folder, table in zip(folders[1:], tables[1:], strict=True):
        _check_same_utterances(tables[0], table, names=(folders[0], folder))
    return PairedRuns(task, labels, results, tables)


def _sorted_by_utterance(table: Dataset) -> Dataset:
    return table.select(np.argsort(np.array(table["utterance_id"][:])))


def _common_task(folders: Sequence[Path], results: Sequence[ResultsRecord]) -> str | None:
    tasks = {folder: (result.corpus or {}).get("task") for folder, result in zip(folders, results, strict=True)}
    known = {task for task in tasks.values() if task is not None}
    if len(known) > 1:
        said = ", ".join(f"{folder} {task}" for folder, task in tasks.items())
        raise EvaluationError(f"The runs are of different tasks, whose scores say nothing of each other: {said}.")
    return None if None in tasks.values() else known.pop()


def _common_labels(folders: Sequence[Path], results: Sequence[ResultsRecord]) -> list[str]:
    labels = [result.labels for result in results]
    for folder, others in zip(folders, labels, strict=True):
        if set(others) != set(labels[0]):
            raise EvaluationError(
                f"The runs have different label sets: {folders[0]} {', '.join(labels[0])}; {folder} "
                f"{', '.join(others)}."
            )
    return list(labels[0])


def _check_same_utterances(first: Dataset, second: Dataset, *, names: tuple[Path, Path]) -> None:
    rows = [set(zip(table["utterance_id"], table["label"], strict=True)) for table in (first, second)]
    if rows[0] != rows[1]:
        example = min(rows[0] ^ rows[1])
        raise EvaluationError(
            f"{names[0]} and {names[1]} were not scored on the same labelled utterances ({len(rows[0])} and "
            f"{len(rows[1])}; one that differs: {example[0]} labelled {example[1]}). Evaluate both on the same split."
        )

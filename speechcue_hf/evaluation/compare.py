"""Runs on the same utterances beside each other: is one better than another, or is the difference chance?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.predictions import label_numbers, read_predictions, references
from speechcue_hf.metrics.bootstrap import (
    BOOTSTRAP_DRAWS,
    bootstrap_weighted_f1,
    counts_by_dialogue,
    few_dialogues_warning,
    interval,
    sign_probability,
    weighted_f1_from_counts,
)
from speechcue_hf.records import ResultsRecord, read_record


def compare_runs(
    first: str | Path, second: str | Path, *, draws: int = BOOTSTRAP_DRAWS, seed: int = 0
) -> dict[str, Any]:
    """Compare two evaluated runs by paired bootstrap over dialogues.

    Args:
        first: Folder of a run, with ``results.json`` and ``predictions.parquet``.
        second: Folder of another run on the same utterances.
        draws: Bootstrap draws; both runs are scored on the same dialogues in each.
        seed: For the random draws.

    Returns:
        ``task``, ``weighted_f1`` of both runs, their ``difference`` (second minus first) with its 95 % ``interval`` and
        two-sided ``p_value``, ``n``, ``dialogues``, a ``warning`` if these are too few (else None), how many utterances
        ``both``, ``only_first``, ``only_second`` and ``neither`` got right, whether each ``sees_future`` of the
        dialogue (None if its results do not say), a ``future_warning`` if only one is known to (else None), how the
        labels of each were ``read_by``, and a ``reading_warning`` if that was in different ways (else None).

    Raises:
        EvaluationError: If the runs cannot be set beside each other, as :func:`pair_runs` says.
    """
    folders = (Path(first), Path(second))
    results, tables = pair_runs(folders)
    labels = results[0].labels
    tasks = {(result.corpus or {}).get("task") for result in results}
    true = references(tables[0], labels)
    answers = [label_numbers(table["prediction"], labels) for table in tables]
    counts = [counts_by_dialogue(tables[0]["dialogue_id"], true, answer, labels) for answer in answers]
    drawn_first, drawn_second = (bootstrap_weighted_f1(count, draws=draws, seed=seed) for count in counts)
    differences = drawn_second - drawn_first
    scores = [float(weighted_f1_from_counts(count.sum(axis=0))) for count in counts]
    right_first, right_second = (np.array(answer, dtype=object) == np.array(true, dtype=object) for answer in answers)
    return {
        "task": tasks.pop() if len(tasks) == 1 else None,
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
        "sees_future": [result.sees_future for result in results],
        "future_warning": _future_warning(*folders, results),
        "read_by": [read_by(result) for result in results],
        "reading_warning": _reading_warning(*folders, results),
    }


def read_by(results: ResultsRecord) -> str | None:
    """How the labels of an evaluation were read, in a few words; None if its results do not say.

    Scoring by a server is scoring: only what can change a prediction makes a difference.
    """
    if results.decode is None:
        return None
    return " ".join(part for part in (results.decode, results.normalisation, results.matching) if part)


def pair_runs(folders: Sequence[Path]) -> tuple[list[ResultsRecord], list[Dataset]]:
    """Read evaluated runs that were scored on the same utterances.

    Args:
        folders: Of two or more runs, each with ``results.json`` and ``predictions.parquet``.

    Returns:
        The results of each, and the predictions of each, row by row the same utterances.

    Raises:
        RecordError: If a folder holds no results.
        EvaluationError: If it holds no predictions, or the runs are of other tasks (``iemocap-4-ser`` is not
            ``iemocap-6-erc``), or have other label sets, other utterances or other true labels.
    """
    results = [read_record(ResultsRecord, folder) for folder in folders]
    _check_same_task(folders, results)
    _check_same_labels(folders, results)
    tables = [read_predictions(folder) for folder in folders]
    tables = [table.select(np.argsort(np.array(table["utterance_id"][:]))) for table in tables]
    _check_same_utterances(folders, tables)
    return results, tables


def _check_same_task(folders: Sequence[Path], results: Sequence[ResultsRecord]) -> None:
    tasks = {folder: (result.corpus or {}).get("task") for folder, result in zip(folders, results, strict=True)}
    if len({*tasks.values()} - {None}) > 1:
        said = ", ".join(f"{folder} {task}" for folder, task in tasks.items())
        raise EvaluationError(f"The runs are of different tasks, whose scores say nothing of each other: {said}.")


def _check_same_labels(folders: Sequence[Path], results: Sequence[ResultsRecord]) -> None:
    first = results[0].labels
    for folder, result in zip(folders, results, strict=True):
        if set(result.labels) != set(first):
            raise EvaluationError(
                f"The runs have different label sets: {folders[0]} {', '.join(first)}; {folder} "
                f"{', '.join(result.labels)}."
            )


def _check_same_utterances(folders: Sequence[Path], tables: Sequence[Dataset]) -> None:
    first, *others = (set(zip(table["utterance_id"], table["label"], strict=True)) for table in tables)
    for folder, rows in zip(folders[1:], others, strict=True):
        if rows != first:
            example = min(first ^ rows)
            raise EvaluationError(
                f"{folders[0]} and {folder} were not scored on the same labelled utterances ({len(first)} and "
                f"{len(rows)}; one that differs: {example[0]} labelled {example[1]}). Evaluate both on the same split."
            )


def _reading_warning(first: Path, second: Path, results: Sequence[ResultsRecord]) -> str | None:
    """Labels that were read in two ways differ in more than what is compared."""
    ways = [read_by(result) for result in results]
    if None in ways or ways[0] == ways[1]:
        return None
    return f"The labels of {first} were read by {ways[0]}, those of {second} by {ways[1]}."


def _future_warning(first: Path, second: Path, results: Sequence[ResultsRecord]) -> str | None:
    """Two runs of which one saw turns after the one in question differ in more than what is compared."""
    seen = {folder: result.sees_future for folder, result in zip((first, second), results, strict=True)}
    if len(set(seen.values())) == 1 or True not in seen.values():
        return None
    states = {True: "saw later turns of the dialogue", False: "saw none", None: "does not say whether it saw any"}
    said = ", ".join(f"{folder} {states[state]}" for folder, state in seen.items())
    return f"{said}: the difference is not that of the models alone."

"""Is one run better than another on the same utterances, or is the difference chance?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        ``task``, ``weighted_f1`` of both runs, their ``difference`` (second minus first) with its 95 % ``interval`` and
        two-sided ``p_value``, ``n``, ``dialogues``, a ``warning`` if these are too few (else None), how many utterances
        ``both``, ``only_first``, ``only_second`` and ``neither`` got right, whether each ``sees_future`` of the
        dialogue (None if its results do not say) and a ``future_warning`` if only one is known to (else None).

    Raises:
        EvaluationError: If the runs are of other tasks (``iemocap-4-ser`` is not ``iemocap-6-erc``), or have other
            label sets, other utterances or other true labels.
    """
    results = [read_results(folder) for folder in (first, second)]
    task = _common_task(first, second, results)
    labels = _common_labels(first, second, results)
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
        "task": task,
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
        "sees_future": [result.get("sees_future") for result in results],
        "future_warning": _future_warning(first, second, results),
    }


def _sorted_by_utterance(table: Dataset) -> Dataset:
    return table.select(np.argsort(np.array(table["utterance_id"][:])))


def _future_warning(first: Path, second: Path, results: Sequence[Mapping[str, Any]]) -> str | None:
    """Two runs of which one saw turns after the one in question differ in more than what is compared."""
    seen = {folder: result.get("sees_future") for folder, result in zip((first, second), results, strict=True)}
    if len(set(seen.values())) == 1 or True not in seen.values():
        return None
    states = {True: "saw later turns of the dialogue", False: "saw none", None: "does not say whether it saw any"}
    said = ", ".join(f"{folder} {states[state]}" for folder, state in seen.items())
    return f"{said}: the difference is not that of the models alone."


def _common_task(first: Path, second: Path, results: Sequence[Mapping[str, Any]]) -> str | None:
    """The task of both; None where a run does not know its own."""
    tasks = [(result.get("corpus") or {}).get("task") for result in results]
    if None not in tasks and tasks[0] != tasks[1]:
        raise EvaluationError(
            f"The runs are of different tasks, whose scores say nothing of each other: {first} {tasks[0]}, "
            f"{second} {tasks[1]}."
        )
    return tasks[0] if tasks[0] == tasks[1] else None


def _common_labels(first: Path, second: Path, results: Sequence[Mapping[str, Any]]) -> list[str]:
    labels = [result["labels"] for result in results]
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

"""Runs on the same utterances beside each other: is one better than another, or is the difference chance?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from speechcue_hf.evaluation.runs import Run, read_runs
from speechcue_hf.metrics.bootstrap import BOOTSTRAP_DRAWS, few_dialogues_warning, interval, sign_probability
from speechcue_hf.metrics.significance import seeds_p_value
from speechcue_hf.records import ResultsRecord


def compare_runs(
    first: str | Path, second: str | Path, *, draws: int = BOOTSTRAP_DRAWS, seed: int = 0
) -> dict[str, Any]:
    """Compare two evaluated runs by paired bootstrap over dialogues; of several seeds the mean is compared.

    Args:
        first: Folder of a run, with ``results.json`` and ``predictions.parquet``, or with such a folder for each seed.
        second: Likewise of another run on the same utterances.
        draws: Bootstrap draws; both runs are scored on the same dialogues in each.
        seed: For the random draws.

    Returns:
        ``task``, ``weighted_f1`` of both runs, each score of a seed in ``weighted_f1_by_seed``, their ``difference``
        (second minus first) with its 95 % ``interval`` and two-sided ``p_value`` over dialogues, ``p_value_seeds``
        (None without several seeds of both), ``n``, ``dialogues``, a ``warning`` if these are too few (else None), how
        many utterances ``both``, ``only_first``, ``only_second`` and ``neither`` got right (of several seeds the mean
        over all pairs of them), whether each ``sees_future`` of the dialogue (None if its results do not say), a
        ``future_warning`` if only one is known to (else None), how the labels of each were ``read_by``, and a
        ``reading_warning`` if that was in different ways (else None).

    Raises:
        RecordError: If a folder holds no results.
        EvaluationError: If the runs cannot be set beside each other, as
            :func:`speechcue_hf.evaluation.runs.pair_runs` says.
    """
    return compared(*read_runs([first, second]), draws=draws, seed=seed)


def compared(first: Run, second: Run, *, draws: int = BOOTSTRAP_DRAWS, seed: int = 0) -> dict[str, Any]:
    """What :func:`compare_runs` returns, of runs that were read together."""
    runs = (first, second)
    tasks = {(result.corpus or {}).get("task") for run in runs for result in run.results}
    dialogues = first.counts.shape[1]
    return {
        "task": tasks.pop() if len(tasks) == 1 else None,
        "n": len(first.true),
        "dialogues": dialogues,
        "weighted_f1": [float(np.mean(run.weighted_f1)) for run in runs],
        "weighted_f1_by_seed": [run.weighted_f1 for run in runs],
        **difference(first, second, draws=draws, seed=seed),
        "warning": few_dialogues_warning(dialogues),
        "draws": draws,
        **_right(first, second),
        "sees_future": [run.sees_future for run in runs],
        "future_warning": _future_warning(runs),
        "read_by": [read_by(run.results[0]) for run in runs],
        "reading_warning": _reading_warning(runs),
    }


def difference(first: Run, second: Run, *, draws: int = BOOTSTRAP_DRAWS, seed: int = 0) -> dict[str, Any]:
    """``difference`` in mean weighted F1 (second minus first), ``interval``, ``p_value`` and ``p_value_seeds``."""
    differences = second.drawn(draws, seed) - first.drawn(draws, seed)
    return {
        "difference": float(np.mean(second.weighted_f1) - np.mean(first.weighted_f1)),
        "interval": list(interval(differences)),
        "p_value": sign_probability(differences),
        "p_value_seeds": seeds_p_value(first.weighted_f1, second.weighted_f1),
    }


def _right(first: Run, second: Run) -> dict[str, float | int]:
    """How many utterances each got right: counts of two single runs, else means over pairs of seeds."""
    one, other = first.right, second.right
    sums = {
        "both": one @ other,
        "only_first": one @ (1 - other),
        "only_second": (1 - one) @ other,
        "neither": (1 - one) @ (1 - other),
    }
    single = len(first.results) == len(second.results) == 1
    return {name: round(float(value)) if single else float(value) for name, value in sums.items()}


def read_by(results: ResultsRecord) -> str | None:
    """How the labels of an evaluation were read, in a few words; None if its results do not say.

    Scoring by a server is scoring: only what can change a prediction makes a difference.
    """
    if results.decode is None:
        return None
    return " ".join(part for part in (results.decode, results.normalisation, results.matching) if part)


def _reading_warning(runs: Sequence[Run]) -> str | None:
    """Labels that were read in two ways differ in more than what is compared."""
    ways = [read_by(run.results[0]) for run in runs]
    if None in ways or ways[0] == ways[1]:
        return None
    return f"The labels of {runs[0].folder} were read by {ways[0]}, those of {runs[1].folder} by {ways[1]}."


def _future_warning(runs: Sequence[Run]) -> str | None:
    """Two runs of which one saw turns after the one in question differ in more than what is compared."""
    seen = {run.folder: run.sees_future for run in runs}
    if len(set(seen.values())) == 1 or True not in seen.values():
        return None
    states = {True: "saw later turns of the dialogue", False: "saw none", None: "does not say whether it saw any"}
    said = ", ".join(f"{folder} {states[state]}" for folder, state in seen.items())
    return f"{said}: the difference is not that of the models alone."

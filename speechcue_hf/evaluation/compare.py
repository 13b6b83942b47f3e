"""Is one run better than another on the same utterances, or is the difference chance?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from speechcue_hf.evaluation.pairing import pair_runs
from speechcue_hf.evaluation.predictions import label_numbers, references
from speechcue_hf.evaluation.report import BOOTSTRAP_DRAWS
from speechcue_hf.metrics.bootstrap import (
    bootstrap_weighted_f1,
    counts_by_dialogue,
    few_dialogues_warning,
    interval,
    sign_probability,
    weighted_f1_from_counts,
)
from speechcue_hf.records import ResultsRecord


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
        EvaluationError: If the runs cannot be set beside each other, as :func:`pair_runs` says.
    """
    pair = pair_runs((first, second))
    labels, tables = pair.labels, pair.tables
    true = references(tables[0], labels)
    answers = [label_numbers(table["prediction"], labels) for table in tables]
    counts = [counts_by_dialogue(tables[0]["dialogue_id"], true, answer, labels) for answer in answers]
    drawn_first, drawn_second = (bootstrap_weighted_f1(count, draws=draws, seed=seed) for count in counts)
    differences = drawn_second - drawn_first
    scores = [float(weighted_f1_from_counts(count.sum(axis=0))) for count in counts]
    right_first, right_second = (np.array(answer, dtype=object) == np.array(true, dtype=object) for answer in answers)
    return {
        "task": pair.task,
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
        "sees_future": [result.sees_future for result in pair.results],
        "future_warning": _future_warning(first, second, pair.results),
    }


def _future_warning(first: Path, second: Path, results: Sequence[ResultsRecord]) -> str | None:
    """Two runs of which one saw turns after the one in question differ in more than what is compared."""
    seen = {folder: result.sees_future for folder, result in zip((first, second), results, strict=True)}
    if len(set(seen.values())) == 1 or True not in seen.values():
        return None
    states = {True: "saw later turns of the dialogue", False: "saw none", None: "does not say whether it saw any"}
    said = ", ".join(f"{folder} {states[state]}" for folder, state in seen.items())
    return f"{said}: the difference is not that of the models alone."

"""Several runs taken as one model: the mean of the probabilities that they give each label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from speechcue_hf.environment import library_versions
from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.pairing import pair_runs
from speechcue_hf.evaluation.predictions import scored_table
from speechcue_hf.evaluation.report import summarise
from speechcue_hf.inference.scoring import LabelScores

_FACTS = ("weighted_f1", "seed", "decode", "model_revision", "prompt", "describer_sha256", "biographies", "sees_future")
"""What is kept of each member, where its results say it."""


def ensemble_runs(folders: Sequence[Path]) -> tuple[dict[str, Any], Dataset]:
    """Average the probabilities of runs on the same utterances, and score what they name together.

    Args:
        folders: Of two or more evaluated runs whose predictions have probabilities.

    Returns:
        The results, with what is known of each of the ``members``, and the table of predictions. ``sees_future`` is
        true if one of them saw later turns, and None if one that might have does not say.

    Raises:
        EvaluationError: If there are fewer than two runs, one is named twice or has no probabilities, or they cannot be
            set beside each other, as :func:`speechcue_hf.evaluation.pairing.pair_runs` says.
    """
    if len(folders) < 2:
        raise EvaluationError("An ensemble is made of two or more runs: name their folders.")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise EvaluationError(f"One run is named twice among {', '.join(map(str, folders))}: name each once.")
    pair = pair_runs(folders)
    each = [
        _probabilities(folder, table, result["labels"], pair.labels)
        for folder, table, result in zip(folders, pair.tables, pair.results, strict=True)
    ]
    mean = np.maximum(np.mean(each, axis=0), np.finfo(float).tiny)
    scores = LabelScores(tuple(pair.labels), np.log(mean), "sum", tokens=0)
    rows = {name: list(pair.tables[0][name]) for name in ("utterance_id", "dialogue_id", "label")}
    predictions = scored_table(rows, scores)
    facts = {
        "corpus": pair.results[0].get("corpus"),
        "split": pair.results[0].get("split"),
        "decode": "ensemble",
        "members": [{name: result[name] for name in _FACTS if name in result} for result in pair.results],
        "sees_future": _any_of([result.get("sees_future") for result in pair.results]),
        "libraries": library_versions(),
    }
    return {**summarise(predictions, pair.labels), **facts}, predictions


def _probabilities(folder: Path, table: Dataset, order: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """Probabilities of a run with the labels in another order than its own, shape ``(utterances, labels)``."""
    if "probabilities" not in table.column_names:
        raise EvaluationError(
            f"The predictions of {folder} have no probabilities, so there is nothing to average: evaluate it again "
            "with --decode score."
        )
    return np.array(table["probabilities"][:])[:, [list(order).index(label) for label in labels]]


def _any_of(states: Sequence[bool | None]) -> bool | None:
    return True if True in states else None if None in states else False

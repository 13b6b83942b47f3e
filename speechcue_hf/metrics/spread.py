"""What runs that differ in their seed have in common: mean and standard deviation of their scores."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def spread_of(scores: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Sum up the scores of several runs.

    Args:
        scores: The scores of each run by name, the same names in each.

    Returns:
        For each name ``mean``, ``sd`` (of the sample; None for a single run) and ``values``, in the order of the runs.

    Example:
        >>> spread_of([{"accuracy": 0.5}, {"accuracy": 0.7}])["accuracy"]["mean"]
        0.6
    """
    columns = {name: [score[name] for score in scores] for name in scores[0]}
    return {
        name: {
            "mean": statistics.mean(values),
            "sd": statistics.stdev(values) if len(values) > 1 else None,
            "values": values,
        }
        for name, values in columns.items()
    }


def spread_lines(spread: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Word a summary, one line for each score.

    Example:
        >>> spread_lines(spread_of([{"eval_loss": 1.0}, {"eval_loss": 3.0}]))
        ['  eval_loss 2.0000 ± 1.4142']
    """
    deviations = {name: "" if found["sd"] is None else f" ± {found['sd']:.4f}" for name, found in spread.items()}
    return [f"  {name} {found['mean']:.4f}{deviations[name]}" for name, found in spread.items()]

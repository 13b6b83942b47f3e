"""How scores are called and shown, the same in cards, tables and reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

METRICS = {
    "weighted_f1": "weighted F1",
    "macro_f1": "macro F1",
    "accuracy": "accuracy",
    "unweighted_accuracy": "mean recall (UA)",
}
"""Scores of results.json → what they are called; accuracy is WA and mean recall UA of speech emotion recognition."""

PROTOCOLS = {
    "history": "turns before only",
    "future": "later turns too",
    "clip": "the clip alone",
    "test": "the test split",
    "validation": "the validation split",
    "nothing": "not trained",
    None: "–",
}
"""What a model sees, and what chose its best epoch, in words."""


def percent(share: float, digits: int = 2) -> str:
    """A share in per cent.

    Example:
        >>> percent(0.6123)
        '61.23 %'
    """
    return f"{100 * share:.{digits}f} %"


def mean_and_sd(name: str, spread: Mapping[str, Any]) -> str:
    """Mean and standard deviation of a score, in per cent if it is a share.

    Args:
        name: Of the score; ``eval_`` before it does not matter.
        spread: Its ``mean`` and ``sd``, from :func:`speechcue_hf.metrics.spread.spread_of`.

    Example:
        >>> mean_and_sd("eval_accuracy", {"mean": 0.5, "sd": 0.01})
        '50.00 % ± 1.00 %'
    """
    show = percent if name.removeprefix("eval_") in METRICS else "{:.4f}".format
    return show(spread["mean"]) if spread["sd"] is None else f"{show(spread['mean'])} ± {show(spread['sd'])}"

"""Whether probabilities mean what they say: of the answers given with 0.8, are 80 % right?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

BINS = 10
"""Of equal width, from 0 to 1."""


def reliability(confidences: Sequence[float], right: Sequence[bool], bins: int = BINS) -> dict[str, Any]:
    """Compare how sure a model was with how often it was right (Guo et al. 2017).

    Args:
        confidences: Probability of the answer that was given, 0 to 1, shape ``(rows,)``.
        right: Whether the answer was right, shape ``(rows,)``.
        bins: Of equal width; a confidence on an edge belongs to the bin below it.

    Returns:
        ``bins``, each with its ``low`` and ``high`` end, ``n`` and, where there are any, the mean ``confidence`` and
        ``accuracy`` (else None); and ``expected_calibration_error``, the distance between the two, weighted with ``n``;
        None without rows.

    Raises:
        ValueError: If the lengths differ, or a confidence is no probability.

    Example:
        >>> reliability([0.9, 0.9, 0.6], [True, False, True])["expected_calibration_error"]
        0.4
    """
    sure, hits = np.asarray(confidences, dtype=float), np.asarray(right, dtype=bool)
    if sure.shape != hits.shape:
        raise ValueError(f"need as many confidences as answers, got {sure.size} and {hits.size}")
    if not ((sure >= 0) & (sure <= 1)).all():
        raise ValueError("a confidence must be a probability between 0 and 1")
    places = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    found = [
        _bin(place / bins, (place + 1) / bins, sure[places == place], hits[places == place]) for place in range(bins)
    ]
    gaps = [it["n"] * abs(it["confidence"] - it["accuracy"]) for it in found if it["n"]]
    return {"bins": found, "expected_calibration_error": round(sum(gaps) / sure.size, 10) if sure.size else None}


def _bin(low: float, high: float, sure: np.ndarray, hits: np.ndarray) -> dict[str, Any]:
    means = {
        name: float(values.mean()) if values.size else None
        for name, values in (("confidence", sure), ("accuracy", hits))
    }
    return {"low": low, "high": high, "n": int(sure.size), **means}

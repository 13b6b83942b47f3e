"""From numbers to levels: quantile thresholds, level indices and z-scores. Pure functions over arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

QUANTILES: dict[int, tuple[float, ...]] = {
    3: (0.25, 0.75),
    4: (0.25, 0.5, 0.75),
    5: (0.1, 0.25, 0.75, 0.9),
    6: (0.1, 0.25, 0.5, 0.75, 0.9),
}
"""Number of levels → the quantiles of the training values that separate them (SpeechCueLLM, NAACL 2025 Findings)."""

LEVEL_NAMES: dict[int, tuple[str, ...]] = {
    3: ("low", "medium", "high"),
    4: ("low", "moderately_low", "moderately_high", "high"),
    5: ("very_low", "low", "medium", "high", "very_high"),
    6: ("extremely_low", "very_low", "low", "medium", "high", "extremely_high"),
}
"""Number of levels → their names, lowest first, as published."""

DEGREES: dict[int, tuple[int, ...]] = {
    3: (-1, 0, 1),
    4: (-1, 0, 0, 1),
    5: (-2, -1, 0, 1, 2),
    6: (-2, -1, 0, 0, 1, 2),
}
"""Number of levels → how far each lies from the middle half of the training values (0); 2 is the outer tenth."""

_SAME = 1e-6
"""Share of a threshold (at least of 0.001 of its unit) within which a value counts as equal to it: engines agree in
that many digits, and a threshold is often the value of a row."""

MISSING = -1
"""Level index of a value that is missing or has no statistics to compare with."""


@dataclass(frozen=True)
class CueStatistics:
    """One cue in one group of training rows.

    Args:
        count: Rows in which the cue was measured.
        mean: Mean, in the cue's unit; NaN without values.
        sd: Sample standard deviation (n − 1), in the cue's unit; NaN with fewer than two values.
        median: Median, in the cue's unit; NaN without values.
        thresholds: Upper bounds of all levels but the highest, in the cue's unit.
    """

    count: int
    mean: float
    sd: float
    median: float
    thresholds: tuple[float, ...]

    @property
    def varies(self) -> bool:
        """Whether the training values differ, so that "higher" and "lower" have a meaning."""
        return self.sd > 0


def cue_statistics(values: npt.ArrayLike, levels: int) -> CueStatistics:
    """Thresholds, mean and spread of one cue. Quantiles are linearly interpolated, as in the published files.

    Args:
        values: Training values, shape ``(rows,)``; NaN where not measured.
        levels: 3, 4, 5 or 6.

    Returns:
        The statistics of the values that are not NaN.

    Raises:
        ValueError: If ``levels`` is not 3, 4, 5 or 6.

    Example:
        >>> cue_statistics([1.0, 2.0, 3.0, 4.0, 5.0], levels=3).thresholds
        (2.0, 4.0)
    """
    quantiles = level_quantiles(levels)
    measured = np.asarray(values, dtype=np.float64)
    measured = measured[np.isfinite(measured)]
    if not measured.size:
        return CueStatistics(0, np.nan, np.nan, np.nan, (np.nan,) * len(quantiles))
    return CueStatistics(
        count=int(measured.size),
        mean=float(measured.mean()),
        sd=_sample_sd(measured),
        median=float(np.median(measured)),
        thresholds=tuple(np.quantile(measured, quantiles).tolist()),
    )


def level_quantiles(levels: int) -> tuple[float, ...]:
    """The quantiles that cut values into so many levels: ``levels - 1`` increasing probabilities.

    Raises:
        ValueError: If ``levels`` is not 3, 4, 5 or 6.
    """
    if levels not in QUANTILES:
        raise ValueError(f"levels must be 3, 4, 5 or 6, got {levels!r}")
    return QUANTILES[levels]


def level_indices(values: FloatArray, thresholds: FloatArray) -> IntArray:
    """Level of each value. A value equal to a threshold in six digits takes the lower level.

    Args:
        values: Shape ``(rows, cues)``; NaN where not measured.
        thresholds: Shape ``(rows, cues, levels - 1)``; NaN where there is nothing to compare with.

    Returns:
        Shape ``(rows, cues)``: 0 is the lowest level, :data:`MISSING` marks a missing value or threshold.

    Example:
        >>> level_indices(np.array([[2.0, np.nan]]), np.array([[[1.0, 2.0], [1.0, 2.0]]]))
        array([[ 1, -1]])
    """
    above = thresholds + _SAME * np.maximum(np.abs(thresholds), 1e-3)
    indices: IntArray = (values[..., np.newaxis] > above).sum(axis=-1)
    known = np.isfinite(values) & np.isfinite(thresholds).all(axis=-1)
    return np.where(known, indices, MISSING)


def named(indices: IntArray, names: Sequence[Any]) -> list[Any]:
    """Look levels up.

    Args:
        indices: Level indices, shape ``(rows,)``.
        names: One entry per level, lowest first.

    Returns:
        One entry per row, None where the index is :data:`MISSING`.

    Example:
        >>> named(np.array([0, 2, -1]), LEVEL_NAMES[3])
        ['low', 'high', None]
    """
    entries = np.array([*names, None], dtype=object)
    found: list[Any] = entries[indices].tolist()
    return found


def _sample_sd(values: FloatArray) -> float:
    """Sample standard deviation; exactly 0 for equal values, which rounding in the mean would hide."""
    if values.size < 2:
        return float("nan")
    return 0.0 if np.ptp(values) == 0 else float(values.std(ddof=1))

"""Is a difference chance? The test over seeds, and what several tests at once cost."""

from __future__ import annotations

import math
from collections.abc import Sequence


def seeds_p_value(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Two-sided p-value of Welch's t-test: do two systems differ by more than their seeds do?

    The test of Welch (1947) allows for other variances and other numbers of seeds. It says nothing of other dialogues,
    for which there is the bootstrap.

    Args:
        first: A score of each seed of one system.
        second: The same score of each seed of another.

    Returns:
        The p-value; None with fewer than two seeds of either, or where no seed differs from another.

    Example:
        >>> round(seeds_p_value([0.60, 0.61, 0.62], [0.65, 0.66, 0.67]), 4)
        0.0036
        >>> seeds_p_value([0.60], [0.65])
    """
    if min(len(first), len(second)) < 2 or len(set(first)) == len(set(second)) == 1:
        return None
    from scipy.stats import ttest_ind

    value = float(ttest_ind(first, second, equal_var=False).pvalue)
    return value if math.isfinite(value) else None


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct p-values of several tests by the step-down procedure of Holm (1979).

    Args:
        p_values: Of the tests; None where there was none, which does not count.

    Returns:
        The corrected values in the same order, at most 1. Those below a level are what may be claimed at that level,
        with that chance of even one false claim.

    Example:
        >>> holm([0.01, 0.04, None, 0.03])
        [0.03, 0.06, None, 0.06]
    """
    known = sorted((value, place) for place, value in enumerate(p_values) if value is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (value, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * value))
        corrected[place] = largest
    return corrected

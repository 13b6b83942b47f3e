"""Stretches of time, as arrays of starts and ends."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]


def inside(times: Floats, stretches: Floats) -> npt.NDArray[np.bool_]:
    """Which times lie in one of the stretches; a stretch holds its start and not its end.

    Args:
        times: In s, shape ``(times,)``.
        stretches: Starts and ends in s, in order and apart, shape ``(stretches, 2)``.

    Returns:
        Shape ``(times,)``.

    Example:
        >>> inside(np.array([0.1, 0.5]), np.array([[0.0, 0.2]]))
        array([ True, False])
    """
    started = np.searchsorted(stretches[:, 0], times, side="right")
    ended = np.searchsorted(stretches[:, 1], times, side="right")
    return started > ended

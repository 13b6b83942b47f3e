"""Analyses by other means than Praat where a clip lies in the range for which they were shown to equal it, else by it.

``benchmarks/equality.md`` has the table; ``tests/cues/test_fast.py`` holds every analysis against Praat's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from speechcue_hf.cues import praat
from speechcue_hf.cues.contours import Contour, PitchSettings
from speechcue_hf.cues.intensity import Levels, intensity_contour
from speechcue_hf.cues.levels import FloatArray

_RATES = (8000, 48000)
"""In Hz."""
_QUIETEST, _LOUDEST = 1e-2, 1e5
"""From the lowest sample to the highest: below the one, clips are of few quantisation steps, whose correlations are all
corners; beyond the other they are at no scale that is known."""
_FLOORS = (28.0, 400.0)
"""In Hz: beyond them windows hold too few samples, or too many."""


def intensity(levels: Levels, samples: FloatArray, rate: float, floor: float) -> Contour:
    """As :func:`speechcue_hf.cues.praat.intensity`, with the sums by ``levels``."""
    channel = proven_channel(samples, rate, 6.4 / floor)
    return praat.intensity(samples, rate, floor) if channel is None else intensity_contour(channel, rate, floor, levels)


def pitch(
    search: Callable[[FloatArray, float, PitchSettings], Contour],
    samples: FloatArray,
    rate: float,
    settings: PitchSettings,
) -> Contour:
    """As :func:`speechcue_hf.cues.praat.pitch`, by ``search``."""
    channel = proven_channel(samples, rate, 3 / settings.floor)
    lowest, highest = _FLOORS
    if channel is None or not lowest <= settings.floor <= highest or settings.ceiling > 0.3 * rate:
        return praat.pitch(samples, rate, settings)
    return search(channel, rate, settings)


def harmonicity(
    ratios: Callable[[FloatArray, float, bool], FloatArray], samples: FloatArray, rate: float, accurate: bool
) -> FloatArray:
    """As :func:`speechcue_hf.cues.praat.harmonicity`, by ``ratios``."""
    channel = proven_channel(samples, rate, 2 / 75)
    return praat.harmonicity(samples, rate, accurate) if channel is None else ratios(channel, rate, accurate)


def proven_channel(samples: FloatArray, rate: float, seconds: float) -> FloatArray | None:
    """The one channel of a clip that was shown to be measured as Praat does, of shape ``(samples,)``.

    Args:
        samples: Shape ``(samples,)`` or ``(channels, samples)``.
        rate: Sampling rate in Hz.
        seconds: What an analysis needs.

    Returns:
        None for any other clip.
    """
    channel = samples if samples.ndim == 1 else samples[0]
    lowest, highest = _RATES
    if (samples.ndim > 1 and len(samples) > 1) or not lowest <= rate <= highest or len(channel) / rate < 1.01 * seconds:
        return None
    spread = float(np.ptp(channel))
    return np.ascontiguousarray(channel) if _QUIETEST < spread < _LOUDEST else None

"""The analyses by kernels where a clip lies in the range for which they were shown to equal Praat, else by Praat.

``benchmarks/equality.md`` has the table; ``tests/cues/test_fast.py`` holds every analysis against Praat's.
"""

from __future__ import annotations

import numpy as np

from speechcue_hf.cues import praat
from speechcue_hf.cues.contours import Contour, PitchSettings
from speechcue_hf.cues.fast.intensity import intensity_contour
from speechcue_hf.cues.fast.interpolation import maxima_of
from speechcue_hf.cues.fast.periodicity import harmonic_ratios, pitch_contour
from speechcue_hf.cues.fast.periods import jitter_and_shimmer_of
from speechcue_hf.cues.levels import FloatArray

_RATES = (8000, 48000)
"""In Hz."""
_QUIETEST, _LOUDEST = 1e-2, 1e5
"""From the lowest sample to the highest: below the one, clips are of few quantisation steps, whose correlations are all
corners; beyond the other they are at no scale that is known."""
_FLOORS = (28.0, 400.0)
"""In Hz: beyond them windows hold too few samples, or too many."""
_SHORTEST_PERIOD = 10
"""In samples: with fewer a search for periods has hardly anything to choose from."""


def intensity(samples: FloatArray, rate: float, floor: float) -> Contour:
    """As :func:`speechcue_hf.cues.praat.intensity`."""
    channel = _proven(samples, rate, 6.4 / floor)
    return praat.intensity(samples, rate, floor) if channel is None else intensity_contour(channel, rate, floor)


def pitch(samples: FloatArray, rate: float, settings: PitchSettings) -> Contour:
    """As :func:`speechcue_hf.cues.praat.pitch`."""
    channel = _proven(samples, rate, 3 / settings.floor)
    lowest, highest = _FLOORS
    if channel is None or not lowest <= settings.floor <= highest or settings.ceiling > 0.3 * rate:
        return praat.pitch(samples, rate, settings)
    return pitch_contour(channel, rate, settings)


def harmonicity(samples: FloatArray, rate: float, accurate: bool) -> FloatArray:
    """As :func:`speechcue_hf.cues.praat.harmonicity`."""
    channel = _proven(samples, rate, 2 / 75)
    return praat.harmonicity(samples, rate, accurate) if channel is None else harmonic_ratios(channel, rate, accurate)


def maxima(values: FloatArray) -> FloatArray:
    """As :func:`speechcue_hf.cues.praat.maxima`."""
    return maxima_of(values)


def jitter_and_shimmer(samples: FloatArray, rate: float, pitch: Contour) -> tuple[float | None, float | None]:
    """As :func:`speechcue_hf.cues.praat.jitter_and_shimmer`."""
    channel = _proven(samples, rate, 0.0)
    if channel is None or pitch.values.max(initial=0) * _SHORTEST_PERIOD > rate:
        return praat.jitter_and_shimmer(samples, rate, pitch)
    jitter, shimmer = jitter_and_shimmer_of(channel, rate, pitch)
    return praat.none_if_nan(jitter), praat.none_if_nan(shimmer)


def _proven(samples: FloatArray, rate: float, seconds: float) -> FloatArray | None:
    """The one channel of a clip that the kernels were shown to measure as Praat does; None for any other clip."""
    channel = samples if samples.ndim == 1 else samples[0]
    lowest, highest = _RATES
    if (samples.ndim > 1 and len(samples) > 1) or not lowest <= rate <= highest or len(channel) / rate < 1.01 * seconds:
        return None
    spread = float(np.ptp(channel))
    return np.ascontiguousarray(channel) if _QUIETEST < spread < _LOUDEST else None

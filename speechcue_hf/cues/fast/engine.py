"""The analyses by kernels, where they were shown to equal Praat's; ``speechcue_hf.cues.proven`` says where."""

from __future__ import annotations

from functools import partial

from speechcue_hf.cues import praat, proven
from speechcue_hf.cues.contours import Contour
from speechcue_hf.cues.fast.intensity import levels
from speechcue_hf.cues.fast.interpolation import maxima_of
from speechcue_hf.cues.fast.periodicity import harmonic_ratios, pitch_contour
from speechcue_hf.cues.fast.periods import jitter_and_shimmer_of
from speechcue_hf.cues.levels import FloatArray

_SHORTEST_PERIOD = 10
"""In samples: with fewer a search for periods has hardly anything to choose from."""

intensity = partial(proven.intensity, levels)
pitch = partial(proven.pitch, pitch_contour)
harmonicity = partial(proven.harmonicity, harmonic_ratios)
maxima = maxima_of


def jitter_and_shimmer(samples: FloatArray, rate: float, pitch: Contour) -> tuple[float | None, float | None]:
    """As :func:`speechcue_hf.cues.praat.jitter_and_shimmer`."""
    channel = proven.proven_channel(samples, rate, 0.0)
    if channel is None or pitch.values.max(initial=0) * _SHORTEST_PERIOD > rate:
        return praat.jitter_and_shimmer(samples, rate, pitch)
    jitter, shimmer = jitter_and_shimmer_of(channel, rate, pitch)
    return praat.none_if_nan(jitter), praat.none_if_nan(shimmer)

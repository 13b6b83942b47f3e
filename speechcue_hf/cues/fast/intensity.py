"""Intensity: the weighted sums of :mod:`speechcue_hf.cues.intensity`."""

from __future__ import annotations

import math

import numpy as np

from speechcue_hf.cues.fast.interpolation import jit, jit_sums, mean_of
from speechcue_hf.cues.intensity import HEARING_THRESHOLD, SILENCE
from speechcue_hf.cues.levels import FloatArray, IntArray


@jit
def levels(samples: FloatArray, centres: IntArray, window: FloatArray) -> FloatArray:
    """Levels of frames in dB; :data:`speechcue_hf.cues.intensity.Levels` says of what."""
    found = np.empty(len(centres))
    reach = len(window) // 2
    for frame in range(len(centres)):
        first = max(centres[frame] - reach, 0)
        end = min(centres[frame] + reach + 1, len(samples))
        part = samples[first:end]
        weights = window[first - centres[frame] + reach : end - centres[frame] + reach]
        mean = mean_of(part)
        power, weight = _weighted_power(part, weights, mean)
        ratio = power / weight / HEARING_THRESHOLD
        found[frame] = 10 * math.log10(ratio) if ratio > 1e-30 else SILENCE
    return found


@jit_sums
def _weighted_power(part: FloatArray, weights: FloatArray, mean: float) -> tuple[float, float]:
    power = weight = 0.0
    for i in range(len(part)):
        power += (part[i] - mean) ** 2 * weights[i]
        weight += weights[i]
    return power, weight

"""Intensity: the level of a clip over time.

Source: the Praat manual, "Sound: To Intensity...": the mean square of the samples around their own mean, weighted by a
Kaiser-20 window.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.special import i0

from speechcue_hf.cues.contours import Contour
from speechcue_hf.cues.fast.frames import frame_times, sample_positions
from speechcue_hf.cues.fast.interpolation import jit, jit_sums, mean_of
from speechcue_hf.cues.levels import FloatArray, IntArray

_KAISER = 2 * math.pi**2 + 0.5
"""Argument of the Bessel function for side lobes below -190 dB."""
_HEARING_THRESHOLD = 4e-10
"""Square of 20 µPa."""
_SILENCE = -300.0
"""In dB: what stands for no sound at all."""


def intensity_contour(samples: FloatArray, rate: float, floor: float) -> Contour:
    """Intensity in dB re 20 µPa.

    Args:
        samples: Shape ``(samples,)``, at least ``6.4 / floor`` long.
        rate: Sampling rate in Hz.
        floor: Lowest frequency in Hz whose periods the contour does not follow; frames are ``0.8 / floor`` apart.
    """
    half = 3.2 / floor
    step = 0.8 / floor
    times = frame_times(len(samples), rate, 2 * half, step)
    centres = np.floor(sample_positions(times, rate) + 0.5).astype(np.int64) - 1
    levels = _levels(samples, centres, _window(half, rate))
    return Contour(levels, float(times[0]), step, 0.0, len(samples) / rate)


@lru_cache(maxsize=16)
def _window(half: float, rate: float) -> FloatArray:
    """Kaiser-20, from so many seconds before a frame's time to as many after it."""
    reach = math.floor(half / (1 / rate))
    places = np.arange(-reach, reach + 1) / (half * rate)
    window: FloatArray = i0(_KAISER * np.sqrt(np.maximum(0.0, 1 - places**2)))
    return window


@jit
def _levels(samples: FloatArray, centres: IntArray, window: FloatArray) -> FloatArray:
    levels = np.empty(len(centres))
    reach = len(window) // 2
    for frame in range(len(centres)):
        first = max(centres[frame] - reach, 0)
        end = min(centres[frame] + reach + 1, len(samples))
        part = samples[first:end]
        weights = window[first - centres[frame] + reach : end - centres[frame] + reach]
        mean = mean_of(part)
        power, weight = _weighted_power(part, weights, mean)
        ratio = power / weight / _HEARING_THRESHOLD
        levels[frame] = 10 * math.log10(ratio) if ratio > 1e-30 else _SILENCE
    return levels


@jit_sums
def _weighted_power(part: FloatArray, weights: FloatArray, mean: float) -> tuple[float, float]:
    power = weight = 0.0
    for i in range(len(part)):
        power += (part[i] - mean) ** 2 * weights[i]
        weight += weights[i]
    return power, weight

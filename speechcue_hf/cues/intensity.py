"""Intensity: the level of a clip over time, but for the sums, which each engine takes in its own way.

Source: the Praat manual, "Sound: To Intensity...": the mean square of the samples around their own mean, weighted by a
Kaiser-20 window.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.special import i0

from speechcue_hf.cues.contours import Contour
from speechcue_hf.cues.frames import frame_times, sample_positions
from speechcue_hf.cues.levels import FloatArray, IntArray

_KAISER = 2 * math.pi**2 + 0.5
"""Argument of the Bessel function for side lobes below -190 dB."""
HEARING_THRESHOLD = 4e-10
"""Square of 20 µPa."""
SILENCE = -300.0
"""In dB: what stands for no sound at all."""

Levels = Callable[[FloatArray, IntArray, FloatArray], FloatArray]
"""Samples, the frames' middle samples and the window, which may reach beyond the clip → levels of the frames in dB."""


def intensity_contour(samples: FloatArray, rate: float, floor: float, levels: Levels) -> Contour:
    """Intensity in dB re 20 µPa.

    Args:
        samples: Shape ``(samples,)``, at least ``6.4 / floor`` long.
        rate: Sampling rate in Hz.
        floor: Lowest frequency in Hz whose periods the contour does not follow; frames are ``0.8 / floor`` apart.
        levels: What takes the sums.
    """
    half = 3.2 / floor
    step = 0.8 / floor
    times = frame_times(len(samples), rate, 2 * half, step)
    centres = np.floor(sample_positions(times, rate) + 0.5).astype(np.int64) - 1
    values = levels(samples, centres, _window(half, rate))
    return Contour(values, float(times[0]), step, 0.0, len(samples) / rate)


@lru_cache(maxsize=16)
def _window(half: float, rate: float) -> FloatArray:
    """Kaiser-20, from so many seconds before a frame's time to as many after it."""
    reach = math.floor(half / (1 / rate))
    places = np.arange(-reach, reach + 1) / (half * rate)
    window: FloatArray = i0(_KAISER * np.sqrt(np.maximum(0.0, 1 - places**2)))
    return window

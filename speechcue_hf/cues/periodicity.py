"""What a search for periods takes of a clip, and how closely it looks; each engine searches in its own way.

Sources: Boersma (1993), IFA Proceedings 17, with its numbers of equations below; the Praat manual, "Sound: To Pitch
(ac)...", "Sound: To Pitch (cc)..." and "Sound: To Harmonicity (cc)...".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from speechcue_hf.cues.contours import PitchSettings
from speechcue_hf.cues.frames import frame_times, sample_positions
from speechcue_hf.cues.levels import FloatArray, IntArray

COARSE, FINE, FINEST = 30, 70, 700
"""Samples on either side that a correlation is interpolated from: to choose candidates, for their place and strength,
and for those with fewer than 10/3 samples in a period."""
SHORTEST = 0.3
"""Periods per sample, from which on a candidate takes the finest interpolation."""
ROUGHNESS = 6
"""How far a maximum may rise above its sample, in second differences next to it; noise was found to rise by 3."""
ROUNDING = 1e-12
"""Rise in a correlation below which it is level: digital silence resembles itself at every lag."""
UNEVEN = 1e-9
"""Energy of a period as a share of the loudest one in a frame, below which transforms would drown it in rounding."""
HARMONICITY = PitchSettings(floor=75.0, silence=0.1)
"""What the harmonics-to-noise ratio is searched with."""


@dataclass(frozen=True)
class Frames:
    """Frames of an analysis, and the samples that each takes.

    Args:
        samples: The clip, shape ``(samples,)``.
        rate: In Hz.
        times: In s, shape ``(frames,)``.
        half: Half of the window, in samples.
        period: The longest period, in samples.
        largest: The clip's largest amplitude.
    """

    samples: FloatArray
    rate: float
    times: FloatArray
    half: int
    period: int
    largest: float

    @property
    def right(self) -> IntArray:
        """The first sample after each frame's time, shape ``(frames,)``."""
        return np.floor(sample_positions(self.times, self.rate)).astype(np.int64)

    @property
    def starts(self) -> IntArray:
        """The sample one longest period of HARMONICITY before each frame's time, shape ``(frames,)``."""
        return np.floor(sample_positions(self.times - 1 / HARMONICITY.floor, self.rate)).astype(np.int64) - 1


def pitch_frames(samples: FloatArray, rate: float, settings: PitchSettings) -> Frames:
    """Frames of three longest periods."""
    return _frames(samples, rate, 3 / settings.floor, 3 / settings.floor, settings)


def harmonicity_frames(samples: FloatArray, rate: float) -> Frames:
    """Frames of one longest period, which is held against the next."""
    return _frames(samples, rate, 1 / HARMONICITY.floor, 2 / HARMONICITY.floor, HARMONICITY)


def _frames(samples: FloatArray, rate: float, window: float, span: float, settings: PitchSettings) -> Frames:
    times = frame_times(len(samples), rate, span, settings.step)
    period = 1 / rate
    return Frames(
        samples,
        rate,
        times,
        half=math.floor(window / period) // 2 - 1,
        period=math.floor(1 / period / settings.floor),
        largest=float(np.abs(samples - samples.mean()).max()),
    )


def blocks(frames: int, length: int, size: int) -> Iterator[slice]:
    """So many frames at a time that their samples, ``length`` each, are about ``size`` together."""
    count = max(1, size // length)
    return (slice(first, first + count) for first in range(0, frames, count))


def longest_lags(half: int) -> tuple[int, int]:
    """The lag below which peaks of an autocorrelation are searched, and the last that they are interpolated from."""
    longest = min(2 * half // 3 + 2, half)
    return longest, min(half, longest + FINE + 1)


def candidate_places(settings: PitchSettings, ceiling: float) -> int:
    """How many candidates a frame has at most, the unvoiced one among them."""
    return max(settings.candidates, math.floor(ceiling / settings.floor))


@lru_cache(maxsize=16)
def hanning(length: int) -> FloatArray:
    """Without the zeros at its ends."""
    window: FloatArray = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1, length + 1) / (length + 1))
    return window


def unvoiced_strength(intensity: FloatArray, silence: float, voicing: float) -> FloatArray:
    """Strength of the unvoiced candidate, equation (23), from amplitudes as shares of the clip's largest."""
    loud = np.minimum(intensity, 1.0) / (silence / (1 + voicing))
    strength: FloatArray = voicing + np.maximum(0.0, 2.0 - loud)
    return strength


def decibels_of(strengths: FloatArray) -> FloatArray:
    """``10 log10(r / (1 - r))`` of each frame that is periodic, r > 0, equation (4), shape ``(periodic frames,)``."""
    strengths = np.clip(strengths[strengths > 0], 1e-15, 1 - 1e-15)
    ratios: FloatArray = 10 * np.log10(strengths / (1 - strengths))
    return ratios

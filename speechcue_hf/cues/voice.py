"""Voice quality: jitter, shimmer, spectral tilt, harmonics-to-noise ratio."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from speechcue_hf.cues.intervals import Floats
from speechcue_hf.cues.pitch import slope

if TYPE_CHECKING:
    import parselmouth

_SHORTEST_PERIOD, _LONGEST_PERIOD, _PERIOD_FACTOR, _AMPLITUDE_FACTOR = 0.0001, 0.02, 1.3, 1.6
"""Praat's standard limits (s, s, ratio, ratio): what lies beyond them is no period of the voice."""
_BANDS = 315 * 2 ** (np.arange(11) / 3)
"""Third-octave centres in Hz up to 3.2 kHz, within the band of every corpus, telephone included."""
_WINDOW = 512


def jitter_and_shimmer(sound: parselmouth.Sound, pitch: parselmouth.Pitch) -> tuple[float | None, float | None]:
    """Cycle-to-cycle variation of period and of amplitude, local, as Praat defines them.

    Source: the Praat manual, "Voice 2. Jitter" and "Voice 3. Shimmer"; periods by cross-correlation along ``pitch``.

    Args:
        sound: One channel.
        pitch: Its F0 contour.

    Returns:
        Jitter and shimmer as ratios (0.01 is 1 %), each None where there are too few periods in a row.
    """
    from parselmouth.praat import call

    periods = call([sound, pitch], "To PointProcess (cc)")
    limits = (0, 0, _SHORTEST_PERIOD, _LONGEST_PERIOD, _PERIOD_FACTOR)
    jitter = call(periods, "Get jitter (local)", *limits)
    shimmer = call([sound, periods], "Get shimmer (local)", *limits, _AMPLITUDE_FACTOR)
    return _none_if_nan(jitter), _none_if_nan(shimmer)


def spectral_tilt(samples: Floats, rate: float) -> float | None:
    """Slope of the long-term average spectrum over 280–3570 Hz: flat when pressed or loud, steep when soft.

    Source: Löfqvist & Mandersson (1987), Folia Phoniatrica 39, for the long-term spectrum; the slope is a least-squares
    line through third-octave power densities over log frequency, so that each octave weighs the same.

    Args:
        samples: Shape ``(frames,)``.
        rate: Sampling rate in Hz, at least 8000.

    Returns:
        Slope in dB per octave (0 for white noise); None when the clip is shorter than a window of 512 samples or one
        of the bands is empty.
    """
    if len(samples) < _WINDOW:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_WINDOW]
    frames = (frames - frames.mean(axis=1, keepdims=True)) * np.hanning(_WINDOW)
    power = np.square(np.abs(np.fft.rfft(frames, axis=1))).mean(axis=0)
    edges = np.append(_BANDS, 2 * _BANDS[-3]) * 2 ** (-1 / 6)
    indices = np.searchsorted(np.fft.rfftfreq(_WINDOW, 1 / rate), edges)
    densities = np.array([power[first:end].mean() for first, end in pairwise(indices)])
    return slope(np.log2(_BANDS), 10 * np.log10(densities)) if densities.all() else None


def harmonics_to_noise(sound: parselmouth.Sound) -> float | None:
    """Mean harmonics-to-noise ratio by cross-correlation, without the costly refinement of Praat's own harmonicity.

    The strength r of the best of three candidates is read as ``10 log10(r / (1 - r))``; on speech the mean stays within
    0.1 dB of Praat's ``To Harmonicity (cc)``. Source: Boersma (1993), IFA Proceedings 17.

    Args:
        sound: One channel; the ratio depends on the sampling rate.

    Returns:
        Mean over frames with any periodicity in dB; None when there are none.
    """
    pitch = sound.to_pitch_cc(0.01, 75, 3, False, 0.1, 0, 0, 0, 0, sound.sampling_frequency / 2)
    strengths = pitch.selected_array["strength"]
    strengths = np.clip(strengths[strengths > 0], 1e-15, 1 - 1e-15)
    return float(np.mean(10 * np.log10(strengths / (1 - strengths)))) if len(strengths) else None


def _none_if_nan(value: float) -> float | None:
    """Praat's "undefined" as None."""
    return None if math.isnan(value) else float(value)

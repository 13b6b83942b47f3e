"""The voice: fundamental frequency, jitter, shimmer, spectral tilt, harmonics-to-noise ratio."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from speechcue_hf.cues.contours import Contour, PitchSettings
from speechcue_hf.cues.engines import Engine
from speechcue_hf.cues.levels import FloatArray

_COARSE_STEP, _FINE_STEP = 0.04, 0.01
"""In s, of the first and the second pass."""
_CANDIDATES = 6
"""Enough for a range of two octaves: Praat's 15 find the same frames voiced and cost a fifth more."""
_LOWEST, _HIGHEST = 40.0, 700.0
"""In Hz: from creaky low voices to screams."""
_FINAL = 0.3
"""In s: the end of the utterance whose slope is the final contour."""
_BANDS = 315 * 2 ** (np.arange(11) / 3)
"""Third-octave centres in Hz up to 3.2 kHz, within the band of every corpus, telephone included."""
_WINDOW = 512


def two_pass_pitch(samples: FloatArray, rate: float, engine: Engine) -> Contour | None:
    """F0 by autocorrelation, searched in a range that the voice itself sets.

    A first, coarse pass over 40–700 Hz gives the quartiles; the second looks from 0.75 q25 to 2.5 q75, the range for
    expressive speech. With a fixed floor of 75 Hz low voices come out an octave too high, with a fixed low floor high
    ones come out an octave too low.

    Sources: Boersma (1993), IFA Proceedings 17, for the autocorrelation; Hirst (2011), Journal of Speech Sciences 1,
    and De Looze & Hirst (2008), Speech Prosody, for the two passes.

    Args:
        samples: One channel, shape ``(samples,)``.
        rate: Sampling rate in Hz.
        engine: Who searches.

    Returns:
        The pitch in steps of 10 ms, or None when no frame is voiced. A clip too short for the lowest floor is searched
        from the lowest frequency of which three periods fit into it.
    """
    # Praat wants three periods of the floor in the clip; the margin keeps rounding from refusing it.
    lowest = max(_LOWEST, 3.01 * rate / len(samples))
    coarse = PitchSettings(_COARSE_STEP, lowest, _HIGHEST)
    first = voiced_frequencies(engine.pitch(samples, rate, coarse))
    if not len(first):
        return None
    q25, q75 = np.quantile(first, [0.25, 0.75])
    floor = max(lowest, 0.75 * float(q25))
    ceiling = min(_HIGHEST, 2.5 * float(q75))
    pitch = engine.pitch(samples, rate, PitchSettings(_FINE_STEP, floor, ceiling, _CANDIDATES))
    return pitch if len(voiced_frequencies(pitch)) else None


def voiced_frequencies(pitch: Contour) -> FloatArray:
    """F0 of the voiced frames in Hz, shape ``(voiced frames,)``."""
    return pitch.values[pitch.values > 0]


def pitch_statistics(pitch: Contour) -> dict[str, float | None]:
    """Where the voice lies and how much it moves.

    Args:
        pitch: A contour in steps of 10 ms with at least one voiced frame.

    Returns:
        The columns of the group ``pitch``: Hz, semitones re 100 Hz, semitones per second, s; standard deviations are
        those of the population.
    """
    f0 = voiced_frequencies(pitch)
    semitones = 12 * np.log2(f0 / 100)
    q10, q50, q90 = np.quantile(semitones, [0.1, 0.5, 0.9])
    return {
        "f0_mean_hz": float(f0.mean()),
        "f0_sd_hz": float(f0.std()),
        "f0_range_hz": float(np.ptp(f0)),
        "f0_median_hz": float(np.median(f0)),
        "f0_q10_semitones": float(q10),
        "f0_q50_semitones": float(q50),
        "f0_q90_semitones": float(q90),
        "f0_sd_semitones": float(semitones.std()),
        "final_contour_semitones_per_s": _final_contour(pitch),
        "voiced_s": len(f0) * pitch.step,
    }


def spectral_tilt(samples: FloatArray, rate: float) -> float | None:
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
    return _slope(np.log2(_BANDS), 10 * np.log10(densities)) if densities.all() else None


def _final_contour(pitch: Contour) -> float | None:
    """Slope of F0 over the last 300 ms of voicing: rising in questions, falling in statements."""
    voiced = np.flatnonzero(pitch.values)
    last = voiced[voiced > voiced[-1] - _FINAL / pitch.step]
    if len(last) < 5:
        return None
    return _slope(last * pitch.step, 12 * np.log2(pitch.values[last]))


def _slope(x: FloatArray, y: FloatArray) -> float:
    """Least-squares slope of ``y`` on ``x``, both of shape ``(points,)``."""
    centred = x - x.mean()
    return float(centred @ y / (centred @ centred))

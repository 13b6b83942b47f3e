"""Fundamental frequency: a contour whose search range fits the voice, and its statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from speechcue_hf.cues.intervals import Floats

if TYPE_CHECKING:
    import parselmouth

_COARSE_STEP, _FINE_STEP = 0.04, 0.01
"""In s, of the first and the second pass."""
_CANDIDATES = 6
"""Enough for a range of two octaves: Praat's 15 find the same frames voiced and cost a fifth more."""
_LOWEST, _HIGHEST = 40.0, 700.0
"""In Hz: from creaky low voices to screams."""
_FINAL = 0.3
"""In s: the end of the utterance whose slope is the final contour."""


def two_pass_pitch(sound: parselmouth.Sound) -> parselmouth.Pitch | None:
    """F0 by autocorrelation, searched in a range that the voice itself sets.

    A first, coarse pass over 40–700 Hz gives the quartiles; the second looks from 0.75 q25 to 2.5 q75, the range for
    expressive speech. With a fixed floor of 75 Hz low voices come out an octave too high, with a fixed low floor high
    ones come out an octave too low.

    Sources: Boersma (1993), IFA Proceedings 17, for the autocorrelation; Hirst (2011), Journal of Speech Sciences 1,
    and De Looze & Hirst (2008), Speech Prosody, for the two passes.

    Args:
        sound: One channel.

    Returns:
        The pitch in steps of 10 ms, or None when no frame is voiced. A clip too short for the lowest floor is searched
        from the lowest frequency of which three periods fit into it.
    """
    # Praat wants three periods of the floor in the clip; the margin keeps rounding from refusing it.
    lowest = max(_LOWEST, 3.01 / sound.duration)
    first = voiced_frequencies(sound.to_pitch_ac(_COARSE_STEP, lowest, pitch_ceiling=_HIGHEST))
    if not len(first):
        return None
    q25, q75 = np.quantile(first, [0.25, 0.75])
    floor = max(lowest, 0.75 * q25)
    ceiling = min(_HIGHEST, 2.5 * q75)
    pitch = sound.to_pitch_ac(_FINE_STEP, floor, _CANDIDATES, pitch_ceiling=ceiling)
    return pitch if len(voiced_frequencies(pitch)) else None


def voiced_frequencies(pitch: parselmouth.Pitch) -> Floats:
    """F0 of the voiced frames in Hz, shape ``(voiced frames,)``."""
    frequencies: Floats = pitch.selected_array["frequency"]
    return frequencies[frequencies > 0]


def pitch_statistics(pitch: parselmouth.Pitch) -> dict[str, float | None]:
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
        "voiced_s": len(f0) * pitch.dx,
    }


def _final_contour(pitch: parselmouth.Pitch) -> float | None:
    """Slope of F0 over the last 300 ms of voicing: rising in questions, falling in statements."""
    frequencies = pitch.selected_array["frequency"]
    voiced = np.flatnonzero(frequencies)
    last = voiced[voiced > voiced[-1] - _FINAL / pitch.dx]
    if len(last) < 5:
        return None
    return slope(last * pitch.dx, 12 * np.log2(frequencies[last]))


def slope(x: Floats, y: Floats) -> float:
    """Least-squares slope of ``y`` on ``x``, both of shape ``(points,)``."""
    centred = x - x.mean()
    return float(centred @ y / (centred @ centred))

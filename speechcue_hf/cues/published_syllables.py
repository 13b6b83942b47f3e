"""Syllable nuclei as the script published for parselmouth finds them, which SpeechCueLLM used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from speechcue_hf.cues.intervals import Floats
from speechcue_hf.cues.syllables import BELOW_PEAK, DIP, Rhythm, select_nuclei, sounding_stretches

if TYPE_CHECKING:
    import parselmouth

_SHORTEST_PAUSE = 0.3
"""In s."""
_VOICING = (0.02, 30, 4, False, 0.03, 0.25, 0.01, 0.35, 0.25, 450)
"""Step in s, floor in Hz, candidates, very accurate, silence and voicing thresholds, octave cost, octave jump cost,
voiced/unvoiced cost, ceiling in Hz."""


def find_rhythm_as_published(sound: parselmouth.Sound) -> Rhythm | None:
    """Find syllable nuclei: peaks of intensity followed by a dip of 2 dB, voiced, within speech; the last never counts.

    Source: de Jong & Wempe (2009), Behavior Research Methods 41, in the form Feinberg gave it for parselmouth. The same
    numbers as from one Praat command per peak, but peaks, dips and voicing are looked up in arrays.

    Args:
        sound: At least 0.128 s long, else Praat raises an error.

    Returns:
        The rhythm, or None when no peak stands out of the noise.
    """
    intensity = sound.to_intensity(50)
    levels = intensity.values[0]
    quantile = _quantile(levels, 0.99)
    lowest, highest = -_parabolic_maximum(-levels), _parabolic_maximum(levels)
    times, heights = _peaks(intensity, above=max(quantile - BELOW_PEAK, lowest))
    if not len(times):
        return None
    # The script gives the threshold below the maximum, and Praat takes it off again.
    sounding = sounding_stretches(intensity, highest - abs(quantile - BELOW_PEAK - highest), _SHORTEST_PAUSE)
    times = times[_dips_after(intensity, times, heights)]
    # The pitch is half of all the cost, and clips of one syllable have no peak left to ask it about.
    nuclei = select_nuclei(times, sounding, sound.to_pitch_ac(*_VOICING)) if len(times) else times
    return Rhythm(nuclei, sounding)


def _quantile(values: Floats, share: float) -> float:
    """Praat's quantile (of ``Get quantile``): along the line through the two nearest ranks, beyond the last one too."""
    if len(values) == 1:
        return float(values[0])
    ordered = np.sort(values)
    place = share * len(values) - 0.5
    left = int(np.clip(np.floor(place), 0, len(values) - 2))
    return float(ordered[left] + (place - left) * (ordered[left + 1] - ordered[left]))


def _parabolic_maximum(values: Floats) -> float:
    """Praat's maximum by parabolic interpolation: a parabola through each inner peak and its neighbours."""
    at = _inner_peaks(values)
    rise = (values[at + 1] - values[at - 1]) / 2
    bend = 2 * values[at] - values[at - 1] - values[at + 1]
    return max(float(values[0]), float(values[-1]), float(np.max(values[at] + rise**2 / (2 * bend), initial=-np.inf)))


def _inner_peaks(values: Floats) -> npt.NDArray[np.intp]:
    """Indices of the values that are larger than the one before and no smaller than the one after."""
    return np.flatnonzero((values[1:-1] > values[:-2]) & (values[1:-1] >= values[2:])) + 1


def _peaks(intensity: parselmouth.Intensity, above: float) -> tuple[Floats, Floats]:
    """Times (s) and levels (dB) of the maxima of an intensity contour that exceed a threshold."""
    import parselmouth
    from parselmouth.praat import run

    levels = intensity.values[0]
    if not len(_inner_peaks(levels)):
        return np.zeros(0), np.zeros(0)
    # As `Down to Matrix` and `To Sound (slice)` make it: each call of Praat costs a tenth of a millisecond.
    contour = parselmouth.Sound(levels, 1 / intensity.dx, intensity.x1 - intensity.dx / 2)
    (points,) = run(contour, 'To PointProcess (extrema): 1, "yes", "no", "Sinc70"\nTo Matrix')
    times: Floats = points.values[0]
    heights = _cubic(levels, (times - intensity.x1) / intensity.dx)
    return times[heights > above], heights[heights > above]


def _cubic(values: Floats, positions: Floats) -> Floats:
    """Praat's cubic interpolation (of ``Get value at time``), linear next to either end and constant beyond it."""
    if len(values) < 2:
        return np.repeat(values[:1], len(positions))
    positions = np.clip(positions, 0, len(values) - 1)
    left = np.minimum(positions.astype(int), len(values) - 2)
    fraction = positions - left
    rise = values[left + 1] - values[left]
    before, after = values[np.maximum(left - 1, 0)], values[np.minimum(left + 2, len(values) - 1)]
    slope_left, slope_right = (values[left + 1] - before) / 2, (after - values[left]) / 2
    bend = (slope_right - slope_left) / 2 + (fraction - 0.5) * (slope_left + slope_right - 2 * rise)
    inside = (left > 0) & (left + 2 < len(values))
    interpolated: Floats = values[left] + fraction * rise - np.where(inside, fraction * (1 - fraction) * bend, 0.0)
    return interpolated


def _dips_after(intensity: parselmouth.Intensity, times: Floats, levels: Floats) -> npt.NDArray[np.bool_]:
    """Which peaks are followed by a dip of 2 dB before the next peak; False for the last one."""
    values = intensity.values[0]
    position = (times - intensity.x1) / intensity.dx
    first = np.ceil(position[:-1]).astype(int)
    last = np.floor(position[1:]).astype(int)
    dips = np.array([values[i : j + 1].min() for i, j in zip(first, last, strict=True)])
    return np.append(np.abs(levels[:-1] - dips) > DIP, False)

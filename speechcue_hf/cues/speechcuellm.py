"""The eight numbers of SpeechCueLLM, exactly as the paper measured them: on the file as it is, defects included."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from speechcue_hf.audio import Clip
from speechcue_hf.cues.analysis import Measured, Values, measure_all
from speechcue_hf.cues.levels import BoolArray, FloatArray, IntArray
from speechcue_hf.cues.loudness import energy_mean
from speechcue_hf.cues.syllables import BELOW_PEAK, DIP, Rhythm, select_nuclei, sounding_stretches
from speechcue_hf.cues.voice import voiced_frequencies

if TYPE_CHECKING:
    from speechcue_hf import praat

LONGEST = 600.0
"""In s. The longest clip of MELD lasts 305; each minute of a file at 16 kHz takes Praat 2 s and tens of MB."""
_SHORTEST_PAUSE = 0.3
"""In s."""
_VOICING = (0.02, 30, 4, False, 0.03, 0.25, 0.01, 0.35, 0.25, 450)
"""Step in s, floor in Hz, candidates, very accurate, silence and voicing thresholds, octave cost, octave jump cost,
voiced/unvoiced cost, ceiling in Hz."""


def measure_like_paper(clip: Clip, groups: tuple[str, ...]) -> tuple[Values, list[str]]:
    """Measure a clip by the procedure of SpeechCueLLM.

    Source: Wu et al. (2025), Beyond Silent Letters: Amplifying LLMs in Emotion Recognition with Vocal Nuances, NAACL
    Findings; its syllable nuclei are those of de Jong & Wempe (2009), Behavior Research Methods 41, in the form that
    Feinberg gave their script for parselmouth.

    Args:
        clip: All channels, at the file's own sampling rate; of a file beyond ``LONGEST`` only the start need be there.
        groups: Which of ``loudness``, ``pitch``, ``rhythm``, ``hnr`` to measure.

    Returns:
        The paper's numbers (``PAPER_COLUMNS``), None where it has none, and the reasons for those. Without a voiced
        frame, pitch range and variation are 0, as published. A file beyond ``LONGEST`` has its duration only, because
        the numbers of a part of it would not be the paper's.
    """
    from speechcue_hf import praat

    if clip.duration > LONGEST:
        return {"duration_s": clip.duration}, [f"longer than {LONGEST:g} s: not measured"]
    sound = praat.Sound(clip.samples, clip.rate)
    values, reasons = measure_all([(group, _MEASURES[group]) for group in groups], sound)
    return {"duration_s": sound.duration, **values}, reasons


def _loudness(sound: praat.Sound) -> Measured:
    levels = sound.to_intensity().values[0]
    return {"intensity_mean_db": energy_mean(levels), "intensity_sd_db": float(levels.std())}, None


def _pitch(sound: praat.Sound) -> Measured:
    f0 = voiced_frequencies(sound.to_pitch())
    if not len(f0):
        return {"f0_mean_hz": None, "f0_sd_hz": 0.0, "f0_range_hz": 0.0}, "no voiced frames"
    return {"f0_mean_hz": float(f0.mean()), "f0_sd_hz": float(f0.std()), "f0_range_hz": float(np.ptp(f0))}, None


def _rhythm(sound: praat.Sound) -> Measured:
    rhythm = _find_rhythm(sound)
    rate = rhythm.articulation_rate if rhythm else None
    return {"articulation_rate_per_s": rate}, "no syllable nucleus" if rate is None else None


def _hnr(sound: praat.Sound) -> Measured:
    frames = sound.to_harmonicity_cc().values[0]
    # Praat marks frames without any periodicity by -200 dB.
    periodic = frames[frames > -200]
    if not len(periodic):
        return {"hnr_mean_db": None}, "no periodic frames"
    return {"hnr_mean_db": float(periodic.mean())}, None


def _find_rhythm(sound: praat.Sound) -> Rhythm | None:
    """Peaks of intensity followed by a dip of 2 dB, voiced, within speech, the last never; looked up in arrays."""
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


def _quantile(values: FloatArray, share: float) -> float:
    """Praat's quantile (of ``Get quantile``): along the line through the two nearest ranks, beyond the last one too."""
    if len(values) == 1:
        return float(values[0])
    ordered = np.sort(values)
    place = share * len(values) - 0.5
    left = int(np.clip(np.floor(place), 0, len(values) - 2))
    return float(ordered[left] + (place - left) * (ordered[left + 1] - ordered[left]))


def _parabolic_maximum(values: FloatArray) -> float:
    """Praat's maximum by parabolic interpolation: a parabola through each inner peak and its neighbours."""
    at = _inner_peaks(values)
    rise = (values[at + 1] - values[at - 1]) / 2
    bend = 2 * values[at] - values[at - 1] - values[at + 1]
    return max(float(values[0]), float(values[-1]), float(np.max(values[at] + rise**2 / (2 * bend), initial=-np.inf)))


def _inner_peaks(values: FloatArray) -> IntArray:
    """Indices of the values that are larger than the one before and no smaller than the one after."""
    return np.flatnonzero((values[1:-1] > values[:-2]) & (values[1:-1] >= values[2:])) + 1


def _peaks(intensity: praat.Intensity, above: float) -> tuple[FloatArray, FloatArray]:
    """Times (s) and levels (dB) of the maxima of an intensity contour that exceed a threshold."""
    from speechcue_hf import praat
    from speechcue_hf.praat import run

    levels = intensity.values[0]
    if not len(_inner_peaks(levels)):
        return np.zeros(0), np.zeros(0)
    # As `Down to Matrix` and `To Sound (slice)` make it: each call of Praat costs a tenth of a millisecond.
    contour = praat.Sound(levels, 1 / intensity.dx, intensity.x1 - intensity.dx / 2)
    (points,) = run(contour, 'To PointProcess (extrema): 1, "yes", "no", "Sinc70"\nTo Matrix')
    times: FloatArray = points.values[0]
    heights = _cubic(levels, (times - intensity.x1) / intensity.dx)
    return times[heights > above], heights[heights > above]


def _cubic(values: FloatArray, positions: FloatArray) -> FloatArray:
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
    interpolated: FloatArray = values[left] + fraction * rise - np.where(inside, fraction * (1 - fraction) * bend, 0.0)
    return interpolated


def _dips_after(intensity: praat.Intensity, times: FloatArray, levels: FloatArray) -> BoolArray:
    """Which peaks are followed by a dip of 2 dB before the next peak; False for the last one."""
    values = intensity.values[0]
    position = (times - intensity.x1) / intensity.dx
    first = np.ceil(position[:-1]).astype(int)
    last = np.floor(position[1:]).astype(int)
    dips = np.array([values[i : j + 1].min() for i, j in zip(first, last, strict=True)])
    return np.append(np.abs(levels[:-1] - dips) > DIP, False)


_MEASURES: dict[str, Callable[[praat.Sound], Measured]] = {
    "loudness": _loudness,
    "pitch": _pitch,
    "rhythm": _rhythm,
    "hnr": _hnr,
}

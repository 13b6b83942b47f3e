"""The eight numbers of SpeechCueLLM, exactly as the paper measured them: on the file as it is, defects included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from speechcue_hf.audio import Clip
from speechcue_hf.cues.analysis import Measured, Values, measure_all
from speechcue_hf.cues.contours import Contour, PitchSettings
from speechcue_hf.cues.engines import Engine
from speechcue_hf.cues.levels import BoolArray, FloatArray, IntArray
from speechcue_hf.cues.loudness import energy_mean
from speechcue_hf.cues.syllables import BELOW_PEAK, DIP, Rhythm, select_nuclei, sounding_stretches
from speechcue_hf.cues.voice import voiced_frequencies

LONGEST = 600.0
"""In s. The longest clip of MELD lasts 305; each minute of a file at 16 kHz takes Praat 2 s and tens of MB."""
_SHORTEST_PAUSE = 0.3
"""In s."""
_LEVEL_PITCH, _SYLLABLE_PITCH = 100.0, 50.0
"""In Hz: lowest pitch for the intensity of levels and of syllables."""
_PITCH = PitchSettings()
_VOICING = PitchSettings(
    step=0.02, floor=30.0, ceiling=450.0, candidates=4, voicing=0.25, octave_jump=0.35, voiced_unvoiced=0.25
)


@dataclass(frozen=True)
class _Speech:
    """A clip as it is, and who analyses it."""

    samples: FloatArray
    rate: int
    engine: Engine


def measure_like_paper(clip: Clip, groups: tuple[str, ...], engine: Engine) -> tuple[Values, list[str]]:
    """Measure a clip by the procedure of SpeechCueLLM.

    Source: Wu et al. (2025), Beyond Silent Letters: Amplifying LLMs in Emotion Recognition with Vocal Nuances, NAACL
    Findings; its syllable nuclei are those of de Jong & Wempe (2009), Behavior Research Methods 41, in the form that
    Feinberg gave their script for parselmouth.

    Args:
        clip: All channels, at the file's own sampling rate; of a file beyond ``LONGEST`` only the start need be there.
        groups: Which of ``loudness``, ``pitch``, ``rhythm``, ``hnr`` to measure.
        engine: Who analyses.

    Returns:
        The paper's numbers (``PAPER_COLUMNS``), None where it has none, and the reasons for those. Without a voiced
        frame, pitch range and variation are 0, as published. A file beyond ``LONGEST`` has its duration only, because
        the numbers of a part of it would not be the paper's.
    """
    if clip.duration > LONGEST:
        return {"duration_s": clip.duration}, [f"longer than {LONGEST:g} s: not measured"]
    speech = _Speech(clip.samples, clip.rate, engine)
    values, reasons = measure_all([(group, _MEASURES[group]) for group in groups], speech)
    return {"duration_s": clip.samples.shape[1] / clip.rate, **values}, reasons


def _loudness(speech: _Speech) -> Measured:
    levels = speech.engine.intensity(speech.samples, speech.rate, _LEVEL_PITCH).values
    return {"intensity_mean_db": energy_mean(levels), "intensity_sd_db": float(levels.std())}, None


def _pitch(speech: _Speech) -> Measured:
    f0 = voiced_frequencies(speech.engine.pitch(speech.samples, speech.rate, _PITCH))
    if not len(f0):
        return {"f0_mean_hz": None, "f0_sd_hz": 0.0, "f0_range_hz": 0.0}, "no voiced frames"
    return {"f0_mean_hz": float(f0.mean()), "f0_sd_hz": float(f0.std()), "f0_range_hz": float(np.ptp(f0))}, None


def _rhythm(speech: _Speech) -> Measured:
    rhythm = _find_rhythm(speech)
    rate = rhythm.articulation_rate if rhythm else None
    return {"articulation_rate_per_s": rate}, "no syllable nucleus" if rate is None else None


def _hnr(speech: _Speech) -> Measured:
    periodic = speech.engine.harmonicity(speech.samples, speech.rate, True)
    if not len(periodic):
        return {"hnr_mean_db": None}, "no periodic frames"
    return {"hnr_mean_db": float(periodic.mean())}, None


def _find_rhythm(speech: _Speech) -> Rhythm | None:
    """Peaks of intensity followed by a dip of 2 dB, voiced, within speech, the last never; looked up in arrays."""
    intensity = speech.engine.intensity(speech.samples, speech.rate, _SYLLABLE_PITCH)
    levels = intensity.values
    quantile = _quantile(levels, 0.99)
    lowest, highest = -_parabolic_maximum(-levels), _parabolic_maximum(levels)
    times, heights = _peaks(intensity, speech.engine.maxima(levels), above=max(quantile - BELOW_PEAK, lowest))
    if not len(times):
        return None
    # The script gives the threshold below the maximum, and Praat takes it off again.
    sounding = sounding_stretches(intensity, highest - abs(quantile - BELOW_PEAK - highest), _SHORTEST_PAUSE)
    times = times[_dips_after(intensity, times, heights)]
    # The pitch is half of all the cost, and clips of one syllable have no peak left to ask it about.
    if len(times):
        times = select_nuclei(times, sounding, speech.engine.pitch(speech.samples, speech.rate, _VOICING))
    return Rhythm(times, sounding)


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


def _peaks(intensity: Contour, places: FloatArray, above: float) -> tuple[FloatArray, FloatArray]:
    """Times (s) and levels (dB) of the maxima of an intensity contour that exceed a threshold."""
    times = intensity.first + intensity.step * places
    heights = _cubic(intensity.values, places)
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


def _dips_after(intensity: Contour, times: FloatArray, levels: FloatArray) -> BoolArray:
    """Which peaks are followed by a dip of 2 dB before the next peak; False for the last one."""
    values = intensity.values
    position = (times - intensity.first) / intensity.step
    first = np.ceil(position[:-1]).astype(int)
    last = np.floor(position[1:]).astype(int)
    dips = np.array([values[i : j + 1].min() for i, j in zip(first, last, strict=True)])
    return np.append(np.abs(levels[:-1] - dips) > DIP, False)


_MEASURES: dict[str, Callable[[_Speech], Measured]] = {
    "loudness": _loudness,
    "pitch": _pitch,
    "rhythm": _rhythm,
    "hnr": _hnr,
}

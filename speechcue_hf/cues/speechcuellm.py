"""The eight numbers of SpeechCueLLM, exactly as the paper measured them: on the file as it is, defects included."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from speechcue_hf.audio import Clip
from speechcue_hf.cues.loudness import energy_mean
from speechcue_hf.cues.pitch import voiced_frequencies
from speechcue_hf.cues.procedure import Measured, Values, measure_groups
from speechcue_hf.cues.published_syllables import find_rhythm_as_published

if TYPE_CHECKING:
    import parselmouth

LONGEST = 600.0
"""In s. The longest clip of MELD lasts 305; each minute of a file at 16 kHz takes Praat 2 s and tens of MB."""


def measure_like_paper(clip: Clip, groups: tuple[str, ...]) -> tuple[Values, list[str]]:
    """Measure a clip by the procedure of SpeechCueLLM.

    Source: Wu et al. (2025), Beyond Silent Letters: Amplifying LLMs in Emotion Recognition with Vocal Nuances, NAACL
    Findings; its syllable nuclei are those of de Jong & Wempe (2009), Behavior Research Methods 41.

    Args:
        clip: All channels, at the file's own sampling rate; of a file beyond ``LONGEST`` only the start need be there.
        groups: Which of ``loudness``, ``pitch``, ``rhythm``, ``hnr`` to measure.

    Returns:
        The paper's numbers (``PAPER_COLUMNS``), None where it has none, and the reasons for those. Without a voiced
        frame, pitch range and variation are 0, as published. A file beyond ``LONGEST`` has its duration only, because
        the numbers of a part of it would not be the paper's.
    """
    import parselmouth

    if clip.duration > LONGEST:
        return {"duration_s": clip.duration}, [f"longer than {LONGEST:g} s: not measured"]
    sound = parselmouth.Sound(clip.samples, clip.rate)
    values, reasons = measure_groups(_MEASURES, sound, groups)
    return {"duration_s": sound.duration, **values}, reasons


def _loudness(sound: parselmouth.Sound) -> Measured:
    levels = sound.to_intensity().values[0]
    return {"intensity_mean_db": energy_mean(levels), "intensity_sd_db": float(levels.std())}, None


def _pitch(sound: parselmouth.Sound) -> Measured:
    f0 = voiced_frequencies(sound.to_pitch())
    if not len(f0):
        return {"f0_mean_hz": None, "f0_sd_hz": 0.0, "f0_range_hz": 0.0}, "no voiced frames"
    return {"f0_mean_hz": float(f0.mean()), "f0_sd_hz": float(f0.std()), "f0_range_hz": float(np.ptp(f0))}, None


def _rhythm(sound: parselmouth.Sound) -> Measured:
    rhythm = find_rhythm_as_published(sound)
    rate = rhythm.articulation_rate if rhythm else None
    return {"articulation_rate_per_s": rate}, "no syllable nucleus" if rate is None else None


def _hnr(sound: parselmouth.Sound) -> Measured:
    frames = sound.to_harmonicity_cc().values[0]
    # Praat marks frames without any periodicity by -200 dB.
    periodic = frames[frames > -200]
    if not len(periodic):
        return {"hnr_mean_db": None}, "no periodic frames"
    return {"hnr_mean_db": float(periodic.mean())}, None


_MEASURES: dict[str, Callable[[parselmouth.Sound], Measured]] = {
    "loudness": _loudness,
    "pitch": _pitch,
    "rhythm": _rhythm,
    "hnr": _hnr,
}

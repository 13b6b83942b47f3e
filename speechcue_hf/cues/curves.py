"""What a clip looks like over time: the curves that pictures show, from the analyses that the measurements use."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from speechcue_hf.audio import decode
from speechcue_hf.cues.analysis import LONGEST, RATE, Speech
from speechcue_hf.cues.levels import FloatArray
from speechcue_hf.cues.syllables import SHORTEST, find_rhythm

_NONE = np.empty(0)


class Curves(NamedTuple):
    """Curves of one clip; empty where the clip is too short or silent for them.

    Attributes:
        samples: Amplitude, full scale at 1, at 16 kHz, shape ``(samples,)``.
        pitch_times: In s, shape ``(frames,)``.
        pitch: F0 in Hz, NaN where unvoiced, shape ``(frames,)``.
        intensity_times: In s, shape ``(frames,)``.
        intensity: In dB, shape ``(frames,)``.
        nuclei: Times of the syllable nuclei in s, shape ``(syllables,)``.
    """

    samples: FloatArray
    pitch_times: FloatArray = _NONE
    pitch: FloatArray = _NONE
    intensity_times: FloatArray = _NONE
    intensity: FloatArray = _NONE
    nuclei: FloatArray = _NONE

    @property
    def seconds(self) -> float:
        """Length of the clip in s."""
        return len(self.samples) / RATE


def clip_curves(audio: str | PathLike[str] | Mapping[str, Any]) -> Curves:
    """Analyse a clip by our own procedure, for a picture.

    Args:
        audio: Path, or a row's ``audio`` value.

    Returns:
        Its curves; of a longer clip those of the first two minutes.

    Raises:
        AudioError: If the clip cannot be decoded.
    """
    speech = Speech(decode(audio, limit=LONGEST))
    samples = speech.sound.values[0]
    if speech.sound.duration < SHORTEST:
        return Curves(samples)
    intensity = speech.sound.to_intensity()
    curves = Curves(samples, intensity_times=intensity.xs(), intensity=intensity.values[0])
    if speech.pitch is None:
        return curves
    frequency = speech.pitch.selected_array["frequency"]
    rhythm = find_rhythm(speech.sound, speech.pitch)
    return curves._replace(
        pitch_times=speech.pitch.xs(),
        pitch=np.where(frequency > 0, frequency, np.nan),
        nuclei=_NONE if rhythm is None else rhythm.nuclei,
    )

"""A curve over time, as an analysis of a clip gives it, and what an analysis of F0 searches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from speechcue_hf.cues.levels import FloatArray


@dataclass(frozen=True)
class Contour:
    """One value for each frame of a clip.

    Args:
        values: Shape ``(frames,)``: intensity in dB, or F0 in Hz and 0 where a frame is unvoiced.
        first: Time of the first frame in s.
        step: Time from frame to frame in s.
        start: Where the clip starts, in s.
        end: Where the clip ends, in s.
    """

    values: FloatArray
    first: float
    step: float
    start: float
    end: float

    @property
    def times(self) -> FloatArray:
        """Time of each frame in s, shape ``(frames,)``."""
        return self.first + self.step * np.arange(len(self.values), dtype=np.float64)


class PitchSettings(NamedTuple):
    """What an analysis of F0 searches, in the terms and units of the Praat manual, "Sound: To Pitch (ac)...".

    Attributes:
        step: From frame to frame, in s.
        floor: Lowest F0 in Hz.
        ceiling: Highest F0 in Hz.
        candidates: At most so many a frame, the unvoiced one among them; at least ``ceiling / floor``.
        silence: Amplitude as a share of the clip's largest, below which frames tend to be unvoiced.
        voicing: Strength that a candidate must have to be voiced.
        octave: What a candidate gains for each octave that it is higher.
        octave_jump: What a jump of an octave costs, in steps of 10 ms.
        voiced_unvoiced: What a change of voicing costs, in steps of 10 ms.
    """

    step: float = 0.01
    floor: float = 75.0
    ceiling: float = 600.0
    candidates: int = 15
    silence: float = 0.03
    voicing: float = 0.45
    octave: float = 0.01
    octave_jump: float = 0.35
    voiced_unvoiced: float = 0.14

"""Where the frames of an analysis lie: as many as fit into the clip, in its middle."""

from __future__ import annotations

import math

import numpy as np

from speechcue_hf.cues.levels import FloatArray


def frame_times(samples: int, rate: float, window: float, step: float) -> FloatArray:
    """Times of the frames of an analysis, in the order of operations that gives Praat's last digit.

    The last digit counts: a frame's samples are found by rounding its time down, and times often fall on a sample.

    Args:
        samples: Length of the clip.
        rate: Sampling rate in Hz.
        window: What each frame takes of the clip, in s.
        step: From frame to frame, in s.

    Returns:
        Shape ``(frames,)``; empty where the clip is shorter than a window.
    """
    duration = samples * (1 / rate)
    frames = math.floor((duration - window) / step) + 1 if duration >= window else 0
    first = 0.5 * duration - 0.5 * frames * step + 0.5 * step
    return first + step * np.arange(frames, dtype=np.float64)


def sample_positions(times: FloatArray, rate: float) -> FloatArray:
    """Times in s as places among the samples, counted from 1, the first half a sampling period after the start.

    Counted from 0 some would round to another sample than Praat's.
    """
    period = 1 / rate
    places: FloatArray = (times - 0.5 * period) / period + 1.0
    return places

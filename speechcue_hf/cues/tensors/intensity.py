"""Intensity: the weighted sums of :mod:`speechcue_hf.cues.intensity`."""

from __future__ import annotations

import numpy as np

from speechcue_hf.cues.intensity import HEARING_THRESHOLD, SILENCE
from speechcue_hf.cues.levels import FloatArray, IntArray
from speechcue_hf.cues.periodicity import blocks
from speechcue_hf.cues.tensors.device import BLOCK, array, means_of, stretches, tensor


def levels(samples: FloatArray, centres: IntArray, window: FloatArray) -> FloatArray:
    """Levels of frames in dB; :data:`speechcue_hf.cues.intensity.Levels` says of what."""
    clip, firsts, weights = tensor(samples), tensor(centres - len(window) // 2), tensor(window)
    found = []
    for block in blocks(len(centres), len(window), BLOCK):
        values, within = stretches(clip, firsts[block], len(window))
        powers = (values - means_of(values, within)).square()
        ratios = (powers * within) @ weights / (within * weights).sum(1) / HEARING_THRESHOLD
        found.append(array((10 * ratios.log10()).where(ratios > 1e-30, SILENCE)))
    return np.concatenate(found)

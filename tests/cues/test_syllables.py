"""Stretches of speech against Praat's own command."""

import warnings

import numpy as np
import parselmouth
import pytest
from parselmouth.praat import call

from speechcue_hf.cues import syllables
from speechcue_hf.cues.contours import Contour

PERIOD = 0.8 / 75
"""In s: Praat's step between frames for a minimum pitch of 75 Hz."""


def contour(rng, frames):
    """Intensity of noise whose level wanders by up to 70 dB, or is even, or falls to digital silence for a while."""
    samples = rng.normal(0, 0.1, round((8 * PERIOD + (frames - 1) * PERIOD) * 16000) + 2)
    points = max(2, len(samples) // int(rng.integers(200, 6000)))
    if rng.random() < 0.75:
        levels = rng.uniform(-3.5, 0, points)
        samples *= 10 ** np.interp(np.arange(len(samples)), np.linspace(0, len(samples), points), levels)
    if rng.random() < 0.3:
        first, last = np.sort(rng.integers(0, len(samples), 2))
        samples[first:last] = 0
    return parselmouth.Sound(samples, 16000, float(rng.choice([0, 1.3]))).to_intensity(75)


def by_praat(intensity, threshold, shortest_pause):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", parselmouth.PraatWarning)
        arguments = (threshold, shortest_pause, 0.1, "silent", "sounding")
        grid = call(intensity, "To TextGrid (silences)", *arguments)
    try:
        table = call(call(grid, "Extract tier", 1), "Down to TableOfReal", "sounding")
    except parselmouth.PraatError:  # Praat makes no empty table.
        return []
    return call(table, "To Matrix").values[:, :2].tolist()


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 10, 40, 150, 400])
def test_stretches_of_speech_are_those_of_praat(frames):
    rng = np.random.default_rng(frames)
    for _ in range(60):
        intensity = contour(rng, frames)
        below = float(rng.choice([0.001, 1, 3, 10, 25, 60, rng.uniform(0, 40)]))
        shortest_pause = float(rng.choice([0.25, 0.3]))
        highest = call(intensity, "Get maximum", 0, 0, "Parabolic")
        levels = Contour(intensity.values[0], intensity.x1, intensity.dx, intensity.xmin, intensity.xmax)
        ours = syllables.sounding_stretches(levels, highest - below, shortest_pause)
        assert ours.tolist() == by_praat(intensity, -below, shortest_pause)

"""Recordings with known turns, of the demo corpus's voices: who speaks when is known because they are put there."""

from typing import NamedTuple

import numpy as np
import soundfile
from scipy.signal import resample_poly

from speechcue_hf import DEMO_FOLDER

RATE = 16_000
CLIPS = ("station_15", "keys_25", "library_03", "station_25")


class Placed(NamedTuple):
    """A sentence in a recording: its channel, and where its sound begins and ends, in s."""

    channel: int
    start: float
    end: float


def sentence(name: str) -> np.ndarray:
    """A clip of the demo corpus at 16 kHz, without the silence around it."""
    samples, rate = soundfile.read(DEMO_FOLDER / "audio" / f"{name}.ogg")
    samples = resample_poly(samples, RATE, rate)
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    return samples[loud[0] : loud[-1]]


def recording(gaps, channels=1, noise=3e-4, crosstalk=0.0):
    """Sentences one after the other, speakers taking turns on channels; a negative gap is an overlap.

    Returns:
        Samples of shape ``(frames, channels)``, and the sentences.
    """
    placed, length = [], 1.0
    sentences = [sentence(CLIPS[number % len(CLIPS)]) for number in range(len(gaps) + 1)]
    for number, (samples, gap) in enumerate(zip(sentences, [*gaps, 1.0], strict=True)):
        end = length + len(samples) / RATE
        placed.append(Placed(number % channels, length, end))
        length = end + gap
    sound = np.random.default_rng(0).normal(0, noise, (int(length * RATE), channels))
    for samples, (channel, start, _) in zip(sentences, placed, strict=True):
        first = round(start * RATE)
        sound[first : first + len(samples), channel] += samples
        for other in set(range(channels)) - {channel}:
            sound[first : first + len(samples), other] += crosstalk * samples
    return sound, placed


def agree(spans, placed, tolerance=0.25):
    """Whether there is a span for each sentence, with its boundaries."""
    return len(spans) == len(placed) and all(
        abs(span.start - it.start) < tolerance and abs(span.end - it.end) < tolerance
        for span, it in zip(spans, placed, strict=True)
    )

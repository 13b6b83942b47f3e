"""Clips for the tests of the measurements: made on the spot, with known pitch, level and syllables."""

import io
import shutil
import subprocess

import numpy as np
import soundfile

SENTENCE = (
    "I told you that we would go to the market in the morning, "
    "and then we can walk along the river until the evening comes."
)


def voice(f0, seconds=1.0, rate=16000, level=0.1, syllables=4, noise=1e-4, seed=0):
    """A buzz at ``f0`` Hz (a number, or one value per sample) with ``syllables`` swells a second, and faint noise."""
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(f0, time.shape)) / rate
    harmonics = sum(np.sin(k * phase) / k for k in range(1, 11) if k * np.max(f0) < rate / 2)
    swell = 0.55 - 0.45 * np.cos(2 * np.pi * syllables * time)
    return level * swell * harmonics + np.random.default_rng(seed).normal(0, noise, len(time))


def as_bytes(samples, rate=16000, subtype="PCM_16", form="WAV"):
    """A row's ``audio`` value; ``samples`` has shape ``(frames,)`` or ``(frames, channels)``."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, subtype=subtype, format=form)
    return {"path": f"clip.{form.lower()}", "bytes": buffer.getvalue()}


def has_espeak():
    return shutil.which("espeak-ng") is not None


def say(text, voice="en-us", *options):
    """Speech by espeak-ng, a row's ``audio`` value, at 22.05 kHz."""
    command = ["espeak-ng", "-v", voice, *map(str, options), "--stdout", text]
    streamed = subprocess.run(command, check=True, capture_output=True).stdout
    # The header of a stream claims 2 GB, for which Praat takes 16 GB of memory: written again with its true length.
    return as_bytes(*soundfile.read(io.BytesIO(streamed)))

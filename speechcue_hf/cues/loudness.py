"""Loudness and the state of the recording: intensity, digital silence, signal-to-noise ratio, clipping."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from speechcue_hf.cues.levels import FloatArray

MAINS_HUM = "mains hum"

_HALF_STEP = 2.0**-16
"""Half a quantisation step of 16-bit audio: what changes less from sample to sample holds no sound."""
_SHORTEST_SILENCE = 0.02
"""In s. Longer than one period of the lowest voice, so that no voiced sound is taken for silence."""
_FULL_SCALE = 0.999
_MAINS = (50.0, 60.0)
"""In Hz."""
_HUM_BLOCK = 0.2
"""In s."""
_AUDIBLE_HUM = 0.01


def digital_silence(samples: FloatArray, rate: int) -> FloatArray:
    """Where a clip holds no recording at all: samples that stay constant for at least 20 ms (padding, dropouts).

    Args:
        samples: Amplitudes, full scale at 1, shape ``(channels, frames)``; silent is where all channels are.
        rate: Sampling rate in Hz.

    Returns:
        Start and end of each silent stretch in s, shape ``(stretches, 2)``.

    Example:
        >>> digital_silence(np.zeros((1, 1600)), rate=16000)
        array([[0. , 0.1]])
    """
    constant = (np.abs(np.diff(samples, axis=1)) < _HALF_STEP).all(axis=0)
    edges = np.flatnonzero(np.diff(constant, prepend=False, append=False)).reshape(-1, 2)
    # A stretch of n constant differences is n + 1 samples long.
    starts, ends = edges[:, 0] / rate, (edges[:, 1] + 1) / rate
    return np.stack([starts, ends], axis=1)[ends - starts >= _SHORTEST_SILENCE]


def is_silent(samples: FloatArray) -> bool:
    """Whether a clip holds no recording from its first sample to its last: shape ``(channels, frames)``."""
    return bool((np.abs(np.diff(samples, axis=1)) < _HALF_STEP).all())


def energy_mean(levels: FloatArray) -> float:
    """Mean level of frames in dB, taken over their energies; ``levels`` has shape ``(frames,)`` in dB."""
    return float(10 * np.log10(np.mean(10 ** (levels / 10))))


def signal_to_noise(levels: FloatArray) -> float | None:
    """Estimated signal-to-noise ratio of a clip, from the levels of its own frames.

    The noise is the energy mean of the quietest tenth of the frames, the signal what the mean level is above it, after
    the percentile method of NIST's ``stnr`` (Speech Quality Assurance package). A clip without any pause has no noise
    to look at and reads too low.

    Args:
        levels: Intensity in dB without digital silence, shape ``(frames,)``.

    Returns:
        The ratio in dB; None when all frames are equally loud.
    """
    ordered = np.sort(levels)
    noise = 10 ** (energy_mean(ordered[: max(1, len(ordered) // 10)]) / 10)
    signal = 10 ** (energy_mean(ordered) / 10) - noise
    return float(10 * np.log10(signal / noise)) if signal > 1e-6 * noise else None


def clipped_ratio(samples: FloatArray) -> float:
    """Share of samples at full scale (beyond 0.999), worst channel; ``samples`` has shape ``(channels, frames)``."""
    return float((np.abs(samples) >= _FULL_SCALE).mean(axis=1).max())


def has_mains_hum(samples: FloatArray, rate: int) -> bool:
    """Whether a clip hums at the frequency of the mains, loudly enough to be taken for a voice in its pauses.

    A hum is a line at 50 or 60 Hz that goes through the whole clip with the same strength and the same phase; no voice
    does. It counts from 40 dB below the largest sample: from 30 dB on Praat finds it voiced. A hum at 100 or 120 Hz
    alone, as of lamps, is not told from a voice: a vowel that is held at that pitch has a strength and a phase as
    steady as a hum has under speech.

    Args:
        samples: One channel, shape ``(frames,)``.
        rate: Sampling rate in Hz.

    Returns:
        False also where a clip is too short to tell (0.6 s).

    Example:
        >>> time = np.arange(16000) / 16000
        >>> has_mains_hum(np.sin(2 * np.pi * 50 * time), 16000), has_mains_hum(np.sin(2 * np.pi * 55 * time), 16000)
        (True, False)
    """
    length = round(_HUM_BLOCK * rate)
    if len(samples) < 3 * length:
        return False
    # Whole periods of both frequencies lie between the blocks, so that the phase of a hum is the same in all of them.
    blocks = np.lib.stride_tricks.sliding_window_view(samples, length)[:: length // 2]
    lines = blocks @ _mains_waves(length, rate)
    strengths, phases = np.abs(lines), np.angle(lines)
    turns = np.exp(1j * np.diff(phases, axis=0)).mean(axis=0)
    quiet, usual = np.quantile(strengths, [0.2, 0.5], axis=0)
    loud = usual >= _AUDIBLE_HUM * np.abs(samples).max()
    steady = (quiet >= 0.5 * usual) & (np.abs(turns) >= 0.8) & (np.abs(np.angle(turns)) <= 0.3)
    return bool((loud & steady).any())


@lru_cache(maxsize=1)
def _mains_waves(length: int, rate: int) -> npt.NDArray[np.complex128]:
    """One period after another at both frequencies under a window, so that products with it are amplitudes."""
    window, time = np.hanning(length), np.arange(length) / rate
    waves: npt.NDArray[np.complex128] = (
        np.exp(-2j * np.pi * np.outer(time, _MAINS)) * window[:, None] * 2 / window.sum()
    )
    return waves

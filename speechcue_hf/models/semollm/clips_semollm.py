"""From whatever a clip comes as to the samples that a speech encoder reads, with a note of what was done to it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]


def prepare_clip(
    clip: Any, name: str, *, rate: int, target_rate: int, max_seconds: float, shortest: int, long_audio: str
) -> tuple[list[Samples], str]:
    """Make a clip mono, bring it to the encoder's rate and within its limits.

    Args:
        clip: As :func:`read_samples` takes it.
        name: What errors call it.
        rate: Its sampling rate in Hz.
        target_rate: The encoder's sampling rate in Hz.
        max_seconds: Longest clip in s.
        shortest: Samples of which the encoder makes its first frame; a shorter clip is padded with zeros.
        long_audio: ``cut`` keeps the first ``max_seconds`` of a longer clip, ``window`` divides it evenly.

    Returns:
        Its samples, mono, shape ``(samples,)`` each, more than one only when it was divided; and what was done to it,
        empty when nothing was.

    Raises:
        ValueError: If it is empty, not finite or not an array of samples, ``max_seconds`` holds no frame, or
            ``long_audio`` is neither.

    Example:
        >>> limits = {"target_rate": 16_000, "max_seconds": 1.5, "shortest": 400, "long_audio": "cut"}
        >>> prepare_clip(np.zeros(32_000), "clip 0", rate=16_000, **limits)[1]
        'cut: the first 1.50 s of 2.00 s'
    """
    limit = round(max_seconds * target_rate)
    if limit < shortest:
        raise ValueError(f"max_seconds must be at least {shortest / target_rate:g}, one frame, got {max_seconds}")
    samples = resample(read_samples(clip, name), rate, target_rate)
    seconds = len(samples) / target_rate
    if len(samples) < shortest:
        note = f"padded: {seconds:.4f} s to {shortest / target_rate:.4f} s"
        return [np.pad(samples, (0, shortest - len(samples)))], note
    if len(samples) <= limit:
        return [samples], ""
    if long_audio == "cut":
        return [samples[:limit]], f"cut: the first {max_seconds:.2f} s of {seconds:.2f} s"
    if long_audio != "window":
        raise ValueError(f"long_audio must be 'cut' or 'window', got {long_audio!r}")
    windows = np.array_split(samples, math.ceil(len(samples) / limit))
    return windows, f"windowed: {seconds:.2f} s in {len(windows)} windows"


def read_samples(clip: Any, name: str) -> Samples:
    """Read samples as mono, full scale at -1 and 1.

    Args:
        clip: Array or tensor of shape ``(samples,)``, or of two dimensions of which the shorter one counts channels;
            floating, or 8-, 16- or 32-bit integers.
        name: What errors call it.

    Returns:
        The mean over the channels, shape ``(samples,)``.

    Raises:
        ValueError: If there are no samples, some are not finite, or it is no array of samples.

    Example:
        >>> read_samples(np.array([[16384, 0], [0, 0], [-32768, 0]], dtype=np.int16), "clip 0")
        array([ 0.25,  0.  , -0.5 ], dtype=float32)
    """
    samples = np.asarray(clip)
    if samples.ndim not in (1, 2):
        raise ValueError(f"{name}: samples must be an array of one or two dimensions, got shape {samples.shape}")
    if samples.size == 0:
        raise ValueError(f"{name}: holds no samples")
    scaled = _full_scale_one(samples, name)
    if scaled.ndim == 2:
        scaled = scaled.mean(axis=int(np.argmin(scaled.shape)))
    if not np.isfinite(scaled).all():
        raise ValueError(f"{name}: holds samples that are not finite numbers (NaN or infinite); decode the file again")
    return scaled.astype(np.float32)


def _full_scale_one(samples: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    if samples.dtype == np.uint8:  # The one unsigned format: 8-bit wav, silent at 128.
        return (samples.astype(np.float64) - 128) / 128
    if samples.dtype in (np.int8, np.int16, np.int32):
        return samples / -float(np.iinfo(samples.dtype).min)
    if not np.issubdtype(samples.dtype, np.floating):
        raise ValueError(f"{name}: {samples.dtype} samples have no known full scale; give floats, or int16 or int32")
    return samples.astype(np.float64)


def resample(samples: Samples, rate: int, target_rate: int) -> Samples:
    """Resample by the discrete Fourier transform: what both rates can hold is kept exactly, the rest is left out.

    Args:
        samples: Shape ``(samples,)``.
        rate: Their rate in Hz.
        target_rate: The rate wanted, in Hz.

    Returns:
        Shape ``(ceil(samples * target_rate / rate),)``.

    Raises:
        ValueError: If the rate is not positive.
    """
    if rate == target_rate:
        return samples
    if rate <= 0:
        raise ValueError(f"sampling rate must be positive, got {rate} Hz")
    step = rate // math.gcd(rate, target_rate)
    # Silence behind the clip: the transform takes it for a circle, and its end must not ring into its beginning.
    whole = -(-(len(samples) + rate // 20) // step) * step
    spectrum = np.fft.rfft(np.pad(samples.astype(np.float64), (0, whole - len(samples))))
    length = whole // step * (target_rate // math.gcd(rate, target_rate))
    kept = math.ceil(len(samples) * target_rate / rate)
    resampled = np.fft.irfft(spectrum[: length // 2 + 1], n=length)[:kept] * (length / whole)
    return resampled.astype(np.float32)

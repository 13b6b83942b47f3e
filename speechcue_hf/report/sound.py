"""Clips for a page: as Opus, and as curves in one byte a point."""

from __future__ import annotations

import io
from base64 import b64encode
from typing import Any

import numpy as np

from speechcue_hf.cues.analysis import RATE, Curves
from speechcue_hf.cues.levels import FloatArray

STEP_S = 0.02
"""Between the points of a curve."""

PITCH_FLOOR_HZ = 40.0
STEPS_PER_OCTAVE = 48
"""Pitch is kept to a quarter of a semitone, from 40 Hz on; 0 is unvoiced."""

STEPS_PER_DB = 2

_BITS_PER_S = 24_000


def encode_opus(samples: FloatArray, rate: int = RATE) -> bytes:
    """Encode speech as Opus in WebM, which browsers play, at 24 kbit/s.

    Args:
        samples: Amplitude, full scale at 1, shape ``(samples,)``.
        rate: In Hz.

    Returns:
        The file; the same samples give the same bytes.
    """
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="webm", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=48000, layout="mono")
        stream.bit_rate = _BITS_PER_S
        frame = av.AudioFrame.from_ndarray(np.clip(samples, -1, 1).astype(np.float32)[None], "flt", "mono")
        frame.sample_rate = rate
        for made in (frame, None):
            container.mux(stream.encode(made))
    return file.getvalue()


def compact_curves(curves: Curves) -> dict[str, Any]:
    """Waveform, pitch and intensity of a clip every 20 ms, each point a byte.

    Args:
        curves: From :func:`speechcue_hf.cues.analysis.clip_curves`.

    Returns:
        ``seconds`` and, as base64, ``wave`` (largest amplitude of the step, 255 is full scale), ``pitch`` (steps of a
        quarter of a semitone above 40 Hz, from 1 on; 0 is unvoiced), ``intensity`` (half dB) and ``nuclei`` (steps of
        20 ms from one syllable to the next).
    """
    count = max(1, int(np.ceil(curves.seconds / STEP_S)))
    centres: FloatArray = (np.arange(count, dtype=np.float64) + 0.5) * np.float64(STEP_S)
    blocks = np.pad(curves.samples, (0, count * round(STEP_S * RATE) - len(curves.samples))).reshape(count, -1)
    pitch = _nearest(centres, curves.pitch_times, curves.pitch)
    steps = 1 + STEPS_PER_OCTAVE * np.log2(np.where(np.isfinite(pitch), pitch, 1.0) / PITCH_FLOOR_HZ)
    nuclei = np.diff(np.rint(curves.nuclei / STEP_S), prepend=0)
    return {
        "seconds": round(curves.seconds, 3),
        "wave": _bytes(np.abs(blocks).max(axis=1) * 255),
        "pitch": _bytes(np.where(np.isfinite(pitch), np.clip(np.rint(steps), 1, 255), 0)),
        "intensity": _bytes(_between(centres, curves.intensity_times, curves.intensity) * STEPS_PER_DB),
        "nuclei": _bytes(nuclei),
    }


def _between(times: FloatArray, known: FloatArray, values: FloatArray) -> FloatArray:
    """The value between two frames; NaN before the first and after the last."""
    if not known.size:
        return np.full(len(times), np.nan)
    return np.asarray(np.interp(times, known, values, left=np.nan, right=np.nan))


def _nearest(times: FloatArray, known: FloatArray, values: FloatArray) -> FloatArray:
    """The value of the nearest frame; NaN where none lies within a step."""
    if not known.size:
        return np.full(len(times), np.nan)
    # Frames lie evenly, so that rounding their number finds the nearest.
    places = np.rint(np.interp(times, known, np.arange(len(known)))).astype(int)
    return np.where(np.abs(known[places] - times) <= STEP_S, values[places], np.nan)


def _bytes(values: FloatArray) -> str:
    whole = np.clip(np.rint(np.nan_to_num(values)), 0, 255).astype(np.uint8)
    return b64encode(whole.tobytes()).decode()

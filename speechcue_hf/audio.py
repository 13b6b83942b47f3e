"""Decode a clip once, from a file or from bytes: soundfile for wav, flac and ogg, PyAV for mp4 and the rest."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from speechcue_hf.errors import AudioError

if TYPE_CHECKING:
    import av.container
    import soundfile

_SOUNDFILE_SIGNATURES = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM", b"NIST")


@dataclass(frozen=True)
class Clip:
    """Decoded audio.

    Attributes:
        samples: Amplitudes, full scale at -1 and 1, float64, shape ``(channels, frames)``.
        rate: Sampling rate in Hz.
        duration: Length of the whole file in s; more than ``samples`` hold when decoding stopped at a limit.
    """

    samples: npt.NDArray[np.float64]
    rate: int
    duration: float


def decode(audio: str | PathLike[str] | Mapping[str, Any], limit: float | None = None) -> Clip:
    """Decode a clip at its own sampling rate, all channels.

    Args:
        audio: Path of the file, or a row's ``audio`` value from ``datasets.Audio(decode=False)``:
            ``{"path": ..., "bytes": ...}``. Bytes win over the path.
        limit: Decode at most this many seconds from the start; ``None`` decodes everything.

    Raises:
        AudioError: If the file is missing, empty, damaged or without an audio track; the message names it and the
            cause.

    Example:
        >>> clip = decode({"path": "clip.wav", "bytes": None})
        >>> clip.samples.shape, clip.rate
        ((1, 16000), 16000)
    """
    with _open(audio) as (name, file):
        clip = _decode_soundfile(file, limit) if _for_soundfile(file) else _decode_av(file, name, limit)
        if clip.samples.shape[1] == 0:
            raise AudioError(f"{name}: holds no audio samples")
        if not np.isfinite(clip.samples).all():
            raise AudioError(f"{name}: holds samples that are not finite numbers")
        return clip


def probe_duration(path: Path) -> float:
    """Length in s of an audio or video file, read from its header without decoding it.

    Raises:
        AudioError: As :func:`decode`.
    """
    with _open(path) as (name, file):
        duration = _probe_soundfile(file) if _for_soundfile(file) else _probe_av(file, name)
        if duration <= 0:
            raise AudioError(f"{name}: holds no audio samples")
        return duration


@contextmanager
def _open(audio: str | PathLike[str] | Mapping[str, Any]) -> Iterator[tuple[str, IO[bytes]]]:
    """Open the bytes or the file as ``(name, file)``; what goes wrong with it becomes an ``AudioError``."""
    import av
    import soundfile

    if not isinstance(audio, Mapping):
        audio = {"path": fspath(audio), "bytes": None}
    # The name only: messages reach datasets and reports, the folders of one machine must not.
    name = Path(audio["path"]).name if audio["path"] else "audio bytes"
    if audio["bytes"] is None and audio["path"] is None:
        raise AudioError("audio has neither a path nor bytes")
    try:
        with _source(audio) as file:
            if not file.read(1):
                raise AudioError(f"{name}: the file is empty")
            yield name, file
    except (av.FFmpegError, soundfile.LibsndfileError) as error:
        cause = error.error_string if isinstance(error, soundfile.LibsndfileError) else error.strerror
        raise AudioError(f"{name}: cannot be decoded ({str(cause).rstrip('.')})") from error
    except OSError as error:
        raise AudioError(f"{name}: {error.strerror or error}") from error


def _source(audio: Mapping[str, Any]) -> IO[bytes]:
    if audio["bytes"] is not None:
        return io.BytesIO(audio["bytes"])
    # Unbuffered, because soundfile reads through the file's descriptor, whose position must be ours.
    return Path(audio["path"]).open("rb", buffering=0)


def _for_soundfile(file: IO[bytes]) -> bool:
    """Whether the first bytes are those of a format that soundfile reads; rewinds the file."""
    file.seek(0)
    signature = file.read(4)
    file.seek(0)
    return signature in _SOUNDFILE_SIGNATURES


def _decode_soundfile(file: IO[bytes], limit: float | None) -> Clip:
    with _open_soundfile(file) as sound:
        frames = -1 if limit is None else round(limit * sound.samplerate)
        samples = sound.read(frames, dtype="float64", always_2d=True)
        return Clip(np.ascontiguousarray(samples.T), sound.samplerate, sound.frames / sound.samplerate)


def _probe_soundfile(file: IO[bytes]) -> float:
    with _open_soundfile(file) as sound:
        return float(sound.frames / sound.samplerate)


def _open_soundfile(file: IO[bytes]) -> soundfile.SoundFile:
    """Let libsndfile read a file itself: a call back into Python for each block costs more than the decoding."""
    import soundfile

    if isinstance(file, io.BytesIO):
        return soundfile.SoundFile(file)
    return soundfile.SoundFile(file.fileno(), closefd=False)


def _decode_av(file: IO[bytes], name: str, limit: float | None) -> Clip:
    import av

    with av.open(file, mode="r") as container:
        stream = _audio_stream(container, name)
        blocks = []
        left = float("inf") if limit is None else round(limit * stream.rate)
        for block in _planes(container, stream):
            blocks.append(block)
            left -= block.shape[1]
            if left <= 0:
                break
        samples = np.concatenate(blocks, axis=1) if blocks else np.zeros((1, 0))
        if left < 0:
            samples = samples[:, : int(left)]
        duration = samples.shape[1] / stream.rate if left > 0 else _stream_duration(container, stream)
        return Clip(samples, stream.rate, duration or samples.shape[1] / stream.rate)


def _planes(container: av.container.InputContainer, stream: Any) -> Iterator[npt.NDArray[np.float64]]:
    """Decoded blocks, float64, shape ``(channels, frames)``; rate and channels stay those of the stream."""
    import av

    resampler = av.AudioResampler(format="dblp")
    for frame in container.decode(stream):
        for block in resampler.resample(frame):
            yield np.asarray(block.to_ndarray(), dtype=np.float64)


def _probe_av(file: IO[bytes], name: str) -> float:
    import av

    with av.open(file, mode="r") as container:
        duration = _stream_duration(container, _audio_stream(container, name))
    if duration is None:
        raise AudioError(f"{name}: the header does not tell the duration")
    return duration


def _audio_stream(container: av.container.InputContainer, name: str) -> Any:
    if not container.streams.audio:
        raise AudioError(f"{name}: has no audio track")
    return container.streams.audio[0]


def _stream_duration(container: av.container.InputContainer, stream: Any) -> float | None:
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / 1_000_000

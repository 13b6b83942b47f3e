"""Decode a clip once, from a file or from bytes. All sound that this package hears comes through here."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from speechcue_hf.decoders import (
    LONGEST,
    MOST_CHANNELS,
    RATES,
    AvSound,
    Sound,
    SoundfileSound,
    for_soundfile,
)
from speechcue_hf.errors import AudioError

Made = TypeVar("Made")

ENDS_EARLY = "the file ends early"
DAMAGED = "damaged packets were left out"

MOST_AMPLITUDES = 2**27
"""What is decoded at once, of all channels: 1 GiB, which is ten minutes of 48 kHz in four channels."""


@dataclass(frozen=True)
class Clip:
    """Decoded audio.

    Attributes:
        samples: Amplitudes, full scale at -1 and 1, float64, shape ``(channels, frames)``.
        rate: Sampling rate in Hz.
        duration: Length of the whole file in s; more than ``samples`` hold when decoding stopped at a limit.
        notes: What is not whole: ``ENDS_EARLY``, ``DAMAGED``.
    """

    samples: npt.NDArray[np.float64]
    rate: int
    duration: float
    notes: tuple[str, ...] = ()


class Probe(NamedTuple):
    """What can be said of a clip without decoding it.

    Attributes:
        duration: Its length in s.
        ends_early: Whether the file is shorter than it says itself.
        channels: Their number.
    """

    duration: float
    ends_early: bool
    channels: int


def decode(audio: str | PathLike[str] | Mapping[str, Any], limit: float | None = None) -> Clip:
    """Decode a clip at its own sampling rate, all channels.

    Args:
        audio: Path of the file, or a row's ``audio`` value from ``datasets.Audio(decode=False)``:
            ``{"path": ..., "bytes": ...}``. Bytes win over the path.
        limit: Decode at most this many seconds from the start; ``None`` decodes everything.

    Raises:
        AudioError: If the file is missing, empty, damaged, without an audio track, beyond what speech can be (its
            sampling rate, channels or length), or too large for the memory; the message names it and the cause.

    Example:
        >>> clip = decode({"path": "clip.wav", "bytes": None})
        >>> clip.samples.shape, clip.rate
        ((1, 16000), 16000)
    """
    return read_sound(audio, lambda sound: _clip(sound, limit))


def probe(audio: str | PathLike[str] | Mapping[str, Any]) -> Probe:
    """Go through an audio or video file without decoding it.

    Raises:
        AudioError: As :func:`decode`.
    """
    return read_sound(audio, _probe)


def read_sound(audio: str | PathLike[str] | Mapping[str, Any], use: Callable[[Sound], Made]) -> Made:
    """Open a clip and do something with its sound, such as writing it block by block.

    Nothing but the one file is opened, whatever stands in it. Where the decoder that suits its format refuses the file
    or gives up on the way, the other one gets its try, and ``use`` is called again.

    Args:
        audio: As for :func:`decode`.
        use: What is done with the sound.

    Returns:
        What ``use`` makes of it.

    Raises:
        AudioError: As :func:`decode`.
    """
    import av
    import soundfile

    with _open(audio) as (name, file):
        decoders = (SoundfileSound, AvSound) if for_soundfile(file) else (AvSound, SoundfileSound)
        refusals: list[str] = []
        faults: list[str] = []
        opened = False
        for decoder in decoders:
            file.seek(0)
            try:
                with closing(decoder(file)) as sound:
                    # Where one decoder gives up the other may pass over the fault in silence.
                    sound.damaged = opened and bool(faults)
                    opened = True
                    _check_bounds(sound)
                    return use(sound)
            except MemoryError as error:
                raise AudioError(f"{name}: does not fit the memory") from error
            except AudioError as error:
                refusals.append(str(error))
            except soundfile.SoundFileRuntimeError as error:
                faults.append(getattr(error, "error_string", str(error)).rstrip("."))
            except av.FFmpegError as error:
                faults.append(str(error.strerror).rstrip("."))
        cause = refusals[0] if refusals else f"cannot be decoded ({', '.join(faults)})"
        raise AudioError(f"{name}: {cause}")


def notes_on(sound: Sound) -> tuple[str, ...]:
    """What is not whole of a sound that was read to its end, or as far as it was read."""
    found = {ENDS_EARLY: sound.early, DAMAGED: sound.damaged}
    return tuple(note for note, true in found.items() if true)


def _clip(sound: Sound, limit: float | None) -> Clip:
    """Decode until the end or the limit."""
    blocks: list[npt.NDArray[np.float64]] = []
    wanted = None if limit is None else round(limit * sound.rate)
    held, ended = 0, True
    for block in sound.blocks():
        blocks.append(block)
        held += block.shape[1]
        if held * sound.channels > MOST_AMPLITUDES:
            raise AudioError(f"holds more than {MOST_AMPLITUDES:,} amplitudes, too many for one clip")
        if wanted is not None and held >= wanted:
            ended = False
            break
    if not held:
        raise AudioError("holds no audio samples")
    samples = np.concatenate(blocks, axis=1)[:, :wanted] if len(blocks) > 1 else blocks[0][:, :wanted]
    if not np.isfinite(samples).all():
        raise AudioError("holds samples that are not finite numbers")
    length = held / sound.rate if ended or sound.declared is None else sound.declared
    return Clip(samples, sound.rate, length, notes_on(sound))


def _probe(sound: Sound) -> Probe:
    duration = sound.skim()
    if duration <= 0:
        raise AudioError("holds no audio samples")
    return Probe(duration, sound.early, sound.channels)


def _check_bounds(sound: Sound) -> None:
    """Refuse what speech cannot be, before a header that says so costs memory and time."""
    lowest, highest = RATES
    if not lowest <= sound.rate <= highest:
        raise AudioError(f"has a sampling rate of {sound.rate:,} Hz, speech has {lowest:,} to {highest:,}")
    if not 1 <= sound.channels <= MOST_CHANNELS:
        raise AudioError(f"has {sound.channels} channels, at most {MOST_CHANNELS} are read")
    if sound.declared is not None and sound.declared > LONGEST:
        raise AudioError(f"lasts {sound.declared / 3600:,.0f} h by its header, at most {LONGEST / 3600:g} are read")


@contextmanager
def _open(audio: str | PathLike[str] | Mapping[str, Any]) -> Iterator[tuple[str, IO[bytes]]]:
    """Open the bytes or the file as ``(name, file)``; what goes wrong with it becomes an ``AudioError``."""
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
    except OSError as error:
        raise AudioError(f"{name}: {error.strerror or error}") from error


def _source(audio: Mapping[str, Any]) -> IO[bytes]:
    if audio["bytes"] is not None:
        return io.BytesIO(audio["bytes"])
    if not stat.S_ISREG(os.stat(audio["path"]).st_mode):
        raise OSError("is no file")
    # Unbuffered, because libsndfile reads through the descriptor, whose position must be ours. Without its name, from
    # whose suffix FFmpeg would guess what is in it.
    return io.FileIO(os.open(audio["path"], os.O_RDONLY | getattr(os, "O_BINARY", 0)))

"""Two decoders, each of which gives the sound of an open file block by block: libsndfile, and FFmpeg through PyAV.

Neither opens anything but that file. FFmpeg alone could: playlists and session descriptions name further files and
addresses. So only formats that hold their sound themselves are known to it here, no protocol is, and an opening of
anything else is refused where it would happen.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from typing import IO, Any, NoReturn, Protocol

import numpy as np
import numpy.typing as npt

from speechcue_hf.endings import ends_early, ogg_positions, tells_its_length
from speechcue_hf.errors import AudioError

Block = npt.NDArray[np.float64]
"""Amplitudes, full scale at -1 and 1, shape ``(channels, frames)``."""

RATES = (4_000, 384_000)
"""Lowest and highest sampling rate in Hz: below the one no speech is understood, beyond the other nothing records."""
MOST_CHANNELS = 32
LONGEST = 24 * 3600.0
"""In s. More than a day is no recording of a conversation but a damaged header."""

_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,matroska,mov,mp3,mpc,mpc8,mpeg,mpegts,nistsphere,ogg,tta,"
    "voc,w64,wav,wv"
)
"""What FFmpeg may take a file for: none of these names another file that it would follow."""
_TELLING = ("asf", "au", "caf", "flac", "matroska", "mov", "nistsphere", "tta", "w64", "wv")
"""Formats whose header says how long the file is; mp3 does where it has a tag for it, the others are guessed."""
_TOLERANCE = 0.25
"""In s: what may be missing of the length that a header says; encoders and rounding account for less."""
_LONGEST_PAGE = 20.0
"""In s, of Ogg: a page of very quiet speech."""
_FINE = ("PCM_24", "PCM_32", "FLOAT", "DOUBLE")
"""Kinds of samples that 16 bits do not keep, by libsndfile's names."""
_BLOCK = 2**18
"""Amplitudes that libsndfile decodes at a time."""


class Sound(Protocol):
    """An open file with sound.

    Attributes:
        rate: Sampling rate in Hz.
        channels: Their number.
        bits: As many as keep a sample of it in integers: 16, or 24 where the file itself has more.
        declared: Length in s by the header; None where it does not say.
        early: Whether the end of the file is missing, as far as is known so far.
        damaged: Whether something before the end cannot be decoded, as far as is known so far.
    """

    rate: int
    channels: int
    bits: int
    declared: float | None
    early: bool
    damaged: bool

    def blocks(self) -> Iterator[Block]:
        """Decode from the beginning to the end. What cannot be decoded is left out and told by ``damaged``."""

    def skim(self) -> float:
        """Go to the end without decoding, so that ``early`` is known; the length in s."""

    def close(self) -> None:
        """Let the decoder go; the file stays open."""


class SoundfileSound:
    """Sound as libsndfile reads it: wav, flac, ogg, aiff and others."""

    def __init__(self, file: IO[bytes]) -> None:
        import soundfile

        # Before it is opened: libsndfile has the position of the file for its own.
        self.early, (first, last, counted) = ends_early(file), ogg_positions(file)
        # libsndfile reads a file itself: a call back into Python for each block costs more than the decoding.
        held = isinstance(file, io.BytesIO)
        self._sound = soundfile.SoundFile(file) if held else soundfile.SoundFile(file.fileno(), closefd=False)
        self.rate, self.channels = self._sound.samplerate, self._sound.channels
        self.bits = 24 if self._sound.subtype in _FINE else 16
        self.declared: float | None = self._sound.frames / self.rate
        self.damaged = False
        # A broadcast does not begin at zero.
        counted = counted or self.rate
        start = first if first > _LONGEST_PAGE * counted else 0
        self._torn = (last - start) / counted > self.declared + _TOLERANCE

    def blocks(self) -> Iterator[Block]:
        """As for any :class:`Sound`, but where something is missing: there the other decoder finds its way."""
        import soundfile

        left = self._sound.frames
        while left:
            wanted = min(left, _BLOCK // self.channels)
            block = self._sound.read(wanted, dtype="float64", always_2d=True)
            if self._torn or len(block) < wanted:
                raise soundfile.SoundFileRuntimeError("parts of it are missing")
            left -= len(block)
            yield np.ascontiguousarray(block.T)

    def skim(self) -> float:
        """As for any :class:`Sound`; a flac is found to end early by an error, which leaves it to the other decoder."""
        if self._sound.format == "FLAC":
            self._sound.seek(self._sound.frames - 1)
            self._sound.read(1)
        return float(self._sound.frames / self.rate)

    def close(self) -> None:
        """As for any :class:`Sound`."""
        self._sound.close()


class AvSound:
    """Sound as FFmpeg reads it: mp4, mkv, webm, avi, mp3, and codecs in wav and ogg that libsndfile does not know."""

    def __init__(self, file: IO[bytes]) -> None:
        import av

        self.early = ends_early(file)
        tells = tells_its_length(file)
        self._container = av.open(
            file,
            mode="r",
            options={
                "format_whitelist": _FORMATS,
                "codec_whitelist": _audio_codecs(),
                "protocol_whitelist": "",
                "enable_drefs": "0",
            },
            metadata_errors="replace",
            io_open=_refuse_opening,
        )
        decodable = (it for it in self._container.streams.audio if it.codec_context is not None)
        self._stream: Any = next(decodable, None)
        if self._stream is None:
            self.close()
            raise AudioError("has no audio track" if not self._container.streams.audio else "is in an unknown codec")
        kind = self._container.format.name.split(",")[0]
        self._tells = kind in _TELLING or (kind == "mp3" and tells)
        self.rate: int = self._stream.rate or 0
        self._layout = self._stream.codec_context.layout
        self.channels: int = self._layout.nb_channels
        self.bits = 16
        self.declared = self._header_length()
        self.damaged = False
        self._end = 0.0
        self._source: tuple[Any, ...] = ()
        self._resampler: Any = None

    def blocks(self) -> Iterator[Block]:
        """As for any :class:`Sound`; what changes its rate or its channels on the way is brought to those of before."""
        import av

        failed, samples = False, 0
        for packet in self._packets():
            try:
                converted = [self._converted(frame) for frame in packet.decode()]
            except (av.FFmpegError, ValueError) as error:
                if isinstance(error, MemoryError):
                    raise
                self.damaged |= failed
                failed = True
                continue
            # Behind the last packet comes an empty one, which fetches what is left in the decoder.
            if packet.size:
                self.damaged |= failed
                failed = False
            for block in (block for blocks in converted for block in blocks):
                # Damaged WMA decodes to what are no numbers.
                if np.isfinite(block).all():
                    samples += block.shape[1]
                    yield block
                else:
                    self.damaged = True
        # What is wrong with the last packet is that it is not whole.
        self.early |= failed
        # Pages of Ogg that are damaged are passed over in silence.
        self.damaged |= self._container.format.name == "ogg" and samples / self.rate < self._end - _TOLERANCE

    def skim(self) -> float:
        """As for any :class:`Sound`."""
        for _packet in self._packets():
            continue
        return self._end if self.declared is None or self.early else self.declared

    def copy(self, target: IO[bytes]) -> str:
        """Write the sound as it is encoded, without decoding it; the suffix of the format of what was written."""
        import av

        # Of an mp4 only an mp4 keeps what its encoder put before the first sample apart from the sound.
        form, suffix = ("mp4", ".m4a") if self._container.format.name.startswith("mov") else ("matroska", ".mka")
        with av.open(target, mode="w", format=form) as copied:
            track = copied.add_stream_from_template(self._stream)
            for packet in self._packets():
                # The empty one at the end is for decoders.
                if packet.size and packet.dts is not None:
                    packet.stream = track
                    copied.mux(packet)
        return suffix

    def close(self) -> None:
        """As for any :class:`Sound`."""
        self._container.close()

    def _packets(self) -> Iterator[Any]:
        """Packets of the sound, to the end of the file, where ``early`` is judged."""
        import av

        # By its header a matroska is as long as its longest track, so that all of them count.
        streams = [self._stream] if self._stream.duration is not None else list(self._container.streams)
        # Fractions take half of the time that it takes to go through a file.
        units = {it.index: (it.time_base.numerator, it.time_base.denominator) for it in streams if it.time_base}
        last = 0.0
        try:
            for packet in self._container.demux(streams):
                ticks, track = packet.pts, packet.stream.index
                numerator, denominator = units.get(track, (0, 1))
                end = 0.0 if ticks is None else (ticks + (packet.duration or 0)) * numerator / denominator
                last = max(last, end)
                if track == self._stream.index:
                    self._end = max(self._end, end)
                    yield packet
        except av.FFmpegError as error:
            if not last or isinstance(error, MemoryError):
                raise
            self.early = True
        if self._tells and self.declared is not None and last < self.declared - _TOLERANCE:
            self.early = True

    def _header_length(self) -> float | None:
        if self._stream.duration is not None:
            return float(self._stream.duration * self._stream.time_base)
        return None if self._container.duration is None else self._container.duration / 1_000_000

    def _converted(self, frame: Any) -> list[Block]:
        """A frame as blocks of floating numbers; a change of what comes in needs another converter."""
        import av

        source = (frame.format.name, frame.layout.name, frame.sample_rate)
        if source != self._source:
            # Interleaved: PyAV reads beyond the memory of a frame of eight channels or more that lie apart.
            self._resampler = av.AudioResampler(format="dbl", layout=self._layout, rate=self.rate)
            self._source = source
        interleaved = (part.to_ndarray().reshape(-1, self.channels) for part in self._resampler.resample(frame))
        return [np.ascontiguousarray(part.T, dtype=np.float64) for part in interleaved]


def for_soundfile(file: IO[bytes]) -> bool:
    """Whether the first bytes are those of a format that libsndfile reads best; rewinds the file."""
    file.seek(0)
    signature = file.read(4)
    file.seek(0)
    return signature in (b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM", b"NIST")


@cache
def _audio_codecs() -> str:
    """The decoders of sound: those of pictures, which a video could make decode pictures of any size, stay closed."""
    from av.codec import Codec, codecs_available
    from av.codec.codec import UnknownCodecError

    names = []
    for name in sorted(codecs_available):
        try:
            codec = Codec(name, "r")
        except UnknownCodecError:
            # It can only be written.
            continue
        if codec.type == "audio":
            names.append(name)
    return ",".join(names)


def _refuse_opening(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError("names another file, which is not opened")

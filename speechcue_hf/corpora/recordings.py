"""Turns of a recording: which part of a file an utterance is, and the clips that are cut out of it.

A recording is decoded once, block by block, whatever its length and however many turns are cut out of it. The loader of
folders, the recognizer, the describer and the explainer all take their clips from here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from speechcue_hf.audio import Probe, probe, read_sound
from speechcue_hf.channels import INTEGERS, LOUDEST
from speechcue_hf.corpora.clips import SHORTEST_CLIP
from speechcue_hf.decoders import Block, Sound
from speechcue_hf.errors import AudioError

logger = logging.getLogger(__name__)

Audio = str | PathLike[str] | Mapping[str, Any]
"""A file's path, or ``{"path": ..., "bytes": ...}``, of which bytes win."""

TOLERANCE = 0.25
"""In s: by how much a clip already cut may differ from ``end - start``, and a turn may pass its recording's end."""
PART_KEYS = ("start", "end", "channel")
"""What a clip may say of its place in a recording, beside ``path`` and ``bytes``."""
CHANNEL_NAMES = {"left": 0, "right": 1}
MOST_KEPT_CHANNELS = 8
"""A FLAC has no more."""
_NO_END = 2**62
"""In samples: beyond every recording."""


@dataclass(frozen=True)
class Part:
    """What of a file is one utterance.

    Args:
        start: In s from the beginning of the file.
        end: In s; None for the end of the file.
        channel: The one that is kept, from 0; None for all.
    """

    start: float = 0.0
    end: float | None = None
    channel: int | None = None


class CutClip(NamedTuple):
    """A clip that was cut out of a recording.

    Attributes:
        flac: The file; None where there is no sound.
        status: One of :data:`speechcue_hf.corpora.schema.AUDIO_STATUSES`.
        note: Why there is no sound, or None.
    """

    flac: bytes | None
    status: str
    note: str | None = None


def channel_number(value: str | int) -> int:
    """A channel as users name it, as a number from 0.

    Raises:
        ValueError: If it is neither a whole number nor a name.

    Example:
        >>> channel_number("Right"), channel_number("1"), channel_number("1.0")
        (1, 1, 1)
    """
    said = str(value).strip().lower()
    if said in CHANNEL_NAMES:
        return CHANNEL_NAMES[said]
    whole = said.removesuffix(".0")
    if not (whole.isascii() and whole.isdigit()):
        raise ValueError(f"{value!r} is no channel: give its number, from 0, or {' or '.join(CHANNEL_NAMES)}")
    return int(whole)


class MisfitError(ValueError):
    """What is said of an utterance does not fit its file.

    Attributes:
        said: What it is that does not fit: ``start``, ``end``, ``channel`` or ``file_name``.
        name: Of the utterance; empty for one alone.
    """

    def __init__(self, said: str, problem: str) -> None:
        super().__init__(problem)
        self.said, self.name = said, ""


class Spoken(NamedTuple):
    """What is said of an utterance and its file.

    Attributes:
        name: What the utterance is called in messages, such as ``row 3 of metadata.csv``.
        audio: The file; None where there is none.
        start: In s, or None.
        end: In s, or None.
        channel: From 0, or None.
    """

    name: str
    audio: Audio | None
    start: float | None = None
    end: float | None = None
    channel: int | None = None

    @property
    def timed(self) -> bool:
        """Whether any time is said."""
        return self.start is not None or self.end is not None


def find_parts(utterances: Sequence[Spoken]) -> Iterator[Part | None]:
    """Which part of its file each utterance is, by its times, by what is in the file, and by who else names it.

    - Without times a file is one utterance, and so is a channel of it.
    - A file that is as long as ``end - start``, within :data:`TOLERANCE`, is a clip already cut.
    - A longer one that reaches to ``end`` is a recording, and so is one that several utterances name.
    - Anything else is refused.

    Files are gone through without decoding, each of them once, and only where times or channels are to be held against
    them.

    Args:
        utterances: All that may name the same files.

    Yields:
        The part of each utterance, in their order; None for the whole file, or for one that cannot be opened and is
        nobody else's.

    Raises:
        MisfitError: At an utterance whose times or channel do not fit its file, or which does not say what tells it
            from another one of the same file; the message says what is there, and the fix.
    """
    together: dict[Any, list[Spoken]] = {}
    for utterance in utterances:
        if utterance.audio is not None:
            together.setdefault(_identity(utterance.audio), []).append(utterance)
    found: dict[Any, Probe | None] = {}
    for utterance in utterances:
        sharing = [utterance] if utterance.audio is None else together[_identity(utterance.audio)]
        try:
            yield _checked_part(utterance, sharing, found)
        except MisfitError as error:
            error.name = utterance.name
            raise


def _checked_part(utterance: Spoken, sharing: Sequence[Spoken], found: dict[Any, Probe | None]) -> Part | None:
    """The part of an utterance, of whose file ``sharing`` are all utterances; ``found`` keeps what is in files."""
    start, end = utterance.start, utterance.end
    _check_times(utterance)
    if utterance.audio is None:
        return None
    shared = len(sharing) > 1
    if shared:
        _check_told_apart(utterance, sharing)
    if start is None or end is None:
        start = end = None
    key = _identity(utterance.audio)
    if key not in found and (start is not None or utterance.channel is not None):
        found[key] = _look(utterance.audio)
    if (probed := found.get(key)) is not None:
        return choose_part(probed, start, end, utterance.channel, shared=shared)
    # What cannot be opened is as it is stated.
    return Part(start or 0.0, end, utterance.channel) if shared else None


def _check_times(utterance: Spoken) -> None:
    """Refuse times that no recording could have."""
    start, end = utterance.start, utterance.end
    if start is not None and start < 0:
        raise MisfitError("start", f"{start:g} s lies before the beginning of the recording: times count from there")
    if start is not None and end is not None and end <= start:
        place = "is" if end == start else "lies before"
        raise MisfitError("end", f"{end} s {place} the start, {start} s")


def _check_told_apart(utterance: Spoken, sharing: Sequence[Spoken]) -> None:
    """Refuse an utterance that does not say which part it is of a file that others name, too."""
    if utterance.timed:
        if utterance.start is None or utterance.end is None:
            missing = "start" if utterance.start is None else "end"
            other = _other(utterance, sharing).name
            raise MisfitError(missing, f"is not given, and {other} names the same file: give both")
        return
    if timed := next((it for it in sharing if it.timed), None):
        raise MisfitError("start", f"is not given, and {timed.name} gives times in the same file: give start and end")
    channels = [it.channel for it in sharing]
    if None in channels or channels.count(utterance.channel) > 1:
        raise MisfitError(
            "file_name",
            f"this is the same clip as that of {_other(utterance, sharing).name}, without times: give each a start and "
            "an end (s) if the file is a recording of several turns, or a channel, or leave one of them out",
        )


def _other(utterance: Spoken, sharing: Sequence[Spoken]) -> Spoken:
    return next(it for it in sharing if it is not utterance)


def _look(audio: Audio) -> Probe | None:
    try:
        return probe(audio)
    except AudioError:
        return None


def choose_part(
    found: Probe, start: float | None, end: float | None, channel: int | None, *, shared: bool = False
) -> Part | None:
    """Which part of a file one utterance is, by the rules of :func:`find_parts`.

    Args:
        found: What is in the file.
        start: In s; given with ``end`` or not at all.
        end: In s, after ``start``.
        channel: From 0, or None.
        shared: Whether other utterances name the same file.

    Raises:
        MisfitError: If the times or the channel do not fit the file.

    Example:
        >>> choose_part(Probe(60.0, False, 2), 12.5, 15.0, 1)
        Part(start=12.5, end=15.0, channel=1)
        >>> choose_part(Probe(2.4, False, 1), 12.5, 15.0, None) is None
        True
    """
    if channel is not None and channel >= found.channels:
        there = "one channel, 0" if found.channels == 1 else f"{found.channels} channels, 0 to {found.channels - 1}"
        raise MisfitError("channel", f"there is no channel {channel}: the file has {there}")
    kept = None if found.channels == 1 else channel
    if start is None or end is None:
        return None if kept is None else Part(channel=kept)
    turn, length = end - start, found.duration
    covers = end <= length + TOLERANCE
    if not shared and abs(length - turn) <= TOLERANCE:
        return None if kept is None else Part(channel=kept)
    # Of a file that ends early nobody knows how long it should be.
    if found.ends_early or (covers and (shared or length > turn)):
        return Part(start, end, kept)
    raise MisfitError("end", _misfit(turn, end, length, shared))


def _misfit(turn: float, end: float, length: float, shared: bool) -> str:
    """What is wrong with times that fit neither a recording nor a clip."""
    clip = f"as a clip already cut it should last {turn:g} s, within {TOLERANCE:g} s"
    recording = f"as a recording it ends before the turn does, at {end:g} s"
    readings = f"several turns name it, and {recording}" if shared else f"{clip}; {recording}"
    in_ms = min(turn, end) / 1000 <= length + TOLERANCE and turn > 100
    fix = "if times are in ms, divide them by 1000" if in_ms else "correct start and end, in s, or name the right file"
    return f"the file lasts {length:.3f} s: {readings}: {fix}"


def cut_turns(utterances: Sequence[Spoken]) -> Iterator[CutClip | None]:
    """The clips of utterances that are cut out of their recordings, each of which is decoded once.

    Args:
        utterances: All that may name the same files.

    Yields:
        The clip of each utterance, in their order; None for one that is its whole file.

    Raises:
        MisfitError: As of :func:`find_parts`, before the first clip.
    """
    parts = list(find_parts(utterances))
    together = zip(utterances, parts, strict=True)
    cut = cut_clips([(it.audio, part) for it, part in together if it.audio is not None and part is not None])
    for part in parts:
        yield None if part is None else next(cut)


def spoken(audio: Audio | None, name: str = "", **said: Any) -> Spoken:
    """An utterance by what users say of it.

    Args:
        audio: Its file; a table may have ``start``, ``end`` and ``channel`` beside ``path`` and ``bytes``.
        name: What it is called in messages.
        **said: ``start``, ``end`` and ``channel``, which come before what the table says.

    Raises:
        ValueError: If the channel is none.
    """
    inside = audio if isinstance(audio, Mapping) else {}
    values = {key: inside.get(key) if said.get(key) is None else said[key] for key in PART_KEYS}
    if values["channel"] is not None:
        values["channel"] = channel_number(values["channel"])
    file = {"path": audio.get("path"), "bytes": audio.get("bytes")} if isinstance(audio, Mapping) else audio
    return Spoken(name, file, **values)


def whole_or_cut(file: Audio, cut: CutClip | None) -> dict[str, Any]:
    """A clip as in the column ``audio``: the file itself, or what was cut out of it.

    Raises:
        AudioError: If there is no sound in what was cut.
    """
    whole = {"path": None, "bytes": None, **(file if isinstance(file, Mapping) else {"path": fspath(file)})}
    if cut is None:
        return whole
    if cut.flac is None:
        raise AudioError(str(cut.note))
    return {"path": whole["path"], "bytes": cut.flac}


def cut_clips(parts: Sequence[tuple[Audio, Part]]) -> Iterator[CutClip]:
    """Cut parts out of recordings, each of which is decoded once, when the first of its parts is reached.

    What was cut waits on disk until it is asked for, so that memory holds a block of a recording and the clip at hand.
    Clips are FLAC at the recording's sampling rate, 16 bit, or 24 where its samples have as many; floating samples at
    the scale of 16-bit integers are divided by 32768.

    Args:
        parts: Recordings with the part that is wanted.

    Yields:
        The clip of each part, in their order. A recording that cannot be decoded gives clips without sound, with the
        reason in their note.
    """
    together: dict[Any, list[int]] = {}
    for place, (audio, _) in enumerate(parts):
        together.setdefault(_identity(audio), []).append(place)
    with TemporaryDirectory(prefix="speechcue-turns-") as folder:
        cut: dict[int, _Cut] = {}
        for place, (audio, _) in enumerate(parts):
            if place not in cut:
                wanted = {it: parts[it][1] for it in together[_identity(audio)]}
                cut |= _cut_recording(audio, wanted, Path(folder))
            yield cut.pop(place).taken()


def _identity(audio: Audio) -> Any:
    """What two parts of one recording have in common."""
    if not isinstance(audio, Mapping):
        return fspath(audio)
    return audio.get("path") if audio.get("bytes") is None else audio["bytes"]


class _Cut(NamedTuple):
    """A clip that waits on disk, or has no sound."""

    path: Path | None
    status: str
    note: str | None = None

    def taken(self) -> CutClip:
        """The clip, which goes from the disk."""
        if self.path is None:
            return CutClip(None, self.status, self.note)
        flac = self.path.read_bytes()
        self.path.unlink()
        return CutClip(flac, self.status)


class _OtherScaleError(Exception):
    """Samples are floats at the scale of 16-bit integers."""


def _cut_recording(audio: Audio, parts: Mapping[int, Part], folder: Path) -> dict[int, _Cut]:
    """Cut parts out of one recording into files; by the keys of the parts."""
    try:
        try:
            return read_sound(audio, lambda sound: _write_parts(sound, parts, folder, 1.0))
        except _OtherScaleError:
            return read_sound(audio, lambda sound: _write_parts(sound, parts, folder, 1 / INTEGERS))
    except AudioError as error:
        logger.warning("%s: none of its %s turns can be cut out", error, len(parts))
        return dict.fromkeys(parts, _Cut(None, "corrupt", str(error)))


def _write_parts(sound: Sound, parts: Mapping[int, Part], folder: Path, scale: float) -> dict[int, _Cut]:
    """Write the parts of an open recording in one pass over it, as far as the last of them ends."""
    waiting = [_Writing(part, folder / f"{key}.flac", sound) for key, part in parts.items()]
    waiting.sort(key=lambda writing: writing.first, reverse=True)
    everyone, active, place = list(waiting), [], 0
    for block in sound.blocks():
        scaled = _scaled(block, scale)
        begin, place = place, place + block.shape[1]
        while waiting and waiting[-1].first < place:
            active.append(waiting.pop())
        for writing in active:
            writing.add(scaled, begin)
        active = [writing for writing in active if writing.last > place]
        if not waiting and not active:
            break
    if sound.damaged:
        logger.warning("damaged packets of a recording were left out: turns after them may be cut too late")
    found = {writing.path: writing.finish(place) for writing in everyone}
    return {key: found[folder / f"{key}.flac"] for key in parts}


def _scaled(block: Block, scale: float) -> Block:
    """Samples at full scale."""
    if not np.isfinite(block).all():
        raise AudioError("holds samples that are not finite numbers")
    scaled = block if scale == 1.0 else block * scale
    if np.abs(scaled).max(initial=0.0) > LOUDEST:
        if scale == 1.0:
            raise _OtherScaleError
        raise AudioError("its floating samples are at an unknown scale")
    return scaled


class _Writing:
    """A part of a recording on its way to disk."""

    def __init__(self, part: Part, path: Path, sound: Sound) -> None:
        kept = sound.channels if part.channel is None else 1
        if kept > MOST_KEPT_CHANNELS:
            raise AudioError(f"has {kept} channels, more than the {MOST_KEPT_CHANNELS} of a FLAC: name one as channel")
        self.path, self.first = path, round(part.start * sound.rate)
        self.last = _NO_END if part.end is None else round(part.end * sound.rate)
        self._channels = slice(None) if part.channel is None else slice(part.channel, part.channel + 1)
        self._sound, self._written = sound, 0
        self._file: Any = None

    def add(self, block: Block, begin: int) -> None:
        """Write what of a block, whose first sample is number ``begin``, is in the part."""
        import soundfile

        own = block[self._channels, max(0, self.first - begin) : max(0, self.last - begin)]
        if self._file is None:
            self._file = soundfile.SoundFile(
                self.path, "w", self._sound.rate, len(own), f"PCM_{self._sound.bits}", format="FLAC"
            )
        self._file.write(own.T)
        self._written += own.shape[1]
        if begin + block.shape[1] >= self.last:
            self._file.close()

    def finish(self, length: int) -> _Cut:
        """What has become of it, the recording being read; ``length`` is how many samples it has given."""
        if self._file is None:
            return _Cut(None, "truncated", "the recording ends before the turn")
        self._file.close()
        rate = self._sound.rate
        wanted = (length if self.last == _NO_END else self.last) - self.first
        if self._written < wanted - TOLERANCE * rate or (self.last == _NO_END and self._sound.early):
            return _Cut(self.path, "truncated")
        return _Cut(self.path, "too_short" if self._written < SHORTEST_CLIP * rate else "ok")

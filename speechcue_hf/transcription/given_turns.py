"""Turns that somebody has, without all of their texts: which part of which recording each row is, and what it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from speechcue_hf.audio import probe
from speechcue_hf.corpora.recordings import MisfitError, Spoken, channel_number, find_parts
from speechcue_hf.corpora.turn_tables import read_turns
from speechcue_hf.errors import AudioError, TranscriptionError
from speechcue_hf.transcription.transcribe import Recording, Transcript
from speechcue_hf.transcription.turns import SpokenTurn

Row = Mapping[str, Any]


def is_lacking(row: Row) -> bool:
    """Whether a row has a clip or recording and no text."""
    return bool(row.get("file_name")) and not str(row.get("text") or "").strip()


def lacking_turns(recordings: Sequence[Recording], rows: Sequence[Row], folder: Path, table: Path) -> list[Recording]:
    """Recordings with the turns whose text is to be heard, in the order of their rows.

    Args:
        recordings: Those that may be heard.
        rows: Of a table of turns; ``file_name`` is relative to the folder.
        folder: Of the table.
        table: Its file, for messages.

    Raises:
        TranscriptionError: If a row does not fit its recording, or no recording has a turn without a text.
    """
    turns = turns_of(rows, folder, table)
    lacking: dict[Path, list[SpokenTurn]] = {}
    for row, turn in zip(rows, turns, strict=True):
        if is_lacking(row) and turn is not None:
            lacking.setdefault(folder / row["file_name"], []).append(turn)
    found = [it._replace(turns=lacking[it.path]) for it in recordings if it.path in lacking]
    if not found:
        raise TranscriptionError(f"{table} has no turn of these recordings that lacks a text: there is nothing to do")
    return found


def turns_of(rows: Sequence[Row], folder: Path, table: Path) -> list[SpokenTurn | None]:
    """The turn that each row is, by the rules of ``speechcue/folder``; None for one without a file that can be read.

    Raises:
        TranscriptionError: If times or channel of a row do not fit its recording; the message names the row.
    """
    spoken = [_spoken(row, number, folder, table) for number, row in enumerate(rows, start=1)]
    parts = find_parts(spoken)
    lengths = {it.audio: _length(it.audio) for it in spoken}
    turns: list[SpokenTurn | None] = []
    for row, it in zip(rows, spoken, strict=True):
        try:
            part = next(parts)
        except MisfitError as error:
            raise TranscriptionError(f"{table}, {it.name}, column {error.said}: {error}") from error
        length = lengths[it.audio]
        if length is None:
            turns.append(None)
            continue
        start, end, channel = (0.0, None, None) if part is None else (part.start, part.end, part.channel)
        known = {name: row.get(name) or None for name in ("speaker", "language")}
        end = length if end is None else min(end, length)
        turns.append(SpokenTurn(start, end, channel, **known, text=str(row.get("text") or "")))
    return turns


def turns_for(recording: Path, table: Path) -> list[SpokenTurn]:
    """The turns that a table has of one recording, in speaking order.

    Raises:
        TranscriptionError: If it has none, or one that does not fit.
        CorpusError: If the table cannot be read.
    """
    names = (recording.name, recording.stem)
    rows = [row for row in read_turns(table) if Path(row.get("file_name") or recording.name).name in names]
    if not rows:
        raise TranscriptionError(f"{table} has no turns of {recording.name}")
    placed = turns_of([{**row, "file_name": recording.name} for row in rows], recording.parent, table)
    return sorted((turn for turn in placed if turn is not None), key=lambda turn: turn.start)


def completed(rows: Sequence[Row], transcripts: Iterable[Transcript], folder: Path) -> list[dict[str, Any]]:
    """The rows with the texts that they lacked, and the language of those.

    Args:
        rows: As given to :func:`lacking_turns`.
        transcripts: Of what it gave.
        folder: Of the table.
    """
    heard = {it.recording.path: iter(it.turns) for it in transcripts}
    whole = []
    for row in rows:
        path = folder / row["file_name"] if is_lacking(row) else None
        turn = next(heard[path], None) if path in heard else None
        text, language = (turn.text, turn.language) if turn else (row.get("text"), row.get("language"))
        whole.append({**row, "language": language, "text": text})
    return whole


def _spoken(row: Row, number: int, folder: Path, table: Path) -> Spoken:
    """What a row says of its file and its times."""
    name = row.get("file_name")
    start, end = (_seconds(row.get(column), column, number, table) for column in ("start", "end"))
    channel = row.get("channel")
    try:
        place = None if channel in (None, "") else channel_number(channel)
    except ValueError as error:
        raise TranscriptionError(f"{table}, row {number}, column channel: {error}") from error
    return Spoken(f"row {number}", folder / name if name else None, start, end, place)


def _length(audio: Any) -> float | None:
    """Of a file in s; None for one that cannot be read."""
    try:
        return None if audio is None else probe(audio).duration
    except AudioError:
        return None


def _seconds(value: Any, column: str, number: int, table: Path) -> float | None:
    try:
        return None if value in (None, "") else float(value)
    except ValueError as error:
        raise TranscriptionError(
            f"{table}, row {number}, column {column}: {value!r} is not a number of seconds"
        ) from error

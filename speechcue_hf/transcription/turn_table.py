"""The folder that transcripts become: a table of turns beside the recordings, which stay as and where they are."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from speechcue_hf.corpora.folder import METADATA_FILES
from speechcue_hf.corpora.metadata import read_table
from speechcue_hf.errors import TranscriptionError
from speechcue_hf.records import read_json, write_json
from speechcue_hf.tables import write_table
from speechcue_hf.transcription.recognition import Word
from speechcue_hf.transcription.transcribe import Recording, Transcript
from speechcue_hf.transcription.turns import SpokenTurn

TURNS_FILE = METADATA_FILES[0]
WORDS_FILE = "words.jsonl"
"""One line for each turn: its words with their times, as ``[text, start, end]`` in s of the recording."""
COPIES = "recordings"


def place_recordings(paths: Sequence[Path], folder: Path, *, copy: bool = False) -> list[Recording]:
    """Name recordings by where they lie in the folder of the table, which may name no file outside of it.

    Args:
        paths: The recordings.
        folder: Of the table of turns.
        copy: Whether recordings from elsewhere are copied into it.

    Returns:
        Each recording under the name of its file without the suffix.

    Raises:
        TranscriptionError: If a recording does not exist, is given twice, or lies elsewhere and is not to be copied.
    """
    folder = Path(os.path.abspath(folder))
    places = [Path(os.path.abspath(path)) for path in paths]
    for place in places:
        if not place.is_file():
            raise TranscriptionError(f"there is no recording {place}")
    outside = [place for place in places if not place.is_relative_to(folder)]
    if outside and not copy:
        above = os.path.commonpath([place.parent for place in places])
        raise TranscriptionError(
            f"{outside[0]} does not lie in {folder}, and a table of turns names files of its own folder only: write it "
            f"beside the recordings (-o {above}), or have them copied (--copy)"
        )
    inside = [folder / COPIES / place.name if place in outside else place for place in places]
    if twice := [path for path, count in Counter(inside).items() if count > 1]:
        raise TranscriptionError(f"{twice[0].name} is there twice: give each recording once, and a name of its own")
    for source, target in zip(places, inside, strict=True):
        if source != target and not (target.is_file() and target.stat().st_size == source.stat().st_size):
            _copy(source, target)
    names = [path.relative_to(folder) for path in inside]
    stems = Counter(name.with_suffix("") for name in names)
    return [
        Recording((name if stems[name.with_suffix("")] > 1 else name.with_suffix("")).as_posix(), path)
        for name, path in zip(names, inside, strict=True)
    ]


def check_new(folder: Path) -> None:
    """Refuse a folder that has a table of turns, which somebody may have corrected.

    Raises:
        TranscriptionError: If it has one.
    """
    for name in METADATA_FILES:
        if (folder / name).exists():
            raise TranscriptionError(
                f"{folder} has a {name} already, which is not overwritten: it may have been corrected. Move it away to "
                "transcribe again"
            )


def find_table(folder: Path) -> tuple[Sequence[Mapping[str, Any]], Path]:
    """The rows of the table that a folder has, and its file.

    Raises:
        TranscriptionError: If it has none, or several.
        CorpusError: If it cannot be read.
    """
    found = [folder / name for name in METADATA_FILES if (folder / name).is_file()]
    if len(found) != 1:
        raise TranscriptionError(
            f"{folder} has {len(found)} tables of turns ({', '.join(METADATA_FILES)}): it needs one"
        )
    return read_table(found[0]).rows, found[0]


def part_name(recording: Recording) -> str:
    """Name of the file that a transcript waits in until all are there."""
    return f"{sha256(recording.name.encode()).hexdigest()[:16]}.json"


def write_part(transcript: Transcript, unfinished: Path) -> None:
    """Keep a transcript, so that a run that is killed does not make it again."""
    values = {
        "turns": [asdict(turn) for turn in transcript.turns],
        "words": [[list(word) for word in words] for words in transcript.words],
        "problem": transcript.problem,
    }
    write_json(values, unfinished / part_name(transcript.recording))


def read_part(recording: Recording, unfinished: Path) -> Transcript:
    """A transcript that was kept."""
    values = read_json(unfinished / part_name(recording), f"remove {unfinished}, and transcribe again")
    words = [[Word(*word) for word in words] for words in values["words"]]
    return Transcript(recording, [SpokenTurn(**turn) for turn in values["turns"]], words, values["problem"])


def rows_of(transcript: Transcript, folder: Path) -> list[dict[str, Any]]:
    """The rows of a transcript in the table of turns, in the layout of ``speechcue/folder``."""
    name = transcript.recording.name
    where = Path(os.path.abspath(transcript.recording.path)).relative_to(os.path.abspath(folder)).as_posix()
    return [
        {
            "file_name": where,
            "channel": turn.channel,
            "dialogue_id": name,
            "utterance_id": f"{name}_{number:04d}",
            "speaker": turn.speaker,
            "start": turn.start,
            "end": turn.end,
            "language": turn.language,
            "text": turn.text,
        }
        for number, turn in enumerate(transcript.turns)
    ]


def complete_table(rows: Sequence[Mapping[str, Any]], table: Path, folder: Path, into: Path) -> None:
    """Write a table whose texts were completed; one of that name, as it was before, is kept beside it.

    Args:
        rows: All of the table.
        table: The file that they were read from.
        folder: That the table is for.
        into: Where it is written.
    """
    if table.parent == folder:
        shutil.copyfile(table, table.with_name(f"{table.stem}-before{table.suffix}"))
        write_table(rows, into / table.name)
    else:
        write_table(rows, into / TURNS_FILE)


def write_turns(transcripts: Iterable[Transcript], folder: Path, into: Path) -> int:
    """Write the table of turns and the words with their times.

    Args:
        transcripts: Of all recordings.
        folder: That the table is for.
        into: Where it is written.

    Returns:
        The number of turns.
    """
    rows: list[dict[str, Any]] = []
    lines: list[Mapping[str, Any]] = []
    for transcript in transcripts:
        own = rows_of(transcript, folder)
        rows += own
        lines += [
            {
                "utterance_id": row["utterance_id"],
                "words": [(word.text.strip(), word.start, word.end) for word in words],
            }
            for row, words in zip(own, transcript.words, strict=True)
        ]
    if all(row["channel"] is None for row in rows):
        rows = [{name: value for name, value in row.items() if name != "channel"} for row in rows]
    write_table(rows, into / TURNS_FILE)
    write_table(lines, into / WORDS_FILE)
    return len(rows)


def _copy(source: Path, target: Path) -> None:
    """Copy a file, which appears only once it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.unfinished")
    shutil.copyfile(source, unfinished)
    os.replace(unfinished, target)

"""``speechcue transcribe``: recordings without turns or text to a table of turns."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from speechcue_hf.commands.arguments import command_line, positive_int, print_next
from speechcue_hf.commands.recognition_options import (
    add_recognition,
    add_turn_table,
    load_recognition,
    recognition_settings,
)
from speechcue_hf.corpora.writing import UNFINISHED
from speechcue_hf.errors import TranscriptionError

if TYPE_CHECKING:
    from speechcue_hf.transcription.settings import TranscriptionSettings
    from speechcue_hf.transcription.transcribe import Recording, Transcript

EXAMPLES = """examples:
  speechcue transcribe calls/*.wav -o calls
  speechcue transcribe podcast.mp3 -o data/podcast --copy --model openai/whisper-large-v3-turbo --language en
  speechcue transcribe meetings -o meetings --diarise pyannote/speaker-diarization-community-1
  speechcue transcribe meeting.wav -o . --turns meeting.rttm
  speechcue transcribe clips -o clips --only text
  speechcue transcribe calls -o calls --shard $SLURM_ARRAY_TASK_ID --num-shards 16

Recordings stay where they are: the folder is one above them, or they are copied into it (--copy). It gets a
metadata.csv with a row for each turn, which any editor corrects and `speechcue prepare folder --data-dir FOLDER` reads,
words.jsonl with the time of each word, and transcription.json, which says by which models and settings. A killed run
goes on where it stopped.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("recordings", type=Path, nargs="+", help="audio and video files, and folders of them")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the table of turns")
    parser.add_argument("--copy", action="store_true", help="copy recordings from elsewhere into the folder")
    add_recognition(parser)
    add_turn_table(parser)
    parser.add_argument(
        "--only", choices=("text",), help="the folder has a metadata.csv with turns or clips: make the texts it lacks"
    )
    parser.add_argument("--shard", type=int, default=0, help="which recordings this job transcribes, from 0")
    parser.add_argument("--num-shards", type=positive_int, default=1, help="into how many jobs they are divided")


def run(arguments: argparse.Namespace) -> None:
    """Transcribe the recordings of this shard, and let the table appear if they were the last that missed."""
    from speechcue_hf.corpora.writing import end_writing, join_writing
    from speechcue_hf.records import write_record, write_record_once
    from speechcue_hf.transcription.given_turns import completed
    from speechcue_hf.transcription.turn_table import TURNS_FILE, complete_table, part_name, read_part, write_turns

    output, shard, count = arguments.output, arguments.shard, arguments.num_shards
    if not 0 <= shard < count:
        raise ValueError(f"--shard must be from 0 to {count - 1}, got {shard}")
    settings = recognition_settings(arguments, turns_given=arguments.turns is not None)
    recordings, given = _asked(arguments)
    parts = [part_name(recording) for recording in recordings]
    unfinished = join_writing(output, command_line(arguments, shard="N"), parts)
    _check_settings(settings, write_record_once(settings, unfinished), output)
    _transcribe_missing(recordings[shard::count], unfinished, settings, arguments)
    if left := [name for name in parts if not (unfinished / name).is_file()]:
        print(f"{output}: the table appears with the last recording, {len(left)} of {len(parts)} are still missing.")
        return

    def add_table(unfinished: Path) -> None:
        transcripts = [read_part(recording, unfinished) for recording in recordings]
        if given is None:
            write_turns(transcripts, output, unfinished)
        else:
            complete_table(completed(given.rows, transcripts, output), given.table, output, unfinished)
        write_record(settings, unfinished)
        for name in parts:
            (unfinished / name).unlink()

    end_writing(output, [], add=add_table)
    table = TURNS_FILE if given is None or given.table.parent != output.absolute() else given.table.name
    print(f"{output / table} has the turns: correct it with any editor, and keep its name and columns.")
    beside = f"{output.absolute().name}-turns"
    print_next(
        "prepare", "folder", "--data-dir", output, "-o", output.parent / (beside if output.name else f"../{beside}")
    )


class _Given(NamedTuple):
    """Rows of a table of turns, whose ``file_name`` is relative to the output folder."""

    rows: Sequence[Mapping[str, Any]]
    table: Path


def _asked(arguments: argparse.Namespace) -> tuple[list[Recording], _Given | None]:
    """The recordings, with the turns that lack a text where turns are given."""
    from speechcue_hf.corpora.turn_tables import read_turns_of, recordings_in
    from speechcue_hf.inference.explain import find_clips
    from speechcue_hf.transcription.given_turns import lacking_turns
    from speechcue_hf.transcription.turn_table import check_new, find_table, place_recordings

    output = Path(os.path.abspath(arguments.output))
    if arguments.only == "text":
        if arguments.turns or [Path(os.path.abspath(path)) for path in arguments.recordings] != [output]:
            raise ValueError(
                f"--only text completes the table of one folder: speechcue transcribe {output} -o {output}"
            )
        given = _Given(*find_table(output))
        recordings = place_recordings(recordings_in(output), output)
        return lacking_turns(recordings, given.rows, output, given.table), given
    check_new(output)
    recordings = place_recordings(find_clips(arguments.recordings), output, copy=arguments.copy)
    if arguments.turns is None:
        return recordings, None
    own = {recording.path for recording in recordings}
    rows = [
        {**row, "dialogue_id": row.get("dialogue_id") or Path(row["file_name"]).with_suffix("").as_posix()}
        for row in read_turns_of(output, arguments.turns).rows
        if output / row["file_name"] in own
    ]
    return lacking_turns(recordings, rows, output, arguments.turns), _Given(rows, arguments.turns)


def _transcribe_missing(
    recordings: Sequence[Recording], unfinished: Path, settings: TranscriptionSettings, arguments: argparse.Namespace
) -> None:
    """Transcribe what no run before this one has, and say what each recording gave."""
    from speechcue_hf.transcription.transcribe import transcribe
    from speechcue_hf.transcription.turn_table import part_name, write_part

    missing = [recording for recording in recordings if not (unfinished / part_name(recording)).is_file()]
    if len(missing) < len(recordings):
        print(f"{len(recordings) - len(missing)} of {len(recordings)} recordings are transcribed already")
    if missing:
        recognizer, diariser = load_recognition(arguments, settings)
        heard = transcribe(missing, recognizer, settings, diariser=diariser, batch_size=arguments.batch_size)
        for transcript in heard:
            write_part(transcript, unfinished)
            print(summary(transcript), flush=True)


def summary(transcript: Transcript) -> str:
    """One line that says what a recording gave."""
    turns = transcript.turns
    speakers = {turn.speaker for turn in turns} - {None}
    languages = sorted({turn.language for turn in turns if turn.language})
    said = f"{len(turns)} turns" + (f" of {len(speakers)} speakers" if speakers else "")
    said += f", language {' and '.join(languages)}" if languages else ""
    problem = f" ({transcript.problem})" if transcript.problem else ""
    return f"{transcript.recording.path.name}: {said}{problem}"


def _check_settings(settings: TranscriptionSettings, there: TranscriptionSettings, folder: Path) -> None:
    """Recordings that are transcribed in other ways must not mix with those that are there."""
    if there != settings:
        raise TranscriptionError(
            f"{folder} has an unfinished transcription by other settings in it: finish that one, or remove "
            f"{folder / UNFINISHED}"
        )

"""``speechcue analyse``: from one recording to a table of its turns, with text, voice and emotions."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechcue_hf.commands.recognition_options import (
    add_recognition,
    add_turn_table,
    load_recognition,
    recognition_settings,
)
from speechcue_hf.commands.recognizer_options import add_recognizer_arguments, given_labels, load_recognizer
from speechcue_hf.commands.served_options import runs_elsewhere
from speechcue_hf.errors import TranscriptionError
from speechcue_hf.tables import check_table, write_table

if TYPE_CHECKING:
    from speechcue_hf.transcription.transcribe import Transcript

EXAMPLES = """examples:
  speechcue analyse call.wav --model user/adapter -o call.csv
  speechcue analyse podcast.mp3 -o podcast.xlsx
  speechcue analyse call.wav --turns call.rttm --model runs/cues --recognizer openai/whisper-small --language en
  speechcue analyse call.wav --describer runs/cues -o call.jsonl
  speechcue analyse call.wav --server http://localhost:8000/v1 --model Qwen/Qwen3-8B --labels meld -o call.csv

Turns and text are found as `speechcue transcribe` does, or taken from a table of turns. Without a model there are no
emotions. Without a describer turns are compared with one another; a model brings the one of its training.
Any chat model is asked as by `speechcue predict`, here or on a server: --labels tell it the emotions.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("recording", type=Path, help="an audio or video file")
    parser.add_argument("--model", metavar="DIR_OR_ID", help="trained model of any kind that `speechcue predict` takes")
    parser.add_argument("--revision", help="branch, tag or commit of the model on the Hub")
    add_recognizer_arguments(parser)
    add_recognition(parser, "--recognizer")
    add_turn_table(parser)
    parser.add_argument("-o", "--output", type=Path, help="write the table there: .csv, .xlsx, .jsonl or .parquet")


def run(arguments: argparse.Namespace) -> None:
    """Find or read the turns, analyse them, print them, and write the table where asked to."""
    from speechcue_hf.cues.describe import SpeechDescriber
    from speechcue_hf.inference.recordings import analyse_turns

    if not arguments.recording.is_file():
        raise FileNotFoundError(
            f"{arguments.recording} is no file: give one recording (`speechcue transcribe` takes folders of them)"
        )
    if arguments.output is not None:
        check_table(arguments.output)
    if arguments.model is None and (arguments.labels is not None or runs_elsewhere(arguments)):
        raise ValueError("--model is missing: the chat model that is to tell the emotions apart")
    labels = given_labels(arguments)
    transcript = _transcribed(arguments)
    if not transcript.turns:
        raise TranscriptionError(f"{arguments.recording.name}: {transcript.problem}")
    recognizer = describer = None
    if arguments.model is not None:
        # A trained model has a describer of its own, or reads none, and then turns are described beside it.
        own = {} if labels else {"describer": None}
        recognizer = load_recognizer(argparse.Namespace(**{**vars(arguments), **own}))
    if arguments.describer is not None:
        describer = SpeechDescriber.from_pretrained(arguments.describer)
    rows = analyse_turns(arguments.recording, transcript.turns, recognizer=recognizer, describer=describer)
    print(*lines(rows), sep="\n")
    if transcript.problem:
        print(f"Not all of it could be heard: {transcript.problem}")
    if arguments.output is not None:
        write_table(rows, arguments.output)
        print(f"{len(rows)} turns written to {arguments.output}")


def _transcribed(arguments: argparse.Namespace) -> Transcript:
    """The turns of the recording, found or given, with their texts."""
    from speechcue_hf.transcription.given_turns import turns_for
    from speechcue_hf.transcription.transcribe import Recording, Transcript, transcribe

    recording = Recording(arguments.recording.stem, arguments.recording)
    given = None if arguments.turns is None else turns_for(arguments.recording, arguments.turns)
    lacking = None if given is None else [turn for turn in given if not turn.text]
    if given is not None and not lacking:
        return Transcript(recording, given, [])
    settings = recognition_settings(arguments, turns_given=arguments.turns is not None)
    recognizer, diariser = load_recognition(arguments, settings)
    asked = [recording._replace(turns=lacking)]
    (heard,) = transcribe(asked, recognizer, settings, diariser=diariser, batch_size=arguments.batch_size)
    if given is None:
        return heard
    found = iter(heard.turns)
    return heard._replace(turns=[turn if turn.text else next(found) for turn in given])


def lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Turns in lines for people: when, who, which emotion and what, and below that how it sounds."""
    wide = max(len(row["speaker"] or "") for row in rows)
    shown = []
    for row in rows:
        emotion = ""
        if "emotion" in row:
            likely = "" if row["probabilities"] is None else f" {max(row['probabilities'].values()):.2f}"
            emotion = f"{row['emotion'] or 'none'}{likely}  "
        times = f"{_clock(row['start'])}–{_clock(row['end'])}"
        note = f"   [{row['note']}]" if row["note"] else ""
        shown.append(
            f"{times}  {row['speaker'] or '':<{wide}}{'  ' if wide else ''}{emotion}{row['text']}{note}".rstrip()
        )
        shown += [f"    {row['description']}"] if row["description"] else []
    return shown


def _clock(seconds: float) -> str:
    """A time as minutes and seconds.

    Example:
        >>> _clock(75.25)
        '1:15.2'
    """
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"

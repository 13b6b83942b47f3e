"""``speechcue plot``: draw a clip or a dialogue with its cues."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset

    from speechcue_hf.cues.describe import SpeechDescriber

EXAMPLES = """examples:
  speechcue plot clip.wav -o clip.png
  speechcue plot clip.wav --describer data/described -o clip.png
  speechcue plot data/demo --describer data/described --dialogue party -o dialogue.png
  speechcue plot clip.wav --describer data/described -o clip.svg
  speechcue plot data/described --utterance party_03 -o turn.png      # no audio: levels and words only
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("source", type=Path, metavar="CLIP_OR_FOLDER", help="an audio file, or a dataset folder")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--dialogue", metavar="ID", help="dialogue_id of the folder to draw")
    chosen.add_argument("--utterance", metavar="ID", help="utterance_id of the folder to draw")
    parser.add_argument("--describer", metavar="DIR_OR_ID", help="measure anew and put in words with this describer")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the picture to write, .png or .svg")


def run(arguments: argparse.Namespace) -> None:
    """Draw and say what was drawn."""
    from speechcue_hf.cues.analysis import clip_curves
    from speechcue_hf.cues.describe import SpeechDescriber
    from speechcue_hf.cues.plots import Turn, plot_turns

    describer = SpeechDescriber.from_pretrained(arguments.describer) if arguments.describer else None
    if arguments.source.is_dir():
        rows = _folder_rows(arguments.source, arguments.dialogue, arguments.utterance, describer)
        title = arguments.dialogue or arguments.utterance
    else:
        if arguments.dialogue or arguments.utterance:
            raise ValueError(
                f"{arguments.source} is no dataset folder: leave --dialogue and --utterance out for a clip"
            )
        described = describer.describe_clip(arguments.source) if describer else {}
        rows = [{"audio": {"path": str(arguments.source), "bytes": None}, **described}]
        title = arguments.source.name
    turns = [Turn(row, clip_curves(row["audio"]) if row.get("audio") else None) for row in rows]
    plot_turns(turns, arguments.output, title=title)
    print(f"{arguments.output} shows {len(rows)} turn{'s' if len(rows) > 1 else ''} of {title}.")


def _folder_rows(
    folder: Path, dialogue: str | None, utterance: str | None, describer: SpeechDescriber | None
) -> list[dict[str, Any]]:
    """The rows of a dialogue or of one utterance."""
    from speechcue_hf.corpora.parquet import read_dataset

    column, wanted = ("dialogue_id", dialogue) if dialogue else ("utterance_id", utterance)
    if wanted is None:
        raise ValueError(f"{folder} is a dataset folder: say which part of it with --dialogue ID or --utterance ID")
    for rows in read_dataset(folder).values():
        if column not in rows.column_names:
            raise ValueError(f"{folder} has no column {column}, it was not made by `speechcue prepare`")
        dialogues = rows["dialogue_id"][:]
        dialogue_of = dict(zip(rows[column][:], dialogues, strict=True))
        if wanted in dialogue_of:
            # A turn is described with the turns before it, so all of its dialogue is.
            places = [place for place, name in enumerate(dialogues) if name == dialogue_of[wanted]]
            return [row for row in _described(rows.select(places), describer) if row[column] == wanted]
    raise ValueError(f"{folder} has no row with {column} {wanted!r}")


def _described(rows: Dataset, describer: SpeechDescriber | None) -> Dataset:
    from speechcue_hf.cues.describe import describe_rows
    from speechcue_hf.cues.measure import measure_dataset

    if describer is None:
        return rows
    measured = measure_dataset(rows, describer.measurement_settings()) if "audio" in rows.column_names else rows
    return describe_rows(measured, describer)

"""``speechcue predict``: the emotions of clips and conversations, by a trained model or by any chat model."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechcue_hf.commands.arguments import add_model, add_part, part_of
from speechcue_hf.commands.recognizer_options import add_recognizer_arguments, load_recognizer
from speechcue_hf.tables import check_table, write_table

if TYPE_CHECKING:
    from speechcue_hf.inference.recognizer import RecognizedEmotion

EXAMPLES = """examples:
  speechcue predict clip.wav --text "I got the job!" --model user/adapter
  speechcue predict call.wav --start 12.5 --end 15.2 --channel left --model user/adapter
  speechcue predict conversations/ --model user/adapter -o predictions.csv
  speechcue predict conversations/ --model runs/cues --revision 1f3c0ab
  speechcue predict conversations/ --model Qwen/Qwen3-0.6B --labels happy sad neutral angry
  speechcue predict conversations/ --server http://localhost:8000/v1 --model Qwen/Qwen3-8B --labels meld

A folder of conversations has a metadata.csv with a row for each utterance: file_name, dialogue_id, speaker, text (see
`speechcue prepare folder`). Clips are measured, described and asked about as those that the model was trained on. A
model that was trained on biographies needs them in a column biography, made like those of its training.

A chat model that was not trained here is told the labels: words, or a corpus whose labels they are. What the voice is
compared with is a describer (--describer), or, without one, the conversation itself, its later turns included.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("conversations", type=Path, help="a clip, or a folder of conversations")
    add_model(parser, "trained model, or any chat model with --labels; with --server its name there")
    parser.add_argument("--text", help="what is said in the clip")
    add_part(parser)
    add_recognizer_arguments(parser)
    parser.add_argument("-o", "--output", type=Path, help="write a table there, with probabilities and descriptions")


def run(arguments: argparse.Namespace) -> None:
    """Predict, print a table, and write it where asked to."""
    if arguments.output is not None:
        check_table(arguments.output)
    conversations: Any = arguments.conversations
    if part := part_of(arguments):
        if conversations.is_dir():
            raise ValueError(f"{conversations} is a folder: its metadata has the start, end and channel of each turn")
        conversations = {"path": str(conversations), **part}
    recognized = load_recognizer(arguments)(conversations, text=arguments.text)
    print(*table(recognized), sep="\n")
    if arguments.output is not None:
        write_table([found.to_dict() for found in recognized], arguments.output)
        print(f"{len(recognized)} predictions written to {arguments.output}")


def table(recognized: Sequence[RecognizedEmotion]) -> list[str]:
    """Predictions in lines for people, conversation by conversation."""
    wide = max(len(found.emotion or "none") for found in recognized)
    speakers = max(len(found.speaker or "") for found in recognized)
    lines: list[str] = []
    dialogue = None
    for found in recognized:
        lines += [] if found.dialogue_id == dialogue else [found.dialogue_id]
        dialogue = found.dialogue_id
        likely = "    " if found.probabilities is None else f"{max(found.probabilities.values()):.2f}"
        note = f"   [{found.note}]" if found.note else ""
        line = f"  {found.emotion or 'none':<{wide}}  {likely}  {found.speaker or '':<{speakers}}  {found.text}{note}"
        lines.append(line.rstrip())
    return lines

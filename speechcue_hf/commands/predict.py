"""``speechcue predict``: the emotions of clips and conversations, by a trained model or by any chat model."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechcue_hf.commands.arguments import add_list, add_model, add_part, part_of
from speechcue_hf.commands.served_options import add_served_arguments, runs_elsewhere, served_classifier
from speechcue_hf.errors import EvaluationError
from speechcue_hf.records import ANSWER_STORE_FILE
from speechcue_hf.tables import check_table, write_table

if TYPE_CHECKING:
    from speechcue_hf.inference.recognizer import EmotionRecognizer, RecognizedEmotion

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
    parser.add_argument("--sharing", choices=("prefix", "none"), default="prefix", help="run common beginnings once")
    add_list(parser, "--labels", metavar="WORD", help="emotions for a model that was not trained: words, or a corpus")
    parser.add_argument("--describer", metavar="DIR_OR_ID", help="puts voices in words for such a model")
    parser.add_argument("--prompt", help="of such a model: preset, prompt file or settings (default: speechcue)")
    parser.add_argument(
        "--normalisation",
        choices=("sum", "mean", "contextual"),
        default="sum",
        help="over the tokens of a label; contextual divides by what a chat model says to a blank prompt",
    )
    add_served_arguments(parser)
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
    recognized = _recognizer(arguments)(conversations, text=arguments.text)
    print(*table(recognized), sep="\n")
    if arguments.output is not None:
        write_table([found.to_dict() for found in recognized], arguments.output)
        print(f"{len(recognized)} predictions written to {arguments.output}")


def _recognizer(arguments: argparse.Namespace) -> EmotionRecognizer:
    """What the command line names: a model of this machine or the Hub, or one that runs elsewhere."""
    from speechcue_hf.cues.describe import SpeechDescriber
    from speechcue_hf.inference.recognizer import EmotionRecognizer
    from speechcue_hf.inference.settings import InferenceSettings

    elsewhere = runs_elsewhere(arguments)
    settings = InferenceSettings(
        sharing=arguments.sharing,
        normalisation=arguments.normalisation,
        decode=arguments.decode or "score",
        matching=arguments.matching or "strict",
    )
    describer = SpeechDescriber.from_pretrained(arguments.describer) if arguments.describer else None
    names = None if arguments.labels is None else label_names(arguments.labels)
    if not elsewhere:
        return EmotionRecognizer.from_pretrained(
            arguments.model,
            revision=arguments.revision,
            settings=settings,
            names=names,
            prompt=arguments.prompt,
            describer=describer,
        )
    if names is None:
        raise EvaluationError("--labels is missing: the emotions that the model is to tell apart, or a corpus's name")
    store = None if arguments.output is None else arguments.output.with_suffix(f".{ANSWER_STORE_FILE}")
    return EmotionRecognizer(served_classifier(arguments, names, store=store, settings=settings), None, describer)


def label_names(words: Sequence[str]) -> list[str]:
    """The words, or the emotions of the corpus that the only word names (``iemocap/ser-4``: of a config of it).

    Raises:
        EvaluationError: If there are fewer than two emotions.

    Example:
        >>> label_names(["calm", "tense"]), label_names(["meld"])[:2]
        (['calm', 'tense'], ['neutral', 'surprise'])
    """
    from datasets import load_dataset_builder

    from speechcue_hf.corpora.catalogue import NAMESPACE, corpora

    corpus, _, config = words[0].partition("/")
    found = list(words)
    if len(words) == 1 and corpus in corpora():
        features = load_dataset_builder(NAMESPACE + corpus, config or None).info.features or {}
        found = list(getattr(features.get("emotion"), "names", ()))
    if len(set(found)) < 2:
        raise EvaluationError(f"--labels {' '.join(words)} names fewer than two emotions, and no corpus that has some")
    return found


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

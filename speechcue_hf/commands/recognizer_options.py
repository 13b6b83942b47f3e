"""Options of every command that tells emotions of recordings: which model, wherever it runs, and how it is asked."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from speechcue_hf.commands.arguments import add_list
from speechcue_hf.commands.served_options import add_served_arguments, runs_elsewhere, served_classifier
from speechcue_hf.errors import EvaluationError
from speechcue_hf.records import ANSWER_STORE_FILE

if TYPE_CHECKING:
    from speechcue_hf.inference.recognizer import EmotionRecognizer


def add_recognizer_arguments(parser: argparse.ArgumentParser, *, several_describers: bool = False) -> None:
    """Declare the options of :func:`load_recognizer`, beside the model and the output.

    Args:
        parser: Of the command.
        several_describers: Whether ``--describer`` takes several, for people to choose from.
    """
    parser.add_argument("--sharing", choices=("prefix", "none"), default="prefix", help="run common beginnings once")
    add_list(parser, "--labels", metavar="WORD", help="emotions for a model that was not trained: words, or a corpus")
    several: dict[str, Any] = {"nargs": "+", "action": "extend", "default": []} if several_describers else {}
    parser.add_argument(
        "--describer", metavar="DIR_OR_ID", help="puts voices in words where the model brings no describer", **several
    )
    parser.add_argument("--prompt", help="of such a model: preset, prompt file or settings (default: speechcue)")
    parser.add_argument(
        "--normalisation",
        choices=("sum", "mean", "contextual"),
        default="sum",
        help="over the tokens of a label; contextual divides by what a chat model says to a blank prompt",
    )
    add_served_arguments(parser)


def load_recognizer(arguments: argparse.Namespace) -> EmotionRecognizer:
    """What the command line names: a model of this machine or the Hub, or one that runs elsewhere.

    Raises:
        EvaluationError: If a model that was not trained here is told no labels, or one that was is told some.
        GenerationError: If no server can be asked so.
    """
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
    names = given_labels(arguments)
    if not elsewhere:
        return EmotionRecognizer.from_pretrained(
            arguments.model,
            revision=arguments.revision,
            settings=settings,
            names=names,
            prompt=arguments.prompt,
            describer=describer,
        )
    store = None if arguments.output is None else arguments.output.with_suffix(f".{ANSWER_STORE_FILE}")
    return EmotionRecognizer(served_classifier(arguments, names or (), store=store, settings=settings), None, describer)


def given_labels(arguments: argparse.Namespace) -> list[str] | None:
    """The emotions that the command line names; None where the model is to know them.

    Raises:
        EvaluationError: If the model runs elsewhere, where nothing says them, and there are none.
    """
    if arguments.labels is not None:
        return label_names(arguments.labels)
    if runs_elsewhere(arguments):
        raise EvaluationError("--labels is missing: the emotions that the model is to tell apart, or a corpus's name")
    return None


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

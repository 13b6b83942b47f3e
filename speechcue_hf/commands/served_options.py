"""Command-line options that choose a chat model which runs elsewhere, for every command that asks for emotions."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechcue_hf.commands.generator_options import (
    add_place_arguments,
    add_rate_arguments,
    asks_server,
    print_time_and_price,
    server_options,
)
from speechcue_hf.errors import EvaluationError
from speechcue_hf.models.base import HUB_ID, base_model_name
from speechcue_hf.records import ANSWER_STORE_FILE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from speechcue_hf.generation.estimate import RequestEstimate
    from speechcue_hf.inference.label_sources import LabelSource
    from speechcue_hf.inference.served import ServedClassifier

logger = logging.getLogger(__name__)


def add_served_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of :func:`served_classifier`."""
    add_place_arguments(parser, max_new_tokens=32)
    parser.add_argument(
        "--tokenizer",
        metavar="DIR_OR_ID",
        help="tokenizer of the model on the server, by which each label is scored (default: that of --model, if it is "
        "a Hub id or a folder)",
    )
    parser.add_argument(
        "--decode",
        choices=("score", "first-token", "constrained", "generate"),
        help="how answers are read (default: score; of a server the best it knows)",
    )
    parser.add_argument("--matching", choices=("strict", "instructerc"), help="from a written text to a label")
    parser.add_argument(
        "--store",
        type=Path,
        help=f"where a server's answers go at once (default: {ANSWER_STORE_FILE} in or beside the output)",
    )
    add_rate_arguments(parser)


def runs_elsewhere(arguments: argparse.Namespace) -> bool:
    """Whether another than this process's own transformers model is asked; ValueError if options contradict."""
    elsewhere = asks_server(arguments) or bool(arguments.vllm)
    if not elsewhere and arguments.decode in ("first-token", "constrained"):
        raise ValueError(f"--decode {arguments.decode} is a way of asking servers: name one with --server")
    if arguments.vllm and arguments.decode not in (None, "score"):
        raise ValueError("vLLM in this process scores every label: leave --decode out, or ask a vLLM server")
    return elsewhere


def served_classifier(
    arguments: argparse.Namespace, names: Sequence[str], *, store: Path | None = None, **options: Any
) -> ServedClassifier:
    """Make the classifier that the command line asks for.

    Args:
        arguments: As parsed.
        names: Names of the emotions, in the order of their class ids.
        store: Where answers are kept unless the command line says otherwise.
        **options: Of :class:`speechcue_hf.inference.served.ServedClassifier`.

    Raises:
        GenerationError: If no server can be asked so.
        EvaluationError: If what is asked for needs a tokenizer, and there is none.
    """
    from speechcue_hf.inference.served import ServedClassifier
    from speechcue_hf.prompts.specification import load_prompt

    if arguments.model is None:
        raise EvaluationError("--model is missing: the name of the model on the server.")
    prompt = load_prompt(arguments.prompt or "speechcue")
    return ServedClassifier(
        _source(arguments, prompt.words(names)),
        prompt,
        tuple(names),
        store=arguments.store or store,
        announce=lambda estimate: print_estimate(estimate, arguments),
        **options,
    )


def print_estimate(estimate: RequestEstimate, arguments: argparse.Namespace) -> None:
    """Print what is about to be asked."""
    print(
        f"{estimate.requests:,} requests, {estimate.missing:,} of them to make: {estimate.prompt_tokens:,} tokens of "
        f"prompts, at most {estimate.completion_tokens:,} written."
    )
    print("  Where a server scores each label, a prompt is sent once for each; its beginning is the same.")
    print_time_and_price(estimate, arguments)


def _source(arguments: argparse.Namespace, words: Sequence[str]) -> LabelSource:
    from speechcue_hf.generation.client import ServerClient
    from speechcue_hf.generation.request import GenerationSettings
    from speechcue_hf.inference.label_sources import ServerLabels, VllmLabels

    if arguments.vllm:
        from speechcue_hf.models.loading import hub_commit

        commit = hub_commit(arguments.model, arguments.revision)
        name = base_model_name(arguments.model)
        return VllmLabels(arguments.model, words, name=name, revision=commit, gpus=arguments.gpus)
    return ServerLabels(
        ServerClient(arguments.model, **server_options(arguments)),
        words,
        tokenizer=_tokenizer(arguments),
        decode=arguments.decode,
        decoding=GenerationSettings(max_new_tokens=arguments.max_new_tokens),
        matching=arguments.matching or "strict",
    )


def _tokenizer(arguments: argparse.Namespace) -> PreTrainedTokenizerBase | None:
    """The one that is named, or the model's own where it can be found; it is of use only where labels are scored."""
    from speechcue_hf.models.loading import load_tokenizer

    if arguments.tokenizer is not None:
        return load_tokenizer(arguments.tokenizer)
    if not (Path(arguments.model).is_dir() or HUB_ID.fullmatch(arguments.model)):
        return None
    try:
        return load_tokenizer(arguments.model)
    except OSError:
        logger.warning(
            "There is no tokenizer of %s to be had, so labels are not scored token by token.", arguments.model
        )
        return None

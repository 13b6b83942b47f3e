"""Command-line options that choose who writes, for every command that has texts written."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from speechcue_hf.errors import GenerationError
from speechcue_hf.generation.request import GenerationSettings
from speechcue_hf.models.base import TINY_MODEL, base_model_name

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from speechcue_hf.generation.estimate import RequestEstimate
    from speechcue_hf.generation.request import TextGenerator


def add_generator_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of :func:`load_generator`."""
    parser.add_argument(
        "--model", help="who writes: a chat model's Hub id or folder, `tiny`, or its name on the server"
    )
    add_place_arguments(parser)
    parser.add_argument("--revision", help="branch, tag or commit of the model on the Hub; its commit is recorded")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 takes the likeliest token (default)")
    parser.add_argument("--seed", type=int, default=0, help="of samples, with a temperature above 0 (default: 0)")
    parser.add_argument("--batch-size", type=int, default=8, help="texts at a time, in this process (default: 8)")


def add_place_arguments(parser: argparse.ArgumentParser, max_new_tokens: int = 300) -> None:
    """Declare where else than in this process a chat model is asked, and how."""
    parser.add_argument(
        "--vllm", action="store_true", help="run the model with vLLM (pip install 'speechcue_hf[vllm]')"
    )
    parser.add_argument("--gpus", type=int, default=1, help="with --vllm: GPUs that share the model (default: 1)")
    parser.add_argument("--server", metavar="URL", help="ask an OpenAI-compatible server: http://localhost:8000/v1")
    parser.add_argument("--provider", help="ask one of Hugging Face's Inference Providers; `auto` lets it choose")
    parser.add_argument(
        "--token-from", metavar="VARIABLE", help="environment variable with the server's token (default: none is sent)"
    )
    parser.add_argument(
        "--request-fields",
        type=_table,
        metavar="JSON",
        help='further fields of each request to a server, null leaves one out: \'{"reasoning_effort": "none"}\', '
        '\'{"max_tokens": null, "max_completion_tokens": 300}\'',
    )
    parser.add_argument(
        "--max-new-tokens", type=int, default=max_new_tokens, help="of each text (default: %(default)s)"
    )
    parser.add_argument("--concurrency", type=int, default=16, help="requests in flight, to a server (default: 16)")


def add_rate_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what an estimate is made with; see :func:`print_time_and_price`."""
    parser.add_argument("--tokens-per-second", type=float, help="for the estimate: tokens written, all together")
    parser.add_argument(
        "--price", type=float, nargs=2, metavar=("PROMPT", "WRITTEN"), help="for the estimate: of a million tokens"
    )


def print_time_and_price(estimate: RequestEstimate, arguments: argparse.Namespace) -> None:
    """Print how long requests take at most, and for what price."""
    if arguments.tokens_per_second is not None:
        hours = estimate.hours(arguments.tokens_per_second)
        print(f"  At {arguments.tokens_per_second:g} tokens written per second: at most {hours:.2f} hours.")
    if arguments.price is not None:
        prompt, written = arguments.price
        price = estimate.price(prompt, written)
        print(f"  At {prompt:g} and {written:g} for a million tokens read and written: at most {price:.2f}.")
    if arguments.tokens_per_second is None and arguments.price is None:
        print("  Give --tokens-per-second and --price to know hours and price.")


def load_generator(
    arguments: argparse.Namespace, texts: Iterable[str]
) -> tuple[TextGenerator, PreTrainedTokenizerBase | None]:
    """Make the generator that the command line asks for; a tiny model's tokenizer is trained on the texts.

    Returns:
        The generator, and its tokenizer if it writes in this process.

    Raises:
        ValueError: If no model is named, or two kinds of generator are.
        GenerationError: If the model is gated and there is no token for it, or the generator cannot be made.
        OSError: If there is no model of that name.
    """
    if arguments.model is None:
        raise ValueError("--model is missing: who is to write")
    elsewhere = asks_server(arguments)
    decoding = GenerationSettings(
        max_new_tokens=arguments.max_new_tokens, temperature=arguments.temperature, seed=arguments.seed
    )
    if elsewhere:
        return _server_generator(arguments, decoding), None
    with _gate_explained(arguments.model):
        return _own_generator(arguments, decoding, texts)


def asks_server(arguments: argparse.Namespace) -> bool:
    """Whether a server or a provider is to be asked; ValueError if options contradict each other."""
    asks = arguments.server is not None or arguments.provider is not None
    if sum([arguments.vllm, arguments.server is not None, arguments.provider is not None]) > 1:
        raise ValueError("--vllm, --server and --provider exclude each other: take one")
    if asks and arguments.revision is not None:
        raise ValueError("--revision cannot be asked of a server: it has the model that it was started with")
    if not asks and arguments.request_fields is not None:
        raise ValueError("--request-fields are what a server is asked with: name it with --server or --provider")
    return asks


def load_generator_tokenizer(arguments: argparse.Namespace) -> PreTrainedTokenizerBase | None:
    """The tokenizer of the model that is to write, for counting; None where only the server has it, and for `tiny`."""
    from speechcue_hf.models.loading import load_tokenizer

    if arguments.server is not None or arguments.provider is not None or arguments.model in (None, TINY_MODEL):
        return None
    with _gate_explained(arguments.model):
        return load_tokenizer(arguments.model, arguments.revision)


def _server_generator(arguments: argparse.Namespace, decoding: GenerationSettings) -> TextGenerator:
    from speechcue_hf.generation.server import ServerGenerator

    return ServerGenerator(arguments.model, decoding=decoding, **server_options(arguments))


def server_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Arguments of :class:`speechcue_hf.generation.client.ServerClient`, beside the model, as a command line says them.

    Raises:
        GenerationError: If the variable that is to hold the token is not set.
    """
    variable = arguments.token_from
    if variable is not None and variable not in os.environ:
        raise GenerationError(f"the environment variable {variable}, which --token-from names, is not set")
    return {
        "base_url": arguments.server,
        "provider": None if arguments.provider == "auto" else arguments.provider,
        "token": None if variable is None else os.environ[variable],
        "fields": arguments.request_fields,
        "concurrency": arguments.concurrency,
    }


def _own_generator(
    arguments: argparse.Namespace, decoding: GenerationSettings, texts: Iterable[str]
) -> tuple[TextGenerator, PreTrainedTokenizerBase | None]:
    """A generator on this machine; a model of the Hub by its commit, so that a branch that moves on is noticed."""
    from speechcue_hf.generation.local import LocalGenerator
    from speechcue_hf.generation.offline_vllm import VllmGenerator
    from speechcue_hf.models.loading import hub_commit, load_model
    from speechcue_hf.models.tiny import build_tiny_model

    name, tiny = arguments.model, arguments.model == TINY_MODEL
    commit = None if tiny else hub_commit(name, arguments.revision)
    options: dict[str, Any] = {"name": base_model_name(name), "revision": commit, "decoding": decoding}
    if arguments.vllm:
        return VllmGenerator(name, gpus=arguments.gpus, **options), None
    model, tokenizer = build_tiny_model(texts) if tiny else load_model(name, commit)
    return LocalGenerator(model, tokenizer, batch_size=arguments.batch_size, **options), tokenizer


def _table(text: str) -> dict[str, Any]:
    """A table in JSON; argparse says what is wrong with any other text."""
    try:
        values = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be JSON ({error}), got {text!r}") from error
    if not isinstance(values, dict):
        raise argparse.ArgumentTypeError(f"must be a table in JSON, such as '{{\"seed\": 1}}', got {text!r}")
    return values


@contextmanager
def _gate_explained(name: str) -> Iterator[None]:
    """Say what to do about a gated model; transformers wraps the Hub's own error."""
    from huggingface_hub.errors import GatedRepoError

    try:
        yield
    except OSError as error:
        if not any(isinstance(cause, GatedRepoError) for cause in (error, error.__cause__)):
            raise
        raise GenerationError(
            f"{name} is gated, and this machine has no token that may read it: accept its terms on "
            f"https://huggingface.co/{name}, then log in with `hf auth login` or set HF_TOKEN"
        ) from error

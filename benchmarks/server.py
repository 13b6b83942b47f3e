"""A model behind a server against the same weights in this process: predictions, probabilities, requests, tokens.

    transformers serve /models/smollm2-135m-instruct --port 8765 --device cpu --dtype float32 &
    OMP_NUM_THREADS=1 SPEECHCUE_CORPORA=/data SPEECHCUE_MODELS=/models python benchmarks/server.py

Prompts are those of some dialogues of MELD's test split, at even distances, with the text alone; ``SPEECHCUE_CORPORA``
names the folder that holds ``meld/``, ``SPEECHCUE_MODELS`` the one with ``smollm2-135m-instruct``. ``transformers
serve`` tells no log-probabilities and constrains nothing, so it is read by free text; what it writes is compared with
what the model writes here. Scoring each label over HTTP is compared on a server of the tests that computes with the
same weights by whole forward passes. What it printed stands in ``server.md``.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, disable_progress_bars, load_dataset
from figures import recorded
from scoring import spread_dialogues

import speechcue_hf  # noqa: F401 - lets datasets know the corpora
from speechcue_hf.generation.client import ServerClient
from speechcue_hf.generation.request import GenerationSettings
from speechcue_hf.inference.answers import generate_answers, match_outputs
from speechcue_hf.inference.chat import ChatClassifier
from speechcue_hf.inference.classifier import Prediction
from speechcue_hf.inference.label_sources import ServerLabels
from speechcue_hf.inference.questions import ask_about
from speechcue_hf.inference.served import ServedClassifier
from speechcue_hf.inference.settings import InferenceSettings
from speechcue_hf.metrics.scores import weighted_f1
from speechcue_hf.models.loading import load_model
from speechcue_hf.prompts.specification import load_prompt

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.inference.label_server import serving

PROMPTS = {
    "zero-shot": {"extends": "speechcue_text", "question": "zero_shot"},
    "few-shot, 2 shown": {"extends": "speechcue_text", "history": 2, "demonstrations": 2},
}


def main() -> None:
    """Print what both say, and what it took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--server", default="http://localhost:8765/v1", help="address of `transformers serve`")
    parser.add_argument("--dialogues", type=int, default=3, help="test dialogues")
    parser.add_argument("--scored", type=int, default=8, help="utterances whose labels are scored over HTTP")
    parser.add_argument("--new-tokens", type=int, default=6, help="of a written answer")
    arguments = parser.parse_args()
    disable_progress_bars()
    print(f"torch threads: {torch.get_num_threads()}, load average: {os.getloadavg()[0]:.1f}")
    folder = Path(os.environ["SPEECHCUE_MODELS"]) / "smollm2-135m-instruct"
    corpus = load_dataset("speechcue/meld", data_dir=str(Path(os.environ["SPEECHCUE_CORPORA"]) / "meld"), verify=False)
    rows = spread_dialogues(corpus["test"], arguments.dialogues)
    model, tokenizer = load_model(folder)
    names = tuple(rows.features["emotion"].names)
    print(f"{len(rows)} utterances of {arguments.dialogues} dialogues of MELD's test split")
    for name, settings in PROMPTS.items():
        print(f"\n{name}")
        here = ChatClassifier(model, tokenizer, load_prompt(settings), names, train=corpus["train"])
        compare_written(here, rows, str(folder), arguments)
    here = ChatClassifier(model, tokenizer, load_prompt("speechcue_text"), names)
    compare_scored(here, rows, arguments.scored)


def compare_written(here: ChatClassifier, rows: Dataset, model: str, arguments: argparse.Namespace) -> None:
    """What the server writes against what the model writes here, and what labels score here."""
    asked = served(here, arguments.server, model, arguments.new_tokens)
    started = time.perf_counter()
    answers = asked.predict(rows)
    seconds = time.perf_counter() - started
    prompts = ask_about(rows, here.prompt, train=here.train).prompts
    started = time.perf_counter()
    written = generate_answers(here.model, here.tokenizer, prompts, here.words, new_tokens=arguments.new_tokens)
    own_seconds = time.perf_counter() - started
    labels = match_outputs(written, here.words, "strict")
    alike = np.mean([one.output == other for one, other in zip(answers, written, strict=True)])
    same = np.mean([one.label == other for one, other in zip(answers, labels, strict=True)])
    server = asked.protocol["server"]
    print(f"  read by {asked.protocol['decode']}; {server['adapted'] or 'nothing'} left out")
    rate, tokens = len(rows) / seconds, server["prompt_tokens"]
    print(f"  server: {rate:.2f} requests/s, {tokens:,} tokens read; here {own_seconds:.0f} s")
    print(f"  same text as here {100 * alike:.1f} %, same label or none {100 * same:.1f} %")
    print(f"  written: {score(rows, [it.label for it in answers])}, invalid {100 * invalid(answers):.1f} %")
    for normalisation in ("sum", "contextual"):
        settings = InferenceSettings(normalisation=normalisation)
        scored = ChatClassifier(
            here.model, here.tokenizer, here.prompt, here.names, train=here.train, settings=settings
        )
        print(f"  scored here, {normalisation}: {score(rows, [it.label for it in scored.predict(rows)])}")


def compare_scored(here: ChatClassifier, rows: Dataset, count: int) -> None:
    """Labels scored over HTTP against scoring in this process."""
    wanted = list(range(0, len(rows), max(1, len(rows) // count)))[:count]
    expected = here.predict(rows, wanted)
    with serving(here.model, here.tokenizer, ["prompt_logprobs"]) as server:
        client = ServerClient("smollm2", base_url=server.base_url, concurrency=1)
        labels = ServerLabels(client, here.words, tokenizer=here.tokenizer)
        asked = ServedClassifier(labels, here.prompt, here.names)
        started = time.perf_counter()
        found = asked.predict(rows, wanted)
        seconds = time.perf_counter() - started
    pairs = [np.subtract(one.probabilities, other.probabilities) for one, other in zip(found, expected, strict=True)]
    same = np.mean([one.label == other.label for one, other in zip(found, expected, strict=True)])
    print(f"\n{count} utterances with each label scored over HTTP (whole forward passes, nothing shared)")
    print(f"  same label {100 * same:.1f} %, largest difference of a probability {np.abs(pairs).max():.1e}")
    print(f"  {count / seconds:.2f} requests/s, {asked.protocol['server']['prompt_tokens']:,} tokens read")


def served(here: ChatClassifier, server: str, model: str, new_tokens: int) -> ServedClassifier:
    """The same questions to a server."""
    client = ServerClient(model, base_url=server, concurrency=4)
    labels = ServerLabels(client, here.words, decoding=GenerationSettings(max_new_tokens=new_tokens))
    return ServedClassifier(labels, here.prompt, here.names, train=here.train)


def score(rows: Dataset, labels: Sequence[Any]) -> str:
    """Weighted F1 in words."""
    return f"weighted F1 {100 * weighted_f1(rows['emotion'][:], list(labels)):.2f}"


def invalid(predictions: Sequence[Prediction]) -> float:
    """Share of answers that are no label."""
    return float(np.mean([prediction.label is None for prediction in predictions]))


if __name__ == "__main__":
    with recorded("server"):
        main()

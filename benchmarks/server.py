"""A model behind servers against the same weights in this process: predictions, probabilities, requests, tokens.

    transformers serve /models/smollm2-135m-instruct --port 8765 --device cpu --dtype float32 &
    vllm serve /models/smollm2-135m-instruct --served-model-name smollm2 --port 8766 --dtype float32 &
    export SPEECHCUE_CORPORA=/data SPEECHCUE_MODELS=/models OMP_NUM_THREADS=1
    python benchmarks/server.py --server http://localhost:8766/v1 smollm2

Prompts are those of some dialogues of MELD's test split, at even distances, with the text alone; ``SPEECHCUE_CORPORA``
names the folder that holds ``meld/``, ``SPEECHCUE_MODELS`` the one with ``smollm2-135m-instruct``. Each server is read
in the best way that it knows, and what it says is compared with what the same weights say in this process: labels and
probabilities where it scores labels (vLLM), texts where it only writes (``transformers serve``). What was printed
stands in ``server.md``.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset, disable_progress_bars, load_dataset
from figures import recorded
from scoring import spread_dialogues

import speechcue_hf  # noqa: F401 - lets datasets know the corpora
from speechcue_hf.generation.client import ServerClient
from speechcue_hf.generation.request import GenerationSettings
from speechcue_hf.inference.answers import generate_answers
from speechcue_hf.inference.chat import ChatClassifier
from speechcue_hf.inference.classifier import Prediction
from speechcue_hf.inference.label_sources import ServerLabels
from speechcue_hf.inference.questions import ask_about
from speechcue_hf.inference.served import ServedClassifier
from speechcue_hf.inference.settings import InferenceSettings
from speechcue_hf.metrics.scores import weighted_f1
from speechcue_hf.models.loading import load_model
from speechcue_hf.prompts.specification import load_prompt

PROMPTS = {
    "zero-shot": {"extends": "speechcue_text", "question": "zero_shot"},
    "few-shot, 2 shown": {"extends": "speechcue_text", "history": 2, "demonstrations": 2},
}


def main() -> None:
    """Print what both say, and what it took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--server",
        nargs=2,
        action="append",
        required=True,
        metavar=("URL", "MODEL"),
        help="address of a server, and what it calls the model; may be given again",
    )
    parser.add_argument("--dialogues", type=int, default=25, help="test dialogues")
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
        scored = here.predict(rows)
        print(
            f"  scored here: {score(rows, scored)}; with contextual calibration: {score(rows, calibrated(here, rows))}"
        )
        for url, served in arguments.server:
            compare(here, rows, scored, ServerClient(served, base_url=url, concurrency=4), arguments.new_tokens)


def compare(
    here: ChatClassifier, rows: Dataset, scored: Sequence[Prediction], client: ServerClient, new_tokens: int
) -> None:
    """What a server says against what the model says here, and at what rate."""
    decoding = GenerationSettings(max_new_tokens=new_tokens)
    labels = ServerLabels(client, here.words, tokenizer=here.tokenizer, decoding=decoding)
    asked = ServedClassifier(labels, here.prompt, here.names, train=here.train)
    started = time.perf_counter()
    answers = asked.predict(rows)
    rate = len(rows) / (time.perf_counter() - started)
    decode, server = asked.protocol["decode"], asked.protocol["server"]
    print(f"  read by {decode}: {score(rows, answers)}, invalid {100 * invalid(answers):.1f} %")
    tokens = f"{server['prompt_tokens']:,} tokens read, {server.get('cached_tokens', 0):,} of them from its cache"
    print(f"    {rate:.2f} utterances/s, {tokens}")
    if decode == "generate":
        prompts = ask_about(rows, here.prompt, train=here.train).prompts
        written = generate_answers(here.model, here.tokenizer, prompts, here.words, new_tokens=new_tokens)
        print(f"    same text as here {100 * np.mean([it.output for it in answers] == np.array(written)):.1f} %")
        return
    same = np.mean([one.label == other.label for one, other in zip(answers, scored, strict=True)])
    print(f"    same label as scored here {100 * same:.1f} %")
    if decode == "score":
        pairs = zip(answers, scored, strict=True)
        apart = np.abs([np.subtract(it.probabilities, own.probabilities) for it, own in pairs])
        print(f"    probabilities apart by {np.median(apart):.1e} in the middle, {apart.max():.1e} at most")


def calibrated(here: ChatClassifier, rows: Dataset) -> list[Prediction]:
    """What the model says here, each label against what it is worth without content."""
    return replace(here, settings=InferenceSettings(normalisation="contextual")).predict(rows)


def score(rows: Dataset, predictions: Sequence[Prediction]) -> str:
    """Weighted F1 in words."""
    return f"weighted F1 {100 * weighted_f1(rows['emotion'][:], [it.label for it in predictions]):.2f}"


def invalid(predictions: Sequence[Prediction]) -> float:
    """Share of answers that are no label."""
    return float(np.mean([prediction.label is None for prediction in predictions]))


if __name__ == "__main__":
    with recorded("server"):
        main()

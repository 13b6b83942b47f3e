"""What writing biographies costs: each request by itself, in batches, and in batches with shared beginnings.

    OMP_NUM_THREADS=1 SPEECHCUE_CORPORA=/data python benchmarks/generation.py

The model has SmolLM2-135M's architecture and random parameters (it never stops by itself, so every text has all its
tokens), on the CPU in float32. Requests are those of BiosERC's prompt for dialogues of MELD's test split;
``SPEECHCUE_CORPORA`` names the folder that holds ``meld/``. Then a server that takes its time for each answer is asked
with one request in flight, and with sixteen. What it printed stands in ``generation.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from datasets import Dataset, disable_progress_bars, load_dataset
from figures import recorded
from scoring import small_llama, spread_dialogues
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

import speechcue_hf  # noqa: F401 - lets datasets know the corpora
from speechcue_hf.biographies.requests import NEEDED_COLUMNS, dialogues_of, plan_biographies
from speechcue_hf.biographies.settings import BiographySettings
from speechcue_hf.generation.local import LocalGenerator
from speechcue_hf.generation.request import GenerationRequest, GenerationSettings
from speechcue_hf.generation.server import ServerGenerator
from speechcue_hf.models.tiny import train_tokenizer
from speechcue_hf.prompts.encoding import encode_prompts

SERVER = Path(__file__).parents[1] / "tests" / "generation" / "openai_server.py"
SERVER_REQUESTS = 128
DELAY = 0.1


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--dialogues", type=int, default=6, help="test dialogues, at even distances")
    parser.add_argument("--new-tokens", type=int, default=32, help="tokens of each text")
    parser.add_argument("--batch-size", type=int, default=8, help="texts written at a time")
    arguments = parser.parse_args()
    print(f"torch threads: {torch.get_num_threads()}, load average: {os.getloadavg()[0]:.1f}")
    disable_progress_bars()
    corpus = load_dataset("speechcue/meld", data_dir=str(Path(os.environ["SPEECHCUE_CORPORA"]) / "meld"), verify=False)
    dialogues = spread_dialogues(corpus["test"], arguments.dialogues)
    tokenizer = train_tokenizer(corpus["train"]["text"], 16384)
    model = small_llama()
    # Zero is never the largest logit, so that only tokens which the tokenizer can read are written.
    model.get_input_embeddings().weight.data[len(tokenizer) :] = 0.0
    for settings in (BiographySettings.bioserc(), BiographySettings()):
        print_local(model, tokenizer, planned(dialogues, settings), settings.scope, arguments)
    print_server(planned(corpus["test"], BiographySettings.bioserc())[:SERVER_REQUESTS])


def planned(rows: Dataset, settings: BiographySettings) -> list[GenerationRequest]:
    """What is asked for some dialogues, each request once."""
    dialogues = dialogues_of({column: list(rows[column]) for column in NEEDED_COLUMNS})
    plans = [plan for dialogue in dialogues for plan in plan_biographies(dialogue, settings)]
    return list({plan.request.key: plan.request for plan in plans if plan.request is not None}.values())


def print_local(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    requests: Sequence[GenerationRequest],
    scope: str,
    arguments: argparse.Namespace,
) -> None:
    """Time the ways to write the same texts, each once after a warm-up; other programs disturb CPU time least."""
    decoding = GenerationSettings(max_new_tokens=arguments.new_tokens)
    generator = LocalGenerator(model, tokenizer, name="random", decoding=decoding, batch_size=arguments.batch_size)
    unshared = [replace(request, group=request.key) for request in requests]
    ways: dict[str, Callable[[], dict[str, str | None]]] = {
        "generate, one by one": lambda: generate_each(model, tokenizer, requests, arguments.new_tokens),
        "batches": lambda: texts(generator, unshared),
        "batches, shared beginnings": lambda: texts(generator, requests),
    }
    texts(generator, requests[:1])
    print(f"\nScope {scope}: {len(requests)} requests of {len({request.group for request in requests})} dialogues")
    print("                               wall s    CPU s  one by one / this (CPU)   same texts")
    first: tuple[float, dict[str, str | None]] | None = None
    for name, write in ways.items():
        wall, cpu = time.perf_counter(), time.process_time()
        found = write()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        first = first or (cpu, found)
        same = sum(found[key] == text for key, text in first[1].items())
        print(f"{name:<28} {wall:8.1f} {cpu:8.1f} {first[0] / cpu:12.2f} {same:20d}", flush=True)


def generate_each(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, requests: Sequence[GenerationRequest], new_tokens: int
) -> dict[str, str | None]:
    """What ``generate`` makes of each prompt by itself."""
    found: dict[str, str | None] = {}
    for request in requests:
        ids = torch.tensor(encode_prompts(tokenizer, [request.messages]))
        output = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=new_tokens
        )
        found[request.key] = str(tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True))
    return found


def texts(generator: LocalGenerator | ServerGenerator, requests: Sequence[GenerationRequest]) -> dict[str, str | None]:
    """All texts, by key."""
    return {answer.key: answer.text for answer in generator.generate(requests)}


def print_server(requests: Sequence[GenerationRequest]) -> None:
    """Time a server that answers after a while, with more or fewer requests in flight."""
    print(f"\nServer, {DELAY} s an answer: {len(requests)} requests")
    print("in flight     wall s  requests / s")
    with started_server() as base_url:
        for concurrency in (1, 16):
            generator = ServerGenerator("test", base_url=base_url, concurrency=concurrency)
            wall = time.perf_counter()
            if None in texts(generator, requests).values():
                raise SystemExit("a request was not answered")
            wall = time.perf_counter() - wall
            print(f"{concurrency:9d} {wall:10.1f} {len(requests) / wall:13.1f}", flush=True)


@contextmanager
def started_server() -> Iterator[str]:
    """Address of the tests' server, in a process of its own."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as plan:
        json.dump({"delay": DELAY}, plan)
        plan.flush()
        process = subprocess.Popen([sys.executable, str(SERVER), plan.name], stdout=subprocess.PIPE, text=True)
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    with recorded("generation"):
        main()

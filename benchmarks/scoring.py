"""What scoring a test set costs: greedy generation, closed-set scoring, and scoring with shared beginnings.

    OMP_NUM_THREADS=1 SPEECHCUE_CORPORA=/data python benchmarks/scoring.py

The model has SmolLM2-135M's architecture and random parameters (speed does not depend on them), on the CPU in float32.
Prompts are those of MELD's test split with the published measurements in our own words; ``SPEECHCUE_CORPORA`` names the
folder that holds ``meld/``. Token counts are of the whole split, times of dialogues spread evenly over it. What it
printed stands in ``scoring.md``.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, load_dataset
from figures import recorded
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from speechcue_hf import SpeechDescriber, build_prompts, describe_dataset
from speechcue_hf.cues.normalisation import MELD_MAIN_CHARACTERS
from speechcue_hf.inference.answers import generate_answers, match_exactly
from speechcue_hf.inference.scoring import count_tokens, encode_for_scoring, score_labels
from speechcue_hf.inference.shared import score_shared
from speechcue_hf.models.tiny import train_tokenizer
from speechcue_hf.models.token_tree import build_token_tree

MELD = ["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"]
MEASUREMENTS = {
    "duration": "duration_s",
    "avg_intensity": "intensity_mean_db",
    "intensity_variation": "intensity_sd_db",
    "avg_pitch": "f0_mean_hz",
    "pitch_std": "f0_sd_hz",
    "pitch_range": "f0_range_hz",
    "articulation_rate": "articulation_rate_per_s",
    "mean_hnr": "hnr_mean_db",
}


def main() -> None:
    """Print token counts, then times."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--dialogues", type=int, default=12, help="test dialogues that are timed")
    parser.add_argument("--batch-size", type=int, default=8, help="prompts in one pass, where each runs by itself")
    parser.add_argument("--tokens-per-pass", type=int, default=256, help="tokens in one pass, with shared beginnings")
    arguments = parser.parse_args()
    train, test = described_meld(Path(os.environ["SPEECHCUE_CORPORA"]) / "meld")
    tokenizer = train_tokenizer([*train["text"], *train["speech_description"], *MELD], 16384)
    model = small_llama()
    print("Tokens run              by itself     shared    ratio")
    for name, dataset in (("MELD test", test), ("dialogues of 50 turns", long_dialogues(test, turns=50))):
        print_tokens(name, model, tokenizer, dataset)
    if arguments.dialogues:
        timed = spread_dialogues(test, arguments.dialogues)
        print_tokens("timed dialogues", model, tokenizer, timed)
        print_times(model, tokenizer, timed, arguments)


def described_meld(folder: Path) -> tuple[Dataset, Dataset]:
    """Train and test split with the published measurements, described in our own words."""
    corpus = load_dataset("speechcue/meld", data_dir=str(folder), verify=False)
    train, test = (measured_rows(corpus[split], folder / f"{split}_audio_features.csv") for split in ("train", "test"))
    describer = SpeechDescriber.fit(train, speakers=MELD_MAIN_CHARACTERS)
    return describe_dataset(train, describer), describe_dataset(test, describer)


def measured_rows(rows: Dataset, published: Path) -> Dataset:
    """Rows joined with their published measurements by id."""
    with published.open(encoding="utf-8", newline="") as file:
        clips = {clip["filename"].removesuffix(".wav"): clip for clip in csv.DictReader(file)}
    of_row = [clips.get(utterance_id.partition("_")[2], {}) for utterance_id in rows["utterance_id"]]
    rows = rows.remove_columns("audio")
    for theirs, ours in MEASUREMENTS.items():
        rows = rows.add_column(ours, [float(clip[theirs]) if clip.get(theirs) else None for clip in of_row])
    return rows


def long_dialogues(dataset: Dataset, turns: int) -> Dataset:
    """The same rows as dialogues of a length that IEMOCAP has."""
    return dataset.map(
        lambda row, index: {"dialogue_id": f"long{index // turns}", "turn": index % turns}, with_indices=True
    )


def spread_dialogues(dataset: Dataset, count: int) -> Dataset:
    """Some of the dialogues, at even distances, so that they are as long and as short as all are."""
    dialogues = list(dict.fromkeys(dataset["dialogue_id"]))
    chosen = {dialogues[place * len(dialogues) // count] for place in range(count)}
    return dataset.select([row for row, dialogue in enumerate(dataset["dialogue_id"]) if dialogue in chosen])


def small_llama() -> LlamaForCausalLM:
    """SmolLM2-135M's architecture with random parameters."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval()


def print_tokens(name: str, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, dataset: Dataset) -> None:
    """Count the tokens that both scorers run, without running them."""
    encoded = encode_for_scoring(model, tokenizer, list(build_prompts(dataset, "speechcue")["prompt"]), MELD)
    apart = count_tokens(encoded)
    shared = len(build_token_tree([p + c[:-1] for p in encoded.prompts for c in encoded.completions]).tokens)
    print(f"{name:<22} {apart:>10,} {shared:>10,} {apart / shared:8.2f}")


def print_times(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, dataset: Dataset, arguments: argparse.Namespace
) -> None:
    """Time the ways to label the same prompts, each once after a warm-up; other programs disturb CPU time least."""
    prompts = list(build_prompts(dataset, "speechcue")["prompt"])
    size = arguments.batch_size

    def generate() -> Any:
        # Five tokens, as the peers generate; the random model never stops by itself.
        answers = generate_answers(model, tokenizer, prompts, MELD, batch_size=size, new_tokens=5)
        return [match_exactly(answer, MELD) for answer in answers]

    ways: dict[str, Callable[[], Any]] = {
        "greedy generation, 5 tokens": generate,
        "closed-set, each prompt": lambda: score_labels(model, tokenizer, prompts, MELD, batch_size=size),
        "closed-set, shared": lambda: score_shared(
            model, tokenizer, prompts, MELD, tokens_per_pass=arguments.tokens_per_pass
        ),
    }
    score_labels(model, tokenizer, prompts[:2], MELD)
    print(f"\ntorch threads: {torch.get_num_threads()}, load average: {os.getloadavg()[0]:.1f}")
    print(
        f"{f'{len(prompts)} prompts of {arguments.dialogues} dialogues':<32}   wall s    CPU s  generation / this (CPU)"
    )
    generation = None
    for name, label in ways.items():
        wall, cpu = time.perf_counter(), time.process_time()
        label()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        generation = generation or cpu
        print(f"{name:<32} {wall:8.1f} {cpu:8.1f} {generation / cpu:8.2f}", flush=True)


if __name__ == "__main__":
    with recorded("scoring"):
        main()

"""What an epoch of fine-tuning costs: whole dialogues, prompts one by one, and TRL's own trainer on the same rows.

    OMP_NUM_THREADS=1 SPEECHCUE_CORPORA=/data SPEECHCUE_MODELS=/models python benchmarks/sharing.py

``SPEECHCUE_CORPORA`` names the folder that holds ``meld/`` with the published measurements, ``SPEECHCUE_MODELS`` that
of ``smollm2-135m-instruct/``. Tokens are counted for the whole training split; times and memory are of some dialogues
of it, spread evenly, each arm in a process of its own: LoRA of rank 16 on all projections, single precision, one
thread. Two arms have adapters on the upper third of the layers alone; one of them keeps the states below on disk.
What it printed stands in ``sharing.md``.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import datasets
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

sys.path.insert(0, str(Path(__file__).parent))
from figures import recorded
from scoring import described_meld, long_dialogues, spread_dialogues

from speechcue_hf import build_prompts
from speechcue_hf.training.arguments import TrainingSettings
from speechcue_hf.training.label_loss import batches_of_dialogues, collate_rows, collate_trees
from speechcue_hf.training.lower_states import keep_lower_states
from speechcue_hf.training.sft import CueTrainer, encode_rows

UPPER, KEPT = "upper layers", "upper, states kept"
ARMS = ("whole dialogues", UPPER, KEPT, "prompts one by one", "TRL's SFTTrainer")
FIRST_LAYER = 20
"""Of SmolLM2's 30, the first that has an adapter in the arms with upper layers alone."""
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main() -> None:
    """Print tokens of an epoch, then times and memory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--dialogues", type=int, default=12, help="training dialogues that are timed")
    parser.add_argument("--tokens", type=int, default=1024, help="most tokens of a batch of whole dialogues")
    parser.add_argument("--rows", type=int, default=8, help="prompts of a batch, where each runs by itself")
    parser.add_argument("--here", choices=ARMS, help="train one arm")
    arguments = parser.parse_args()
    train, _ = described_meld(Path(os.environ["SPEECHCUE_CORPORA"]) / "meld")
    tokenizer = AutoTokenizer.from_pretrained(smollm2())
    if arguments.here:
        print_epoch(arguments.here, spread_dialogues(train, arguments.dialogues), tokenizer, arguments)
        return
    print("Tokens of an epoch        one by one      shared    ratio")
    long = long_dialogues(train, turns=50)
    for name, rows in (("MELD", train), ("dialogues of 50 turns", long)):
        print_tokens(name, rows, tokenizer, arguments.tokens)
    print(f"\n{arguments.dialogues} dialogues           utterances     CPU s    s/utterance  peak GB", flush=True)
    for arm in ARMS:
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--here", arm], check=True)


def smollm2() -> Path:
    """Where the real weights lie."""
    return Path(os.environ["SPEECHCUE_MODELS"]) / "smollm2-135m-instruct"


def encoded_rows(rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> tuple[Dataset, list[str]]:
    """Labelled rows as tokens, and their dialogues."""
    prompts = build_prompts(rows, "speechcue")
    return encode_rows(prompts, tokenizer), [
        row for row, emotion in zip(prompts["dialogue_id"], prompts["emotion"], strict=True) if emotion is not None
    ]


def print_tokens(name: str, rows: Dataset, tokenizer: PreTrainedTokenizerBase, tokens: int) -> None:
    """Count what an epoch runs, without running it."""
    encoded, dialogues = encoded_rows(rows, tokenizer)
    apart = sum(encoded["length"])
    shared = sum(batches_of_dialogues(encoded, dialogues, tokens, seed=0)["length"])
    print(f"{name:<22} {apart:>13,} {shared:>11,} {apart / shared:8.2f}", flush=True)


def print_epoch(arm: str, rows: Dataset, tokenizer: PreTrainedTokenizerBase, arguments: argparse.Namespace) -> None:
    """Train an epoch and print what it took."""
    encoded, dialogues = encoded_rows(rows, tokenizer)
    with tempfile.TemporaryDirectory() as output:
        trainer = make_trainer(arm, encoded, dialogues, tokenizer, output, arguments)
        start = time.process_time()
        trainer.train()
        seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(f"{arm:<22} {len(encoded):>10} {seconds:>9.1f} {seconds / len(encoded):>14.2f} {peak:>8.2f}", flush=True)


def make_trainer(
    arm: str,
    encoded: Dataset,
    dialogues: list[str],
    tokenizer: PreTrainedTokenizerBase,
    output: str,
    arguments: argparse.Namespace,
) -> SFTTrainer:
    """The trainer of an arm, with the same model and settings; where states are kept they are made first."""
    shared = arm in ("whole dialogues", UPPER, KEPT)
    settings = {
        "output_dir": output,
        "num_train_epochs": 1,
        "per_device_train_batch_size": 1 if shared else arguments.rows,
        "save_strategy": "no",
        "eval_strategy": "no",
        "disable_tqdm": True,
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "gradient_checkpointing": False,
        "max_length": None,
        "remove_unused_columns": arm != KEPT,
        "seed": 0,
    }
    model = AutoModelForCausalLM.from_pretrained(smollm2(), dtype="float32")
    layers = list(range(FIRST_LAYER, model.config.num_hidden_layers)) if arm in (UPPER, KEPT) else None
    adapter = LoraConfig(
        r=16, lora_alpha=16, target_modules=PROJECTIONS, task_type="CAUSAL_LM", layers_to_transform=layers
    )
    common = {"model": model, "processing_class": tokenizer, "peft_config": adapter}
    if arm == "TRL's SFTTrainer":
        return SFTTrainer(args=SFTConfig(**settings), train_dataset=encoded, **common)
    ours = TrainingSettings(**settings, load_best_model_at_end=False, dataset_kwargs={"skip_prepare_dataset": True})
    rows = batches_of_dialogues(encoded, dialogues, arguments.tokens, seed=0) if shared else encoded
    if arm == KEPT:
        start = time.process_time()
        rows = keep_lower_states({"train": rows}, model, FIRST_LAYER, Path(output) / "states")["train"]
        print(f"{'  states, once':<22} {len(encoded):>10} {time.process_time() - start:>9.1f}", flush=True)
    trainer = CueTrainer(
        args=ours, train_dataset=rows, data_collator=collate_trees if shared else collate_rows, **common
    )
    trainer.first_layer = FIRST_LAYER if arm == KEPT else 0
    return trainer


if __name__ == "__main__":
    datasets.disable_progress_bars()
    with recorded("sharing"):
        main()

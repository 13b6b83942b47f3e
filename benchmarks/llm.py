"""What SmolLM2-135M-Instruct learns on MELD and EmoryNLP from text, and what descriptions of the voice add on MELD.

    OMP_NUM_THREADS=1 SPEECHCUE_CORPORA=/data SPEECHCUE_MODELS=/models python benchmarks/llm.py -o runs/llm

``SPEECHCUE_CORPORA`` names the folder that holds ``meld/`` with the published measurements and ``emorynlp/``,
``SPEECHCUE_MODELS`` that of ``smollm2-135m-instruct/``. Every arm trains on the same share of the training dialogues,
and so does every seed: adapters on the upper third of the layers, the states below kept on disk. The epoch is chosen on
validation. A finished run is kept in the output folder and not trained again; one that was killed goes on from its last
epoch. Without ``--test`` validation alone is scored, and only what is chosen there is worth a look at the test split.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

import datasets
import numpy as np
from datasets import Dataset, DatasetDict

sys.path.insert(0, str(Path(__file__).parent))
from encoder import described, load_corpus, spread
from figures import recorded

from speechcue_hf import evaluate, load_classifier
from speechcue_hf.corpora.subset import share_of
from speechcue_hf.evaluation.report import write_report
from speechcue_hf.records import RESULTS_FILE, ResultsRecord, read_json, read_record, write_json
from speechcue_hf.training.arguments import FineTuning, ModelSettings, TrainingSettings
from speechcue_hf.training.sft import fine_tune

OTHERS = "text + descriptions of other turns"
DESCRIPTION = ("speech_description", "speech_impression")
TIME_FILE = "time.json"
"""Beside a run: the CPU minutes that it took."""


class Arm(NamedTuple):
    """What is read of a corpus, by which prompt."""

    corpus: str
    read: str
    prompt: str

    @property
    def slug(self) -> str:
        """Its name as a folder."""
        return f"{self.corpus}/{self.read.replace(' + ', '-').replace(' ', '-')}"


ARMS = (
    Arm("meld", "text", "speechcue_text"),
    Arm("meld", "text + descriptions", "speechcue"),
    Arm("meld", OTHERS, "speechcue"),
    Arm("emorynlp", "text", "speechcue_text"),
)


def main() -> None:
    """Train what is not trained yet, and print what each arm scores."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--arms", nargs="+", choices=[arm.slug for arm in ARMS], default=[arm.slug for arm in ARMS])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--share", type=float, default=25.0, help="per cent of the training dialogues")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--first-layer", type=int, default=20, help="the first with an adapter, of 30")
    parser.add_argument("--test", action="store_true", help="score the test split, once")
    arguments = parser.parse_args()
    split = "test" if arguments.test else "validation"
    print(
        f"{arguments.share:g} % of the training dialogues, {arguments.epochs} epochs, learning rate "
        f"{arguments.learning_rate:g}, adapters from layer {arguments.first_layer} on\n"
    )
    print(f"| corpus | input | weighted F1 on {split}, each seed | mean ± sd | macro F1 | CPU minutes |")
    print("|---|---|---|---:|---:|---:|")
    for arm in (arm for arm in ARMS if arm.slug in arguments.arms):
        results = [train_and_score(arm, seed, split, arguments) for seed in arguments.seeds]
        weighted = [100 * result.weighted_f1 for result in results]
        macro = [100 * result.macro_f1 for result in results]
        minutes = [run_minutes(arguments.output / arm.slug / f"seed-{seed}") for seed in arguments.seeds]
        each = ", ".join(f"{score:.2f}" for score in weighted)
        cells = (arm.corpus, arm.read, each, spread(weighted), spread(macro), f"{np.mean(minutes):.0f}")
        print(f"| {' | '.join(cells)} |", flush=True)


def train_and_score(arm: Arm, seed: int, split: str, arguments: argparse.Namespace) -> ResultsRecord:
    """Train a run unless it is there, and score a split unless that was done."""
    folder = arguments.output / arm.slug / f"seed-{seed}"
    scored = folder / split
    if not (scored / RESULTS_FILE).is_file():
        dataset = read_of(arm, arguments.share)
        start = time.process_time()
        if not (folder / TIME_FILE).is_file():
            train(arm, seed, dataset, folder, arguments)
            write_json({"cpu_minutes": (time.process_time() - start) / 60}, folder / TIME_FILE)
        results, predictions = evaluate(load_classifier(folder), dataset[split])
        scored.mkdir(exist_ok=True)
        write_report(scored, results, predictions)
    return read_record(ResultsRecord, scored)


def train(arm: Arm, seed: int, dataset: DatasetDict, folder: Path, arguments: argparse.Namespace) -> None:
    """Train a run, on from its last epoch if it was killed."""
    model = ModelSettings(
        model_name_or_path=str(Path(os.environ["SPEECHCUE_MODELS"]) / "smollm2-135m-instruct"),
        lora_r=16,
        lora_alpha=32,
        lora_dropout=0.05,
        lora_target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        lora_first_layer=arguments.first_layer,
        states=str(arguments.output / arm.slug / "states"),
    )
    training = TrainingSettings(
        output_dir=str(folder),
        seed=seed,
        num_train_epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=0.05,
        gradient_accumulation_steps=2,
        metric_for_best_model="weighted_f1",
        logging_steps=10,
        resume_from_checkpoint="true" if [*folder.glob("checkpoint-*")] else None,
    )
    fine_tune(dataset, FineTuning(prompt=arm.prompt), model, training)


def read_of(arm: Arm, share: float) -> DatasetDict:
    """The splits of a corpus as an arm reads them, with a share of the training dialogues."""
    splits = load_corpus(arm.corpus, "text")
    if arm.prompt == "speechcue":
        splits, _ = described(splits, Path(os.environ["SPEECHCUE_CORPORA"]) / arm.corpus)
    if arm.read == OTHERS:
        splits = DatasetDict({split: with_other_voices(rows) for split, rows in splits.items()})
    return DatasetDict({**splits, "train": share_of(splits["train"], share, seed=0)})


def with_other_voices(rows: Dataset) -> Dataset:
    """Each turn with the description of another turn of its dialogue, drawn once."""
    rng = np.random.default_rng(0)
    dialogues = np.array(rows["dialogue_id"])
    source = np.arange(len(rows))
    for dialogue in dict.fromkeys(dialogues):
        places = np.flatnonzero(dialogues == dialogue)
        # A cycle: nobody keeps their own, but in dialogues of one turn.
        drawn = rng.permutation(places)
        source[drawn] = np.roll(drawn, 1)
    columns = [name for name in DESCRIPTION if name in rows.column_names]
    exchanged = rows.select(source)
    for name in columns:
        rows = rows.remove_columns(name).add_column(name, exchanged[name][:])
    return rows


def run_minutes(folder: Path) -> float:
    """CPU minutes of a training."""
    minutes: float = read_json(folder / TIME_FILE, "train the run again")["cpu_minutes"]
    return minutes


if __name__ == "__main__":
    datasets.disable_progress_bars()
    with recorded("llm"):
        main()

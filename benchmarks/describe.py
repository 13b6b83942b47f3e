"""CPU time to describe the published MELD measurements (train, dev and test: some 13,700 rows).

    SPEECHCUE_CORPORA=/path/to/corpora python benchmarks/describe.py

The folder must hold ``meld/*_audio_features.csv`` and ``meld/*_sent_emo.csv``. The published files have the paper's
eight cues only; "all cues" fills our further columns with random values, so that every sentence of ours is said.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from datasets import Dataset, concatenate_datasets, disable_caching, disable_progress_bars, load_dataset
from figures import recorded

from speechcue_hf import SpeechDescriber, describe_dataset
from speechcue_hf.cues.normalisation import MELD_MAIN_CHARACTERS
from speechcue_hf.cues.published import join_measurements
from speechcue_hf.cues.table import measurement_columns

REPEATS = 3


def with_all_cues(rows: Dataset) -> Dataset:
    """Random values where the published files have no column."""
    random = np.random.default_rng(0)
    for column in measurement_columns():
        if column not in rows.column_names:
            rows = rows.add_column(column, random.normal(1.0, 0.5, len(rows)))
    return rows.remove_columns("gender").add_column("gender", random.choice(["female", "male"], len(rows)).tolist())


def cpu_seconds(work: Callable[[], object]) -> float:
    """Least CPU time of several runs."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def measure(name: str, train: Dataset, rows: Dataset, **options: object) -> str:
    """One line of the table."""
    describer = SpeechDescriber.fit(train, **options)
    fit = cpu_seconds(lambda: SpeechDescriber.fit(train, **options))
    described = cpu_seconds(lambda: describe_dataset(rows, describer))
    texts = describer(rows[:])
    distinct = len(set(texts["speech_description"]))
    return f"| {name} | {len(describer.cues)} | {distinct:,} | {fit:.2f} | {described:.2f} |"


def main() -> None:
    """Print the table."""
    if "SPEECHCUE_CORPORA" not in os.environ:
        sys.exit("set SPEECHCUE_CORPORA to the folder that holds meld/")
    folder = Path(os.environ["SPEECHCUE_CORPORA"]) / "meld"
    disable_caching()
    disable_progress_bars()
    release = load_dataset("speechcue/meld", data_dir=str(folder), verify=False).remove_columns(
        ["audio", "start", "end"]
    )
    measured = join_measurements(release, sorted(folder.glob("*_audio_features.csv")))
    train = measured["train"].data
    measured = measured.remove_columns(
        [it for it in measurement_columns() if train.column(it).null_count == len(train)]
    )
    splits = [measured[split] for split in ("train", "validation", "test")]
    rows = concatenate_datasets(splits)
    complete = with_all_cues(rows)
    train, complete_train = splits[0], complete.select(range(len(splits[0])))
    print(f"Describing {len(rows):,} rows with describe_dataset, one process, least CPU time of {REPEATS} runs.\n")
    print("| wording, baseline | cues | distinct descriptions | fit (CPU s) | describe (CPU s) |")
    print("|---|---|---|---|---|")
    paper = {"wording": "speechcuellm", "speakers": MELD_MAIN_CHARACTERS}
    print(measure("speechcuellm, speaker (main characters)", train, rows, **paper))
    print(measure("speechcue, speaker", train, rows))
    print(measure("speechcue, running", train, rows, baseline="running"))
    print(measure("speechcue, speaker, all cues", complete_train, complete))
    print(measure("speechcue, running, all cues", complete_train, complete, baseline="running"))


if __name__ == "__main__":
    with recorded("describe"):
        main()

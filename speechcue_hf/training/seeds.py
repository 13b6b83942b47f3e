"""A run with several seeds: a folder for each, and mean and standard deviation of their scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from transformers import TrainingArguments

from speechcue_hf.metrics.spread import spread_of
from speechcue_hf.records import SeedsRecord, TrainingRecord, read_record, write_record

Settings = TypeVar("Settings", bound=TrainingArguments)


def train_with_seeds(run: Callable[[Settings], Path], seeds: Sequence[int], training: Settings) -> Path:
    """Run once with each seed, and write mean and standard deviation of the scores on the selection split.

    Args:
        run: Trains with the settings it is given and returns its output folder.
        seeds: The seeds.
        training: The settings; ``output_dir`` gets a folder for each seed, ``seed-1`` and so on, and ``seeds.json``.

    Returns:
        The output folder.
    """
    output = Path(str(training.output_dir))
    runs = [run(replace(training, seed=seed, output_dir=str(output / f"seed-{seed}"))) for seed in seeds]
    if training.process_index == 0:
        best = [read_record(TrainingRecord, folder).best for folder in runs]
        scores = [{name: value for name, value in scores.items() if name != "step"} for scores in best]
        write_record(SeedsRecord(tuple(seeds), spread_of(scores)), output)
    return output

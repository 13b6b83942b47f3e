"""Evaluated runs, read from their folders and set beside each other row by row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from datasets import Dataset

from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.predictions import label_numbers, read_predictions, references
from speechcue_hf.metrics.bootstrap import bootstrap_weighted_f1, counts_by_dialogue, weighted_f1_from_counts
from speechcue_hf.records import RESULTS_FILE, SEEDS_FILE, ResultsRecord, SeedsRecord, find_record, read_record

_SEED = re.compile(r"seed-(\d+)")


@dataclass(frozen=True)
class Run:
    """An evaluated run, or several that differ in their seed, with the answers in the order of the utterance ids.

    Args:
        folder: As it was named.
        results: Of each seed.
        tables: Predictions of each seed, row by row the same utterances.
        labels: The label words in the order of the numbers.
    """

    folder: Path
    results: tuple[ResultsRecord, ...]
    tables: tuple[Dataset, ...]
    labels: tuple[str, ...]

    @cached_property
    def true(self) -> list[int]:
        """True classes, shape ``(rows,)``."""
        return references(self.tables[0], self.labels)

    @cached_property
    def answers(self) -> list[list[int | None]]:
        """Predicted classes or None, shape ``(seeds, rows)``."""
        return [label_numbers(table["prediction"][:], self.labels) for table in self.tables]

    @cached_property
    def counts(self) -> np.ndarray:
        """Confusion counts, shape ``(seeds, dialogues, labels, labels + 1)``, invalid answers in the last column."""
        dialogues = self.tables[0]["dialogue_id"][:]
        return np.array([counts_by_dialogue(dialogues, self.true, answer, self.labels) for answer in self.answers])

    @property
    def weighted_f1(self) -> list[float]:
        """Of each seed."""
        return [float(score) for score in weighted_f1_from_counts(self.counts.sum(axis=1))]

    @property
    def right(self) -> np.ndarray:
        """Share of the seeds that judged each utterance rightly, shape ``(rows,)``."""
        true = np.array(self.true, dtype=object)
        return np.asarray(np.mean([np.array(answer, dtype=object) == true for answer in self.answers], axis=0))

    @property
    def sees_future(self) -> bool | None:
        """Whether one of the seeds saw later turns; None if none is known to and one does not say."""
        states = {result.sees_future for result in self.results}
        return True if True in states else None if None in states else False

    def drawn(self, draws: int, seed: int) -> np.ndarray:
        """Mean weighted F1 of all seeds on test sets of as many dialogues, drawn anew; shape ``(draws,)``.

        Runs on the same utterances are scored on the same dialogues in each draw.
        """
        scores = [bootstrap_weighted_f1(counts, draws=draws, seed=seed) for counts in self.counts]
        return np.asarray(np.mean(scores, axis=0))


def read_runs(folders: Sequence[str | Path]) -> list[Run]:
    """Read runs that were scored on the same utterances, each from a folder of its own or one folder for each seed.

    Raises:
        RecordError: As of :func:`run_folders`.
        EvaluationError: As of :func:`pair_runs`.
    """
    seeds = [run_folders(folder) for folder in folders]
    results, tables = pair_runs([place for places in seeds for place in places])
    ends = np.cumsum([len(places) for places in seeds])
    parts = [slice(end - len(places), end) for end, places in zip(ends, seeds, strict=True)]
    return [
        Run(Path(folder), tuple(results[part]), tuple(tables[part]), tuple(results[0].labels))
        for folder, part in zip(folders, parts, strict=True)
    ]


def run_folders(folder: str | Path) -> list[Path]:
    """The evaluated runs of a folder: itself, or one for each seed.

    Args:
        folder: What ``speechcue evaluate`` wrote. Without results of its own it holds folders ``seed-1`` and so on;
            where ``seeds.json`` names the seeds, all of them must be there.

    Returns:
        Folders with results, in the order of the seeds.

    Raises:
        RecordError: If neither the folder nor folders of seeds in it hold results, or a seed lacks them.
    """
    folder = Path(folder)
    if (folder / RESULTS_FILE).is_file():
        return [folder]
    there = sorted(int(found[1]) for path in folder.glob("seed-*") if (found := _SEED.fullmatch(path.name)))
    named = find_record(SeedsRecord, folder) if (folder / SEEDS_FILE).is_file() else None
    runs = [folder / f"seed-{seed}" for seed in (named.seeds if named else there)] or [folder]
    for run in runs:
        read_record(ResultsRecord, run)
    return runs


def pair_runs(folders: Sequence[Path]) -> tuple[list[ResultsRecord], list[Dataset]]:
    """Read evaluated runs that were scored on the same utterances.

    Args:
        folders: Of two or more runs, each with ``results.json`` and ``predictions.parquet``.

    Returns:
        The results of each, and the predictions of each, row by row the same utterances.

    Raises:
        RecordError: If a folder holds no results.
        EvaluationError: If it holds no predictions, or the runs are of other tasks (``iemocap-4-ser`` is not
            ``iemocap-6-erc``), or have other label sets, other utterances or other true labels.
    """
    results = [read_record(ResultsRecord, folder) for folder in folders]
    _check_same_task(folders, results)
    _check_same_labels(folders, results)
    tables = [read_predictions(folder) for folder in folders]
    tables = [table.select(np.argsort(np.array(table["utterance_id"][:]))) for table in tables]
    _check_same_utterances(folders, tables)
    return results, tables


def _check_same_task(folders: Sequence[Path], results: Sequence[ResultsRecord]) -> None:
    tasks = {folder: (result.corpus or {}).get("task") for folder, result in zip(folders, results, strict=True)}
    if len({*tasks.values()} - {None}) > 1:
        said = ", ".join(f"{folder} {task}" for folder, task in tasks.items())
        raise EvaluationError(f"The runs are of different tasks, whose scores say nothing of each other: {said}.")


def _check_same_labels(folders: Sequence[Path], results: Sequence[ResultsRecord]) -> None:
    first = results[0].labels
    for folder, result in zip(folders, results, strict=True):
        if set(result.labels) != set(first):
            raise EvaluationError(
                f"The runs have different label sets: {folders[0]} {', '.join(first)}; {folder} "
                f"{', '.join(result.labels)}."
            )


def _check_same_utterances(folders: Sequence[Path], tables: Sequence[Dataset]) -> None:
    first, *others = (set(zip(table["utterance_id"], table["label"], strict=True)) for table in tables)
    for folder, rows in zip(folders[1:], others, strict=True):
        if rows != first:
            example = min(first ^ rows)
            raise EvaluationError(
                f"{folders[0]} and {folder} were not scored on the same labelled utterances ({len(first)} and "
                f"{len(rows)}; one that differs: {example[0]} labelled {example[1]}). Evaluate both on the same split."
            )

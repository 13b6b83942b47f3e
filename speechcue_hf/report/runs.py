"""What a report shows of evaluated runs: scores, answers turn by turn, calibration, prompts, comparisons."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from speechcue_hf.corpora.subset import share_of
from speechcue_hf.errors import EvaluationError, PromptError, RecordError
from speechcue_hf.evaluation.compare import compared
from speechcue_hf.evaluation.runs import Run, read_runs, run_folders
from speechcue_hf.evaluation.table import run_names, scores_table
from speechcue_hf.evaluation.table_formats import table_cells, table_notes
from speechcue_hf.metrics.calibration import reliability
from speechcue_hf.metrics.wording import METRICS
from speechcue_hf.prompts.budget import TokenBudget
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.specification import load_prompt
from speechcue_hf.records import PROMPT_FILE, ResultsRecord, TrainingRecord, find_record, read_json
from speechcue_hf.report.columns import packed

INTERVENTION_FILE = "intervention.json"
NO_ANSWER = -1


def runs_of(folders: Sequence[Path], dataset: DatasetDict | None, places: Mapping[str, int]) -> dict[str, Any]:
    """Runs beside each other, and each by itself.

    Args:
        folders: Of evaluated runs on the same utterances, each of one seed or several.
        dataset: The rows that they were scored on, for prompts; None without.
        places: Utterance id → its place among the turns of the report.

    Returns:
        ``table`` (``cells``, the first row being the head, and ``notes``), ``pairs`` (of two folders what
        :func:`speechcue_hf.evaluation.compare.compare_runs` says) and ``runs``: one entry for each seed of each folder.

    Raises:
        RecordError: If a folder holds no results.
        EvaluationError: If the runs cannot be set beside each other, or the report lacks an utterance of theirs.
    """
    together = read_runs(folders)
    names = run_names(folders)
    table = scores_table(folders, published=True)
    single = {
        place: name if place == folder else f"{name}/{place.name}"
        for folder, name in zip(folders, names, strict=True)
        for place in run_folders(folder)
    }
    return {
        "table": {"cells": table_cells(table), "notes": table_notes(table)},
        "pairs": [
            {"names": [names[first], names[second]], **_pair(together[first], together[second])}
            for first, second in combinations(range(len(folders)), 2)
        ],
        "runs": [
            run_entry(run, name, dataset, places)
            for run, name in zip(read_runs([*single]), single.values(), strict=True)
        ],
    }


def _pair(first: Run, second: Run) -> dict[str, Any]:
    """A comparison without the warning that names folders of this machine; the table's notes have it."""
    return {name: value for name, value in compared(first, second).items() if not name.endswith("_warning")}


def run_entry(run: Run, name: str, dataset: DatasetDict | None, places: Mapping[str, int]) -> dict[str, Any]:
    """One run of one seed, as :func:`runs_of` lists it: scores, answers, calibration, intervention and prompts."""
    [results], [table], [answers] = run.results, run.tables, run.answers
    ids = table["utterance_id"][:]
    if missing := [utterance for utterance in ids if utterance not in places]:
        raise EvaluationError(
            f"{run.folder} was scored on {missing[0]!r} (and {len(missing) - 1} more), which no dataset of this report "
            "holds: give the dataset that it was scored on"
        )
    probabilities = _probabilities(table, results, run.labels)
    prompts, note = _prompts(run.folder, dataset, results, ids)
    return {
        "name": name,
        "labels": list(run.labels),
        "scores": {name: getattr(results, metric) for metric, name in METRICS.items()},
        "interval": results.weighted_f1_interval,
        "invalid_rate": results.invalid_rate,
        "per_class": results.per_class,
        "places": [places[utterance] for utterance in ids],
        "true": run.true,
        "answers": [NO_ANSWER if answer is None else answer for answer in answers],
        "probabilities": None if probabilities is None else [thousandths(row) for row in probabilities],
        "outputs": packed(table["output"][:]) if "output" in table.column_names else None,
        "explanations": packed(table["explanation"][:]) if "explanation" in table.column_names else None,
        "notes": packed(table["note"][:]) if "note" in table.column_names else None,
        "calibration": None if probabilities is None else _calibration(probabilities, answers, run.true),
        "intervention": _intervention(run.folder),
        "prompts": prompts,
        "prompts_note": note,
    }


def turns_of_predictions(runs: Sequence[Run]) -> DatasetDict:
    """The little that predictions say of their utterances, where no dataset is given."""
    rows, labels = runs[0].tables[0], list(runs[0].labels)
    names = ("utterance_id", "dialogue_id")
    columns = {**{name: rows[name][:] for name in names}, "emotion": runs[0].true}
    features = Features({**dict.fromkeys(names, Value("string")), "emotion": ClassLabel(names=labels)})
    split = runs[0].results[0].split or "test"
    return DatasetDict({split: Dataset.from_dict(columns, features=features)})


def _probabilities(table: Dataset, results: ResultsRecord, labels: Sequence[str]) -> list[list[float] | None] | None:
    """Of each row, in the order of ``labels``; None for a run without."""
    if "probabilities" not in table.column_names:
        return None
    order = [results.labels.index(label) for label in labels]
    return [None if row is None else [row[place] for place in order] for row in table["probabilities"][:]]


def thousandths(row: Sequence[float] | None) -> list[int] | None:
    """Probabilities as a report holds them."""
    return None if row is None else [round(1000 * value) for value in row]


def _calibration(
    probabilities: Sequence[Sequence[float] | None], answers: Sequence[int | None], true: Sequence[int]
) -> dict[str, Any]:
    """How sure the answers were, and how often they were right."""
    given = [
        (min(1.0, row[answer]), answer == label)
        for row, answer, label in zip(probabilities, answers, true, strict=True)
        if row is not None and answer is not None
    ]
    return reliability([sure for sure, _ in given], [right for _, right in given])


def _intervention(folder: Path) -> list[dict[str, Any]] | None:
    """What ``speechcue intervene`` left beside the run."""
    path = folder / INTERVENTION_FILE
    if not path.is_file():
        return None
    variants: Any = read_json(path, "run `speechcue intervene` again").get("variants")
    try:
        return [{"name": name, **{key: it[key] for key in ("weighted_f1", "changed")}} for name, it in variants.items()]
    except (AttributeError, TypeError, KeyError) as error:
        raise RecordError(f"{path} does not hold an intervention: run `speechcue intervene` again") from error


def _prompts(
    folder: Path, dataset: DatasetDict | None, results: ResultsRecord, ids: Sequence[str]
) -> tuple[dict[str, Any] | None, str | None]:
    """The prompt of each utterance as a JSON text, packed, and what must be said of them."""
    if not (folder / PROMPT_FILE).is_file():
        return None, None
    if dataset is None or results.split not in dataset:
        return None, "Prompts are shown where the dataset that the run was scored on is part of the report."
    budget, training = _budget(folder, results), find_record(TrainingRecord, folder)
    train = dataset.get("train")
    if train is not None and training is not None:
        train = share_of(train, training.data_percent, training.seed)
    try:
        rows = build_prompts(dataset[results.split], load_prompt(folder / PROMPT_FILE), budget=budget, train=train)
    except PromptError as error:
        return None, f"Prompts cannot be shown: {error}"
    texts = dict(zip(rows["utterance_id"], rows["prompt"], strict=True))
    shortened = results.shortened and budget is None
    note = f"{results.shortened} prompts were shortened to the token budget; they are shown as they were before."
    return packed([json.dumps(texts[name], ensure_ascii=False) for name in ids]), note if shortened else None


def _budget(folder: Path, results: ResultsRecord) -> TokenBudget | None:
    """What shortened the prompts of a run, where its tokenizer lies beside it."""
    if not results.shortened or results.token_budget is None or not (folder / "tokenizer_config.json").is_file():
        return None
    from transformers import AutoTokenizer

    return TokenBudget(AutoTokenizer.from_pretrained(folder, local_files_only=True), results.token_budget)

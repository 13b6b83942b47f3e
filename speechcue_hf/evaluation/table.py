"""The table of a paper: runs beside each other, with what makes their scores comparable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from speechcue_hf.evaluation.compare import difference
from speechcue_hf.evaluation.published import published_figures
from speechcue_hf.evaluation.runs import Run, read_runs, run_folders
from speechcue_hf.metrics.bootstrap import BOOTSTRAP_DRAWS, few_dialogues_warning, interval
from speechcue_hf.metrics.significance import holm
from speechcue_hf.metrics.spread import spread_of
from speechcue_hf.metrics.wording import METRICS
from speechcue_hf.records import ResultsRecord, TrainingRecord, find_record


@dataclass(frozen=True)
class TableRow:
    """One run of a table; all scores are shares of 1.

    Args:
        name: Of the run.
        seeds: How many runs the scores are means of.
        scores: Score → ``mean``, ``sd`` (None for a single run) and ``values``, from
            :func:`speechcue_hf.metrics.spread.spread_of`.
        interval: Of the mean weighted F1, by bootstrap over dialogues with the seeds as they are.
        invalid_rate: Share of the answers that are no label, mean over seeds.
        sees: ``history``, ``future`` or ``clip``; None where nobody recorded it.
        read: How labels were read off the model, in words; None where nobody recorded it.
        selected_on: Split that chose the best epoch, ``nothing`` for a model that was not trained here; None where
            nobody recorded it.
        difference: Weighted F1 minus that of the first row; None for the first.
        difference_interval: Of the difference, by paired bootstrap over dialogues.
        p_dialogues: Of the difference, over dialogues, Holm-corrected over all rows.
        p_seeds: Welch's test over seeds, Holm-corrected over all rows; None without several seeds of both.
    """

    name: str
    seeds: int
    scores: dict[str, dict[str, Any]]
    interval: tuple[float, float]
    invalid_rate: float
    sees: str | None
    read: str | None
    selected_on: str | None
    difference: float | None = None
    difference_interval: tuple[float, float] | None = None
    p_dialogues: float | None = None
    p_seeds: float | None = None


@dataclass(frozen=True)
class ScoresTable:
    """Runs on the same utterances.

    Args:
        rows: Of the runs, in the order they were named.
        task: Such as ``meld-7-erc``; None where no record names it.
        split: That was scored.
        n: Utterances.
        dialogues: That the bootstrap draws from.
        published: Figures of papers, from :func:`speechcue_hf.evaluation.published.published_figures`.
        warnings: What a reader must know before trusting it.
    """

    rows: tuple[TableRow, ...]
    task: str | None
    split: str | None
    n: int
    dialogues: int
    published: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]


def scores_table(
    folders: Sequence[str | Path], *, published: bool = False, draws: int = BOOTSTRAP_DRAWS, seed: int = 0
) -> ScoresTable:
    """Set runs beside each other as a paper does.

    Args:
        folders: Of evaluated runs on the same utterances, each of one seed or several; the first is what the others are
            compared with.
        published: Whether figures of papers on the same corpus and task go beside ours.
        draws: Bootstrap draws over dialogues.
        seed: For the random draws.

    Returns:
        One row for each run. The tests of all rows against the first are corrected together, those over seeds and those
        over dialogues each as a family of its own.

    Raises:
        RecordError: If a folder holds no results.
        EvaluationError: If the runs cannot be set beside each other, as
            :func:`speechcue_hf.evaluation.runs.pair_runs` says.
    """
    runs = read_runs(folders)
    first, dialogues = runs[0], runs[0].counts.shape[1]
    against = [difference(first, run, draws=draws, seed=seed) for run in runs[1:]]
    corrected = [holm([it[name] for it in against]) for name in ("p_value", "p_value_seeds")]
    compared: list[dict[str, Any]] = [{}] + [
        {
            "difference": it["difference"],
            "difference_interval": tuple(it["interval"]),
            "p_dialogues": p_dialogues,
            "p_seeds": p_seeds,
        }
        for it, p_dialogues, p_seeds in zip(against, *corrected, strict=True)
    ]
    names = run_names([run.folder for run in runs])
    results = first.results[0]
    return ScoresTable(
        rows=tuple(_row(run, name, draws, seed, more) for run, name, more in zip(runs, names, compared, strict=True)),
        task=(results.corpus or {}).get("task"),
        split=results.split,
        n=len(first.true),
        dialogues=dialogues,
        published=tuple(published_figures(results)) if published else (),
        warnings=tuple(filter(None, [few_dialogues_warning(dialogues), _protocol_warning(runs, names)])),
    )


def _row(run: Run, name: str, draws: int, seed: int, compared: dict[str, Any]) -> TableRow:
    trainings = [find_record(TrainingRecord, folder) for folder in run_folders(run.folder)]
    return TableRow(
        name=name,
        seeds=len(run.results),
        scores=spread_of([{metric: getattr(result, metric) for metric in METRICS} for result in run.results]),
        interval=interval(run.drawn(draws, seed)),
        invalid_rate=float(np.mean([result.invalid_rate for result in run.results])),
        sees=_same([_sees(*pair) for pair in zip(run.results, trainings, strict=True)]),
        read=_same([_how_read(result) for result in run.results]),
        selected_on=_same([_selected_on(training) for training in trainings]),
        **compared,
    )


def _sees(result: ResultsRecord, training: TrainingRecord | None) -> str | None:
    """What of a conversation the model was shown."""
    if training is not None and training.kind == "speech":
        return "clip"
    return None if result.sees_future is None else "future" if result.sees_future else "history"


def _how_read(result: ResultsRecord) -> str | None:
    """How labels were read off the model."""
    details = {"score": result.normalisation, "generate": result.matching, "predictions": result.matching}
    words = {
        "score": "closed set",
        "classify": "heads",
        "generate": "generated",
        "predictions": "made elsewhere",
        "ensemble": "ensemble",
    }
    if result.decode is None:
        return None
    detail = details.get(result.decode)
    return words.get(result.decode, result.decode) + (f" ({detail})" if detail else "")


def _selected_on(training: TrainingRecord | None) -> str | None:
    """The split that chose the best epoch: the one that a training counts beside its own."""
    others = [split for split in training.rows if split != "train"] if training else []
    return others[0] if len(others) == 1 else None


def _same(values: Sequence[str | None]) -> str | None:
    """What all seeds have in common; several things are all named."""
    found = dict.fromkeys(values)
    return None if None in found else " or ".join(value for value in found if value is not None)


def run_names(folders: Sequence[Path]) -> list[str]:
    """Names of folders, with as many of the folders above as tell them apart."""
    paths = [folder.resolve() for folder in folders]
    for depth in range(1, max(len(path.parts) for path in paths)):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(set(paths)):
            return names
    return [path.name for path in paths]


def _protocol_warning(runs: Sequence[Run], names: Sequence[str]) -> str | None:
    """Which runs saw later turns, where others did not."""
    future = [name for run, name in zip(runs, names, strict=True) if run.sees_future]
    if not future or len(future) == len(runs):
        return None
    return f"{', '.join(future)} saw later turns of the dialogue: the differences are not those of the models alone."

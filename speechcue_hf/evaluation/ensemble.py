"""Several runs taken as one model: the mean of the probabilities that they give each label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from datasets import Dataset

from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.evaluate import evaluate
from speechcue_hf.evaluation.recorded import AveragedClassifier, RecordedClassifier
from speechcue_hf.evaluation.runs import pair_runs, run_folders
from speechcue_hf.records import ResultsRecord

_KNOWN = ("weighted_f1", "seed", "decode", "model_revision", "prompt", "describer_sha256", "biographies", "sees_future")
"""What is kept of each member, where its results say it."""


def ensemble_runs(folders: Sequence[str | Path]) -> tuple[ResultsRecord, Dataset]:
    """Average the probabilities of runs on the same utterances, and score what they name together.

    Args:
        folders: Of two or more evaluated runs whose predictions have probabilities; a folder of several seeds stands
            for all of them.

    Returns:
        The results, with what is known of each of the ``members``, and the table of predictions. ``sees_future`` is
        true if one of them saw later turns, and None if one that might have does not say.

    Raises:
        RecordError: If a folder holds no results.
        EvaluationError: If there are fewer than two runs, one is named twice or has no probabilities, or they cannot be
            set beside each other, as :func:`speechcue_hf.evaluation.runs.pair_runs` says.
    """
    places = [place for folder in folders for place in run_folders(folder)]
    if len(places) < 2:
        raise EvaluationError("An ensemble is made of two or more runs: name their folders.")
    if len({place.resolve() for place in places}) < len(places):
        raise EvaluationError(f"One run is named twice among {', '.join(map(str, places))}: name each once.")
    member_results, tables = pair_runs(places)
    for place, table in zip(places, tables, strict=True):
        if "probabilities" not in table.column_names:
            raise EvaluationError(
                f"The predictions of {place} have no probabilities, so there is nothing to average: evaluate it again "
                "with --decode score."
            )
    members = [
        RecordedClassifier(table, tuple(result.labels), sees_future=result.sees_future)
        for table, result in zip(tables, member_results, strict=True)
    ]
    results, predictions = evaluate(AveragedClassifier(tuple(members)), members[0].rows)
    first = member_results[0]
    known = [{name: value for name in _KNOWN if (value := getattr(it, name)) is not None} for it in member_results]
    return replace(results, corpus=first.corpus, split=first.split, members=tuple(known)), predictions

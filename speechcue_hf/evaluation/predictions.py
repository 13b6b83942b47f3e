"""Predictions as a table: one row per labelled utterance, with what the model made of it.

Columns: ``utterance_id``, ``dialogue_id``, ``label`` and ``prediction`` (label words; ``prediction`` is null where a
generated text was no label), and ``probabilities`` (over the label set, in its order) and ``margin`` from closed-set
scoring, or ``output`` (the text) from generation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
from datasets import Dataset, Features, List, Value
from pyarrow import csv, json, parquet

from speechcue_hf.errors import EvaluationError
from speechcue_hf.filenames import PREDICTIONS_FILE
from speechcue_hf.inference.answers import MATCHING_RULES
from speechcue_hf.inference.scoring import LabelScores

COLUMNS = ("utterance_id", "dialogue_id", "label", "prediction")

_SHARED = {name: Value("string") for name in COLUMNS}


def predictions_from_scores(rows: Dataset, scores: LabelScores) -> Dataset:
    """Pair prompt–completion rows with the scores of their labels.

    Args:
        rows: ``utterance_id``, ``dialogue_id`` and ``completion`` of each row.
        scores: The scores, in the order of the rows.

    Returns:
        The table of predictions.
    """
    return scored_table(_row_columns(rows), scores)


def predictions_from_classes(rows: Dataset, scores: LabelScores) -> Dataset:
    """Pair rows of a dataset with the scores that a classifier gave their labels.

    Args:
        rows: ``utterance_id``, ``dialogue_id`` and ``emotion`` of each row, labelled.
        scores: The scores, in the order of the rows; the labels in the order of the class ids.

    Returns:
        The table of predictions.
    """
    words = [scores.labels[emotion] for emotion in rows["emotion"]]
    ids = {name: list(rows[name]) for name in ("utterance_id", "dialogue_id")}
    return scored_table({**ids, "label": words}, scores)


def scored_table(columns: dict[str, list[str]], scores: LabelScores) -> Dataset:
    """Put the scores of labels beside the rows that they are of.

    Args:
        columns: ``utterance_id``, ``dialogue_id`` and ``label`` of each row.
        scores: The scores, in the order of the rows.

    Returns:
        The table of predictions.
    """
    scored = {
        "prediction": [scores.labels[index] for index in scores.predictions],
        "probabilities": scores.probabilities.tolist(),
        "margin": scores.margins.tolist(),
    }
    features = Features({**_SHARED, "probabilities": List(Value("float64")), "margin": Value("float64")})
    return Dataset.from_dict({**columns, **scored}, features=features)


def predictions_from_outputs(rows: Dataset, outputs: Sequence[str], labels: Sequence[str], matching: str) -> Dataset:
    """Pair prompt–completion rows with generated texts.

    Args:
        rows: ``utterance_id``, ``dialogue_id`` and ``completion`` of each row.
        outputs: The generated texts, in the order of the rows.
        labels: The closed set.
        matching: Rule that makes a label of a text, a key of ``MATCHING_RULES``.

    Returns:
        The table of predictions.
    """
    columns = {**_row_columns(rows), "prediction": match_outputs(outputs, labels, matching), "output": list(outputs)}
    return Dataset.from_dict(columns, features=Features({**_SHARED, "output": Value("string")}))


def match_outputs(outputs: Sequence[str], labels: Sequence[str], matching: str) -> list[str | None]:
    """Make a label, or nothing, of each generated text.

    Args:
        outputs: Generated texts.
        labels: The closed set.
        matching: ``"strict"`` (exactly one label, else invalid) or ``"instructerc"`` (the published repair).

    Returns:
        A label word or ``None`` for each text.

    Raises:
        ValueError: If there is no such rule.
    """
    if matching not in MATCHING_RULES:
        raise ValueError(f"matching must be one of {sorted(MATCHING_RULES)}, got {matching!r}")
    numbers = [MATCHING_RULES[matching](output, labels) for output in outputs]
    return [None if number is None else labels[number] for number in numbers]


def read_predictions(path: Path) -> Dataset:
    """Read a table of predictions.

    Args:
        path: A ``.parquet``, ``.csv`` or ``.jsonl`` file, or a folder with ``predictions.parquet``.

    Returns:
        The table.

    Raises:
        EvaluationError: If the file is missing or broken, lacks a column or holds an utterance twice.
    """
    path = path / PREDICTIONS_FILE if path.is_dir() else path
    if not path.is_file() or path.suffix not in _READERS:
        raise EvaluationError(f"{path} is no predictions file: expected a .parquet, .csv or .jsonl that exists.")
    try:
        # Not through datasets' loaders, which leave a copy in the cache.
        table = Dataset(_READERS[path.suffix](path))
    except pa.ArrowInvalid as error:
        raise EvaluationError(f"{path} cannot be read as {path.suffix} ({error}).") from error
    needed = ["utterance_id", "dialogue_id", "label"]
    missing = [name for name in needed if name not in table.column_names]
    if missing or not {"prediction", "output"} & set(table.column_names):
        raise EvaluationError(
            f"{path} has the columns {table.column_names}; it needs {', '.join(needed)}, and prediction or output."
        )
    if len(set(table["utterance_id"])) != len(table):
        raise EvaluationError(f"{path} holds {len(table)} rows but fewer utterances: some utterance_id repeats.")
    return table


def label_numbers(words: Sequence[str | None], labels: Sequence[str]) -> list[int | None]:
    """Turn label words into positions in the label set; ``None`` stays.

    Raises:
        EvaluationError: If a word is not in the label set.

    Example:
        >>> label_numbers(["sad", None], ["happy", "sad"])
        [1, None]
    """
    unknown = sorted({word for word in words if word is not None and word not in labels})
    if unknown:
        raise EvaluationError(f"Unknown label {unknown[0]!r}: the label set is {', '.join(labels)}.")
    return [None if word is None else labels.index(word) for word in words]


def references(predictions: Dataset, labels: Sequence[str]) -> list[int]:
    """True classes of a table of predictions.

    Raises:
        EvaluationError: If a row has no label, or one outside the label set.
    """
    numbers = label_numbers(predictions["label"], labels)
    for utterance_id, number in zip(predictions["utterance_id"], numbers, strict=True):
        if number is None:
            raise EvaluationError(f"Utterance {utterance_id} has no label, so it cannot be scored: leave it out.")
    return [number for number in numbers if number is not None]


def _read_csv(path: Path) -> pa.Table:
    """Words stay words, whatever they look like; an empty field is null."""
    words = dict.fromkeys((*COLUMNS, "output"), pa.string())
    return csv.read_csv(
        path,
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(column_types=words, null_values=[""], strings_can_be_null=True),
    )


_READERS: dict[str, Callable[[Path], pa.Table]] = {
    ".parquet": parquet.read_table,
    ".csv": _read_csv,
    ".jsonl": json.read_json,
}


def _row_columns(rows: Dataset) -> dict[str, list[str]]:
    return {
        "utterance_id": list(rows["utterance_id"]),
        "dialogue_id": list(rows["dialogue_id"]),
        "label": [completion[0]["content"] for completion in rows["completion"]],
    }

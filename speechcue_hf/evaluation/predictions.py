"""Predictions as a table: one row per labelled utterance, with what a classifier made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, Features, List, Value
from pyarrow import csv, json, parquet

from speechcue_hf.errors import EvaluationError
from speechcue_hf.inference.classifier import Prediction
from speechcue_hf.records import PREDICTIONS_FILE

COLUMNS = ("utterance_id", "dialogue_id", "label", "prediction")
"""``prediction`` is null where an utterance could not be judged or a generated text was no label."""

OPTIONAL = {
    "probabilities": List(Value("float64")),
    "margin": Value("float64"),
    "note": Value("string"),
    "output": Value("string"),
    "explanation": Value("string"),
}
"""Columns that not every classifier fills; ``probabilities`` are in the order of the label set."""


def prediction_table(rows: Dataset, predictions: Sequence[Prediction], words: Sequence[str]) -> Dataset:
    """Put predictions beside the rows that they are of.

    Args:
        rows: ``utterance_id``, ``dialogue_id`` and ``emotion`` of each, labelled.
        predictions: Of each.
        words: The label words, in the order of their class ids.

    Returns:
        The table.
    """
    columns: dict[str, Any] = {
        "utterance_id": list(rows["utterance_id"]),
        "dialogue_id": list(rows["dialogue_id"]),
        "label": [words[emotion] for emotion in rows["emotion"]],
        "prediction": [None if it.label is None else words[it.label] for it in predictions],
    }
    filled = {name: [getattr(it, name) for it in predictions] for name in OPTIONAL}
    filled = {name: values for name, values in filled.items() if any(value is not None for value in values)}
    texts = dict.fromkeys(columns, Value("string"))
    features = Features({**texts, **{name: OPTIONAL[name] for name in filled}})
    return Dataset.from_dict({**columns, **filled}, features=features)


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
    except (pa.ArrowException, OSError, ValueError) as error:
        raise EvaluationError(f"{path} cannot be read as {path.suffix} ({error}): evaluate again.") from error
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

"""Small releases that may not be passed on, described by the commands, for tests of what keeps them here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, DatasetDict, Features
from datasets.table import InMemoryTable

from speechcue_hf.cli import main
from speechcue_hf.corpora.parquet import read_dataset, write_dataset
from speechcue_hf.records import CorpusIdentity, write_record

OWN = CorpusIdentity("folder", "default", "", "", "", (), {}, "0" * 64, "", "0")
"""The record of somebody's own recordings, which may be published whole."""


def command(*arguments: object) -> None:
    assert main([str(argument) for argument in arguments]) == 0


def prepared(corpus: str, release: Path, folder: Path, *options: object) -> Path:
    command("prepare", corpus, "--data-dir", release, *options, "-o", folder)
    return folder


def described(clips: Path, folder: Path) -> Path:
    command("measure", clips, "-o", folder.with_name(f"{folder.name}-measured"), "--groups", "loudness")
    command("describe", folder.with_name(f"{folder.name}-measured"), "-o", folder)
    return folder


def iemocap_described(release: Path, root: Path) -> Path:
    clips = prepared("iemocap", release, root / "iemocap", "--config", "erc-6", "--no-verify")
    return described(clips, root / "iemocap-described")


def changed(source: Path, target: Path, change: Callable[[dict[str, Any]], dict[str, Any]], **types: Any) -> Path:
    """A copy of a dataset folder with rows changed one by one, whose record says that they are somebody's own."""
    dataset = read_dataset(source)
    write_dataset(DatasetDict({split: _changed(part, change, types) for split, part in dataset.items()}), target)
    for path in source.glob("*.json"):
        (target / path.name).write_bytes(path.read_bytes())
    write_record(OWN, target)
    return target


def _changed(rows: Dataset, change: Callable[[dict[str, Any]], dict[str, Any]], types: dict[str, Any]) -> Dataset:
    before, after = rows.to_list(), [change(row) for row in rows.to_list()]
    columns = {name: [row[name] for row in after] for name in after[0]}
    # Each look at the features of a dataset copies them all.
    known = rows.features
    kept = {name: known[name] for name in columns if columns[name] == [row.get(name) for row in before]}
    kept |= {name: known[name] for name in columns if name == "audio"}
    inferred = Dataset.from_dict({name: values for name, values in columns.items() if name not in {**kept, **types}})
    types = {**inferred.features, **kept, **types}
    features = Features({name: types[name] for name in columns})
    # Not by Dataset.from_dict, which would encode clips again.
    return Dataset(InMemoryTable(pa.table(columns, schema=features.arrow_schema)))

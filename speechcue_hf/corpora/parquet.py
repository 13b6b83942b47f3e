"""Dataset folders: Parquet that plain ``load_dataset(folder)`` reads; a killed run leaves no half file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict, Features, load_dataset
from datasets.table import embed_table_storage
from datasets.utils import tqdm

from speechcue_hf.errors import CorpusError

ROWS_PER_GROUP = 256
"""Rows held in memory at a time; 256 clips of a few seconds are some 50 MB."""


def shard_name(split: str, index: int, count: int) -> str:
    """File name of one shard, in the form that the Hub and ``load_dataset`` know.

    Args:
        split: Name of the split.
        index: Which shard, from 0.
        count: How many shards the split has.

    Returns:
        Such as ``train-00000-of-00002.parquet``.
    """
    return f"{split}-{index:05d}-of-{count:05d}.parquet"


def write_shard(dataset: Dataset, path: Path) -> None:
    """Write rows to one Parquet file, clips embedded; the file appears only once it is whole.

    Args:
        dataset: The rows.
        path: The file to write; its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write_rows(dataset, unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_dataset(dataset: DatasetDict, folder: Path) -> None:
    """Write a dataset folder, one file a split; files of an earlier writing of these splits are replaced.

    Args:
        dataset: The splits.
        folder: The dataset folder.
    """
    for split, rows in dataset.items():
        name = shard_name(str(split), 0, 1)
        write_shard(rows, folder / name)
        for other in folder.glob(f"{split}-?????-of-?????.parquet"):
            if other.name != name:
                other.unlink()


def read_dataset(folder: Path) -> DatasetDict:
    """Read a dataset folder.

    Args:
        folder: A folder that :func:`write_dataset` or a command of this package wrote.

    Returns:
        Its splits, with the features that were written.

    Raises:
        CorpusError: If the folder holds no Parquet of the expected name, or not all shards of a split.
    """
    files: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*-?????-of-?????.parquet")):
        files.setdefault(path.name[: -len("-00000-of-00001.parquet")], []).append(str(path))
    if not files:
        raise CorpusError(f"{folder} holds no <split>-00000-of-00001.parquet: make it with `speechcue prepare`")
    for split, shards in files.items():
        expected = int(Path(shards[0]).stem[-5:])
        if len(shards) != expected:
            raise CorpusError(
                f"{folder} holds {len(shards)} shards of split {split!r}, not {expected}: "
                "run the missing shards, or remove those of another --num-shards"
            )
    return load_dataset("parquet", data_files=files)


def _write_rows(dataset: Dataset, path: Path) -> None:
    features: Features = dataset.features
    schema: pa.Schema = features.arrow_schema
    batches: Any = dataset.with_format("arrow").iter(batch_size=ROWS_PER_GROUP)
    bar = tqdm(total=len(dataset), unit=" rows", desc=f"Writing {path.name.split('-')[0].lstrip('.')}")
    with pq.ParquetWriter(path, schema) as writer, bar:
        for batch in batches:
            writer.write_table(embed_table_storage(batch.cast(schema)))
            bar.update(batch.num_rows)

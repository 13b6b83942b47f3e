"""Dataset folders: Parquet that plain ``load_dataset(folder)`` reads; a killed run leaves no half file."""

from __future__ import annotations

import io
import logging
import os
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Audio, Dataset, DatasetDict, Features, load_dataset
from datasets.table import embed_table_storage
from datasets.utils import tqdm

from speechcue_hf.audio import Clip, decode
from speechcue_hf.errors import AudioError, CorpusError

logger = logging.getLogger(__name__)

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm")

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
    """Write rows to one Parquet file; the file appears only once it is whole.

    Clips are embedded, without the folder they lie in. Of a video only the sound is, as FLAC (16 bit, its own sampling
    rate and channels); one that cannot be decoded is embedded as it is.

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


def write_dataset(dataset: DatasetDict, folder: Path, num_proc: int = 1) -> None:
    """Write a dataset folder; files of an earlier writing of these splits are replaced.

    Args:
        dataset: The splits.
        folder: The dataset folder.
        num_proc: Processes that write; each writes one file of each split.
    """
    for split, rows in dataset.items():
        count = max(1, min(num_proc, len(rows)))
        shards = {
            folder / shard_name(str(split), index, count): rows.shard(count, index, contiguous=True)
            for index in range(count)
        }
        if count == 1:
            write_shard(rows, *shards)
        else:
            with Pool(count) as pool:
                pool.starmap(write_shard, [(shard, path) for path, shard in shards.items()])
        for other in set(folder.glob(f"{split}-?????-of-?????.parquet")) - set(shards):
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
            writer.write_table(embed_table_storage(_with_sound_of_videos(batch, features).cast(schema)))
            bar.update(batch.num_rows)


def _with_sound_of_videos(batch: pa.Table, features: Features) -> pa.Table:
    for index, (name, feature) in enumerate(features.items()):
        if isinstance(feature, Audio):
            clips = [_sound_of_video(clip) for clip in batch.column(name).to_pylist()]
            batch = batch.set_column(index, name, pa.array(clips, feature.pa_type))
    return batch


def _sound_of_video(clip: dict[str, Any] | None) -> dict[str, Any] | None:
    if clip is None or clip["path"] is None or Path(clip["path"]).suffix.lower() not in VIDEO_SUFFIXES:
        return clip
    try:
        return {"bytes": _flac(decode(clip)), "path": Path(clip["path"]).with_suffix(".flac").name}
    except AudioError as error:
        logger.warning("%s: embedded as it is", error)
        return clip


def _flac(clip: Clip) -> bytes:
    """A FLAC file, 16 bit; what lies beyond full scale, as lossy codecs make it, is clipped."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, clip.samples.T, clip.rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()

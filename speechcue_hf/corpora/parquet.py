"""Dataset folders: Parquet that plain ``load_dataset(folder)`` reads; a killed run leaves no half folder."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Mapping, Sequence
from multiprocessing import Pool
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Audio, Dataset, DatasetDict, Features, load_dataset
from datasets.exceptions import DatasetGenerationError
from datasets.table import embed_table_storage

from speechcue_hf.audio import Clip, decode
from speechcue_hf.corpora.identity import identify, restore_identity
from speechcue_hf.corpora.schema import SPLITS
from speechcue_hf.corpora.writing import check_splits_of, check_whole, files_of_splits, whole_folder
from speechcue_hf.errors import AudioError, CorpusError
from speechcue_hf.progress import counting
from speechcue_hf.records import CORPUS_FILE, CorpusIdentity, find_record, write_record

logger = logging.getLogger(__name__)

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm")

ROWS_PER_GROUP = 256
"""Rows held in memory at a time; 256 clips of a few seconds are some 50 MB."""


def shard_name(split: str, index: int, count: int) -> str:
    """File name of a shard, as the Hub and ``load_dataset`` know it: such as ``train-00000-of-00002.parquet``.

    Args:
        split: Name of the split.
        index: Which shard, from 0.
        count: How many shards the split has.
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
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        _write_rows(dataset, unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_dataset(dataset: DatasetDict, folder: str | Path, num_proc: int = 1, *, command: str | None = None) -> None:
    """Write a dataset folder; its files appear only once all splits are written, and replace those of an earlier time.

    Rows that come from a loader of this package get a ``corpus.json`` beside them.

    Args:
        dataset: The splits.
        folder: The dataset folder.
        num_proc: Processes that write; each writes one file of each split.
        command: The command line that finishes the folder, should this be killed; readers name it.

    Raises:
        ValueError: If ``num_proc`` is not positive.
        CorpusError: If the folder holds other splits, which would be taken for a part of this dataset.
    """
    if num_proc < 1:
        raise ValueError(f"num_proc must be 1 or more, got {num_proc}")
    counts = {str(split): max(1, min(num_proc, len(rows))) for split, rows in dataset.items()}
    check_splits_of(Path(folder), [shard_name(split, 0, count) for split, count in counts.items()])
    with whole_folder(Path(folder), command, replaces=[CORPUS_FILE]) as unfinished:
        for split, rows in dataset.items():
            _write_split(rows, str(split), unfinished, counts[str(split)])
        if identity := identify(dataset):
            write_record(identity, unfinished)


def read_dataset(folder: str | Path) -> DatasetDict:
    """Read a dataset folder.

    Args:
        folder: A folder that :func:`write_dataset` or a command of this package wrote.

    Returns:
        Its splits, with the features that were written; their info names the corpus if the folder does.

    Raises:
        CorpusError: If the folder is not complete, holds no Parquet of the expected name, a damaged file, a split
            without rows, fewer rows than its ``corpus.json`` counts, or files with other columns.
        RecordError: If its ``corpus.json`` is damaged or of a newer release.
    """
    folder = Path(folder)
    check_whole(folder)
    files = files_of_splits(folder)
    if not files:
        raise CorpusError(f"{folder} holds no <split>-00000-of-00001.parquet: make it with `speechcue prepare`")
    counts = {split: _count_rows(folder, split, shards) for split, shards in files.items()}
    identity = find_record(CorpusIdentity, folder)
    if identity:
        _check_counts(folder, counts, identity)
    # In the order in which load_dataset(folder) gives them: others follow by name.
    ordered = {name: files[name] for name in (*SPLITS, *files) if name in files}
    try:
        dataset = load_dataset("parquet", data_files={name: list(map(str, paths)) for name, paths in ordered.items()})
    except DatasetGenerationError as error:
        cause = " ".join(str(error.__cause__ or error).split())
        raise CorpusError(f"the files of {folder} are no one dataset, make them again together: {cause}") from error
    if identity:
        restore_identity(dataset, identity)
    return dataset


def _count_rows(folder: Path, split: str, shards: Sequence[Path]) -> int:
    """Rows of a split; one that lacks a shard, has shards of two writings, a damaged one, or no rows is refused."""
    count = int(shards[0].stem[-5:])
    if [path.name for path in shards] != [shard_name(split, index, count) for index in range(count)]:
        raise CorpusError(
            f"{folder} holds {len(shards)} files of split {split!r}, which are not its {count} shards: "
            "run the missing shards, or remove those of another --num-shards"
        )
    rows = sum(map(_row_count, shards))
    if not rows:
        raise CorpusError(f"{folder}: split {split!r} has no rows, remove {', '.join(path.name for path in shards)}")
    return rows


def _check_counts(folder: Path, counts: Mapping[str, int], identity: CorpusIdentity) -> None:
    """Refuse fewer rows than the record beside them counts: 0.1.0 left such folders when it was killed."""
    for split, counted in identity.utterances.items():
        if (rows := counts.get(split, 0)) < counted:
            raise CorpusError(
                f"{folder} is not complete: it holds {rows:,} rows of split {split!r}, and {CORPUS_FILE} counts "
                f"{counted:,}. Finish it with the command that wrote it (`speechcue measure` goes on where it stood); "
                f"if these rows are all that is wanted, remove {CORPUS_FILE}"
            )


def _row_count(path: Path) -> int:
    try:
        rows: int = pq.read_metadata(path).num_rows
    except pa.ArrowInvalid as error:
        raise CorpusError(f"{path} is no whole Parquet file ({error}): make it again") from error
    return rows


def _write_split(rows: Dataset, split: str, folder: Path, count: int) -> None:
    """Write the files of one split, each in a process of its own if there are several."""
    shards = [
        (rows.shard(count, index, contiguous=True), folder / shard_name(split, index, count)) for index in range(count)
    ]
    if count == 1:
        write_shard(*shards[0])
    else:
        with Pool(count) as pool:
            pool.starmap(write_shard, shards)


def _write_rows(dataset: Dataset, path: Path) -> None:
    features: Features = dataset.features
    schema: pa.Schema = features.arrow_schema
    batches: Any = dataset.with_format("arrow").iter(batch_size=ROWS_PER_GROUP)
    what = f"Writing {path.name.split('-')[0].lstrip('.')}"
    with pq.ParquetWriter(path, schema) as writer, counting(what, len(dataset), "rows") as count:
        for batch in batches:
            writer.write_table(embed_table_storage(_with_sound_of_videos(batch, features).cast(schema)))
            count(batch.num_rows)


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

"""Dataset folders: Parquet that plain ``load_dataset(folder)`` reads; a killed run leaves no half folder.

Parquet of any name is read, too, and what ``save_to_disk`` wrote. Which split a file is of its name says, as for
``load_dataset``; where that takes some files and leaves others out without a word, it is an error here.
"""

from __future__ import annotations

import io
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from multiprocessing import Pool
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Audio, Dataset, DatasetDict, Features, load_dataset, load_from_disk
from datasets.config import DATASET_STATE_JSON_FILENAME, DATASETDICT_JSON_FILENAME
from datasets.exceptions import DatasetGenerationError

from speechcue_hf.audio import probe, read_sound
from speechcue_hf.corpora.identity import identify, restore_identity
from speechcue_hf.corpora.schema import SPLIT_WORDS, SPLITS
from speechcue_hf.corpora.writing import (
    check_splits_of,
    check_whole,
    own_files,
    own_split,
    parquet_in,
    whole_folder,
)
from speechcue_hf.decoders import AvSound, Sound
from speechcue_hf.errors import AudioError, CorpusError
from speechcue_hf.progress import counting
from speechcue_hf.records import (
    CORPUS_FILE,
    PREDICTIONS_FILE,
    CorpusIdentity,
    beside,
    find_record,
    read_json,
    write_record,
)

logger = logging.getLogger(__name__)

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm")

_SAVE_AGAIN = "save the rows again with save_to_disk"

ROWS_PER_GROUP = 256
"""Most rows held in memory at a time; 256 clips of a few seconds are some 50 MB."""
BYTES_PER_GROUP = 2**26
"""Bytes of clips from which on fewer rows are held."""
LARGEST_EMBEDDED = 2**30
"""In bytes. Arrow takes twice as much, and writing it several times as much memory."""
LONGEST_FLAC = 600.0
"""In s. The sound of longer videos stays as it is encoded; nothing in this package hears more of one clip."""


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
    rate and channels), or beyond ten minutes as it is encoded (m4a or mka); one that is not whole, or cannot be
    decoded, is embedded as it is. A file beyond 1 GiB is left out with a warning, and
    ``audio_status`` says ``missing``.

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
        CorpusError: If the folder holds other splits or files, which would be taken for a part of this dataset.
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
        folder: A folder that :func:`write_dataset` or a command of this package wrote; Parquet of any name, a file or a
            folder of files; or what ``save_to_disk`` wrote. A file belongs to the split that is a word of its name or
            of the name of a folder on the way to it: ``train``, ``training``; ``validation``, ``valid``, ``val``,
            ``dev``; ``test``, ``testing``, ``eval``, ``evaluation``. If no file names a split, all are ``train``, in
            the order of their names. A folder without files of its own is read from those below it.

    Returns:
        Its splits, with the features that were written; their info names the corpus if the folder does.

    Raises:
        CorpusError: If the folder is not complete, there is no Parquet, a file's split is not clear, not all shards of
            a split are there, a file is damaged, a split has no rows, files have other columns, or a folder that this
            package wrote has fewer rows than its ``corpus.json`` counts.
        RecordError: If its ``corpus.json`` is damaged or of a newer release.
    """
    place = Path(folder)
    check_whole(beside(place))
    dataset = _saved_to_disk(place) or _read_parquet(place)
    if identity := find_record(CorpusIdentity, place):
        if own_files(place):
            _check_counts(place, dataset, identity)
        restore_identity(dataset, identity)
    return dataset


def identity_of(place: Path, dataset: DatasetDict | None = None) -> CorpusIdentity | None:
    """Which corpus rows are from: as the ``corpus.json`` beside them says, or else they themselves.

    A record of more rows, as beside one file of several, is not that of these rows.

    Args:
        place: A dataset folder, or a file of rows.
        dataset: What was read from it; None reads it, if need be.
    """
    record = find_record(CorpusIdentity, place)
    if record and (dataset is None or not _fewer(dataset, record)):
        return record
    return identify(read_dataset(place) if dataset is None else dataset) or record


def carry_identity(source: Path, dataset: DatasetDict, target: Path) -> None:
    """Give a dataset folder the ``corpus.json`` of what it was made from, or one that says what the rows say."""
    if identity := identity_of(source, dataset):
        write_record(identity, target)
    else:
        (target / CORPUS_FILE).unlink(missing_ok=True)


def _saved_to_disk(folder: Path) -> DatasetDict | None:
    """What ``save_to_disk`` wrote; None if the folder holds something else."""
    splits = _saved_splits(folder)
    if splits is None:
        return None
    for place in splits:
        _check_saved_files(place)
    try:
        saved = load_from_disk(str(folder))
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise CorpusError(f"{folder} is not as save_to_disk writes it ({error}): {_SAVE_AGAIN}") from error
    return saved if isinstance(saved, DatasetDict) else DatasetDict({str(saved.split or "train"): saved})


def _saved_splits(folder: Path) -> list[Path] | None:
    """The folders of the splits that ``save_to_disk`` wrote, each of which its state names by a plain name."""
    if (folder / DATASETDICT_JSON_FILENAME).is_file():
        names = read_json(folder / DATASETDICT_JSON_FILENAME, _SAVE_AGAIN).get("splits")
        return [folder / name for name in _plain_names(names, folder / DATASETDICT_JSON_FILENAME)]
    return [folder] if (folder / DATASET_STATE_JSON_FILENAME).is_file() else None


def _check_saved_files(folder: Path) -> None:
    """Refuse a state that names files outside its folder: it came with the rows, and may say anything."""
    state = folder / DATASET_STATE_JSON_FILENAME
    if not state.is_file():
        raise CorpusError(f"{folder} holds no {DATASET_STATE_JSON_FILENAME}: {_SAVE_AGAIN}")
    files = read_json(state, _SAVE_AGAIN).get("_data_files")
    if not isinstance(files, list) or not all(isinstance(file, dict) for file in files):
        raise CorpusError(f"{state} names no files in _data_files: {_SAVE_AGAIN}")
    _plain_names([file.get("filename") for file in files], state)


def _plain_names(names: Any, source: Path) -> list[str]:
    """Names of files or folders beside the file that names them; a link there may lead anywhere and is none."""
    if not isinstance(names, list) or not names:
        raise CorpusError(f"{source} names nothing to read: {_SAVE_AGAIN}")
    for name in names:
        plain = isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\\:\0")
        if not plain or (source.parent / name).is_symlink():
            raise CorpusError(f"{source} names {name!r:.60}, which is nothing in its own folder: {_SAVE_AGAIN}")
    return names


def _read_parquet(place: Path) -> DatasetDict:
    files = _files_of_splits(place)
    for folder in sorted({path.parent for paths in files.values() for path in paths} - {beside(place)}):
        check_whole(folder)
    for split, paths in files.items():
        _check_shards(place, split, paths)
    # In the order in which load_dataset(folder) gives them: others follow by name.
    ordered = {name: files[name] for name in (*SPLITS, *files) if name in files}
    try:
        return load_dataset("parquet", data_files={name: list(map(str, paths)) for name, paths in ordered.items()})
    except DatasetGenerationError as error:
        cause = " ".join(str(error.__cause__ or error).split())
        raise CorpusError(f"the files of {place} are no one dataset, make them again together: {cause}") from error


def _files_of_splits(place: Path) -> dict[str, list[Path]]:
    """Split name → its files, by name."""
    files = [place] if place.is_file() else parquet_in(place) or _parquet_below(place)
    if not files:
        what = f"{place} holds no Parquet" if place.is_dir() else f"there is no {place}"
        raise CorpusError(f"{what}: make it with `speechcue prepare`")
    named = {path: _split_of(path, place) for path in files}
    nameless = [path for path, split in named.items() if split is None]
    if nameless and len(nameless) < len(files):
        raise CorpusError(
            f"{nameless[0]} names no split, and other files there do: rename it, such as to "
            f"train-{nameless[0].name}, or move it out of the folder"
        )
    if nameless:
        _tell_train(place)
    splits: dict[str, list[Path]] = {}
    for path, split in named.items():
        splits.setdefault(split or "train", []).append(path)
    for split, paths in splits.items():
        if len(folders := sorted({str(path.parent) for path in paths})) > 1:
            raise CorpusError(f"{place} holds the split {split!r} in {' and in '.join(folders)}: name one of these")
    return splits


@cache
def _tell_train(place: Path) -> None:
    """Say once how files are read that name no split."""
    logger.info("%s names no split: its rows are taken as train", place if place.is_file() else f"no file of {place}")


def _parquet_below(folder: Path) -> list[Path]:
    """Parquet in the folders below one, as ``push_to_hub`` lays it out in ``data/``, hidden ones left out."""
    below = sorted(path for path in folder.rglob("*.parquet") if path.name != PREDICTIONS_FILE)
    return [path for path in below if not any(part[0] in "._" for part in path.relative_to(folder).parts)]


def _split_of(path: Path, place: Path) -> str | None:
    """The split that a file names, or the folder that it lies in; None where neither does."""
    if own := own_split(path.name):
        return own
    folders = path.relative_to(place).parent.parts if place.is_dir() else ()
    for name in (path.stem, *reversed(folders)):
        words = {word for word in re.split(r"[^a-z]+", name.lower()) if word}
        splits = [split for split, of_split in SPLIT_WORDS.items() if words & {*of_split}]
        if len(splits) > 1:
            raise CorpusError(f"{path} names {' and '.join(splits)}: rename it, so that it says of which split it is")
        if splits:
            return splits[0]
    return None


def _check_shards(folder: Path, split: str, shards: Sequence[Path]) -> None:
    """Refuse a split that lacks a shard, has shards of two writings, a damaged one, or no rows at all."""
    counts = [int(path.stem[-5:]) for path in shards if own_split(path.name)]
    count = counts[0] if counts else 0
    if counts and [path.name for path in shards] != [shard_name(split, index, count) for index in range(count)]:
        raise CorpusError(
            f"{folder} holds {len(shards)} files of split {split!r}, which are not its {count} shards: "
            "run the missing shards, or remove those of another --num-shards"
        )
    if not sum(map(_row_count, shards)):
        raise CorpusError(f"{folder}: split {split!r} has no rows, remove {', '.join(path.name for path in shards)}")


def _check_counts(folder: Path, dataset: DatasetDict, identity: CorpusIdentity) -> None:
    """Refuse fewer rows than the record beside them counts: 0.1.0 left such folders when it was killed."""
    for split in _fewer(dataset, identity):
        raise CorpusError(
            f"{folder} is not complete: it holds {len(dataset.get(split, ())):,} rows of split {split!r}, and "
            f"{CORPUS_FILE} counts {identity.utterances[split]:,}. Finish it with the command that wrote it "
            f"(`speechcue measure` goes on where it stood); if these rows are all that is wanted, remove {CORPUS_FILE}"
        )


def _fewer(dataset: DatasetDict, identity: CorpusIdentity) -> list[str]:
    """Splits of which there are fewer rows than a record counts."""
    return [split for split, counted in identity.utterances.items() if len(dataset.get(split, ())) < counted]


def _row_count(path: Path) -> int:
    try:
        rows: int = pq.read_metadata(path).num_rows
    # Arrow says what it cannot read of a footer as an error of the system, without the file.
    except (pa.ArrowException, OSError) as error:
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
    clips = [name for name, feature in features.items() if isinstance(feature, Audio)]
    # Dictionary and statistics of clips would hold each of them twice more, and say nothing.
    others = [name for name in features if name not in clips]
    options = {"use_dictionary": others, "write_statistics": others}
    with pq.ParquetWriter(path, schema, **options) as writer, counting(what, len(dataset), "rows") as count:
        for batch in batches:
            for rows in _with_clips_embedded(batch, clips):
                writer.write_table(rows.cast(schema))
                count(rows.num_rows)


def _with_clips_embedded(batch: pa.Table, clips: Sequence[str]) -> Iterator[pa.Table]:
    """The rows with their clips, in parts of some 64 MB, or of one clip that is larger."""
    start, size = 0, 0
    embedded: dict[str, list[Any]] = {name: [] for name in clips}
    left_out: list[bool] = []
    for row in range(batch.num_rows):
        for name in clips:
            clip = batch.column(name)[row].as_py()
            embedded[name].append(_embedded(clip))
            size += len((embedded[name][-1] or {}).get("bytes") or b"")
            if name == "audio":
                left_out.append(bool(clip and clip["path"]) and embedded[name][-1] is None)
        if size >= BYTES_PER_GROUP or row == batch.num_rows - 1:
            rows = batch.slice(start, row + 1 - start)
            for name in clips:
                rows = _replaced(rows, name, embedded[name])
                embedded[name] = []
            if any(left_out) and "audio_status" in rows.column_names:
                states = zip(rows["audio_status"].to_pylist(), left_out, strict=True)
                rows = _replaced(rows, "audio_status", ["missing" if out else state for state, out in states])
            yield rows
            start, size, left_out = row + 1, 0, []


def _replaced(rows: pa.Table, name: str, values: list[Any]) -> pa.Table:
    """The rows with other values in a column."""
    return rows.set_column(rows.column_names.index(name), name, pa.array(values, rows.schema.field(name).type))


def _embedded(clip: dict[str, Any] | None) -> dict[str, Any] | None:
    """A clip with its bytes, and the name of its file without the folder; of a video the sound only."""
    if clip is None or (clip["bytes"] is None and clip["path"] is None):
        return None
    path = None if clip["path"] is None else Path(clip["path"])
    if path is not None and path.suffix.lower() in VIDEO_SUFFIXES:
        try:
            if (sound := _sound_of_video(clip)) is not None:
                return {"bytes": sound[0], "path": path.with_suffix(sound[1]).name}
            logger.warning("%s: not whole, embedded as it is", path.name)
        except AudioError as error:
            logger.warning("%s: embedded as it is", error)
    name = None if path is None else path.name
    if clip["bytes"] is not None:
        return {"bytes": clip["bytes"], "path": name}
    size = os.stat(clip["path"]).st_size
    if size > LARGEST_EMBEDDED:
        logger.warning("%s: left out, a file of %s bytes is too large for a row", name, f"{size:,}")
        return None
    return {"bytes": Path(clip["path"]).read_bytes(), "path": name}


def _sound_of_video(clip: Mapping[str, Any]) -> tuple[bytes, str] | None:
    """The sound of a video and the suffix of its format; None where it is not whole, which a copy would hide."""
    found = probe(clip)
    if found.duration > LONGEST_FLAC:
        return read_sound(clip, _packets)
    return None if found.ends_early else read_sound(clip, _flac)


def _packets(sound: Sound) -> tuple[bytes, str] | None:
    """The sound as it is encoded, in a file of its own: of an hour FLAC would take 300 MB."""
    if not isinstance(sound, AvSound):
        return None
    file = io.BytesIO()
    suffix = sound.copy(file)
    return file.getvalue(), suffix


def _flac(sound: Sound) -> tuple[bytes, str] | None:
    """A FLAC file, 16 bit; what lies beyond full scale, as lossy codecs make it, is clipped."""
    import soundfile

    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", sound.rate, sound.channels, "PCM_16", format="FLAC") as flac:
        for block in sound.blocks():
            if not np.isfinite(block).all():
                # FLAC holds whole numbers; what is no number is the measurement's to say.
                return None
            flac.write(block.T)
    return None if sound.damaged or sound.early else (file.getvalue(), ".flac")

"""Anybody's conversations: a ``metadata.csv``, ``.jsonl`` or ``.parquet`` beside the clips.

One row of the metadata is one utterance. The file lies in the folder itself (splits from its ``split`` column, else
all ``train``), or there is one in each of ``train/``, ``validation/`` and ``test/``; ``docs/reference/columns.md``
lists the columns.
"""

from __future__ import annotations

import csv
import logging
import math
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa
from datasets import Features

from speechcue_hf.corpora.builder import CorpusBuilder, CorpusConfig
from speechcue_hf.corpora.metadata import COLUMNS, Table, alike, read_table, same_names
from speechcue_hf.corpora.recordings import MisfitError, Part, Spoken, channel_number, find_parts
from speechcue_hf.corpora.registration import file_states
from speechcue_hf.corpora.schema import SPLIT_WORDS, SPLITS, Utterance, utterance_features
from speechcue_hf.corpora.turn_tables import any_table, read_turns_of, recordings_in, tables_beside
from speechcue_hf.errors import CorpusError

logger = logging.getLogger(__name__)

METADATA_FILES = ("metadata.csv", "metadata.jsonl", "metadata.parquet", "metadata.tsv")
GENDERS = {
    **dict.fromkeys(("female", "f", "woman"), "female"),
    **dict.fromkeys(("male", "m", "man"), "male"),
}
"""What people write → what it means, in capitals or not."""
_SPLITS = {word: split for split, words in SPLIT_WORDS.items() for word in words}


@dataclass
class FolderConfig(CorpusConfig):
    """Configuration of ``speechcue/folder``.

    Args:
        verify: Refuse dialogues that lie in more than one split.
        labels: Emotion names in the order of their class ids; None takes those in the metadata, sorted by name.
        turns: A table of the turns of the recordings in the folder, in any format that
            :mod:`speechcue_hf.corpora.turn_tables` reads, in place of metadata.
    """

    labels: Sequence[str] | None = None
    turns: str | None = None

    def create_config_id(self, config_kwargs: dict[str, Any], custom_features: Features | None = None) -> str:
        """The cache's name for this configuration, which changes when the turn table does."""
        if self.turns is not None:
            file = Path(self.turns).expanduser().absolute()
            config_kwargs = {**config_kwargs, "turns_state": list(file_states([file.parent]))}
        name: str = super().create_config_id(config_kwargs, custom_features)
        return name


class FolderBuilder(CorpusBuilder):
    """Conversations described by a metadata file."""

    BUILDER_CONFIG_CLASS = FolderConfig
    BUILDER_CONFIGS: ClassVar[Sequence[FolderConfig]] = [FolderConfig()]
    CORPUS = "folder"

    def emotions(self) -> Sequence[str]:
        """Label names of the config, or those in the metadata, sorted by name."""
        return self.config.labels or _labels(_rows(self._tables(), self.data_dir()))

    def extras(self) -> Mapping[str, Any]:
        """Columns without a meaning here, in the type they have in the metadata."""
        return _extra_columns(_rows(self._tables(), self.data_dir()))

    def read(self, data_dir: Path) -> dict[str, list[Utterance]]:
        """The utterances of each split."""
        tables = self._tables()
        rows = _rows(tables, data_dir)
        if self.corpus.needs_folder:
            _tell(tables, rows)
        return _utterances(rows, self.info.features["emotion"].names, _extra_columns(rows), self.config.verify)

    def _tables(self) -> list[tuple[Table, str | None]]:
        """What says which utterances there are: the metadata, or else turn tables."""
        data_dir = self.data_dir()
        given = self.config.turns
        if given is not None:
            return [(read_turns_of(data_dir, Path(given).expanduser().absolute()), None)]
        return _read_metadata(data_dir) or [(table, None) for table in tables_beside(data_dir)]


def _labels(rows: Sequence[_Row]) -> list[str]:
    """The labels of rows, sorted by name."""
    first: dict[str, _Row] = {}
    for row in rows:
        if (name := row.text("emotion")) is not None:
            first.setdefault(name, row)
    for one, other in same_names(first):
        raise first[other].error(
            "emotion",
            f"{other!r} is the label {one!r} of row {first[one].number} of {first[one].file.name} in other letters: "
            "write them alike, or pass labels= with the one that is meant",
        )
    return sorted(first)


@dataclass(frozen=True)
class _Row:
    """One row of a table, and where it stands, for error messages; rows count from 1."""

    file: Path
    number: int
    data_dir: Path
    base: Path
    """Where the paths of its clips start."""
    values: Mapping[str, Any]
    types: pa.Schema

    def text(self, column: str) -> str | None:
        """A value as text, without blanks around it; None where the column is absent or the cell empty."""
        value = self.values.get(column)
        if isinstance(value, float) and math.isnan(value) and column not in ("start", "end"):
            raise self.error(column, "NaN is no value: leave it empty, or null, where nothing is known")
        return None if value is None else str(value).strip() or None

    def one_of(self, column: str, meanings: Mapping[str, str]) -> str | None:
        """A value by what it means, whatever its capitals."""
        value = self.text(column)
        if value is not None and value.lower() not in meanings:
            raise self.error(column, f"{value!r} is not one of {', '.join(dict.fromkeys(meanings.values()))}")
        return None if value is None else meanings[value.lower()]

    def label(self, labels: Sequence[str]) -> str | None:
        """The emotion, which must be one of the labels."""
        value = self.text("emotion")
        if value is None or value in labels:
            return value
        meant = [label for label in labels if alike(label) == alike(value)]
        if len(meant) != 1:
            raise self.error("emotion", f"{value!r} is not one of {', '.join(labels)}")
        return meant[0]

    def seconds(self, column: str) -> float | None:
        """A value as a number of seconds."""
        value = self.text(column)
        if value is None:
            return None
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not math.isfinite(seconds):
            pointed = value.replace(",", ".")
            fix = f": write {pointed}" if re.fullmatch(r"-?\d+,\d+", value) else ""
            raise self.error(column, f"{value!r} is not a number of seconds{fix}")
        return seconds

    def channel(self) -> int | None:
        """The channel of the file that the utterance is on."""
        value = self.text("channel")
        try:
            return None if value is None else channel_number(value)
        except ValueError as error:
            raise self.error("channel", f"{error}; rename the column if it means something else") from error

    @cached_property
    def clip(self) -> Path | None:
        """Path of the clip, which must lie in the folder of the corpus; None where the row names none."""
        name = self.text("file_name")
        if name is None:
            return None
        if re.match(r"[A-Za-z]:[\\/]", name):
            raise self.error("file_name", f"{name!r} is a path of another machine: give it relative to the metadata")
        path = _existing(self.base, name)
        if not path.is_relative_to(os.path.normpath(self.data_dir)):
            raise self.error(
                "file_name", f"{name!r} lies outside {self.data_dir}: give a path relative to the metadata"
            )
        return path

    def spoken(self) -> Spoken:
        """What the row says of its file and its times."""
        name = f"row {self.number} of {self.file.name}"
        return Spoken(name, self.clip, self.seconds("start"), self.seconds("end"), self.channel())

    def file_stem(self) -> str | None:
        """The file's path in the corpus without the suffix."""
        return None if self.clip is None else stem_in(self.data_dir, self.clip)

    def utterance_id(self, part: Part | None) -> str:
        """The utterance's name: as given, or of the file and what of it the utterance is."""
        if (name := self.text("utterance_id")) is not None:
            return name
        if (stem := self.file_stem()) is not None:
            return stem if part is None else f"{stem}_{_part_name(part)}"
        raise self.error("utterance_id", "is empty, and so is file_name: give one of them")

    def error(self, column: str, problem: str) -> CorpusError:
        """An error that says where it is."""
        return CorpusError(f"{self.file}, row {self.number}, column {column}: {problem}")


def stem_in(data_dir: Path, clip: Path) -> str:
    """The path of a clip in its folder, without the suffix."""
    return Path(os.path.relpath(clip, data_dir)).with_suffix("").as_posix()


def _existing(base: Path, name: str) -> Path:
    """The file that a name means, also one written as on Windows or in another Unicode form; as written if none."""
    written = Path(os.path.normpath(base / name))
    if written.exists():
        return written
    slashed = name.replace("\\", "/")
    names = dict.fromkeys((slashed, *(unicodedata.normalize(form, slashed) for form in ("NFC", "NFD"))))
    meant = [Path(os.path.normpath(base / it)) for it in names]
    return next((path for path in meant if path.exists()), meant[0] if slashed != name else written)


def write_skeleton(data_dir: str | Path, turns: str | Path | None = None) -> tuple[Path, int]:
    """Begin the metadata of a folder: a row for each of its clips, or for each turn that turn tables name.

    Args:
        data_dir: Folder of the clips or recordings.
        turns: A turn table; None takes those beside the recordings, if there are any.

    Returns:
        The file, ``metadata.csv`` in the folder, and how many rows it has.

    Raises:
        CorpusError: If there is metadata already, no clip is there, or a turn table cannot be read.
    """
    folder = Path(data_dir).expanduser().absolute()
    if there := next((name for name in METADATA_FILES if (folder / name).exists()), None):
        raise CorpusError(f"{folder / there} is there already: change it, or move it away")
    clips = recordings_in(folder)
    if not clips:
        raise CorpusError(f"{folder} holds no audio or video files")
    if turns is not None:
        tables = [read_turns_of(folder, Path(turns).expanduser().absolute())]
    else:
        tables = tables_beside(folder) if any_table(folder) else []
    rows: list[Mapping[str, Any]] = [row for table in tables for row in table.rows]
    if not tables:
        names = sorted((clip.relative_to(folder).as_posix() for clip in clips), key=_by_number)
        rows = [{"file_name": name} for name in names]
    columns = [
        name for name in COLUMNS if name not in ("utterance_id", "channel") or any(row.get(name) for row in rows)
    ]
    # Spreadsheets take a csv for utf-8 where it begins with the mark.
    with (folder / "metadata.csv").open("x", encoding="utf-8-sig", newline="") as file:
        table = csv.DictWriter(file, list(dict.fromkeys([*columns, *(name for row in rows for name in row)])))
        table.writeheader()
        table.writerows(rows)
    return folder / "metadata.csv", len(rows)


def _by_number(name: str) -> list[tuple[int, str]]:
    """A key that sorts clip2 before clip10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def watched(data_dir: Path) -> list[Path]:
    """The metadata, wherever it may lie, and the folders of the clips."""
    candidates = [folder / name for folder in _folders(data_dir) for name in METADATA_FILES]
    there = any(path.is_file() for path in candidates)
    clips = [row.clip for row in _rows(_read_metadata(data_dir), data_dir)] if there else recordings_in(data_dir)
    return [*candidates, data_dir, *sorted({clip.parent for clip in clips if clip} - {data_dir})]


def _folders(data_dir: Path) -> dict[Path, str | None]:
    """Where metadata may lie, and of which split it is there."""
    return {data_dir: None, **{data_dir / word: split for split, words in SPLIT_WORDS.items() for word in words}}


def _read_metadata(data_dir: Path) -> list[tuple[Table, str | None]]:
    """The tables in a folder, with the split of each whose folder says it."""
    files = [(file, split) for folder, split in _folders(data_dir).items() if (file := _metadata_file(folder))]
    if len(files) > 1 and files[0][1] is None:
        raise CorpusError(f"{files[0][0]} and {files[1][0]} both describe clips: keep one, or one per split")
    for before, (file, split) in enumerate(files):
        if split in [other for _, other in files[:before]]:
            raise CorpusError(f"{file} is metadata of {split}, and so is that of another folder: keep one")
    return [(read_table(file), split) for file, split in files]


def _metadata_file(folder: Path) -> Path | None:
    """The metadata file of a folder, or None."""
    found = [folder / name for name in METADATA_FILES if (folder / name).is_file()]
    if len(found) > 1:
        raise CorpusError(f"{folder} holds {' and '.join(path.name for path in found)}: keep one of them")
    return found[0] if found else None


def _rows(tables: Sequence[tuple[Table, str | None]], data_dir: Path) -> list[_Row]:
    """The rows of tables; each has a ``split``."""
    made_here = set(utterance_features([], {})) - set(COLUMNS)
    rows = []
    for table, split in tables:
        names = table.types.names
        if "file_name" not in names:
            raise CorpusError(
                f"{table.file} has no column file_name, only {', '.join(names)}: "
                "add it, with the path of each clip relative to this file (empty where an utterance has none)"
            )
        for name in sorted(made_here.intersection(names)):
            raise CorpusError(f"{table.file} has a column {name!r}, which the loader makes itself: rename it")
        base = table.file.parent if table.file.name in METADATA_FILES else data_dir
        for number, values in enumerate(table.rows, start=1):
            whole = {**values, "split": split or values.get("split") or "train"}
            rows.append(_Row(table.file, number, data_dir, base, whole, table.types))
    if not rows:
        raise CorpusError(f"{', '.join(str(table.file) for table, _ in tables)}: no rows, write one per utterance")
    return rows


def _tell(tables: Sequence[tuple[Table, str | None]], rows: Sequence[_Row]) -> None:
    """Say what was found in tables, and what in them was read otherwise than it is written."""
    for table, _ in tables:
        names = table.types.names
        known = [name for name in COLUMNS if name in names]
        absent = [name for name in COLUMNS if name not in names]
        extras = [name for name in names if name not in COLUMNS]
        logger.info(
            "%s: columns %s; not there: %s; kept as they are: %s%s",
            table.file.name,
            ", ".join(known),
            ", ".join(absent) or "none",
            ", ".join(extras) or "none",
            "".join(f"; {note}" for note in table.notes),
        )
    files = {row.clip: row.text("file_name") for row in rows if row.clip}
    missing = [name for clip, name in files.items() if not clip.is_file()]
    if missing:
        logger.warning("%s of %s files are missing, the first is %s", len(missing), len(files), missing[0])


def _extra_columns(rows: Iterable[_Row]) -> Mapping[str, Any]:
    """Features of the columns that have no meaning here."""
    schemas = {row.file: row.types for row in rows}
    try:
        schema = pa.unify_schemas(list(schemas.values()), promote_options="permissive")
    except pa.ArrowException as error:
        files = ", ".join(str(file) for file in schemas)
        raise CorpusError(f"a column has another type in each of {files}: {error}; give it the same type") from error
    extras: Mapping[str, Any] = Features.from_arrow_schema(
        pa.schema([column for column in schema if column.name not in COLUMNS])
    )
    return extras


def _part_name(part: Part) -> str:
    """What tells the parts of one recording apart, such as ``5.17-9.48`` and ``channel1``."""
    names = [] if part.channel is None else [f"channel{part.channel}"]
    if part.end is not None:
        names.append("-".join(f"{time:.3f}".rstrip("0").rstrip(".") for time in (part.start, part.end)))
    return "_".join(names)


def _utterances(
    rows: Sequence[_Row], labels: Sequence[str], extras: Iterable[str], verify: bool
) -> dict[str, list[Utterance]]:
    """Utterances of each split, dialogues together and in speaking order; a split without rows is left out."""
    splits: dict[str, dict[str, list[_Turn]]] = {split: {} for split in SPLITS}
    seen: dict[str, _Row] = {}
    split_of: dict[str, str] = {}
    parts = find_parts([row.spoken() for row in rows])
    for row in rows:
        utterance = _row_utterance(row, labels, extras, parts)
        first = seen.setdefault(utterance.utterance_id, row)
        if first is not row:
            raise row.error(
                "utterance_id" if row.text("utterance_id") else "file_name",
                f"utterance {utterance.utterance_id!r} stands in row {first.number} of {first.file} already: "
                "give each row an utterance_id of its own",
            )
        split = row.one_of("split", _SPLITS) or "train"
        home = split_of.setdefault(utterance.dialogue_id, split)
        if verify and home != split:
            raise row.error(
                "split",
                f"dialogue {utterance.dialogue_id!r} lies in {home} and in {split}: keep dialogues whole, "
                "or pass verify=False to load them as they are",
            )
        splits[split].setdefault(utterance.dialogue_id, []).append(_Turn(row, utterance))
    _sort_turns([turns for dialogues in splits.values() for turns in dialogues.values()])
    return {
        split: [turn.utterance for turns in dialogues.values() for turn in turns]
        for split, dialogues in splits.items()
        if dialogues
    }


class _Turn(NamedTuple):
    """An utterance and the row that it is from."""

    row: _Row
    utterance: Utterance


def _sort_turns(dialogues: Iterable[list[_Turn]]) -> None:
    """Put the turns of each dialogue in the order in which they start."""
    sorted_ones = []
    for turns in dialogues:
        known = [turn for turn in turns if turn.utterance.start is not None]
        early = next((b for a, b in pairwise(known) if _start(b) < _start(a)), None)
        if early is None:
            continue
        name = early.utterance.dialogue_id
        if len(known) < len(turns):
            raise early.row.error(
                "start",
                f"it starts before a turn of dialogue {name!r} that stands above it, and other turns have no start: "
                "give all turns a start, or put the rows in speaking order",
            )
        if _each_from_its_own(turns):
            raise early.row.error(
                "start",
                f"it starts before a turn of dialogue {name!r} that stands above it, and each turn is cut out of a "
                "file of its own: if times count from the beginning of each file, cut the files first and leave start "
                "and end empty; if they are those of one conversation, put the rows in speaking order",
            )
        turns.sort(key=_start)
        sorted_ones.append(name)
    if sorted_ones:
        more = f" and {len(sorted_ones) - 3} more" if len(sorted_ones) > 3 else ""
        logger.info("turns were put in the order of start, in dialogue %s%s", ", ".join(sorted_ones[:3]), more)


def _start(turn: _Turn) -> float:
    """When a turn starts that says so."""
    assert turn.utterance.start is not None
    return turn.utterance.start


def _each_from_its_own(turns: Sequence[_Turn]) -> bool:
    """Whether each turn is cut out of a recording that no other turn is cut out of."""
    clips = {turn.utterance.clip for turn in turns if turn.utterance.part and turn.utterance.part.end is not None}
    return len(clips) == len(turns)


def _row_utterance(row: _Row, labels: Sequence[str], extras: Iterable[str], parts: Iterator[Part | None]) -> Utterance:
    """The utterance of one row, whose part comes next."""
    try:
        part = next(parts)
    except MisfitError as error:
        raise row.error(error.said, str(error)) from error
    utterance_id = row.utterance_id(part)
    recording = row.file_stem() if part is not None and part.end is not None else None
    return Utterance(
        dialogue_id=row.text("dialogue_id") or recording or utterance_id,
        utterance_id=utterance_id,
        text=row.text("text") or "",
        emotion=row.label(labels),
        speaker=row.text("speaker"),
        gender=row.one_of("gender", GENDERS),
        clip=row.clip,
        start=row.seconds("start"),
        end=row.seconds("end"),
        extras={name: row.values.get(name) for name in extras},
        part=part,
    )

"""Anybody's conversations: a ``metadata.csv``, ``.jsonl`` or ``.parquet`` beside the clips.

One row of the metadata is one utterance. The file lies in the folder itself (splits from its ``split`` column, else
all ``train``), or there is one in each of ``train/``, ``validation/`` and ``test/``; ``docs/columns.md`` lists the
columns.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from datasets import Features

from speechcue_hf.corpora.builder import CorpusBuilder, CorpusConfig
from speechcue_hf.corpora.recordings import MisfitError, Part, Spoken, channel_number, find_parts
from speechcue_hf.corpora.schema import SPLITS, Utterance, utterance_features
from speechcue_hf.errors import CorpusError

logger = logging.getLogger(__name__)

METADATA_FILES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
GENDERS = ("female", "male")
COLUMNS = (
    "file_name",
    "dialogue_id",
    "utterance_id",
    "split",
    "speaker",
    "gender",
    "text",
    "emotion",
    "start",
    "end",
    "channel",
)
"""The columns that have a meaning here; all others are kept as they are."""


@dataclass
class FolderConfig(CorpusConfig):
    """Configuration of ``speechcue/folder``.

    Args:
        verify: Refuse dialogues that lie in more than one split.
        labels: Emotion names in the order of their class ids; None takes those in the metadata, sorted by name.
    """

    labels: Sequence[str] | None = None


class FolderBuilder(CorpusBuilder):
    """Conversations described by a metadata file."""

    BUILDER_CONFIG_CLASS = FolderConfig
    BUILDER_CONFIGS: ClassVar[Sequence[FolderConfig]] = [FolderConfig()]
    CORPUS = "folder"

    def emotions(self) -> Sequence[str]:
        """Label names of the config, or those in the metadata, sorted by name."""
        rows = _read_metadata(self.data_dir())
        return self.config.labels or sorted({name for row in rows if (name := row.text("emotion"))})

    def extras(self) -> Mapping[str, Any]:
        """Columns without a meaning here, in the type they have in the metadata."""
        return _extra_columns(_read_metadata(self.data_dir()))

    def read(self, data_dir: Path) -> dict[str, list[Utterance]]:
        """The utterances of each split."""
        rows = _read_metadata(data_dir)
        return _utterances(rows, self.info.features["emotion"].names, _extra_columns(rows), self.config.verify)


@dataclass(frozen=True)
class _Row:
    """One row of a metadata file, and where it stands, for error messages; rows count from 1."""

    file: Path
    number: int
    data_dir: Path
    values: Mapping[str, Any]
    types: pa.Schema

    def text(self, column: str) -> str | None:
        """A value as text; None where the column is absent or the cell empty."""
        value = self.values.get(column)
        return None if value is None or value == "" else str(value)

    def one_of(self, column: str, allowed: Sequence[str]) -> str | None:
        """A value that must be one of some names."""
        value = self.text(column)
        if value is not None and value not in allowed:
            raise self.error(column, f"{value!r} is not one of {', '.join(allowed)}")
        return value

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
            raise self.error(column, f"{value!r} is not a number of seconds")
        return seconds

    def channel(self) -> int | None:
        """The channel of the file that the utterance is on."""
        value = self.text("channel")
        try:
            return None if value is None else channel_number(value)
        except ValueError as error:
            raise self.error("channel", f"{error}; rename the column if it means something else") from error

    def clip(self) -> Path | None:
        """Path of the clip, which must lie in the folder of the corpus; None where the row names none."""
        name = self.text("file_name")
        if name is None:
            return None
        path = Path(os.path.normpath(self.file.parent / name))
        if not path.is_relative_to(os.path.normpath(self.data_dir)):
            raise self.error(
                "file_name", f"{name!r} lies outside {self.data_dir}: give a path relative to the metadata"
            )
        return path

    def spoken(self) -> Spoken:
        """What the row says of its file and its times."""
        name = f"row {self.number} of {self.file.name}"
        return Spoken(name, self.clip(), self.seconds("start"), self.seconds("end"), self.channel())

    def file_stem(self) -> str | None:
        """The file's path in the corpus without the suffix."""
        clip = self.clip()
        return None if clip is None else Path(os.path.relpath(clip, self.data_dir)).with_suffix("").as_posix()

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


def watched(data_dir: Path) -> list[Path]:
    """The metadata, wherever it may lie, and the folders of the clips."""
    candidates = [folder / name for folder in (data_dir, *(data_dir / s for s in SPLITS)) for name in METADATA_FILES]
    clips = [row.clip() for row in _read_metadata(data_dir)] if any(path.is_file() for path in candidates) else []
    return [*candidates, *sorted({clip.parent for clip in clips if clip})]


def _read_metadata(data_dir: Path) -> list[_Row]:
    """The rows of all splits, in the order of the files; each has a ``split``."""
    folders: dict[str | None, Path] = {None: data_dir, **{split: data_dir / split for split in SPLITS}}
    files = [(file, split) for split, folder in folders.items() if (file := _metadata_file(folder))]
    if len(files) > 1 and files[0][1] is None:
        raise CorpusError(f"{files[0][0]} and {files[1][0]} both describe clips: keep one, or one per split")
    if not files:
        raise CorpusError(
            f"{data_dir} holds no {', '.join(METADATA_FILES)}, and neither do its folders {', '.join(SPLITS)}: "
            "write one row per utterance with at least the column file_name"
        )
    rows = [row for file, split in files for row in _metadata_rows(file, data_dir, split)]
    if not rows:
        raise CorpusError(f"{', '.join(str(file) for file, _ in files)}: no rows, write one per utterance")
    return rows


def _metadata_file(folder: Path) -> Path | None:
    """The metadata file of a folder, or None."""
    found = [folder / name for name in METADATA_FILES if (folder / name).is_file()]
    if len(found) > 1:
        raise CorpusError(f"{folder} holds {' and '.join(path.name for path in found)}: keep one of them")
    return found[0] if found else None


def _metadata_rows(file: Path, data_dir: Path, split: str | None) -> Iterator[_Row]:
    """Rows of one metadata file."""
    table = _read_table(file)
    if "file_name" not in table.column_names:
        raise CorpusError(
            f"{file} has no column file_name, only {', '.join(table.column_names)}: "
            "add it, with the path of each clip relative to this file (empty where an utterance has none)"
        )
    made_here = set(utterance_features([], {})) - set(COLUMNS)
    for name in sorted(made_here.intersection(table.column_names)):
        raise CorpusError(f"{file} has a column {name!r}, which the loader makes itself: rename it")
    for number, values in enumerate(table.to_pylist(), start=1):
        values["split"] = split or values.get("split") or "train"
        yield _Row(file, number, data_dir, values, table.schema)


def _read_table(file: Path) -> pa.Table:
    """Read a metadata file; in csv only an empty cell is null, and our own columns are text whatever they look like."""
    try:
        if file.suffix == ".parquet":
            return pa.parquet.read_table(file)
        if file.suffix == ".jsonl":
            return pa.Table.from_struct_array(pa.array(_json_objects(file)))
        table = pa.csv.read_csv(
            file,
            parse_options=pa.csv.ParseOptions(newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(COLUMNS, pa.string()), null_values=[""], strings_can_be_null=True
            ),
        )
        # Arrow looks at the names of columns only when they are asked for.
        return table.rename_columns(table.column_names)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise CorpusError(f"{file} cannot be read as utf-8 {file.suffix[1:]}: {error}") from error


def _json_objects(file: Path) -> list[dict[str, Any]]:
    """Rows of a jsonl file by the json module: Arrow's own reader takes text that looks like a date for a date."""
    rows = []
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").rstrip().split("\n"), start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{file}, line {number} is not json: {error}") from error
        if not isinstance(row, dict):
            raise CorpusError(f"{file}, line {number} is not a json object: write one {{...}} per line")
        rows.append(row)
    return rows


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
        split = row.one_of("split", SPLITS) or "train"
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
        logger.info(
            "the rows of %s dialogues, the first of which is %s, were put in the order of start",
            len(sorted_ones),
            sorted_ones[0],
        )


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
        emotion=row.one_of("emotion", labels),
        speaker=row.text("speaker"),
        gender=row.one_of("gender", GENDERS),
        clip=row.clip(),
        start=row.seconds("start"),
        end=row.seconds("end"),
        extras={name: row.values.get(name) for name in extras},
        part=part,
    )

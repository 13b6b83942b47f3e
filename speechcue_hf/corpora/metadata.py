"""Tables that people write about their clips, csv, jsonl and Parquet, with what spreadsheets and programs make of them.

What is meant is read where no other reading is possible: other separators, UTF-16, blanks around names, rows that a
spreadsheet left empty. Where a guess would not be safe the table is refused, with file, row, column and what to do.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from speechcue_hf.errors import CorpusError

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
"""The columns that have a meaning in a folder; all others are kept as they are."""

_MEANT = {
    "emotion": ("label", "labels", "emotions", "emotion label", "emotion category"),
    "text": ("transcript", "transcription", "sentence"),
    "speaker": ("speaker id", "speaker name", "spk"),
    "dialogue_id": ("conversation id",),
    "gender": ("sex",),
    "start": ("start time", "start s", "start sec", "start seconds", "begin", "onset"),
    "end": ("end time", "end s", "end sec", "end seconds"),
    "file_name": ("file", "path", "file path", "audio file", "audio path", "wav", "clip"),
}
"""Column → what others call it. These are not renamed in silence, for they may be something else."""
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True)
class Table:
    """A table of metadata.

    Args:
        file: Where it is from.
        rows: Column → value of each row; a cell that is empty is None, our own columns are as they are written.
        types: Of the columns.
        notes: What was read otherwise than it is written.
    """

    file: Path
    rows: Sequence[Mapping[str, Any]]
    types: pa.Schema
    notes: Sequence[str] = ()


def read_table(file: Path) -> Table:
    """Read a table of metadata, whose columns are called as in :data:`COLUMNS` where nothing else can be meant.

    Raises:
        CorpusError: If it cannot be read, or what a column or a value means is not clear.
    """
    notes: list[str] = []
    try:
        if file.suffix == ".parquet":
            table = pa.parquet.read_table(file)
        elif file.suffix == ".jsonl":
            table = pa.Table.from_struct_array(pa.array(_json_objects(file)))
        else:
            table, notes = _read_csv(file)
    except (pa.ArrowException, OSError, ValueError, OverflowError, csv.Error) as error:
        raise CorpusError(f"{file} cannot be read as utf-8 {file.suffix[1:]}: {error}") from error
    table, renamed = _with_known_names(table, file)
    _check_plain(table, file)
    rows = table.to_pylist()
    while rows and all(value is None or value == "" for value in rows[-1].values()):
        rows.pop()
    return Table(file, rows, table.schema, [*notes, *renamed])


def _read_csv(file: Path) -> tuple[pa.Table, list[str]]:
    """Read a csv; only an empty cell is null, and our own columns are text whatever they look like."""
    text, notes = _decoded(file)
    separator, text = _separator(text)
    if separator != ("\t" if file.suffix == ".tsv" else ","):
        notes.append(f"its columns are divided by {_SEPARATORS[separator]}")
    header = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True), [])
    first = text.split("\n", 1)[0]
    if separator != "\t" and re.search(rf"{separator}[ ]+\S", first):
        # Arrow takes a quote for one only where a cell begins with it.
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
        written = io.StringIO(newline="")
        csv.writer(written, delimiter=separator, lineterminator="\n").writerows(row for row in rows if row)
        text = written.getvalue()
    own = [name for name in header if _known(name)]
    table = pa.csv.read_csv(
        io.BytesIO(text.encode()),
        parse_options=pa.csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(own, pa.string()), null_values=[""], strings_can_be_null=True
        ),
    )
    # Arrow looks at the names of columns only when they are asked for.
    return table.rename_columns(table.column_names), notes


def _decoded(file: Path) -> tuple[str, list[str]]:
    """The text of a file in utf-8, or in UTF-16 where its first bytes say so."""
    data = file.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16"), ["it is in UTF-16"]
    if b"\0" in data:
        raise ValueError("it holds zero bytes, as UTF-16 without a mark does. Save it again as 'CSV UTF-8'")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"byte {error.start} is not utf-8. Save it again as 'CSV UTF-8', or, if it comes from Windows, convert it: "
            f"iconv -f cp1252 -t utf-8 {file.name}"
        ) from error
    return text, []


def _separator(text: str) -> tuple[str, str]:
    """What divides the columns, by the header, and the text without the line in which a spreadsheet says so."""
    if said := re.match(r"sep=([,;\t])\r?\n", text):
        return said[1], text[said.end() :]
    first = text.split("\n", 1)[0]
    known = {it: sum(_known(name) is not None for name in first.split(it)) for it in _SEPARATORS}
    return max(_SEPARATORS, key=lambda it: (known[it], it == ",", first.count(it))), text


def _json_objects(file: Path) -> list[dict[str, Any]]:
    """Rows of a jsonl file by the json module: Arrow's own reader takes text that looks like a date for a date."""
    rows: list[dict[str, Any]] = []
    kinds: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").rstrip().split("\n"), start=1):
        try:
            row = json.loads(line, object_pairs_hook=_without_doubles)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{file}, line {number} is not json: {error}") from error
        if not isinstance(row, dict):
            raise CorpusError(f"{file}, line {number} is not a json object: write one {{...}} per line")
        for column, value in row.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise _error(file, number, column, f"{value} is no value in json: write null for what is not known")
            kind = _kind(value)
            before, row_before = kinds.setdefault(column, (kind, number)) if kind else ("", 0)
            if kind and kind != before:
                raise _error(
                    file, number, column, f"{value!r:.60} is {kind}, and row {row_before} has {before}: write one kind"
                )
        rows.append(row)
    return rows


def _without_doubles(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    names = Counter(name for name, _ in pairs)
    if double := next((name for name, count in names.items() if count > 1), None):
        raise ValueError(f"{double!r} stands twice in it")
    return dict(pairs)


def _kind(value: Any) -> str | None:
    """What kind of value it is, for people; None for null."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true or false"
    names = {str: "a text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names[type(value)]


def _check_plain(table: pa.Table, file: Path) -> None:
    """Refuse lists and objects where one value has its place."""
    for field in table.schema:
        if field.name in COLUMNS and (pa.types.is_nested(field.type) or pa.types.is_binary(field.type)):
            values = enumerate(table.column(field.name).to_pylist(), start=1)
            number, value = next(((number, value) for number, value in values if value is not None), (1, None))
            raise _error(
                file,
                number,
                field.name,
                f"{value!r:.60} is not one value: write a text or a number, or rename the column",
            )


def _with_known_names(table: pa.Table, file: Path) -> tuple[pa.Table, list[str]]:
    """The table with our columns called by our names, and without columns that are empty and have no name."""
    kept = [
        place for place, name in enumerate(table.column_names) if name.strip() or not _is_filler(table.column(place))
    ]
    table = table.select(kept)
    if nameless := [place for place, name in enumerate(table.column_names, start=1) if not name.strip()]:
        raise CorpusError(f"{file}: column {nameless[0]} has no name: give it one in the first row")
    names = [_known(name) or name.strip() for name in table.column_names]
    if doubles := [name for name, count in Counter(names).items() if count > 1]:
        written = [f"{was!r}" for was, name in zip(table.column_names, names, strict=True) if name == doubles[0]]
        raise CorpusError(
            f"{file} has the column {doubles[0]} {len(written)} times, as {' and '.join(written)}: keep one"
        )
    others = {_bare(name): name for name in names if name not in COLUMNS}
    for column, meant in _MEANT.items():
        found = next((others[_bare(name)] for name in meant if _bare(name) in others), None)
        if found is not None and column not in names:
            # Without file_name nothing goes, so that its error can name all columns there are.
            if column == "file_name":
                continue
            raise CorpusError(
                f"{file} has a column {found!r} and none {column!r}: rename it to {column} if that is what it holds, "
                f"or else to another name (or add an empty column {column})"
            )
    changed = [(was, name) for was, name in zip(table.column_names, names, strict=True) if was != name]
    return table.rename_columns(names), [f"{was!r} is taken for {name}" for was, name in changed]


def _is_filler(column: pa.ChunkedArray) -> bool:
    """Whether a column without a name is empty, or counts the rows, as pandas writes its index."""
    values = column.to_pylist()
    return all(value in (None, "") for value in values) or values == list(range(len(values)))


def _known(name: str) -> str | None:
    """Which of our columns a name is, whatever its capitals, blanks and hyphens; None if it is none of them."""
    bare = _bare(name)
    return next((column for column in COLUMNS if _bare(column) == bare), None)


def _bare(name: str) -> str:
    return re.sub(r"[\s_\-]+", "", unicodedata.normalize("NFKC", name).casefold().replace("\ufeff", "")).replace(
        "dialogid", "dialogueid"
    )


def _error(file: Path, number: int, column: str, problem: str) -> CorpusError:
    return CorpusError(f"{file}, row {number}, column {column}: {problem}")


def same_names(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ only in capitals, blanks or Unicode form.

    Example:
        >>> same_names(["happy", "Happy", "sad"])
        [('happy', 'Happy')]
    """
    first: dict[str, str] = {}
    pairs = ((first.setdefault(alike(name), name), name) for name in names)
    return [pair for pair in pairs if pair[0] != pair[1]]


def alike(name: str) -> str:
    """What names have in common that people take for one."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())

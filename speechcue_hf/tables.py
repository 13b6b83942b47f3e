"""Tables for people and programs: the same rows as csv, Excel sheet, JSON lines or Parquet, by the file's suffix."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from speechcue_hf.errors import SpeechcueError

Row = Mapping[str, Any]


def check_table(path: Path) -> None:
    """Refuse a table of no known kind before the work for it begins.

    Raises:
        ValueError: If its suffix is none of those of :func:`write_table`.
        SpeechcueError: If what writes it is not installed.
    """
    if path.suffix.lower() not in _WRITERS:
        raise ValueError(f"{path}: a table's name ends in {', '.join(_WRITERS)}")
    if path.suffix.lower() == ".xlsx":
        _openpyxl()


def write_table(rows: Sequence[Row], path: Path) -> None:
    """Write rows as the suffix of the file says; it appears only once it is whole.

    A table within a row, such as ``probabilities``, becomes columns of its own (``probabilities_happy``), but for JSON
    lines, which keep it.

    Args:
        rows: With the same keys, in the order of the columns.
        path: ``.csv`` (UTF-8, marked as such for Excel), ``.xlsx``, ``.jsonl`` or ``.parquet``.

    Raises:
        ValueError: If the suffix is another one.
        SpeechcueError: If an Excel sheet is wanted and openpyxl is not installed.
    """
    check_table(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{uuid4().hex}{path.suffix}")
    try:
        _WRITERS[path.suffix.lower()](rows, unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def flat(row: Row) -> dict[str, Any]:
    """A row whose tables have become columns.

    Example:
        >>> flat({"emotion": "sad", "probabilities": {"happy": 0.2, "sad": 0.8}})
        {'emotion': 'sad', 'probabilities_happy': 0.2, 'probabilities_sad': 0.8}
    """
    values: dict[str, Any] = {}
    for name, value in row.items():
        inner = (
            {f"{name}_{key}": entry for key, entry in value.items()} if isinstance(value, Mapping) else {name: value}
        )
        values |= inner
    return values


def _flat_rows(rows: Sequence[Row]) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns in the order of their first appearance, but that a table that is missing in a row makes none."""
    tables = {name for row in rows for name, value in row.items() if isinstance(value, Mapping)}
    flattened = [
        flat({name: {} if name in tables and value is None else value for name, value in row.items()}) for row in rows
    ]
    longest = max(flattened, key=len, default={})
    return list(dict.fromkeys([*longest, *(name for row in flattened for name in row)])), flattened


def _write_csv(rows: Sequence[Row], path: Path) -> None:
    columns, flattened = _flat_rows(rows)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(flattened)


def _write_jsonl(rows: Sequence[Row], path: Path) -> None:
    path.write_text("".join(json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _write_parquet(rows: Sequence[Row], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns, flattened = _flat_rows(rows)
    pq.write_table(pa.table({name: [row.get(name) for row in flattened] for name in columns}), path)


def _write_xlsx(rows: Sequence[Row], path: Path) -> None:
    openpyxl = _openpyxl()
    columns, flattened = _flat_rows(rows)
    book = openpyxl.Workbook()
    sheet = book.active
    lines: list[list[Any]] = [[*columns], *([row.get(name) for name in columns] for row in flattened)]
    for place, line in enumerate(lines, start=1):
        for number, value in enumerate(line, start=1):
            cell = sheet.cell(place, number)
            if isinstance(value, str):
                # As text, whatever it begins with: what somebody said is no formula.
                cell.value = openpyxl.cell.cell.ILLEGAL_CHARACTERS_RE.sub("", value)
                cell.data_type = "s"
            else:
                cell.value = value
    sheet.freeze_panes = "A2"
    book.save(path)


def _openpyxl() -> Any:
    try:
        import openpyxl
    except ImportError as error:
        raise SpeechcueError(
            "Excel sheets are written by openpyxl, which is not installed: pip install 'speechcue_hf[xlsx]', or write "
            "a .csv"
        ) from error
    return openpyxl


_WRITERS: dict[str, Callable[[Sequence[Row], Path], None]] = {
    ".csv": _write_csv,
    ".xlsx": _write_xlsx,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}

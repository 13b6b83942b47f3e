import csv
import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook

from speechcue_hf.errors import SpeechcueError
from speechcue_hf.tables import check_table, write_table

ROWS = [
    {"text": 'He said "no", then\nleft', "emotion": "sad", "probabilities": {"happy": 0.25, "sad": 0.75}, "note": None},
    {"text": "Größe 你好", "emotion": None, "probabilities": None, "note": "audio missing"},
]
COLUMNS = ["text", "emotion", "probabilities_happy", "probabilities_sad", "note"]


def test_csv_opens_in_excel_and_pandas(tmp_path):
    write_table(ROWS, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == COLUMNS
    assert rows[0]["text"] == ROWS[0]["text"]
    assert rows[1] == dict.fromkeys(COLUMNS, "") | {"text": "Größe 你好", "note": "audio missing"}
    assert list(pd.read_csv(tmp_path / "a.csv").columns) == COLUMNS


def test_json_lines_keep_tables(tmp_path):
    write_table(ROWS, tmp_path / "a.jsonl")
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()] == ROWS


def test_parquet_has_types(tmp_path):
    write_table(ROWS, tmp_path / "a.parquet")
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.column_names == COLUMNS
    assert table["probabilities_sad"].to_pylist() == [0.75, None]


def test_excel_sheets_take_text_for_text(tmp_path):
    write_table([*ROWS, {"text": "=1+1\x07", "emotion": "-", "note": "+cmd"}], tmp_path / "a.xlsx")
    sheet = load_workbook(tmp_path / "a.xlsx").active
    lines = list(sheet.iter_rows(values_only=True))
    assert list(lines[0]) == COLUMNS
    assert lines[1] == (ROWS[0]["text"], "sad", 0.25, 0.75, None)
    assert sheet["A4"].value == "=1+1"
    assert sheet["A4"].data_type == "s"


def test_a_table_of_no_known_kind_is_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.csv, \.xlsx, \.jsonl, \.parquet"):
        write_table(ROWS, tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_table_as_it_was(tmp_path):
    write_table(ROWS, tmp_path / "a.jsonl")
    before = (tmp_path / "a.jsonl").read_bytes()
    with pytest.raises(TypeError):
        write_table([{"text": object()}], tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_an_empty_table_is_written(tmp_path):
    for suffix in ("csv", "xlsx", "jsonl", "parquet"):
        write_table([], tmp_path / f"a.{suffix}")
        assert (tmp_path / f"a.{suffix}").is_file()


def test_without_openpyxl_the_fix_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(SpeechcueError, match=r"pip install 'speechcue_hf\[xlsx\]', or write a \.csv"):
        check_table(tmp_path / "a.xlsx")

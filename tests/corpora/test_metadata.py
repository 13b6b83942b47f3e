"""Tables as spreadsheets and programs write them."""

import json
import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from speechcue_hf.corpora.metadata import read_table, same_names
from speechcue_hf.errors import CorpusError

PLAIN = 'file_name,speaker,text,start\na.wav,Ann,"Hello, there.",0.5\nb.wav,Ben,Café?,1.5\n'
ROWS = [
    {"file_name": "a.wav", "speaker": "Ann", "text": "Hello, there.", "start": "0.5"},
    {"file_name": "b.wav", "speaker": "Ben", "text": "Café?", "start": "1.5"},
]


def read(folder, content, name="metadata.csv"):
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(file)


def divided(by):
    rows = [list(ROWS[0]), *(list(row.values()) for row in ROWS)]
    return "".join(by.join(f'"{cell}"' if "," in cell else cell for cell in row) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (PLAIN, None),
        (PLAIN.encode("utf-8-sig"), None),
        (PLAIN.replace("\n", "\r\n"), None),
        (PLAIN.encode("utf-16"), "UTF-16"),
        (PLAIN.encode("utf-16-be").join([b"\xfe\xff", b""]), "UTF-16"),
        (divided(";"), "semicolons"),
        (divided("\t"), "tabs"),
        ("sep=;\n" + divided(";"), "semicolons"),
        (divided("\t").encode("utf-16"), "tabs"),
        (divided(", "), None),
        (PLAIN.replace("file_name", "File Name").replace("speaker", " SPEAKER "), "'File Name' is taken for file_name"),
        (PLAIN + ",,,\n,,,\n", None),
        (PLAIN.replace("start\n", "start,\n").replace("5\n", "5,\n"), None),
        ("," + PLAIN.replace("\na", "\n0,a").replace("\nb", "\n1,b"), None),
    ],
)
def test_what_is_meant_is_read(tmp_path, content, note):
    table = read(tmp_path, content)
    assert [dict(row) for row in table.rows] == ROWS
    assert note is None or any(note in it for it in table.notes)


def test_a_table_of_tabs_by_its_name(tmp_path):
    assert read(tmp_path, divided("\t"), "metadata.tsv").rows == ROWS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (PLAIN.encode("cp1252"), "cannot be read as utf-8 csv.*byte 72 .*iconv -f cp1252 -t utf-8 metadata.csv"),
        (PLAIN.encode("utf-16-le"), "zero bytes, as UTF-16 without a mark"),
        ("file_name,text,text\na,b,c\n", "metadata.csv has the column text 2 times, as 'text' and 'text'"),
        ("file_name,Text,text \na,b,c\n", "has the column text 2 times, as 'Text' and 'text ': keep one"),
        ("file_name,label\na,b\n", "has a column 'label' and none 'emotion': rename it to emotion"),
        ("file_name,Transcript\na,b\n", "has a column 'Transcript' and none 'text'"),
        ("file_name,,text\na,b,c\n", "column 2 has no name"),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path, content, message):
    with pytest.raises(CorpusError, match=message):
        read(tmp_path, content)


def test_a_column_that_others_call_so_is_kept_beside_ours(tmp_path):
    assert read(tmp_path, "file_name,emotion,label\na,happy,3\n").rows == [
        {"file_name": "a", "emotion": "happy", "label": 3}
    ]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"file_name": "a", "speaker": {"name": "Ann"}}], "row 1, column speaker: {'name': 'Ann'} is not one value"),
        ([{"file_name": "a"}, {"file_name": "b", "emotion": ["happy"]}], r"row 2, column emotion: \['happy'\] is not"),
        (
            [{"file_name": "a", "text": 5}, {"file_name": "b", "text": "x"}],
            "row 2, column text: 'x' is a text, and row 1",
        ),
        (
            [{"file_name": "a", "score": 1}, {"file_name": "b", "score": "high"}],
            "row 2, column score: 'high' is a text",
        ),
        ([{"file_name": "a", "start": float("nan")}], "row 1, column start: nan is no value in json: write null"),
        ([{"file_name": "a", "score": float("inf")}], "row 1, column score: inf is no value"),
    ],
)
def test_values_of_jsonl_are_of_one_kind(tmp_path, entries, message):
    with pytest.raises(CorpusError, match=rf"metadata.jsonl, {message}"):
        read(tmp_path, "".join(json.dumps(entry) + "\n" for entry in entries), "metadata.jsonl")


def test_a_key_that_stands_twice(tmp_path):
    with pytest.raises(CorpusError, match="line 1 is not json: 'text' stands twice in it"):
        read(tmp_path, '{"file_name": "a", "text": "x", "text": "y"}\n', "metadata.jsonl")


def test_lists_in_parquet(tmp_path):
    pq.write_table(pa.table({"file_name": ["a"], "text": [["x"]]}), tmp_path / "metadata.parquet")
    with pytest.raises(CorpusError, match=r"metadata.parquet, row 1, column text: \['x'\] is not one value"):
        read_table(tmp_path / "metadata.parquet")


def test_names_that_people_take_for_one():
    composed, apart = (unicodedata.normalize(form, "gêné") for form in ("NFC", "NFD"))
    assert same_names(["sad", "Sad", "happy", composed, apart]) == [("sad", "Sad"), (composed, apart)]

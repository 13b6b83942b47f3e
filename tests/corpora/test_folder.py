"""``speechcue/folder``: anybody's conversations."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from datasets import List, Value, load_dataset

import speechcue_hf  # noqa: F401
from speechcue_hf.errors import CorpusError

ROWS: list[dict[str, Any]] = [
    {"file_name": "clips/a.wav", "dialogue_id": "call", "utterance_id": "call_a", "text": "Hello?", "speaker": "Ann"},
    {"file_name": "clips/b.flac", "dialogue_id": "call", "utterance_id": "call_b", "text": "N/A", "speaker": "007"},
    {
        "file_name": "clips/c.wav",
        "dialogue_id": "visit",
        "utterance_id": "visit_c",
        "text": 'So,\n"you".',
        "speaker": None,
    },
]
EMOTIONS = ["neutral", "anger", None]


def rows() -> list[dict[str, Any]]:
    return [
        {**row, "emotion": emotion, "gender": gender, "start": start, "end": end, "stars": stars}
        for row, emotion, gender, start, end, stars in zip(
            ROWS, EMOTIONS, ["female", "male", None], [0.0, 1.25, None], [0.5, 1.75, None], [3, 5, 1], strict=True
        )
    ]


def write_clips(folder: Path, names: list[str]) -> None:
    tone = 0.1 * np.sin(2 * np.pi * 200 * np.arange(8000) / 16000)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, tone, 16000)


def write(folder: Path, entries: list[dict[str, Any]], suffix: str = "csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"metadata.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(entries), file)
    elif suffix == "jsonl":
        file.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    else:
        with file.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.DictWriter(opened, fieldnames=list(entries[0]))
            writer.writeheader()
            writer.writerows(entries)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_clips(tmp_path / "mine", [row["file_name"] for row in ROWS])
    return tmp_path / "mine"


def load(folder: Path, **options: Any) -> Any:
    return load_dataset("speechcue/folder", data_dir=str(folder), cache_dir=str(folder.parent / "cache"), **options)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_rows_of_each_format(folder: Path, suffix: str) -> None:
    write(folder, rows(), suffix)
    dataset = load(folder)
    assert list(dataset) == ["train"]
    train = dataset["train"]
    assert train.features["emotion"].names == ["anger", "neutral"]
    assert train.features["stars"] == Value("int64")
    expected = [
        {
            **row,
            "turn": turn,
            "emotion": label,
            "audio": {"bytes": None, "path": str(folder / row["file_name"])},
            "audio_status": "ok",
        }
        for row, turn, label in zip(rows(), [0, 1, 0], [1, 0, None], strict=True)
    ]
    for row in expected:
        del row["file_name"]
    assert list(train) == expected
    assert list(load(folder, streaming=True)["train"]) == expected


def test_file_name_alone_is_enough(folder: Path) -> None:
    write(folder, [{"file_name": row["file_name"]} for row in ROWS])
    train = load(folder)["train"]
    assert train["utterance_id"][:] == ["clips/a", "clips/b", "clips/c"]
    assert train["dialogue_id"][:] == ["clips/a", "clips/b", "clips/c"]
    assert set(train["turn"]) == {0}
    assert set(train["text"]) == {""}
    for column in ("speaker", "gender", "emotion", "start", "end"):
        assert set(train[column]) == {None}
    assert train.features["emotion"].names == []


def test_splits_from_the_column_and_from_subfolders(folder: Path) -> None:
    entries = [{**row, "split": split} for row, split in zip(rows(), ["train", "train", "test"], strict=True)]
    write(folder, entries)
    by_column = load(folder)
    assert {split: len(found) for split, found in by_column.items()} == {"train": 2, "test": 1}

    other = folder.parent / "other"
    for split in ("train", "test"):
        mine = [{**row, "split": None} for row in entries if row["split"] == split]
        write_clips(other / split, [row["file_name"] for row in mine])
        write(other / split, mine, "jsonl")
    by_folder = load(other)
    for split in ("train", "test"):
        assert list(by_folder[split].remove_columns("audio")) == list(by_column[split].remove_columns("audio"))
    assert by_folder["test"][0]["audio"]["path"] == str(other / "test" / "clips/c.wav")


def test_extra_columns_keep_their_types(folder: Path) -> None:
    other = folder.parent / "other"
    write(other / "train", [{"file_name": "a.wav", "raters": ["x", "y"], "score": 1}], "jsonl")
    write(other / "test", [{"file_name": "b.wav", "score": 0.5, "note": "late"}], "jsonl")
    dataset = load(other)
    assert dataset["train"].features == dataset["test"].features
    assert dataset["train"].features["raters"] == List(Value("string"))
    assert dataset["train"].features["score"] == Value("float64")
    assert [dataset["train"][0][name] for name in ("raters", "score", "note")] == [["x", "y"], 1.0, None]
    assert [dataset["test"][0][name] for name in ("raters", "score", "note")] == [None, 0.5, "late"]


def test_labels_argument_sets_names_and_order(folder: Path) -> None:
    write(folder, rows())
    train = load(folder, labels=["neutral", "joy", "anger"])["train"]
    assert train.features["emotion"].names == ["neutral", "joy", "anger"]
    assert train["emotion"][:] == [0, 2, None]
    with pytest.raises(CorpusError, match=r"row 2, column emotion: 'anger' is not one of neutral, joy"):
        load(folder, labels=["neutral", "joy"])


def test_clips_that_cannot_be_used_keep_their_row(folder: Path) -> None:
    (folder / "clips/a.wav").unlink()
    (folder / "clips/b.flac").write_bytes(b"fLaC and nothing more")
    soundfile.write(folder / "clips/c.wav", np.zeros(1600), 16000)
    write(folder, [*rows(), {"utterance_id": "typed", "text": "No clip."}], "jsonl")
    train = load(folder)["train"]
    assert train["audio_status"][:] == ["missing", "corrupt", "too_short", "none"]
    assert [audio is None for audio in train["audio"]] == [True, False, False, True]


def test_scattered_dialogue_is_grouped_in_file_order(folder: Path) -> None:
    first, second, third = rows()
    write(folder, [first, third, second])
    train = load(folder)["train"]
    assert train["utterance_id"][:] == ["call_a", "call_b", "visit_c"]
    assert train["turn"][:] == [0, 1, 0]


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (2, {"split": "dev"}, r"row 2, column split: 'dev' is not one of train, validation, test"),
        (
            3,
            {"utterance_id": "call_a"},
            r"row 3, column utterance_id: utterance 'call_a' stands in row 1 of .* already",
        ),
        (1, {"gender": "f"}, r"row 1, column gender: 'f' is not one of female, male"),
        (2, {"start": "1:25"}, r"row 2, column start: '1:25' is not a number of seconds"),
        (2, {"start": "nan"}, r"row 2, column start: 'nan' is not a number of seconds"),
        (2, {"end": 1.0}, r"row 2, column end: 1.0 s lies before the start, 1.25 s"),
        (1, {"file_name": "../a.wav"}, r"row 1, column file_name: '../a.wav' lies outside .* relative to the metadata"),
        (1, {"file_name": "/etc/hosts"}, r"row 1, column file_name: '/etc/hosts' lies outside"),
        (3, {"file_name": "", "utterance_id": ""}, r"row 3, column utterance_id: is empty, and so is file_name"),
    ],
)
def test_wrong_values_are_named(folder: Path, number: int, change: dict[str, Any], message: str) -> None:
    entries = [{**row, "split": ""} for row in rows()]
    entries[number - 1].update(change)
    file = write(folder, entries)
    with pytest.raises(CorpusError, match=rf"{file}, {message}"):
        load(folder)


def test_divided_dialogue(folder: Path) -> None:
    write(folder, [{**row, "split": split} for row, split in zip(rows(), ["train", "test", "test"], strict=True)])
    with pytest.raises(
        CorpusError, match=r"row 2, column split: dialogue 'call' lies in train and in test.*verify=False"
    ):
        load(folder)
    assert {split: len(found) for split, found in load(folder, verify=False).items()} == {"train": 1, "test": 2}


def test_line_separator_inside_a_text_ends_no_row(folder: Path) -> None:
    line = json.dumps({"file_name": "clips/a.wav", "text": "one\u2028two"}, ensure_ascii=False)
    (folder / "metadata.jsonl").write_text(line + "\r\n\n", encoding="utf-8")
    assert load(folder)["train"]["text"][:] == ["one\u2028two"]


def test_metadata_that_cannot_be_used(folder: Path) -> None:
    with pytest.raises(CorpusError, match=r"nowhere is not a folder: give data_dir= the folder of your copy$"):
        load(folder / "nowhere")
    with pytest.raises(CorpusError, match=r"speechcue/folder needs the folder of your copy"):
        load_dataset("speechcue/folder")
    with pytest.raises(CorpusError, match=r"holds no metadata.csv, metadata.jsonl, metadata.parquet"):
        load(folder)
    file = write(folder, [{"path": "clips/a.wav", "text": "Hello?"}])
    with pytest.raises(CorpusError, match=rf"{file} has no column file_name, only path, text: add it"):
        load(folder)
    write(folder, [{"file_name": "clips/a.wav", "turn": 3}])
    with pytest.raises(CorpusError, match=rf"{file} has a column 'turn', which the loader makes itself: rename it"):
        load(folder)
    write(folder, rows(), "jsonl")
    with pytest.raises(CorpusError, match=r"holds metadata.csv and metadata.jsonl: keep one"):
        load(folder)
    (folder / "metadata.jsonl").unlink()
    write(folder / "train", rows())
    with pytest.raises(CorpusError, match="both describe clips"):
        load(folder)
    shutil.rmtree(folder / "train")
    file.write_bytes("file_name,text\nclips/a.wav,Café\n".encode("latin-1"))
    with pytest.raises(CorpusError, match=rf"{file} cannot be read as utf-8 csv"):
        load(folder)
    file.write_text('file_name,text\nclips/a.wav,"one",two\n')
    with pytest.raises(CorpusError, match=rf"{file} cannot be read as utf-8 csv"):
        load(folder)

    file.write_text("file_name,text\n")
    with pytest.raises(CorpusError, match=rf"{file}: no rows"):
        load(folder)
    file.unlink()
    broken = folder / "metadata.jsonl"
    broken.write_text('{"file_name": "clips/a.wav"}\n{"file_name": \n')
    with pytest.raises(CorpusError, match=rf"{broken}, line 2 is not json"):
        load(folder)
    broken.write_text('["clips/a.wav"]\n')
    with pytest.raises(CorpusError, match=rf"{broken}, line 1 is not a json object"):
        load(folder)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_names_stay_text_whatever_they_look_like(folder: Path, suffix: str) -> None:
    row = {"file_name": "clips/a.wav", "dialogue_id": "2024-05-01", "utterance_id": "007", "text": "NULL"}
    file = write(folder, [row], suffix)
    if suffix != "parquet":
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    loaded = load(folder)["train"][0]
    assert [loaded[name] for name in ("dialogue_id", "utterance_id", "text")] == ["2024-05-01", "007", "NULL"]


def test_types_that_cannot_be_reconciled(folder: Path) -> None:
    other = folder.parent / "other"
    write(other / "train", [{"file_name": "a.wav", "score": [1]}], "jsonl")
    write(other / "test", [{"file_name": "b.wav", "score": "high"}], "jsonl")
    with pytest.raises(CorpusError, match=r"a column has another type in each of .*score.*same type"):
        load(other)


def test_changed_metadata_and_clips_are_read_again(folder: Path) -> None:
    write(folder, rows())
    assert load(folder)["train"]["audio_status"][:] == ["ok"] * 3
    (folder / "clips/a.wav").unlink()
    assert load(folder)["train"]["audio_status"][:] == ["missing", "ok", "ok"]
    write(folder, rows()[:2])
    assert len(load(folder)["train"]) == 2


def test_relative_data_dir_gives_paths_that_hold_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, rows())
    monkeypatch.chdir(folder.parent)
    train = load_dataset("speechcue/folder", data_dir=folder.name, cache_dir=str(folder.parent / "cache"))["train"]
    assert train[0]["audio"]["path"] == str(folder / "clips/a.wav")


def test_two_processes_give_the_same_rows(folder: Path) -> None:
    names = [f"many/{index:03d}.wav" for index in range(40)]
    write_clips(folder, names)
    write(folder, [{"file_name": name, "emotion": "joy" if index % 2 else ""} for index, name in enumerate(names)])
    alone = list(load(folder)["train"])
    assert len(alone) == 40
    assert (
        list(
            load_dataset(
                "speechcue/folder", data_dir=str(folder), cache_dir=str(folder.parent / "other cache"), num_proc=2
            )["train"]
        )
        == alone
    )

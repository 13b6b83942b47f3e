"""``speechcue/folder``: anybody's conversations."""

from __future__ import annotations

import csv
import io
import json
import logging
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import parselmouth
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from datasets import List, Value, load_dataset

from speechcue_hf import measure_dataset, read_dataset, write_dataset
from speechcue_hf.corpora import recordings
from speechcue_hf.corpora.folder import write_skeleton
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
        (2, {"split": "held out"}, r"row 2, column split: 'held out' is not one of train, validation, test"),
        (
            3,
            {"utterance_id": "call_a"},
            r"row 3, column utterance_id: utterance 'call_a' stands in row 1 of .* already",
        ),
        (1, {"gender": "w"}, r"row 1, column gender: 'w' is not one of female, male"),
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


VOICES = {"Ann": 215, "Ben": 104}
TURNS = [("Ann", 0.0, 2.0), ("Ben", 2.25, 4.0), ("Ann", 4.5, 6.0), ("Ben", 5.5, 7.0)]
"""Speaker, start and end in s of a call of eight seconds; the last two overlap."""


def buzz(pitch: float, seconds: float, rate: int = 16000) -> Any:
    """A voice without words, of a stated pitch."""
    times = np.arange(round(seconds * rate)) / rate
    return sum(0.2 / k * np.sin(2 * np.pi * k * pitch * times) for k in range(1, 8)) / 2


def write_call(file: Path) -> Any:
    """A call with a speaker on each channel; its samples, as whole numbers of 16 bits."""
    samples = np.zeros((8 * 16000, 2))
    for speaker, start, end in TURNS:
        place = slice(round(start * 16000), round(end * 16000))
        samples[place, list(VOICES).index(speaker)] = buzz(VOICES[speaker], end - start)
    samples = np.round(samples * 2**15) / 2**15
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, samples, 16000)
    return samples


def call_rows(**more: Any) -> list[dict[str, Any]]:
    return [
        {"file_name": "rec/call.wav", "speaker": speaker, "start": start, "end": end, **more}
        for speaker, start, end in TURNS
    ]


def heard(audio: dict[str, Any]) -> Any:
    return soundfile.read(io.BytesIO(audio["bytes"]), always_2d=True)[0]


def test_turns_are_cut_out_of_their_recording(tmp_path: Path) -> None:
    samples = write_call(tmp_path / "mine/rec/call.wav")
    write(tmp_path / "mine", call_rows(channel=""))
    for options in ({}, {"streaming": True}):
        train = list(load(tmp_path / "mine", **options)["train"])
        assert [row["audio_status"] for row in train] == ["ok"] * 4
        assert [row["dialogue_id"] for row in train] == ["rec/call"] * 4
        assert [row["turn"] for row in train] == [0, 1, 2, 3]
        assert train[1]["utterance_id"] == "rec/call_2.25-4"
        assert train[1]["audio"]["path"] == "call_2.25-4.flac"
        for row, (_, start, end) in zip(train, TURNS, strict=True):
            assert row["audio"]["bytes"][:4] == b"fLaC"
            np.testing.assert_array_equal(heard(row["audio"]), samples[round(start * 16000) : round(end * 16000)])


@pytest.mark.parametrize("names", [(0, 1), ("left", "right")])
def test_a_channel_is_what_praat_measures_in_that_channel_alone(tmp_path: Path, names: tuple[Any, Any]) -> None:
    samples = write_call(tmp_path / "mine/rec/call.wav")
    channels = dict(zip(VOICES, names, strict=True))
    write(tmp_path / "mine", [{**row, "channel": channels[row["speaker"]]} for row in call_rows()])
    measured = measure_dataset(load(tmp_path / "mine")["train"])
    for row, (speaker, start, end) in zip(measured, TURNS, strict=True):
        alone = samples[round(start * 16000) : round(end * 16000), list(VOICES).index(speaker)]
        pitch = parselmouth.Sound(alone, 16000).to_pitch().selected_array["frequency"]
        assert row["duration_s"] == pytest.approx(end - start)
        assert row["f0_median_hz"] == pytest.approx(np.median(pitch[pitch > 0]), rel=0.01)
        assert row["f0_median_hz"] == pytest.approx(VOICES[speaker], rel=0.01)


def test_a_file_is_one_utterance_without_times_or_when_it_is_cut_already(tmp_path: Path) -> None:
    write_clips(tmp_path / "mine", ["a.wav", "b.wav", "c.wav"])
    entries = [
        {"file_name": "a.wav", "start": None, "end": None},
        {"file_name": "b.wav", "start": 7.0, "end": 7.6},
        {"file_name": "c.wav", "start": 7.6, "end": None},
    ]
    write(tmp_path / "mine", entries, "jsonl")
    train = load(tmp_path / "mine")["train"]
    assert [row["audio"]["path"] for row in train] == [str(tmp_path / "mine" / row["file_name"]) for row in entries]
    assert train["utterance_id"][:] == ["a", "b", "c"]
    assert train["start"][:] == [None, 7.0, 7.6]


def test_rows_by_speaker_are_put_in_speaking_order(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="speechcue_hf")
    write_call(tmp_path / "mine/rec/call.wav")
    write(tmp_path / "mine", sorted(call_rows(), key=lambda row: str(row["speaker"])))
    train = load(tmp_path / "mine")["train"]
    assert train["start"][:] == [start for _, start, _ in TURNS]
    assert train["turn"][:] == [0, 1, 2, 3]
    assert "turns were put in the order of start, in dialogue rec/call" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({3: {"end": 9.0}}, "row 4, column end: the file lasts 8.000 s: several turns name it.*at 9 s: correct"),
        ({3: {"start": 5500, "end": 7000}}, "row 4, column end: .*if times are in ms, divide them by 1000"),
        ({2: {"channel": 2}}, "row 3, column channel: there is no channel 2: the file has 2 channels, 0 to 1"),
        ({2: {"channel": "TV"}}, "row 3, column channel: 'TV' is no channel.*rename the column if"),
        (
            {1: {"start": None, "end": None}},
            "row 2, column start: is not given, and row 1 of metadata.jsonl gives times",
        ),
        ({1: {"end": 2.25}}, "row 2, column end: 2.25 s is the start, 2.25 s"),
        ({1: {"start": -1}}, "row 2, column start: -1 s lies before the beginning"),
        ({1: {"start": "2,25"}}, "row 2, column start: '2,25' is not a number of seconds: write 2.25"),
        ({1: {"start": 0.0, "end": 2.0}}, "row 2, column file_name: utterance 'rec/call_0-2' stands in row 1"),
    ],
)
def test_times_and_channels_that_do_not_fit(tmp_path: Path, changes: dict[int, Any], message: str) -> None:
    write_call(tmp_path / "mine/rec/call.wav")
    entries = [{**row, **changes.get(place, {})} for place, row in enumerate(call_rows())]
    if isinstance(entries[1]["start"], str):
        entries = [{**row, "start": str(row["start"])} for row in entries]
    if any(isinstance(row.get("channel"), str) for row in entries):
        entries = [{**row, "channel": row.get("channel") or "0"} for row in entries]
    write(tmp_path / "mine", entries, "jsonl")
    with pytest.raises(CorpusError, match=message):
        load(tmp_path / "mine")


def test_one_clip_in_two_rows(tmp_path: Path) -> None:
    write_clips(tmp_path / "mine", ["a.wav"])
    write(tmp_path / "mine", [{"file_name": "a.wav", "utterance_id": name} for name in "xy"])
    with pytest.raises(
        CorpusError, match=r"row 1, column file_name: this is the same clip as that of row 2 of metadata"
    ):
        load(tmp_path / "mine")


def test_times_that_count_from_each_file_are_not_taken_for_those_of_a_conversation(tmp_path: Path) -> None:
    write_clips(tmp_path / "mine", ["a.wav", "b.wav"])
    tone = soundfile.read(tmp_path / "mine/a.wav")[0]
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / "mine" / name, np.tile(tone, 10), 16000)
    entries = [{"file_name": "a.wav", "start": 0.9, "end": 2.0}, {"file_name": "b.wav", "start": 0.2, "end": 2.0}]
    write(tmp_path / "mine", [{**row, "dialogue_id": "d"} for row in entries])
    with pytest.raises(CorpusError, match=r"row 2, column start: .*if times count from the beginning of each file"):
        load(tmp_path / "mine")


def test_turns_without_a_start_among_others(tmp_path: Path) -> None:
    write_clips(tmp_path / "mine", ["a.wav", "b.wav", "c.wav"])
    starts = {"a.wav": 5.0, "b.wav": None, "c.wav": 1.0}
    write(tmp_path / "mine", [{"file_name": name, "dialogue_id": "d", "start": it} for name, it in starts.items()])
    with pytest.raises(CorpusError, match=r"row 3, column start: it starts before a turn.*other turns have no start"):
        load(tmp_path / "mine")


def test_a_recording_that_is_damaged_or_missing_keeps_its_rows(tmp_path: Path) -> None:
    (tmp_path / "mine/rec").mkdir(parents=True)
    (tmp_path / "mine/rec/call.wav").write_bytes(b"RIFF and nothing more")
    gone = [{**row, "file_name": "rec/gone.wav"} for row in call_rows()]
    write(tmp_path / "mine", [*call_rows(), *gone])
    train = load(tmp_path / "mine")["train"]
    assert train["audio_status"][:] == ["corrupt"] * 4 + ["missing"] * 4
    assert set(train["audio"]) == {None}


def test_a_dataset_of_turns_stands_alone(tmp_path: Path) -> None:
    samples = write_call(tmp_path / "mine/rec/call.wav")
    write(tmp_path / "mine", call_rows())
    write_dataset(load(tmp_path / "mine"), tmp_path / "out")
    shutil.rmtree(tmp_path / "mine")
    rows = read_dataset(tmp_path / "out")["train"]
    np.testing.assert_array_equal(heard(rows[1]["audio"]), samples[36000:64000])


def test_more_clips_than_are_held_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_call(tmp_path / "mine/rec/call.wav")
    write(tmp_path / "mine", call_rows())
    at_once = list(load(tmp_path / "mine")["train"])
    monkeypatch.setattr("speechcue_hf.corpora.builder.BYTES_AT_ONCE", 1)
    assert list(load(tmp_path / "mine", streaming=True)["train"]) == at_once


def test_dialogues_of_one_recording_are_cut_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    cut = recordings.read_sound
    monkeypatch.setattr(recordings, "read_sound", lambda audio, use: passes.append(audio) or cut(audio, use))
    soundfile.write(tmp_path / "long.wav", buzz(200, 40), 16000)
    write(
        tmp_path,
        [{"file_name": "long.wav", "dialogue_id": f"d{n}", "start": float(n), "end": n + 1.0} for n in range(40)],
    )
    assert len(list(load(tmp_path, streaming=True)["train"])) == 40
    assert len(passes) == 1


def test_what_spreadsheets_and_windows_make_of_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="speechcue_hf")
    composed, apart = (unicodedata.normalize(form, "clips/gêné.wav") for form in ("NFC", "NFD"))
    write_clips(tmp_path / "mine", ["clips/a.wav", composed])
    text = (
        "file_name, dialogue_id, Gender, emotion, text, split, mood\n"
        "clips\\a.wav, call, F, happy , Hello, train, 3\n"
        f"{apart}, visit, Male, neutral, Hi, dev, 4\n,,,,,,\n"
    )
    (tmp_path / "mine/metadata.csv").write_text(text, encoding="utf-8")
    splits = load(tmp_path / "mine")
    [first], [second] = splits["train"], splits["validation"]
    assert [row["audio"]["path"] for row in (first, second)] == [
        str(tmp_path / "mine" / name) for name in ("clips/a.wav", composed)
    ]
    assert first["utterance_id"] == "clips/a"
    assert [row["gender"] for row in (first, second)] == ["female", "male"]
    assert splits["train"].features["emotion"].names == ["happy", "neutral"]
    assert first["text"] == "Hello" and first["mood"] == 3
    assert (
        "metadata.csv: columns file_name, dialogue_id, split, gender, text, emotion; not there: utterance_id, speaker, "
        "start, end, channel; kept as they are: mood; 'Gender' is taken for gender"
    ) in caplog.text


def test_labels_that_differ_in_capitals_only(folder: Path) -> None:
    write(folder, [{**row, "emotion": label} for row, label in zip(rows(), ["Happy", "happy", "sad"], strict=True)])
    with pytest.raises(CorpusError, match=r"row 2, column emotion: 'happy' is the label 'Happy' of row 1"):
        load(folder)
    assert load(folder, labels=["sad", "happy"])["train"]["emotion"][:] == [1, 1, 0]


def test_a_folder_for_each_split_by_other_words(tmp_path: Path) -> None:
    for word in ("training", "dev"):
        write_clips(tmp_path / "mine" / word, [f"{word}.wav"])
        write(tmp_path / "mine" / word, [{"file_name": f"{word}.wav"}])
    assert {name: len(rows) for name, rows in load(tmp_path / "mine").items()} == {"train": 1, "validation": 1}
    write(tmp_path / "mine/valid", [{"file_name": "x.wav"}])
    with pytest.raises(CorpusError, match="is metadata of validation, and so is that of another folder"):
        load(tmp_path / "mine")


def test_missing_clips_are_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(folder, [{"file_name": "C:\\clips\\a.wav"}])
    with pytest.raises(CorpusError, match=r"row 1, column file_name: .* is a path of another machine"):
        load(folder)
    write(folder, [{"file_name": "clips/a.wav"}, {"file_name": "elsewhere/a.wav"}])
    assert load(folder)["train"]["audio_status"][:] == ["ok", "missing"]
    assert "1 of 2 files are missing, the first is elsewhere/a.wav" in caplog.text


def test_turn_tables_take_the_place_of_metadata(tmp_path: Path) -> None:
    samples = write_call(tmp_path / "mine/call.wav")
    lines = [f"SPEAKER call 1 {start} {end - start} <NA> <NA> {who} <NA> <NA>" for who, start, end in TURNS]
    for table in (tmp_path / "mine/call.rttm", tmp_path / "elsewhere.rttm"):
        table.write_text("\n".join(lines))
        options = {} if table.parent.name == "mine" else {"turns": str(table)}
        train = load(tmp_path / "mine", **options)["train"]
        assert train["speaker"][:] == [speaker for speaker, _, _ in TURNS]
        assert train["dialogue_id"][:] == ["call"] * 4
        np.testing.assert_array_equal(heard(train[1]["audio"]), samples[36000:64000])
    table.write_text("\n".join(lines[:2]))
    assert len(load(tmp_path / "mine", turns=str(table))["train"]) == 2
    (tmp_path / "mine/call.rttm").write_text("\n".join(lines[:3]))
    assert len(load(tmp_path / "mine")["train"]) == 3


def test_the_skeleton_of_metadata(tmp_path: Path) -> None:
    write_clips(tmp_path / "clips", ["utt10.wav", "utt2.wav", "below/utt1.flac"])
    file, count = write_skeleton(tmp_path / "clips")
    assert count == 3 and load(tmp_path / "clips")["train"]["utterance_id"][:] == ["below/utt1", "utt2", "utt10"]
    with pytest.raises(CorpusError, match="is there already"):
        write_skeleton(tmp_path / "clips")
    write_call(tmp_path / "calls/call.wav")
    said = {"segments": [{"start": a, "end": b, "speaker": who, "text": "Hello"} for who, a, b in TURNS]}
    (tmp_path / "calls/call.json").write_text(json.dumps(said))
    by_table = list(load(tmp_path / "calls")["train"])
    file, count = write_skeleton(tmp_path / "calls")
    assert count == 4
    assert file.read_text(encoding="utf-8-sig").splitlines()[1] == "call.wav,,,Ann,,Hello,,0.0,2.0"
    assert list(load(tmp_path / "calls")["train"]) == by_table

"""MELD: small trees in the release's format, and the real annotations when SPEECHCUE_CORPORA has them."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from pathlib import Path

import pytest
from datasets import load_dataset

import speechcue_hf  # noqa: F401
from speechcue_hf.corpora import meld
from speechcue_hf.corpora import release as releases
from speechcue_hf.errors import CorpusError
from tests.corpora import trees

REAL = Path(os.environ.get("SPEECHCUE_CORPORA", "unset")) / "meld"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="SPEECHCUE_CORPORA has no meld")


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return trees.meld(tmp_path)


@pytest.fixture
def load(tmp_path: Path):
    def load(folder: Path, verify: bool = False, **kwargs):
        cache = str(tmp_path / "cache")
        return load_dataset("speechcue/meld", data_dir=str(folder), verify=verify, cache_dir=cache, **kwargs)

    return load


@pytest.fixture
def small_release(monkeypatch):
    """The small tree counts as the release."""
    rows = {name: [f"{name}_dia{row[5]}_utt{row[6]}" for row in rows] for name, rows in trees.MELD_ROWS.items()}
    monkeypatch.setattr(meld, "release_rows", lambda split: rows[meld.NAMES[split]])
    monkeypatch.setattr(releases, "release_counts", lambda *names: {"train": {"dialogues": 3, "joy": 1}})


def test_rows_are_ordered_by_utterance_number(load, release):
    dataset = load(release)
    assert list(dataset) == ["train", "validation", "test"]
    rows = dataset["train"]
    assert rows["utterance_id"][:6] == [
        f"train_dia{name}" for name in ("0_utt0", "0_utt1", "0_utt2", "0_utt3", "125_utt3", "125_utt10")
    ]
    assert rows["turn"] == [0, 1, 2, 3, 0, 1, 0]
    assert rows["text"][2:4] == ["That I did.\nTwice.", "None"]
    assert dataset["validation"]["utterance_id"] == ["dev_dia0_utt0", "dev_dia110_utt7"]


def test_columns_of_a_row(load, release):
    assert load(release)["train"][0] == {
        "dialogue_id": "train_dia0",
        "utterance_id": "train_dia0_utt0",
        "turn": 0,
        "speaker": "Chandler",
        "gender": None,
        "text": "also I was the point person on my company’s transition.",
        "emotion": 0,
        "audio": {"bytes": None, "path": str(release / "train_splits/dia0_utt0.mp4")},
        "audio_status": "ok",
        "start": 976.059,
        "end": 981.731,
        "sentiment": "neutral",
        "season": 8,
        "episode": 21,
    }


def test_known_bad_clips_are_marked_and_tolerated(load, release, small_release):
    for clip, duration in {
        "train_splits/dia309_utt0.mp4": 41.06,
        "output_repeated_splits_test/dia38_utt4.mp4": 304.97,
    }.items():
        (release / clip).write_bytes(trees.wav(duration, rate=8000))
    (release / "train_splits/dia0_utt2.mp4").write_bytes(trees.mp4(0.1))
    dataset = load(release, verify=True)
    status = {row["utterance_id"]: row["audio_status"] for rows in dataset.values() for row in rows}
    assert {name: state for name, state in status.items() if state != "ok"} == {
        "train_dia125_utt3": "corrupt",
        "train_dia309_utt0": "miscut",
        "train_dia0_utt2": "too_short",
        "dev_dia110_utt7": "missing",
        "test_dia38_utt4": "miscut",
    }


def test_repaired_copies_of_bad_clips_are_ok(load, release, small_release):
    for clip in ("train_splits/dia125_utt3.mp4", "dev_splits_complete/dia110_utt7.mp4"):
        (release / clip).write_bytes(trees.mp4(0.5))
    dataset = load(release, verify=True)
    assert {state for rows in dataset.values() for state in rows["audio_status"]} == {"ok"}


def test_both_generations_of_the_csv_give_equal_rows(load, release):
    today = load(release)["train"].to_list()
    path = release / "train_sent_emo.csv"
    old = trees.first_release(path.read_bytes().decode())
    assert "\x92" in old and "\xa0" in old and "’" not in old
    path.write_bytes(old.encode())
    assert load(release)["train"].to_list() == today


@pytest.mark.parametrize(
    "split, folder",
    [
        ("train", "train/train_splits"),
        ("dev", "dev/dev_splits_complete"),
        ("test", "test_videos"),
        ("test", "data/test/output_repeated_splits_test"),
        ("train", "MELD.Raw/train"),
    ],
)
def test_older_copies_nest_or_rename_folders(load, release, small_release, split, folder):
    (release / folder).parent.mkdir(parents=True, exist_ok=True)
    (release / trees.MELD_MEDIA[split]).rename(release / folder)
    (release / f"{split}_sent_emo.csv").rename((release / folder).parent / f"{split}_sent_emo.csv")
    row = load(release, verify=True)[{"dev": "validation"}.get(split, split)][0]
    assert row["audio"]["path"] == str(release / folder / "dia0_utt0.mp4")


def test_twins_are_no_clips_of_the_release(load, release, small_release):
    twins = release / "final_videos_test"
    twins.mkdir()
    (release / "output_repeated_splits_test/dia0_utt0.mp4").rename(twins / "dia0_utt0.mp4")
    with pytest.raises(CorpusError, match=r"output_repeated_splits_test/dia0_utt0\.mp4 is missing: download"):
        load(release, verify=True)


def test_clips_converted_to_wav_are_found(load, release):
    (release / "train_splits/dia0_utt0.mp4").unlink()
    (release / "train_splits/dia0_utt0.wav").write_bytes(trees.wav(0.5))
    assert load(release)["train"][0]["audio"]["path"].endswith("train_splits/dia0_utt0.wav")


def test_text_alone_loads_with_a_warning(load, tmp_path, small_release, caplog):
    rows = load(trees.meld(tmp_path, media=False), verify=True)["train"]
    assert all(audio is None for audio in rows["audio"])
    assert set(rows["audio_status"]) == {"missing"}
    assert "MELD is loaded as text only" in caplog.text


def test_a_missing_clip_is_refused(load, release, small_release, caplog):
    for clip in ("dia0_utt1.mp4", "dia0_utt3.mp4"):
        (release / "train_splits" / clip).unlink()
    with pytest.raises(CorpusError) as error:
        load(release, verify=True)
    assert str(error.value) == (
        f"{release}/train_splits/dia0_utt1.mp4 is missing (and 1 more like it): "
        "download the release again, or pass verify=False (`speechcue prepare --no-verify`) to work with a partial copy"
    )
    assert load(release)["train"]["audio_status"][:4] == ["ok", "missing", "ok", "missing"]
    assert "(and 1 more like it); loaded as it is (verify=False)" in caplog.text


def test_a_missing_file_of_annotations_is_refused(load, release, small_release):
    (release / "dev_sent_emo.csv").unlink()
    with pytest.raises(CorpusError, match=r"dev_sent_emo\.csv is missing: download"):
        load(release, verify=True)
    assert list(load(release)) == ["train", "test"]


def test_a_folder_without_annotations_is_refused(load, tmp_path):
    with pytest.raises(CorpusError, match=r"give data_dir the folder MELD\.Raw"):
        load(tmp_path, verify=True)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("Utterance_ID", "Utt", "train_sent_emo.csv has no column 'Utterance_ID': download"),
        (
            ",surprise,",
            ",wonder,",
            "line 3 (Sr No. 2) cannot be read (emotion 'wonder' is not one of neutral, surprise",
        ),
        (",0,1,8,21", ",0,x,8,21", "line 3 (Sr No. 2) cannot be read (invalid literal"),
        (",0,1,8,21", ",0,0,8,21", "line 3: row (dialogue 0, utterance 0) comes twice"),
        (',0,1,8,21,"00:16:16,059","0:16:21,731"', "", "line 3 (Sr No. 2) cannot be read"),
        ("0:16:21,731", "later", "line 2 (Sr No. 1) cannot be read (time 'later' is not of the form 00:16:16,059)"),
    ],
)
def test_a_damaged_row_is_named(load, release, old, new, message):
    path = release / "train_sent_emo.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(CorpusError, match=re.escape(message)):
        load(release)


@pytest.mark.parametrize("time, expected", [("00:16:16,059", 976.059), ("0:00:01,5", 1.5), ("1:00:00,000", 3600.0)])
def test_times(time, expected):
    assert meld.seconds(time) == expected


@needs_real
def test_the_real_annotations_have_the_published_counts(load):
    dataset = load(REAL, verify=True)
    assert {split: (len(set(rows["dialogue_id"])), len(rows)) for split, rows in dataset.items()} == {
        "train": (1038, 9989),
        "validation": (114, 1109),
        "test": (280, 2610),
    }
    names = dataset["train"].features["emotion"].names
    assert names == ["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"]
    counts = [[Counter(rows["emotion"])[label] for label in range(7)] for rows in dataset.values()]
    assert counts == [
        [4710, 1205, 268, 683, 1743, 271, 1109],
        [470, 150, 40, 111, 163, 22, 153],
        [1256, 281, 50, 208, 402, 68, 345],
    ]


@needs_real
def test_the_listed_rows_are_those_of_the_real_annotations():
    for split, name in meld.NAMES.items():
        with (REAL / f"{name}_sent_emo.csv").open(encoding="utf-8", newline="") as file:
            rows = [f"{name}_dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}" for row in csv.DictReader(file)]
        assert sorted(meld.release_rows(split)) == sorted(rows)


@needs_real
def test_a_row_missing_from_the_real_annotations_is_named(load, tmp_path):
    for path in REAL.glob("*_sent_emo.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / "train_sent_emo.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = [list(row) for row in csv.reader(file)]
    trees.meld_csv(path, [row for row in rows[1:] if row[5:7] != ["125", "3"]])
    with pytest.raises(CorpusError) as error:
        load(tmp_path, verify=True)
    assert str(error.value) == (
        f"{path} has 9,988 rows, the release has 9,989: row (dialogue 125, utterance 3) is missing: "
        "download the release again, or pass verify=False (`speechcue prepare --no-verify`) to work with a partial copy"
    )


BROKEN = [
    ("Emotion", "Joy", "in which the release writes it 'joy'"),
    ("Emotion", "bliss", "emotion 'bliss' is not one of"),
    ("Season", "eight", "cannot be read"),
    ("StartTime", "noon", "time 'noon' is not of the form"),
]


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize(("column", "value", "says"), BROKEN, ids=[says for _, _, says in BROKEN])
def test_advice_is_given_only_where_it_helps(tmp_path, verify, column, value, says):
    """A row that cannot be read is not read with verify=False either."""
    folder = trees.meld(tmp_path, media=False)
    path = folder / "train_sent_emo.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[1][column] = value
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    with pytest.raises(CorpusError, match=rf"train_sent_emo\.csv, line \d+ .*{says}.*or correct the file") as refusal:
        load_dataset("speechcue/meld", data_dir=str(folder), verify=verify, cache_dir=str(tmp_path / "cache"))
    assert "verify" not in str(refusal.value)


def test_a_copy_that_differs_is_loaded_with_the_advice_it_is_given(tmp_path):
    folder = trees.meld(tmp_path, media=False)
    with pytest.raises(CorpusError, match="or pass verify=False"):
        load_dataset("speechcue/meld", data_dir=str(folder), cache_dir=str(tmp_path / "cache"))
    assert load_dataset("speechcue/meld", data_dir=str(folder), verify=False, cache_dir=str(tmp_path / "cache"))

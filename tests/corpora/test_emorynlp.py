"""EmoryNLP: the real csv when SPEECHCUE_CORPORA has it, and small trees in both forms."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from datasets import load_dataset

import speechcue_hf  # noqa: F401
from speechcue_hf.corpora.emorynlp import EMOTIONS
from speechcue_hf.errors import CorpusError

REAL = Path(os.environ.get("SPEECHCUE_CORPORA", "unset")) / "emorynlp"
CSV_NAMES = {"train": "train", "validation": "dev", "test": "test"}
JSON_NAMES = {"train": "trn", "validation": "dev", "test": "tst"}

# season, episode, scene, utterance, speakers, emotion, text, start, end: scene 1 is in two episodes, numbers have gaps
TURNS = {
    "train": [
        (1, 2, 1, 1, ["Monica Geller"], "Joyful", 'She said "N/A", as ever.', "00:00:02.877", "00:00:07.548"),
        (1, 2, 1, 3, ["Joey Tribbiani", "Chandler Bing"], "Neutral", "None", "00:00:04.504", "00:00:07.548"),
        (1, 3, 1, 2, ["Phoebe's Assistant"], "Powerful", "Yes,\nreally.", "01:00:01.500", "01:00:02.000"),
    ],
    "validation": [(1, 15, 1, 1, ["Rachel Green"], "Scared", "Coffee.", "00:00:03.795", "00:00:05.004")],
    "test": [(10, 1, 12, 40, ["Ross Geller"], "Mad", "No — no!", "00:09:34.865", "00:09:51.423")],
}
HEADER = ["Utterance", "Speaker", "Emotion", "Scene_ID", "Utterance_ID", "Season", "Episode", "Start_Time", "End_Time"]


def write_csv(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split, turns in TURNS.items():
        with (folder / f"emorynlp_{CSV_NAMES[split]}_final.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(HEADER)
            for season, episode, scene, number, speakers, emotion, text, start, end in turns:
                writer.writerow([text, str(speakers), emotion, scene, number, season, episode, start, end])


def write_json(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split, turns in TURNS.items():
        scenes: dict[str, list[dict[str, object]]] = {}
        for season, episode, scene, number, speakers, emotion, text, _, _ in turns:
            name = f"s{season:02d}_e{episode:02d}_c{scene:02d}"
            entry = {"utterance_id": f"{name}_u{number:03d}", "speakers": speakers, "transcript": text}
            scenes.setdefault(name, []).append({**entry, "tokens": [text.split()], "emotion": emotion})
        episodes = [
            {"episode_id": name[:7], "scenes": [{"scene_id": name, "utterances": entries}]}
            for name, entries in scenes.items()
        ]
        file = folder / f"emotion-detection-{JSON_NAMES[split]}.json"
        file.write_text(json.dumps({"season_id": "s01", "episodes": episodes}), encoding="utf-8")


def load(folder: Path, cache: Path, **options: object):
    return load_dataset("speechcue/emorynlp", data_dir=str(folder), cache_dir=str(cache), **options)


@pytest.mark.skipif(not REAL.is_dir(), reason="needs SPEECHCUE_CORPORA")
def test_real_csv_equals_the_release(tmp_path: Path) -> None:
    dataset = load(REAL, tmp_path)
    rows = {split: list(rows) for split, rows in dataset.items()}
    assert {split: len(found) for split, found in rows.items()} == {"train": 7551, "validation": 954, "test": 984}
    dialogues = {split: [row["dialogue_id"] for row in found] for split, found in rows.items()}
    assert {split: len(set(found)) for split, found in dialogues.items()} == {
        "train": 659,
        "validation": 89,
        "test": 79,
    }
    every = [row for found in rows.values() for row in found]
    assert len({row["utterance_id"] for row in every}) == len(every)
    assert len({row["dialogue_id"] for row in every}) == 659 + 89 + 79, "no scene lies in two splits"
    assert sum(len(row["speakers"]) > 1 for row in every) == 61
    assert all(row["speaker"] == row["speakers"][0] for row in every)
    assert Counter(EMOTIONS[row["emotion"]] for row in rows["train"]) == {
        "Neutral": 2485,
        "Joyful": 1677,
        "Scared": 941,
        "Mad": 785,
        "Peaceful": 638,
        "Powerful": 551,
        "Sad": 474,
    }


@pytest.mark.skipif(not REAL.is_dir(), reason="needs SPEECHCUE_CORPORA")
def test_real_csv_rows_are_those_of_the_file(tmp_path: Path) -> None:
    test = load(REAL, tmp_path, split="test")
    with (REAL / "emorynlp_test_final.csv").open(encoding="utf-8", newline="") as file:
        released = list(csv.DictReader(file))
    assert test["text"][:] == [row["Utterance"] for row in released]
    assert test[1]["utterance_id"] == "s01_e01_c04_u003"
    assert (test[1]["turn"], test[1]["speaker"], test[1]["start"]) == (1, "Joey Tribbiani", 579.453)
    assert (test[1]["audio"], test[1]["audio_status"], test[1]["gender"]) == (None, "none", None)


def test_both_forms_give_the_same_rows(tmp_path: Path) -> None:
    write_csv(tmp_path / "csv" / "data" / "emorynlp")
    write_json(tmp_path / "json" / "json")
    from_csv = load(tmp_path / "csv", tmp_path / "cache", verify=False)
    from_json = load(tmp_path / "json", tmp_path / "cache", verify=False)
    assert from_csv["train"]["utterance_id"][:] == ["s01_e02_c01_u001", "s01_e02_c01_u003", "s01_e03_c01_u002"]
    assert from_csv["train"]["dialogue_id"][:] == ["s01_e02_c01", "s01_e02_c01", "s01_e03_c01"]
    assert from_csv["train"]["turn"][:] == [0, 1, 0]
    assert from_csv["train"]["text"][1] == "None"
    assert from_csv["train"]["speaker"][1] == "Joey Tribbiani"
    assert from_csv["train"]["start"][2] == 3601.5
    assert set(from_json["test"]["start"]) == {None}
    for split in TURNS:
        timeless = from_csv[split].remove_columns(["start", "end"])
        assert list(timeless) == list(from_json[split].remove_columns(["start", "end"]))


def test_csv_wins_where_both_lie(tmp_path: Path) -> None:
    write_csv(tmp_path)
    write_json(tmp_path)
    assert load(tmp_path, tmp_path / "cache", verify=False)["test"][0]["start"] == pytest.approx(574.865)


def test_partial_copy(tmp_path: Path) -> None:
    write_csv(tmp_path)
    with pytest.raises(CorpusError, match=r"train_final.csv, train: 2 dialogues, the release has 659: .*verify=False"):
        load(tmp_path, tmp_path / "cache")
    (tmp_path / "emorynlp_dev_final.csv").unlink()
    assert set(load(tmp_path, tmp_path / "cache", verify=False)) == {"train", "test"}


def test_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path)
    (tmp_path / "emotion-detection-trn.json").unlink()
    with pytest.raises(CorpusError, match=r"emotion-detection-trn.json is missing"):
        load(tmp_path, tmp_path / "cache")
    with pytest.raises(CorpusError, match=r"holds neither emorynlp_train_final.csv nor emotion-detection-trn.json"):
        load(tmp_path / "..", tmp_path / "cache")


@pytest.mark.parametrize(
    ("found", "replacement", "message"),
    [
        ("Powerful", "Powerfull", r"row 3 .*'Powerfull' is not one of Joyful"),
        ("00:00:04.504", "4.504", r"row 2 .*'4.504' is not of the form 00:09:34.865"),
        ("Scene_ID", "Scene", r"has no column 'Scene_ID'"),
        ("['Monica Geller']", "[Monica Geller]", r"row 1 cannot be read"),
    ],
)
def test_unreadable_csv(tmp_path: Path, found: str, replacement: str, message: str) -> None:
    write_csv(tmp_path)
    file = tmp_path / "emorynlp_train_final.csv"
    file.write_text(file.read_text(encoding="utf-8").replace(found, replacement), encoding="utf-8")
    with pytest.raises(CorpusError, match=rf"emorynlp_train_final.csv.*{message}"):
        load(tmp_path, tmp_path / "cache", verify=False)


def test_unreadable_json_and_encoding(tmp_path: Path) -> None:
    write_json(tmp_path)
    file = tmp_path / "emotion-detection-trn.json"
    whole = file.read_text()
    file.write_text(whole.replace('"transcript"', '"text"', 1))
    with pytest.raises(CorpusError, match=r"trn.json, scene s01_e02_c01 cannot be read \(KeyError\('transcript'\)"):
        load(tmp_path, tmp_path / "cache", verify=False)
    file.write_text(whole[:-20])
    with pytest.raises(CorpusError, match="does not hold episodes with scenes"):
        load(tmp_path, tmp_path / "cache", verify=False)
    file.write_bytes(whole.replace("None", "Café").encode("latin-1"))
    with pytest.raises(CorpusError, match=r"trn.json is not utf-8"):
        load(tmp_path, tmp_path / "cache", verify=False)


def test_changed_file_is_read_again(tmp_path: Path) -> None:
    write_csv(tmp_path)
    assert load(tmp_path, tmp_path / "cache", verify=False)["test"]["text"][:] == ["No — no!"]
    file = tmp_path / "emorynlp_test_final.csv"
    file.write_text(file.read_text(encoding="utf-8").replace("No — no!", "Oh fine."), encoding="utf-8")
    assert load(tmp_path, tmp_path / "cache", verify=False)["test"]["text"][:] == ["Oh fine."]
    streamed = load(tmp_path, tmp_path / "cache", verify=False, streaming=True)
    assert [row["text"] for row in streamed["test"]] == ["Oh fine."]

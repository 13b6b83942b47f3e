"""Published measurements: the paper's own MELD files, and made rows in the form of its IEMOCAP file.

The reference for IEMOCAP is written here with pandas after the paper's description: quantiles of the rows whose
``mode`` is ``train``, by gender, zeros left out, and its sentence.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from datasets import DatasetDict, load_dataset

from speechcue_hf.cli import main
from speechcue_hf.corpora.iemocap import erc_split
from speechcue_hf.corpora.parquet import read_dataset
from speechcue_hf.cues.paper import describe_like_paper
from speechcue_hf.cues.published import (
    NOT_PUBLISHED,
    NOT_TOLD_APART,
    PUBLISHED_NAMES,
    join_measurements,
)
from speechcue_hf.cues.settings import PAPER_COLUMNS, MeasurementSettings
from speechcue_hf.errors import CorpusError, DescriberError
from speechcue_hf.records import read_record
from tests.corpora import trees
from tests.cues import published_meld

pytestmark = pytest.mark.slow

HEADER = ["video_id", "segment_id", "emotion", "gender", "mode", "text", *PUBLISHED_NAMES]
MODES = {"train": "train", "validation": "dev", "test": "test"}
LEVELS = ["very low", "low", "moderate", "high", "very high"]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """Dialogues of forty turns in train and test."""
    folder = trees.iemocap(tmp_path)
    for dialogue in ("Ses01F_impro02", "Ses02F_impro03", "Ses05F_impro02"):
        turns = [
            trees.IemocapTurn(f"{'FM'[i % 2]}{i // 2:03d}", i, i + 0.5, f"Word {i}.", ["xxx", "neu", "sad"][i % 3])
            for i in range(40)
        ]
        trees.iemocap_dialogue(folder, dialogue, turns, trees.wav(0.5))
    return folder


def load(release: Path, config: str = "all") -> DatasetDict:
    return load_dataset(
        "speechcue/iemocap", config, data_dir=str(release), verify=False, cache_dir=str(release.parent / "cache")
    )


def publish(release: Path, segment=lambda place, name: name.rpartition("_")[2]) -> Path:
    """Write the measurements of every labelled turn, out of order, in the form of ``iemocap_audio_features.csv``."""
    random = np.random.default_rng(1)
    rows = []
    for part in load(release).values():
        for row in part:
            if "XX" in row["utterance_id"]:
                continue
            numbers = [f"{value:.6f}" for value in random.gamma(4.0, 10.0, len(PUBLISHED_NAMES))]
            if len(rows) % 7 == 3:
                numbers[3], numbers[4], numbers[5] = "", "0.0", "0.0"  # without a voiced frame
            if len(rows) % 7 == 5:
                numbers[6] = ""  # without a syllable
            mode = MODES[erc_split(row["dialogue_id"])]
            gender = row["gender"][0].upper()
            place = segment(len(rows), row["utterance_id"])
            rows.append([row["dialogue_id"], place, "neu", gender, mode, row["text"], *numbers])
    random.shuffle(rows)
    path = release.parent / "iemocap_audio_features.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return path


def paper_descriptions(path: Path) -> dict[tuple[str, str], str]:
    """Dialogue and segment → sentence, by the paper's rule."""
    table = pd.read_csv(path)
    train = table[table["mode"] == "train"]
    names = ("avg_intensity", "intensity_variation", "avg_pitch", "pitch_std", "pitch_range", "articulation_rate")
    cuts = {
        (gender, name): rows[name].replace(0, np.nan).dropna().quantile([0.1, 0.25, 0.75, 0.9]).to_numpy()
        for gender, rows in train.groupby("gender")
        for name in names
    }

    def level(row, name):
        value = row[name]
        return None if pd.isna(value) or value == 0 else LEVELS[int((value > cuts[row["gender"], name]).sum())]

    sentences = {}
    for _, row in table.iterrows():
        found = {name: level(row, name) for name in names}
        parts = [f"{found['avg_intensity']} volume with {found['intensity_variation']} variation"]
        if found["avg_pitch"]:
            parts.append(f"{found['avg_pitch']} pitch with {found['pitch_std'] or found['pitch_range']} variation")
        if found["articulation_rate"]:
            parts.append(f"{found['articulation_rate']} speaking rate")
        sentence = f"Target speech characteristics: {', '.join(parts)}."
        sentences[row["video_id"], str(row["segment_id"])] = sentence
    return sentences


def test_iemocap_is_described_as_published_from_the_command_line(release, tmp_path, capsys):
    published = publish(release)
    load(release).save_to_disk(tmp_path / "prepared")
    measured, described = tmp_path / "measured", tmp_path / "described"
    line = ["measure", str(tmp_path / "prepared"), "-o", str(measured), "--published", str(published)]
    assert main(line) == 0
    assert f"describe {measured} -o {described} --preset speechcuellm" in capsys.readouterr().out
    assert main(["describe", str(measured), "-o", str(described), "--preset", "speechcuellm"]) == 0
    expected = paper_descriptions(published)
    found = {
        tuple(row["utterance_id"].rsplit("_", 1)): row["speech_description"]
        for rows in read_dataset(described).values()
        for row in rows
        if row["measurement_note"] is None
    }
    assert found == expected and len(found) == 131
    # Rows of the six emotions, by the levels of all rows.
    load(release, "erc-6").save_to_disk(tmp_path / "erc")
    assert main(["measure", str(tmp_path / "erc"), "-o", str(tmp_path / "erc-m"), "--published", str(published)]) == 0
    line = ["describe", str(tmp_path / "erc-m"), "-o", str(tmp_path / "erc-d"), "--describer", str(described)]
    assert main(line) == 0
    for rows in read_dataset(tmp_path / "erc-d").values():
        assert all(row["speech_description"] == expected[tuple(row["utterance_id"].rsplit("_", 1))] for row in rows)


def test_the_record_names_the_files_and_the_procedure(release, tmp_path):
    load(release).save_to_disk(tmp_path / "prepared")
    line = ["measure", str(tmp_path / "prepared"), "-o", str(tmp_path / "out"), "--published", str(publish(release))]
    assert main(line) == 0
    settings = read_record(MeasurementSettings, tmp_path / "out")
    assert settings.preset == "speechcuellm" and len(settings.published[0]) == 64
    rows = read_dataset(tmp_path / "out")["train"]
    assert "audio" not in rows.column_names and set(rows["jitter_local_ratio"]) == {None}


@pytest.mark.parametrize("segment", [lambda place, name: name, lambda place, name: str(place)], ids=["whole", "number"])
def test_other_forms_of_segments_give_the_same_rows(release, segment):
    plain = join_measurements(load(release), [publish(release)])
    other = join_measurements(load(release), [publish(release, segment)])
    for split, rows in plain.items():
        assert other[split][:] == rows[:]


def test_words_that_nothing_tells_apart_are_left_without(release):
    path = publish(release, lambda place, name: str(place))
    doubled = next(line for line in path.read_text().splitlines() if "Ses01F_impro02" in line and "Word 4." in line)
    path.write_text(path.read_text() + doubled.replace("neu", "sad") + "\n")
    rows = join_measurements(load(release), [path])["train"]
    notes = {row["text"]: row["measurement_note"] for row in rows if row["dialogue_id"] == "Ses01F_impro02"}
    assert notes["Word 4."] == NOT_TOLD_APART and notes["Word 5."] is None


def test_a_turn_that_was_not_published_says_so(release):
    rows = join_measurements(load(release), [publish(release)])["train"]
    notes = dict(zip(rows["utterance_id"], rows["measurement_note"], strict=True))
    assert notes["Ses01F_impro01_FXX0"] == NOT_PUBLISHED and notes["Ses01F_impro01_F000"] is None


def test_the_levels_of_a_part_of_iemocap_are_refused(release):
    erc = join_measurements(load(release, "erc-6"), [publish(release)])
    with pytest.raises(DescriberError, match="config 'erc-6' has a part of them"):
        describe_like_paper(erc)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("f.csv", "a,b\n1,2\n", "there is no 'duration'"),
        ("f.csv", "{names}\ndia0_utt0.wav,{eight}\n", "give the file the name"),
        ("train_audio_features.csv", "{names}\nclip0.wav,{eight}\n", "'clip0.wav'"),
        ("train_audio_features.csv", "{names}\ndia0_utt0.wav,{eight}\n", "no row is of this dataset"),
        ("train_audio_features.csv", "{names}\n" + "dia0_utt0.wav,{eight}\n" * 2, "twice"),
        ("train_audio_features.csv", "{names}\ndia0_utt0.wav,1,1,1,high,1,1,1,1\n", "avg_pitch: 'high' is no number"),
    ],
)
def test_a_file_of_another_kind_is_refused(release, tmp_path, name, content, says):
    names = ",".join(["filename", *PUBLISHED_NAMES])
    (tmp_path / name).write_text(content.format(names=names, eight=",".join("1" * 8)))
    with pytest.raises(CorpusError, match=says):
        join_measurements(load(release), [tmp_path / name])


@pytest.mark.parametrize(
    "option", [["--preset", "default"], ["--groups", "pitch"], ["--num-shards", "2"], ["--engine", "fast"]]
)
def test_options_that_measure_are_refused_beside_published_numbers(release, tmp_path, option, capsys):
    load(release).save_to_disk(tmp_path / "prepared")
    line = ["measure", str(tmp_path / "prepared"), "-o", str(tmp_path / "out"), "--published", str(publish(release))]
    assert main([*line, *option]) == 1
    assert f"leave {option[0]}" in capsys.readouterr().err


@pytest.mark.skipif(published_meld.folder() is None, reason="SPEECHCUE_CORPORA is not set")
def test_meld_is_described_as_published(tmp_path):
    corpus = load_dataset("speechcue/meld", data_dir=str(published_meld.folder()), cache_dir=str(tmp_path))
    files = [published_meld.folder() / f"{split}_audio_features.csv" for split in ("train", "dev", "test")]
    measured = join_measurements(corpus, files)
    described, _ = describe_like_paper(measured)
    published = {row["filename"]: row for row in published_meld.read_csv("dev_descriptions_published.csv")}
    rows = [row for row in described["validation"] if row["measurement_note"] is None]
    assert len(rows) == 1108
    for row in rows:
        theirs = published[row["utterance_id"].removeprefix("dev_") + ".wav"]
        assert row["speech_description"] == theirs["description"]
        assert row["speech_impression"] == theirs["impression"]
        for name, cue in zip(PUBLISHED_NAMES, PAPER_COLUMNS, strict=True):
            assert (row[f"{cue}_level"] or "none") == theirs[f"{name}_category"]
    assert described["train"]["speaker"][:] == corpus["train"]["speaker"][:]
    assert described["train"].info.description == measured["train"].info.description

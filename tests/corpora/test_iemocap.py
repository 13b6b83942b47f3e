"""IEMOCAP: small trees in the release's format; the expected rows are written down by hand."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from datasets import Dataset, get_dataset_config_names, load_dataset

import speechcue_hf  # noqa: F401
from speechcue_hf.corpora import release as releases
from speechcue_hf.corpora.catalogue import corpus_of_texts, find_corpus
from speechcue_hf.errors import CorpusError
from tests.corpora import trees


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return trees.iemocap(tmp_path)


@pytest.fixture
def load(release: Path, tmp_path: Path):
    def load(*config: str, verify: bool = False, **kwargs):
        return load_dataset(
            "speechcue/iemocap",
            *config,
            data_dir=str(release),
            verify=verify,
            cache_dir=str(tmp_path / "cache"),
            **kwargs,
        )

    return load


def labels(rows: Dataset) -> dict[str, str | None]:
    names = rows.features["emotion"]
    return {row["utterance_id"]: None if row["emotion"] is None else names.int2str(row["emotion"]) for row in rows}


def test_configs():
    assert get_dataset_config_names("speechcue/iemocap") == ["erc-6", "ser-4", "all"]


def test_six_emotions_are_the_default_and_two_votes_for_happiness_decide(load):
    dataset = load()
    assert {split: labels(rows) for split, rows in dataset.items()} == {
        "train": {
            "Ses01F_impro01_F000": "neutral",
            "Ses01F_impro01_M000": "frustrated",
            "Ses01F_impro01_F001": "happy",  # undecided: two annotators name Happiness first
            "Ses02F_impro01_F000": "angry",  # M001 is left out: only one annotator names Happiness first
            "Ses02F_impro01_M000": "sad",
        },
        "validation": {"Ses01M_impro01_M000": "happy"},
        "test": {"Ses05F_impro01_M000": "excited", "Ses05F_impro01_F000": "neutral"},
    }
    assert dataset["train"].features["emotion"].names == ["happy", "sad", "neutral", "angry", "excited", "frustrated"]
    assert dataset["train"]["turn"] == [0, 1, 2, 0, 1]


@pytest.mark.parametrize("fold, test", [(1, 2), (2, 2), (5, 2)])
def test_four_emotions_leave_one_session_out(load, fold, test):
    dataset = load("ser-4", fold=fold)
    assert list(dataset) == ["train", "test"]
    assert (len(dataset["train"]), len(dataset["test"])) == (6 - test, test)
    assert {name[:5] for name in dataset["test"]["dialogue_id"]} == {f"Ses0{fold}"}
    assert {**labels(dataset["train"]), **labels(dataset["test"])} == {
        "Ses01F_impro01_F000": "neutral",
        "Ses01M_impro01_M000": "happy",
        "Ses02F_impro01_F000": "angry",
        "Ses02F_impro01_M000": "sad",
        "Ses05F_impro01_M000": "happy",  # excited
        "Ses05F_impro01_F000": "neutral",
    }


@pytest.mark.parametrize("config, fold", [("ser-4", None), ("ser-4", 0), ("ser-4", 6), ("erc-6", 1), ("all", 5)])
def test_a_fold_that_is_none_is_refused(load, config, fold):
    with pytest.raises(ValueError, match=f"fold={fold}"):
        load(config, fold=fold)


def test_all_turns_in_the_order_of_the_transcription(load):
    rows = load("all")["train"]
    assert labels(rows.select(range(6))) == {
        "Ses01F_impro01_F000": "neutral",
        "Ses01F_impro01_M000": "frustrated",
        "Ses01F_impro01_FXX0": None,
        "Ses01F_impro01_F001": "undecided",
        "Ses01F_impro01_M001": "undecided",
        "Ses01F_impro01_F002": "surprised",
    }
    assert rows["start"][:3] == [6.2901, 6.1, 11.5]


def test_columns_of_a_turn(load, release):
    row = load("all")["train"][1]
    clip = release / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M000.wav"
    assert row == {
        "dialogue_id": "Ses01F_impro01",
        "utterance_id": "Ses01F_impro01_M000",
        "turn": 1,
        "speaker": "Ses01_M",
        "gender": "male",
        "text": "Do you  have your forms? [LAUGHTER]",
        "emotion": 5,
        "audio": {"bytes": None, "path": str(clip)},
        "audio_status": "ok",
        "start": 6.1,
        "end": 11.3,
        "valence": 2.5,
        "arousal": 3.0,
        "dominance": 3.5,
        "annotator_categories": ["Frustration", "Anger"],
    }


def test_a_turn_without_label_has_neither_clip_nor_ratings(load):
    row = load("all")["train"][2]
    assert (row["utterance_id"], row["speaker"], row["gender"]) == ("Ses01F_impro01_FXX0", "Ses01_F", "female")
    assert [row[name] for name in ("emotion", "audio", "audio_status", "valence", "annotator_categories")] == [
        None,
        None,
        "none",
        None,
        None,
    ]


def test_several_categories_of_one_annotator_stay_together(load):
    assert load()["train"][2]["annotator_categories"] == ["Happiness", "Excited", "Happiness; Surprise"]


def test_a_copy_without_clips_counts_what_is_missing(load, release, caplog):
    shutil.rmtree(release / "Session2/sentences")
    rows = load()["train"]
    assert rows["audio_status"] == ["ok", "ok", "ok", "missing", "missing"]
    assert rows["audio"][3] is None
    assert "Ses02F_impro01_F000.wav is missing (and 1 more like it)" in caplog.text


def test_the_release_as_counted_is_accepted(load, monkeypatch):
    counts = {"train": {"dialogues": 2, "utterances": 5, "happy": 1}, "test": {"excited": 1, "neutral": 1}}
    monkeypatch.setattr(releases, "release_counts", lambda *names: counts)
    assert len(load(verify=True)["train"]) == 5


def test_other_counts_than_the_release_has_are_refused(load, release):
    with pytest.raises(CorpusError) as error:
        load(verify=True)
    assert str(error.value) == (
        f"{release}, train: 2 dialogues, the release has 108: "
        "download the release again, or pass verify=False (`speechcue prepare --no-verify`) to work with a partial copy"
    )


def remove_evaluation(release: Path) -> None:
    (release / "Session2/dialog/EmoEvaluation/Ses02F_impro01.txt").unlink()


def remove_line(release: Path) -> None:
    path = release / "Session1/dialog/transcriptions/Ses01F_impro01.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))


def remove_clip(release: Path) -> None:
    (release / "Session5/sentences/wav/Ses05F_impro01/Ses05F_impro01_F001.wav").unlink()


def remove_session(release: Path) -> None:
    shutil.rmtree(release / "Session2")


def remove_annotations(release: Path) -> None:
    for kind in ("transcriptions", "EmoEvaluation"):
        (release / "Session1/dialog" / kind / "Ses01M_impro01.txt").unlink()


@pytest.mark.parametrize(
    "damage, message",
    [
        (remove_session, "IEMOCAP_full_release/Session2 is missing: download the release"),
        (remove_annotations, "transcriptions/Ses01M_impro01.txt is missing, its clips are there: download the release"),
        (
            remove_evaluation,
            "EmoEvaluation/Ses02F_impro01.txt: expected a block for turn Ses02F_impro01_F000, found none (and 1",
        ),
        (
            remove_line,
            "transcriptions/Ses01F_impro01.txt: expected a line for turn Ses01F_impro01_F000, found none: down",
        ),
        (remove_clip, "Session5/sentences/wav/Ses05F_impro01/Ses05F_impro01_F001.wav is missing: download the release"),
    ],
)
def test_a_partial_release_is_refused(load, release, damage, message):
    damage(release)
    with pytest.raises(CorpusError, match=re.escape(message)):
        load(verify=True)


@pytest.mark.parametrize(
    "file, old, new, message",
    [
        (
            "EmoEvaluation",
            "\tfru\t",
            "\tfoo\t",
            r"line \d+, turn Ses01F_impro01_M000: expected one of hap, .* found 'foo'",
        ),
        ("transcriptions", "[006.2901-", "(006.2901-", r"transcriptions/Ses01F_impro01\.txt, line 1: expected '<turn>"),
        (
            "EmoEvaluation",
            "\tneu\t[2.5000",
            "\t[2.5000",
            r"line 3: expected '\[<start> - <end>\] <turn> <label> .* found '\[6\.29",
        ),
        ("EmoEvaluation", ", 3.5000]", "]", r"line 3, turn Ses01F_impro01_F000: expected three ratings"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(load, release, file, old, new, message):
    path = release / "Session1/dialog" / file / "Ses01F_impro01.txt"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(CorpusError, match=message):
        load()


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="give data_dir the folder IEMOCAP_full_release"):
        load_dataset("speechcue/iemocap", data_dir=str(tmp_path), cache_dir=str(tmp_path / "cache"))


def test_a_number_that_the_release_gives_twice_makes_two_ids(release, load):
    path = release / "Session1/dialog/transcriptions/Ses01F_impro01.txt"
    line = "Ses01F_impro01_FXX0 [011.9000-012.0000]: Mm.\n"
    path.write_text(path.read_text() + line)
    rows = load("all")["train"]
    assert len(set(rows["utterance_id"])) == len(rows)
    twice = [row for row in rows if row["utterance_id"].startswith("Ses01F_impro01_FXX0")]
    assert [row["utterance_id"] for row in twice] == ["Ses01F_impro01_FXX0", "Ses01F_impro01_FXX0_2"]
    assert [row["text"] for row in twice] == ["Uh-huh.", "Mm."]
    assert find_corpus("iemocap") == corpus_of_texts(["Ses01F_impro01_FXX0_2"])
    assert re.fullmatch(find_corpus("iemocap").utterance_ids, "Ses01F_impro01_FXX0_2")

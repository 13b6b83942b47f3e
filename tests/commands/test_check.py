from __future__ import annotations

import pytest

from speechcue_hf.cli import main
from speechcue_hf.commands import check as command
from speechcue_hf.corpora import meld
from speechcue_hf.corpora import release as releases
from tests.corpora import trees


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def small_release(monkeypatch):
    """The small MELD tree counts as the release."""
    rows = {name: [f"{name}_dia{row[5]}_utt{row[6]}" for row in rows] for name, rows in trees.MELD_ROWS.items()}
    monkeypatch.setattr(meld, "release_rows", lambda split: rows[meld.NAMES[split]])
    for module in (releases, command):
        monkeypatch.setattr(module, "release_counts", lambda *names: {"train": {"dialogues": 3, "joy": 1}})


def test_the_splits_of_the_demo_share_nothing(capsys):
    assert main(["check", "demo"]) == 0
    printed = capsys.readouterr().out
    assert not any(f"{what} of" in printed for what in ("speakers", "dialogues", "texts"))


def test_a_corpus_as_released(capsys, tmp_path, small_release):
    assert main(["check", "meld", "--data-dir", str(trees.meld(tmp_path))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["train", "validation", "test", "all", "splits"]
    assert [line.split() for line in lines[1:4]] == [
        ["dialogues", "3", "2", "3", "8"],
        ["utterances", "7", "2", "3", "12"],
        ["neutral", "4", "1", "0", "5"],
    ]
    for line in ("  ok                10", "    train_dia125_utt3 (corrupt)", "    dev_dia110_utt7 (missing)"):
        assert line in lines
    assert lines[-1] == "No difference from the release."


def test_a_row_too_few_is_exit_code_1(capsys, tmp_path, small_release):
    folder = trees.meld(tmp_path)
    trees.meld_csv(folder / "train_sent_emo.csv", [row for row in trees.MELD_ROWS["train"] if row[3] != "joy"])
    assert main(["check", "meld", "--data-dir", str(folder)]) == 1
    shown = capsys.readouterr()
    assert "0 (expected 1)" in shown.out
    assert "has 6 rows, the release has 7: row (dialogue 0, utterance 3) is missing" in shown.err


def test_a_clip_that_is_corrupt_only_here_is_exit_code_1(capsys, tmp_path, small_release):
    folder = trees.meld(tmp_path)
    (folder / "train_splits/dia0_utt0.mp4").write_bytes(b"")
    assert main(["check", "meld", "--data-dir", str(folder)]) == 1
    assert "differs from the release in 1 places: clip of train_dia0_utt0 is corrupt" in capsys.readouterr().err


def test_another_folder_is_exit_code_1(capsys, tmp_path):
    assert main(["check", "iemocap", "--data-dir", str(tmp_path)]) == 1
    assert "give data_dir the folder IEMOCAP_full_release" in capsys.readouterr().err

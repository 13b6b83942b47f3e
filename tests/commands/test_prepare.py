from __future__ import annotations

import pytest
from datasets import Audio

from speechcue_hf.cli import main
from speechcue_hf.corpora.parquet import read_dataset
from tests.corpora import trees


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))


def test_the_demo_becomes_a_dataset_folder(tmp_path, capsys):
    assert main(["prepare", "demo", "-o", str(tmp_path / "demo")]) == 0
    dataset = read_dataset(tmp_path / "demo")
    assert dataset.num_rows == {"train": 64, "validation": 16, "test": 16}
    assert dataset["test"].features["audio"] == Audio(decode=False)
    assert dataset["test"][0]["audio"]["bytes"][:4] == b"OggS"
    printed = capsys.readouterr().out
    assert "train: 64 utterances in 8 dialogues; clips: 64 ok" in printed
    assert f"Next: speechcue measure {tmp_path / 'demo'}" in printed


def test_options_reach_the_loader(tmp_path):
    release = trees.iemocap(tmp_path)
    arguments = ["prepare", "iemocap", "--data-dir", str(release), "--config", "ser-4", "--fold", "2", "--no-verify"]
    assert main([*arguments, "--without-audio", "-o", str(tmp_path / "out")]) == 0
    dataset = read_dataset(tmp_path / "out")
    assert dataset["test"]["utterance_id"] == ["Ses02F_impro01_F000", "Ses02F_impro01_M000"]
    assert "audio" not in dataset["test"].features and dataset["test"]["audio_status"] == ["ok", "ok"]


def test_videos_are_stored_as_flac(tmp_path):
    release = trees.meld(tmp_path)
    arguments = ["prepare", "meld", "--data-dir", str(release), "--no-verify", "--num-proc", "2"]
    assert main([*arguments, "-o", str(tmp_path / "out")]) == 0
    rows = read_dataset(tmp_path / "out")["train"]
    kinds = {row["audio_status"]: row["audio"]["bytes"][:4] for row in rows}
    assert kinds == {"ok": b"fLaC", "corrupt": trees.mp4(0.5)[:4]}


def test_a_corpus_that_differs_writes_nothing(tmp_path, capsys):
    assert main(["prepare", "iemocap", "--data-dir", str(trees.iemocap(tmp_path)), "-o", str(tmp_path / "out")]) == 1
    assert "pass verify=False" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_fold_for_a_corpus_without_folds_is_exit_code_1(tmp_path, capsys):
    assert main(["prepare", "demo", "--fold", "1", "-o", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == "speechcue prepare: --fold 1: demo has no folds, leave it out\n"

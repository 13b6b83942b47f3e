from __future__ import annotations

import numpy as np
import pytest
import soundfile
from datasets import Audio

from speechcue_hf.cli import main
from speechcue_hf.corpora.demo import DEMO_FOLDER
from speechcue_hf.corpora.parquet import read_dataset
from tests.corpora import trees


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))


def test_the_demo_becomes_a_dataset_folder(tmp_path, capsys):
    assert main(["prepare", "demo", "-o", str(tmp_path / "demo")]) == 0
    dataset = read_dataset(tmp_path / "demo")
    assert dataset.num_rows == {"train": 324, "validation": 72, "test": 108}
    assert dataset["test"].features["audio"] == Audio(decode=False)
    assert dataset["test"][0]["audio"]["bytes"][:4] == b"OggS"
    printed = capsys.readouterr().out
    assert "train: 324 utterances in 54 dialogues; clips: 324 ok" in printed
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


@pytest.fixture
def call(tmp_path):
    """A recording of two voices, and its turns by Audacity."""
    sounds = [soundfile.read(DEMO_FOLDER / "audio" / f"keys_0{turn}.ogg") for turn in range(3)]
    rate = sounds[0][1]
    (tmp_path / "calls").mkdir()
    soundfile.write(tmp_path / "calls/call.wav", np.concatenate([samples for samples, _ in sounds]), rate)
    ends = np.cumsum([len(samples) / rate for samples, _ in sounds])
    lines = [
        f"{end - len(samples) / rate:.6f}\t{end:.6f}\t{speaker}: Turn {turn}"
        for turn, (end, (samples, _), speaker) in enumerate(zip(ends, sounds, ("Sam", "Nora", "Sam"), strict=True))
    ]
    (tmp_path / "labels.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "calls"


def test_turns_of_a_recording_from_a_table(call, tmp_path, capsys):
    arguments = ["prepare", "folder", "--data-dir", str(call), "--turns", str(tmp_path / "labels.txt")]
    assert main([*arguments, "-o", str(tmp_path / "out")]) == 0
    rows = read_dataset(tmp_path / "out")["train"]
    assert rows["speaker"][:] == ["Sam", "Nora", "Sam"] and rows["text"][:] == ["Turn 0", "Turn 1", "Turn 2"]
    assert set(rows["dialogue_id"]) == {"call"}
    assert "train: 3 utterances in 1 dialogues; clips: 3 ok" in capsys.readouterr().out
    assert main(["measure", str(tmp_path / "out"), "-o", str(tmp_path / "measured")]) == 0
    for row, turn in zip(read_dataset(tmp_path / "measured")["train"], range(3), strict=True):
        alone = soundfile.info(DEMO_FOLDER / "audio" / f"keys_0{turn}.ogg")
        assert row["duration_s"] == pytest.approx(alone.duration, abs=1e-3)


def test_the_skeleton_needs_no_output(call, tmp_path, capsys):
    assert main(["prepare", "folder", "--data-dir", str(call), "--skeleton"]) == 0
    assert (call / "metadata.csv").read_text(encoding="utf-8-sig").splitlines()[1].startswith("call.wav,")
    printed = capsys.readouterr().out
    assert "metadata.csv: 1 rows" in printed and f"Next: speechcue prepare folder --data-dir {call}" in printed
    assert main(["prepare", "folder", "--data-dir", str(call), "-o", str(tmp_path / "out")]) == 0


def test_options_that_do_not_go_together(call, capsys):
    for arguments, message in (
        (["demo", "--turns", "x.rttm", "-o", "out"], "--turns x.rttm: demo has no turn tables, leave it out"),
        (["demo", "--skeleton"], "--skeleton goes with `prepare folder --data-dir DIR`"),
        (["folder", "--data-dir", str(call)], "say where the dataset folder goes: -o DIR"),
    ):
        assert main(["prepare", *arguments]) == 1
        assert capsys.readouterr().err == f"speechcue prepare: {message}\n"


def test_a_folder_whose_clips_are_all_missing_ends_with_a_message(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/metadata.csv").write_text("file_name,dialogue_id,emotion\n1.wav,c,happy\n2.wav,c,sad\n")
    assert main(["prepare", "folder", "--data-dir", str(tmp_path / "mine"), "-o", str(tmp_path / "out")]) == 0
    main(["measure", str(tmp_path / "out"), "-o", str(tmp_path / "measured")])
    capsys.readouterr()
    assert main(["describe", str(tmp_path / "measured"), "-o", str(tmp_path / "described")]) == 1
    assert "measured" in capsys.readouterr().err

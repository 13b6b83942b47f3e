"""The shipped demo corpus and its loader."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import parselmouth
import pytest
import soundfile
from datasets import DatasetDict, load_dataset

import speechcue_hf  # noqa: F401
from speechcue_hf.corpora.demo import DEMO_FOLDER, EMOTIONS
from speechcue_hf.errors import CorpusError


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DatasetDict:
    return load_dataset("speechcue/demo", cache_dir=str(tmp_path_factory.mktemp("cache")))


def test_size_and_balance(demo: DatasetDict) -> None:
    assert {split: len(rows) for split, rows in demo.items()} == {"train": 64, "validation": 16, "test": 16}
    assert {split: len(set(rows["dialogue_id"])) for split, rows in demo.items()} == {
        "train": 8,
        "validation": 2,
        "test": 2,
    }
    for rows in demo.values():
        assert set(rows["emotion"]) == set(range(len(EMOTIONS)))
        assert Counter(rows["audio_status"]) == {"ok": len(rows)}
        assert len(set(rows["speaker"])) == 4
    voices = {(row["speaker"], row["gender"]) for rows in demo.values() for row in rows.remove_columns("audio")}
    assert sorted(gender for _, gender in voices) == ["female", "female", "male", "male"]
    assert sum(path.stat().st_size for path in DEMO_FOLDER.rglob("*") if path.is_file()) <= 1_500_000


def test_no_text_or_id_in_two_splits(demo: DatasetDict) -> None:
    for column in ("text", "utterance_id", "dialogue_id"):
        splits = defaultdict(set)
        for split, rows in demo.items():
            for value in rows[column]:
                splits[value].add(split)
        assert all(len(found) == 1 for found in splits.values()), column


def test_times_are_those_of_the_clips(demo: DatasetDict) -> None:
    gaps = []
    for rows in demo.values():
        for row in rows:
            clip = soundfile.info(row["audio"]["path"])
            assert (clip.samplerate, clip.channels) == (16_000, 1)
            assert row["end"] - row["start"] == pytest.approx(clip.duration, abs=0.0011)
        gaps += [
            after["start"] - before["end"]
            for before, after in pairwise(rows)
            if before["dialogue_id"] == after["dialogue_id"]
        ]
    assert min(gaps) < 0 < max(gaps), "the corpus has overlaps and pauses"


def test_emotions_are_heard_in_every_voice(demo: DatasetDict) -> None:
    """Praat called directly: excited speech is higher, louder and more lively than sad speech of the same voice."""
    measured = defaultdict(list)
    for row in demo["train"]:
        samples, rate = soundfile.read(row["audio"]["path"])
        sound = parselmouth.Sound(samples, rate)
        f0 = sound.to_pitch(None, 50, 500).selected_array["frequency"]
        semitones = 12 * np.log2(f0[f0 > 0])
        level = 20 * np.log10(np.sqrt(np.mean(samples**2)))
        measured[row["speaker"], EMOTIONS[row["emotion"]]].append((semitones.mean(), semitones.std(), level))
    means = {key: np.mean(values, axis=0) for key, values in measured.items()}
    for speaker in set(demo["train"]["speaker"]):
        assert np.all(means[speaker, "excited"] - means[speaker, "sad"] > [4, 1, 3]), speaker
        assert means[speaker, "angry"][2] > means[speaker, "neutral"][2], speaker


def test_streaming_and_two_processes_give_the_same_rows(demo: DatasetDict, tmp_path: Path) -> None:
    streamed = load_dataset("speechcue/demo", split="train", streaming=True)
    assert list(streamed) == list(demo["train"])
    parallel = load_dataset("speechcue/demo", split="train", num_proc=2, cache_dir=str(tmp_path))
    assert list(parallel) == list(demo["train"])


def test_current_folder_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "metadata.csv").write_text("not,ours\n1,2\n")
    monkeypatch.chdir(tmp_path)

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("files were listed")

    monkeypatch.setattr("datasets.data_files.resolve_pattern", refuse)
    assert len(load_dataset("speechcue/demo", split="test", cache_dir=str(tmp_path / "cache"))) == 16


def test_data_dir_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="takes no data_dir"):
        load_dataset("speechcue/demo", data_dir=str(tmp_path), cache_dir=str(tmp_path / "cache"))

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
    assert {split: len(rows) for split, rows in demo.items()} == {"train": 324, "validation": 72, "test": 108}
    assert {split: len(set(rows["speaker"])) for split, rows in demo.items()} == {
        "train": 8,
        "validation": 4,
        "test": 4,
    }
    for rows in demo.values():
        assert Counter(rows["emotion"]) == dict.fromkeys(range(len(EMOTIONS)), len(rows) // len(EMOTIONS))
        assert Counter(rows["audio_status"]) == {"ok": len(rows)}
    voices = {(row["speaker"], row["gender"]) for rows in demo.values() for row in rows.remove_columns("audio")}
    assert Counter(gender for _, gender in voices) == {"female": 8, "male": 8}
    assert sum(path.stat().st_size for path in DEMO_FOLDER.rglob("*") if path.is_file()) <= 2_000_000


def test_nothing_but_the_manner_tells_the_emotion(demo: DatasetDict) -> None:
    """Each sentence is said as often in every emotion as in any other, and so does each speaker speak."""
    for rows in demo.values():
        for column in ("text", "speaker"):
            said = Counter(zip(rows[column], rows["emotion"], strict=True))
            for value in set(rows[column]):
                assert len({said[value, emotion] for emotion in range(len(EMOTIONS))}) == 1, value


def test_no_speaker_text_or_id_in_two_splits(demo: DatasetDict) -> None:
    for column in ("speaker", "text", "utterance_id", "dialogue_id"):
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
    """Praat called directly: happy speech is the highest, angry the loudest, sad the softest, excited the shortest."""
    measured = defaultdict(list)
    for row in demo["train"]:
        samples, rate = soundfile.read(row["audio"]["path"])
        sound = parselmouth.Sound(samples, rate)
        f0 = sound.to_pitch(None, 50, 500).selected_array["frequency"]
        semitones = 12 * np.log2(f0[f0 > 0])
        level = 20 * np.log10(np.sqrt(np.mean(samples**2)))
        measured[row["speaker"], EMOTIONS[row["emotion"]]].append((semitones.mean(), level, len(samples) / rate))
    means = {key: np.mean(values, axis=0) for key, values in measured.items()}
    for speaker in set(demo["train"]["speaker"]):
        pitch, level, length = np.array([means[speaker, emotion] for emotion in EMOTIONS]).T
        assert EMOTIONS[pitch.argmax()] == "happy", speaker
        assert (EMOTIONS[level.argmax()], EMOTIONS[level.argmin()]) == ("angry", "sad"), speaker
        assert (EMOTIONS[length.argmin()], EMOTIONS[length.argmax()]) == ("excited", "frustrated"), speaker


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
    assert len(load_dataset("speechcue/demo", split="test", cache_dir=str(tmp_path / "cache"))) == 108


def test_data_dir_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="takes no data_dir"):
        load_dataset("speechcue/demo", data_dir=str(tmp_path), cache_dir=str(tmp_path / "cache"))

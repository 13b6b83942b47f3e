from __future__ import annotations

import re

import pytest

from speechcue_hf.corpora.clips import clip_status, known_clips
from speechcue_hf.corpora.schema import AUDIO_STATUSES
from tests.corpora import trees

MISCUT = known_clips("meld")["train_dia309_utt0"]


@pytest.mark.parametrize(
    "content, status",
    [
        (trees.wav(0.31), "ok"),
        (trees.wav(0.29), "too_short"),
        (trees.mp4(0.5), "ok"),
        (trees.mp4(0.1), "too_short"),
        (trees.mp4(0.5)[:400], "corrupt"),
        (trees.wav(0.5)[:10], "corrupt"),
        (b"", "corrupt"),
        (trees.APPLE_DOUBLE, "corrupt"),
    ],
)
def test_status_of_a_file(tmp_path, content, status):
    path = tmp_path / "clip"
    path.write_bytes(content)
    assert clip_status(path, None) == status


def test_status_without_a_file(tmp_path):
    assert clip_status(tmp_path / "clip.wav", None) == "missing"
    assert clip_status(tmp_path, None) == "missing"
    assert clip_status(None, None) == "none"


@pytest.mark.parametrize("duration, status", [(41.06, "miscut"), (40.5, "miscut"), (3.0, "ok"), (0.2, "too_short")])
def test_a_miscut_clip_is_told_by_its_length(tmp_path, duration, status):
    path = tmp_path / "dia309_utt0.wav"
    path.write_bytes(trees.wav(duration, rate=8000))
    assert clip_status(path, MISCUT) == status


def test_a_repaired_copy_of_a_corrupt_clip_is_ok(tmp_path):
    path = tmp_path / "dia125_utt3.wav"
    path.write_bytes(trees.wav(1.0))
    assert clip_status(path, known_clips("meld")["train_dia125_utt3"]) == "ok"


def test_known_clips_have_a_status_a_source_and_if_miscut_a_duration():
    known = known_clips("meld")
    assert {name: clip.status for name, clip in known.items()} == {
        "train_dia125_utt3": "corrupt",
        "dev_dia110_utt7": "missing",
        "train_dia309_utt0": "miscut",
        "test_dia38_utt4": "miscut",
        "test_dia220_utt0": "miscut",
    }
    for clip in known.values():
        assert clip.status in AUDIO_STATUSES and re.match(r"https://\S+$", clip.source)
        assert (clip.duration is not None) == (clip.status == "miscut")
    assert known_clips("dailydialog") == {}

from __future__ import annotations

import pytest

from speechcue_hf.corpora.check import (
    Leak,
    clip_statuses,
    count_splits,
    differences,
    leaks,
    release_counts,
    unexpected_clips,
)
from speechcue_hf.corpora.schema import Utterance
from tests.corpora import trees


def said(dialogue: str, number: int, text: str, emotion: str | None = "joy", speaker: str | None = "Ross") -> Utterance:
    return Utterance(dialogue, f"{dialogue}_{number}", text, emotion, speaker)


SPLITS = {
    "train": [said("a", 0, "Hey."), said("a", 1, "Hi.", speaker="Monica"), said("b", 0, "Hi.", None, speaker=None)],
    "validation": [said("c", 0, "Hey."), said("c", 1, "Hi.", "anger", speaker="Joey")],
    "test": [said("d", 0, "Hi.", speaker="Monica"), said("d", 1, "Oh my God!")],
}


def test_counts():
    counts = count_splits(SPLITS)
    assert counts == {
        "train": {"dialogues": 2, "utterances": 3, "joy": 2, "no label": 1},
        "validation": {"dialogues": 1, "utterances": 2, "joy": 1, "anger": 1},
        "test": {"dialogues": 1, "utterances": 2, "joy": 2},
        "all splits": {"dialogues": 4, "utterances": 7, "joy": 5, "anger": 1, "no label": 1},
    }


def test_differences_name_split_and_count():
    expected = {"train": {"utterances": 1003, "joy": 2, "fear": 1}, "all splits": {"dialogues": 4}}
    assert differences(count_splits(SPLITS), expected) == [
        "train: 3 utterances, the release has 1,003",
        "train: 0 fear, the release has 1",
    ]


def test_the_closest_edition_of_a_release_counts():
    json_form = {"train": {"dialogues": 713, "utterances": 9933}, "test": {"dialogues": 85, "utterances": 1328}}
    expected = release_counts("emorynlp", "default", json_form)
    assert differences(json_form, {"train": {"utterances": expected["train"]["utterances"]}}) == [
        "train: 9,933 utterances, the release has 9,934"
    ]
    assert release_counts("folder", "default", json_form) == {}


def test_counts_of_iemocap_are_those_published():
    erc = release_counts("iemocap", "erc-6", {})
    six = ("happy", "sad", "neutral", "angry", "excited", "frustrated")
    assert {split: [counts[name] for name in six] for split, counts in erc.items()} == {
        "train": [451, 771, 1221, 831, 593, 1296],
        "validation": [53, 68, 103, 102, 149, 172],
        "test": [144, 245, 384, 170, 299, 381],
    }
    for counts in erc.values():
        assert sum(counts[name] for name in six) == counts["utterances"]
    every = release_counts("iemocap", "all", {})["all splits"]
    assert sum(number for name, number in every.items() if name not in ("dialogues", "utterances")) == 10_039 + 47
    assert every["utterances"] == 10_039 + 47


def test_leaks_count_what_recurs_from_the_first_split_on():
    assert leaks(SPLITS) == [
        Leak("speakers", "train", "validation", ("Ross",), 1),
        Leak("speakers", "train", "test", ("Monica", "Ross"), 2),
        Leak("speakers", "validation", "test", ("Ross",), 1),
        Leak("dialogues", "train", "validation", ("Hey. / Hi.",), 1),
        Leak("texts", "train", "validation", ("Hey.", "Hi."), 3),
        Leak("texts", "train", "test", ("Hi.",), 2),
        Leak("texts", "validation", "test", ("Hi.",), 1),
    ]


def test_splits_that_share_nothing_leak_nothing():
    assert leaks({"train": [said("a", 0, "Hey.")], "test": [said("b", 0, "Hi.", speaker="Joey")]}) == []


@pytest.fixture
def clips(tmp_path):
    files = {"ok": trees.wav(0.5), "too_short": trees.wav(0.1), "corrupt": trees.wav(0.5)[:20]}
    for status, content in files.items():
        (tmp_path / f"{status}.wav").write_bytes(content)
    paths = [tmp_path / f"{status}.wav" for status in (*files, "missing")]
    return [*(Utterance("d", path.stem, "", clip=path) for path in paths), Utterance("d", "none", "")]


def test_statuses_of_clips(clips):
    statuses = clip_statuses("meld", clips)
    assert statuses == {name: name for name in ("ok", "too_short", "corrupt", "missing", "none")}
    assert unexpected_clips("meld", statuses) == ["clip of corrupt is corrupt", "clip of missing is missing"]


def test_known_bad_clips_and_text_only_copies_are_expected():
    assert unexpected_clips("meld", {"train_dia125_utt3": "corrupt", "train_dia0_utt0": "ok"}) == []
    assert unexpected_clips("meld", {"train_dia0_utt0": "missing"}) == []

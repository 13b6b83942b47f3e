from collections.abc import Callable, Sequence
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, Value

MELD = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
IEMOCAP = ("happy", "sad", "neutral", "angry", "excited", "frustrated")


def features(emotions: Sequence[str]) -> Features:
    text = Value("string")
    return Features(
        {
            "dialogue_id": text,
            "utterance_id": text,
            "turn": Value("int32"),
            "speaker": text,
            "gender": text,
            "text": text,
            "emotion": ClassLabel(names=list(emotions)),
            "duration_s": Value("float64"),
            "speech_description": text,
            "speech_impression": text,
            "f0_mean_hz_level": text,
            "f0_sd_hz_level": text,
            "f0_range_hz_level": text,
        }
    )


def row(dialogue: str, turn: int, speaker: str, text: str, emotion: str | None, **more: Any) -> dict[str, Any]:
    return {
        "dialogue_id": dialogue,
        "utterance_id": f"{dialogue}_{turn}",
        "turn": turn,
        "speaker": speaker,
        "gender": None,
        "text": text,
        "emotion": emotion,
        "duration_s": 1.0,
        "speech_description": f"D{turn}.",
        "speech_impression": f"I{turn}.",
        "f0_mean_hz_level": "high",
        "f0_sd_hz_level": "very_low",
        "f0_range_hz_level": "medium",
        **more,
    }


@pytest.fixture
def meld() -> Dataset:
    """A dialogue like those of MELD, with its cp1252 leftovers, a clip of 0.5 s and one without pitch."""
    no_pitch = {"f0_mean_hz_level": None, "f0_sd_hz_level": None, "f0_range_hz_level": None}
    rows = [
        row("dia7", 0, "Monica", "You\x92re late\x85 \x93again\x94!", "anger"),
        row("dia7", 1, "Joey", "What?", "surprise", duration_s=0.5),
        row("dia7", 2, "Monica", "It’s nine — “sharp”.", "neutral", **no_pitch),
        row("dia7", 3, "Ross", "Sorry.", "sadness", f0_sd_hz_level=None),
    ]
    return Dataset.from_list(rows, features=features(MELD))


@pytest.fixture
def iemocap() -> Dataset:
    """A dialogue like those of IEMOCAP: a woman begins, and 14 turns exceed the paper's window."""
    genders = ["female", "male"] * 7
    rows = [
        row("Ses01F_impro01", turn, f"Ses01{gender[0].upper()}", f"t{turn}", "frustrated", gender=gender)
        for turn, gender in enumerate(genders)
    ]
    return Dataset.from_list(rows, features=features(IEMOCAP))


@pytest.fixture
def dialogues() -> Callable[[Sequence[int]], Dataset]:
    """Make dialogues of the given lengths."""

    def make(lengths: Sequence[int]) -> Dataset:
        rows = [
            row(f"d{dialogue}", turn, "AB"[turn % 2], f"turn {turn} of {dialogue}", MELD[turn % 7])
            for dialogue, length in enumerate(lengths)
            for turn in range(length)
        ]
        return Dataset.from_list(rows, features=features(MELD))

    return make

"""Described rows whose captions can be written down by hand."""

from __future__ import annotations

from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, Value

ROWS: list[dict[str, Any]] = [
    {
        "dialogue_id": "d0",
        "utterance_id": "d0_u0",
        "gender": "female",
        "text": "I like it,\nI don't  lie.",
        "emotion": 0,
        "f0_median_hz_level": "very_high",
        "articulation_rate_per_s_level": "medium",
        "intensity_mean_db_level": "high",
    },
    {
        "dialogue_id": "d0",
        "utterance_id": "d0_u1",
        "gender": None,
        "text": "",
        "emotion": 1,
        "f0_median_hz_level": None,
        "articulation_rate_per_s_level": "low",
        "intensity_mean_db_level": None,
    },
    {
        "dialogue_id": "d1",
        "utterance_id": "d1_u0",
        "gender": "male",
        "text": "Stop.",
        "emotion": None,
        "f0_median_hz_level": None,
        "articulation_rate_per_s_level": None,
        "intensity_mean_db_level": None,
    },
]


@pytest.fixture
def described() -> Dataset:
    features = dict.fromkeys(ROWS[0], Value("string")) | {"emotion": ClassLabel(names=["happy", "sad"])}
    return Dataset.from_list(ROWS, features=Features(features))

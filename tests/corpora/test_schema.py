from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Audio, ClassLabel, Value

from speechcue_hf.corpora.schema import Utterance, UtteranceRow, dialogues_of, utterance_features, utterance_table

FEATURES = utterance_features(["joy", "anger"], {"season": Value("int32")})


def test_features_are_the_documented_columns_then_those_of_the_corpus():
    assert list(FEATURES) == [
        "dialogue_id",
        "utterance_id",
        "turn",
        "speaker",
        "gender",
        "text",
        "emotion",
        "audio",
        "audio_status",
        "start",
        "end",
        "season",
    ]
    assert FEATURES["emotion"] == ClassLabel(names=["joy", "anger"])
    assert FEATURES["audio"] == Audio(decode=False)


def test_dialogues_keep_the_order_of_first_appearance():
    utterances = [Utterance(dialogue, f"{dialogue}{number}", "") for number, dialogue in enumerate("baba")]
    names = [[turn.utterance_id for turn in dialogue] for dialogue in dialogues_of(utterances)]
    assert names == [["b0", "b2"], ["a1", "a3"]]


def test_table_has_nulls_where_nothing_is_known():
    full = Utterance("d", "d0", "Hi.", "anger", "Ross", "male", Path("/clips/d0.wav"), 1.0, 2.5, {"season": 8})
    gone = Utterance("d", "d1", "Hey.", clip=Path("/clips/d1.wav"), extras={"season": None})
    table = utterance_table([UtteranceRow(0, full, "ok"), UtteranceRow(1, gone, "missing")], FEATURES)
    assert table.schema.equals(FEATURES.arrow_schema, check_metadata=True)
    assert table.select(["emotion", "audio", "audio_status", "start", "season"]).to_pylist() == [
        {
            "emotion": 1,
            "audio": {"bytes": None, "path": "/clips/d0.wav"},
            "audio_status": "ok",
            "start": 1.0,
            "season": 8,
        },
        {"emotion": None, "audio": None, "audio_status": "missing", "start": None, "season": None},
    ]


def test_a_label_outside_the_set_is_an_error():
    with pytest.raises(ValueError, match="boredom"):
        utterance_table([UtteranceRow(0, Utterance("d", "d0", "", "boredom", extras={"season": 1}), "ok")], FEATURES)

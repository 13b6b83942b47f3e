"""Rows of small conversations, as loaders give them."""

from collections.abc import Sequence
from typing import Any

from datasets import ClassLabel, Dataset, Features, Value

EMOTIONS = ("angry", "happy", "neutral")


def rows_of(*dialogues: Sequence[tuple[str | None, str]], **columns: Sequence[Any]) -> Dataset:
    """Dialogues of (speaker, text) turns; further columns have one value per row."""
    rows = [
        {
            "dialogue_id": f"d{dialogue}",
            "utterance_id": f"d{dialogue}_{turn}",
            "turn": turn,
            "speaker": speaker,
            "text": text,
        }
        for dialogue, turns in enumerate(dialogues)
        for turn, (speaker, text) in enumerate(turns)
    ]
    text = Value("string")
    features = dict.fromkeys(rows[0], text) | {"turn": Value("int32"), "emotion": ClassLabel(names=list(EMOTIONS))}
    kinds = {"cue_z": Value("float64"), "emotion": features["emotion"]}
    features |= {name: kinds.get(name, text) for name in columns}
    for index, row in enumerate(rows):
        row["emotion"] = index % 3
        row |= {name: values[index] for name, values in columns.items()}
    return Dataset.from_list(rows, features=Features(features))

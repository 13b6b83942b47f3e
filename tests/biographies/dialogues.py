"""Small dialogues for the tests of biographies."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from datasets import Dataset


def rows_of(turns: Sequence[tuple[str | None, str | None]], dialogue_id: str = "a") -> list[dict[str, Any]]:
    return [
        {"dialogue_id": dialogue_id, "turn": turn, "speaker": speaker, "text": text}
        for turn, (speaker, text) in enumerate(turns)
    ]


def random_dialogue(seed: int) -> list[dict[str, Any]]:
    """Up to 40 turns of up to 5 speakers, some empty, some of nobody; every text names its turn."""
    state = random.Random(seed)
    speakers = [*state.sample(["Ann", "Ben", "Cid", "Dora", "Eve"], state.randint(1, 5)), None]
    turns = range(state.randint(1, 40))
    return rows_of(
        [
            (state.choice(speakers), f"said-{turn}-end" if state.random() < 0.9 else state.choice(["", " ", None]))
            for turn in turns
        ],
        f"dialogue-{seed}",
    )


def dataset_of(*dialogues: Sequence[dict[str, Any]]) -> Dataset:
    return Dataset.from_list([row for dialogue in dialogues for row in dialogue])

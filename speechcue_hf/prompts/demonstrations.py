"""Few-shot prompts: solved examples from the training split before the question."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from datasets import Dataset, DatasetDict, List, Value

from speechcue_hf.errors import PromptError


def add_demonstrations(rows: DatasetDict, count: int, *, balanced: bool = True, seed: int = 0) -> DatasetDict:
    """Put solved training rows before each prompt, as earlier questions and answers of the same conversation.

    Args:
        rows: From :func:`speechcue_hf.prompts.build.build_prompts`; demonstrations come from its split ``train`` only.
        count: Demonstrations in each prompt, at least 1.
        balanced: Show every label equally often, as far as ``count`` allows; False draws rows at random.
        seed: Makes the draw reproducible; each row has its own, whatever the other rows.

    Returns:
        The same rows, with the demonstrations in ``prompt`` and their utterance ids in ``demonstrations``. A row is
        never shown rows of its own dialogue.

    Raises:
        PromptError: If there is no split ``train``, or it has too few labelled rows in other dialogues.
        ValueError: If ``count`` is less than 1.

    Example:
        >>> rows = add_demonstrations(build_prompts(described), count=6)  # doctest: +SKIP
        >>> [message["role"] for message in rows["test"][0]["prompt"]][:3]  # doctest: +SKIP
        ['user', 'assistant', 'user']
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    if "train" not in rows:
        raise PromptError(f"demonstrations are drawn from the split 'train', but there is only {sorted(rows)}")
    pool = [row for row in rows["train"] if row["completion"] is not None]
    by_label = _by_label(pool) if balanced else {0: pool}
    longest = max((row["turn"] + 1 for row in pool), default=0)
    shown = partial(_with_demonstrations, pool=by_label, longest=longest, count=count, seed=seed)
    return DatasetDict({split: _map(part, shown) for split, part in rows.items()})


def _map(rows: Dataset, function: Any) -> Dataset:
    features = rows.features.copy()
    features["demonstrations"] = List(Value("string"))
    return rows.map(function, features=features, desc="Demonstrations")


def _with_demonstrations(
    row: Mapping[str, Any], pool: Mapping[int, Sequence[Mapping[str, Any]]], longest: int, count: int, seed: int
) -> dict[str, Any]:
    draw = random.Random(f"{seed} {row['utterance_id']}")
    drawn = _draw(row, pool, longest, count, draw)
    messages = [message for example in drawn for message in (*example["prompt"], *example["completion"])]
    return {
        "prompt": [*messages, *row["prompt"]],
        "demonstrations": [example["utterance_id"] for example in drawn],
    }


def _draw(
    row: Mapping[str, Any],
    pool: Mapping[int, Sequence[Mapping[str, Any]]],
    longest: int,
    count: int,
    draw: random.Random,
) -> list[Mapping[str, Any]]:
    """Rows of other dialogues: from each label as many, and what is left over from labels at random."""
    labels = sorted(pool)
    draw.shuffle(labels)
    drawn: list[Mapping[str, Any]] = []
    for place, label in enumerate(labels):
        wanted = count // len(labels) + (place < count % len(labels))
        # No more rows than the longest dialogue has can be of the row's own.
        some = draw.sample(pool[label], min(len(pool[label]), wanted + longest))
        others = [example for example in some if example["dialogue_id"] != row["dialogue_id"]]
        if wanted > len(others):
            raise PromptError(
                f"row {row['utterance_id']!r} asks for {wanted} demonstrations of one label, but train has only "
                f"{len(others)} in other dialogues: lower count, or pass balanced=False"
            )
        drawn += others[:wanted]
    draw.shuffle(drawn)
    return drawn


def _by_label(pool: Sequence[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    labels: dict[int, list[Mapping[str, Any]]] = {}
    for row in pool:
        labels.setdefault(row["emotion"], []).append(row)
    return labels

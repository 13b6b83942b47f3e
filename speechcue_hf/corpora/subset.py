"""A share of a corpus for low-resource runs: whole dialogues, whose emotions are shared out as in the corpus."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence

from datasets import Dataset


def share_of(rows: Dataset, percent: float, seed: int) -> Dataset:
    """Take a share of the dialogues of a corpus, whole and in order, as :func:`sample_dialogues` draws them.

    Args:
        rows: One row per utterance, with ``dialogue_id`` and ``emotion``.
        percent: How much of the dialogues, over 0 to 100.
        seed: Makes the draw reproducible.

    Raises:
        ValueError: If ``percent`` is not over 0 and at most 100.
    """
    dialogues = rows["dialogue_id"]
    drawn = sample_dialogues(dialogues, rows["emotion"], percent, seed)
    return rows.select([index for index, dialogue in enumerate(dialogues) if dialogue in drawn])


def sample_dialogues(dialogues: Sequence[str], emotions: Sequence[int | None], percent: float, seed: int) -> set[str]:
    """Draw a share of the dialogues, the same share of those in which each emotion is the most frequent.

    Args:
        dialogues: Dialogue of each row.
        emotions: Class id of each row, None where it is not labelled.
        percent: How much of the dialogues, over 0 to 100.
        seed: Makes the draw reproducible; with one seed a larger share holds every smaller one.

    Returns:
        The ids of the dialogues drawn, at least one.

    Raises:
        ValueError: If ``percent`` is not over 0 and at most 100.

    Example:
        >>> len(sample_dialogues(["a", "b", "c", "d"], [0, 0, 1, 1], percent=50, seed=1))
        2
    """
    if not 0 < percent <= 100:
        raise ValueError(f"data_percent must be over 0 and at most 100, got {percent}")
    ranked = sorted(_ranks(dialogues, emotions, seed).items(), key=lambda item: item[1])
    return {dialogue for dialogue, _ in ranked[: max(1, round(len(ranked) * percent / 100))]}


def _ranks(dialogues: Sequence[str], emotions: Sequence[int | None], seed: int) -> dict[str, tuple[float, str]]:
    """Place of each dialogue among those of the same emotion, from 0 to 1, in drawn order."""
    strata: dict[int, list[str]] = defaultdict(list)
    for dialogue, emotion in sorted(_main_emotions(dialogues, emotions).items()):
        strata[emotion].append(dialogue)
    draw = random.Random(seed)
    ranks: dict[str, tuple[float, str]] = {}
    for _, members in sorted(strata.items()):
        draw.shuffle(members)
        ranks |= {name: ((place + 0.5) / len(members), name) for place, name in enumerate(members)}
    return ranks


def _main_emotions(dialogues: Sequence[str], emotions: Sequence[int | None]) -> dict[str, int]:
    """The most frequent emotion of each dialogue (on a tie the lowest class id); −1 for one without labels."""
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for dialogue, emotion in zip(dialogues, emotions, strict=True):
        counts[dialogue].update([] if emotion is None else [emotion])
    return {
        dialogue: min(found, key=lambda emotion: (-found[emotion], emotion), default=-1)
        for dialogue, found in counts.items()
    }

"""How far a score could have come out otherwise: bootstrap over dialogues.

Utterances of a dialogue are not independent, so whole dialogues are drawn, with replacement. Every draw is a weight for
each dialogue, and confusion counts add up, so no draw needs another pass over the rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FEWEST_DIALOGUES = 20
"""A bootstrap draws from what it has: fewer dialogues than this vary too little to stand for others."""

BOOTSTRAP_DRAWS = 2000
CONFIDENCE = 0.95


def few_dialogues_warning(dialogues: int) -> str | None:
    """Say that there are too few dialogues for a bootstrap over them; None from ``FEWEST_DIALOGUES`` on.

    Example:
        >>> few_dialogues_warning(2)
        'Do not trust the interval or any p-value: 2 dialogues are too few to draw from, it takes at least 20.'
    """
    if dialogues >= FEWEST_DIALOGUES:
        return None
    counted = "1 dialogue is" if dialogues == 1 else f"{dialogues} dialogues are"
    return (
        f"Do not trust the interval or any p-value: {counted} too few to draw from, it takes at least "
        f"{FEWEST_DIALOGUES}."
    )


def weighted_f1_from_counts(counts: np.ndarray) -> np.ndarray:
    """Weighted F1 of confusion matrices.

    Args:
        counts: Shape ``(..., labels, labels + 1)``: true classes down, predicted across, invalid in the last column.

    Returns:
        Shape ``(...)``; 0 for a matrix without counts.
    """
    hits = np.diagonal(counts[..., :-1], axis1=-2, axis2=-1)
    support = counts.sum(axis=-1)
    predicted = counts[..., :-1].sum(axis=-2)
    f1 = 2 * hits / np.maximum(support + predicted, 1)
    return np.asarray((f1 * support).sum(axis=-1) / np.maximum(support.sum(axis=-1), 1))


def bootstrap_weighted_f1(counts: np.ndarray, *, draws: int = BOOTSTRAP_DRAWS, seed: int = 0) -> np.ndarray:
    """Weighted F1 of test sets of as many dialogues, drawn from those there are.

    Args:
        counts: Confusion counts of each dialogue, shape ``(dialogues, labels, labels + 1)``. The same seed draws the
            same dialogues, so two systems' counts for the same dialogues give paired draws.
        draws: How many test sets.
        seed: For the random draws.

    Returns:
        Shape ``(draws,)``.
    """
    dialogues = len(counts)
    weights = np.random.default_rng(seed).multinomial(dialogues, np.full(dialogues, 1 / dialogues), size=draws)
    drawn = weights @ counts.reshape(dialogues, -1)
    return weighted_f1_from_counts(drawn.reshape(draws, *counts.shape[1:]))


def interval(values: np.ndarray) -> tuple[float, float]:
    """Percentile interval that holds the share ``CONFIDENCE`` of the values."""
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def sign_probability(differences: np.ndarray) -> float:
    """Two-sided bootstrap p-value of a difference: how often the draws contradict its sign, doubled.

    Args:
        differences: Paired differences, shape ``(draws,)``.

    Returns:
        Between ``2 / (draws + 1)`` and 1; the observed data counts as one draw, so it is never 0.
    """
    extreme = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return min(1.0, 2 * (extreme + 1) / (len(differences) + 1))


def counts_by_dialogue(
    dialogue_ids: Sequence[str],
    references: Sequence[int],
    predictions: Sequence[int | None],
    labels: Sequence[str],
) -> np.ndarray:
    """Confusion counts of each dialogue, in sorted order of their ids.

    Args:
        dialogue_ids: Dialogue of each row, shape ``(rows,)``.
        references: True classes, shape ``(rows,)``.
        predictions: Predicted classes or ``None``, shape ``(rows,)``.
        labels: Name of each class.

    Returns:
        Shape ``(dialogues, labels, labels + 1)``, columns as in ``confusion_matrix``.
    """
    names, dialogue_of_row = np.unique(np.asarray(dialogue_ids), return_inverse=True)
    counts = np.zeros((len(names), len(labels), len(labels) + 1), dtype=int)
    columns = [len(labels) if prediction is None else prediction for prediction in predictions]
    np.add.at(counts, (dialogue_of_row, np.asarray(references, dtype=int), np.asarray(columns, dtype=int)), 1)
    return counts

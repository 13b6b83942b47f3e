"""Speaker normalisation: the reference group that a clip is compared with, or the speaker's own past turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Sequence

import numpy as np

from speechcue_hf.cues.levels import FloatArray

OVERALL = "overall"
PAST = "past"

BASELINES = ("speaker", "gender", "overall", "running")

MELD_MAIN_CHARACTERS = ("Phoebe", "Rachel", "Chandler", "Joey", "Monica", "Ross")
"""Whom SpeechCueLLM compares with themselves on MELD; all others are compared with the whole train split."""


def reference_groups(baseline: str, speaker: str | None, gender: str | None) -> tuple[str, ...]:
    """Groups that a row may be compared with, nearest first.

    Args:
        baseline: ``"speaker"``, ``"gender"``, ``"overall"`` or ``"running"``.
        speaker: Who speaks, or None.
        gender: ``"female"``, ``"male"`` or None.

    Returns:
        Names of groups; the last is always ``"overall"``.

    Example:
        >>> reference_groups("speaker", "Ross", None)
        ('speaker: Ross', 'overall')
    """
    own = (f"speaker: {speaker}",) if baseline == "speaker" and speaker is not None else ()
    peers = (f"gender: {gender}",) if baseline != "overall" and gender is not None else ()
    return (*own, *peers, OVERALL)


def kept_groups(candidates: Sequence[tuple[str, ...]], least: int, speakers: Collection[str] | None) -> list[str]:
    """Groups with enough training rows to have statistics of their own.

    Args:
        candidates: :func:`reference_groups` of each training row.
        least: Rows a group needs; ``"overall"`` is always kept.
        speakers: Only these speakers get a group, whatever their number of rows; None: every speaker with enough rows.

    Returns:
        Names of groups, ``"overall"`` first, then by name.
    """
    rows = Counter(group for row in candidates for group in row)

    def kept(group: str) -> bool:
        kind, _, name = group.partition(": ")
        return name in speakers if kind == "speaker" and speakers is not None else rows[group] >= least

    return [OVERALL, *sorted(group for group in rows if group != OVERALL and kept(group))]


def past_means(
    dialogues: Sequence[Hashable], speakers: Sequence[str | None], values: FloatArray, least: int
) -> FloatArray:
    """Mean of each cue over the turns that the same speaker has already taken in the same dialogue.

    Args:
        dialogues: Dialogue of each row; rows in speaking order.
        speakers: Speaker of each row; without one there is no past.
        values: Shape ``(rows, cues)``; NaN where not measured.
        least: Past measurements of a cue that its mean needs.

    Returns:
        Shape ``(rows, cues)``; NaN where there are fewer. A row never enters its own mean, nor do later rows.
    """
    means = np.full_like(values, np.nan)
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    sums: dict[Hashable, tuple[FloatArray, FloatArray]] = {}
    for row, key in enumerate(zip(dialogues, speakers, strict=True)):
        if key[1] is None:
            continue
        total, count = sums.setdefault(key, (np.zeros(values.shape[1]), np.zeros(values.shape[1])))
        np.divide(total, count, out=means[row], where=count >= least)
        total += filled[row]
        count += known[row]
    return means

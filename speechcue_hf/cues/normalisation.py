"""Speaker normalisation: what a clip is compared with, statistics of a reference group or the speaker's own past."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from speechcue_hf.cues.levels import CueStatistics, FloatArray, cue_statistics

OVERALL = "overall"
PAST = "past"

BASELINES = ("speaker", "gender", "overall", "running")

MELD_MAIN_CHARACTERS = ("Phoebe", "Rachel", "Chandler", "Joey", "Monica", "Ross")
"""Whom SpeechCueLLM compares with themselves on MELD; all others are compared with the whole train split."""


@dataclass(frozen=True)
class Group:
    """Training rows that are compared with one another.

    Args:
        rows: How many of them were measured.
        cues: Cue → its statistics among them.
    """

    rows: int
    cues: Mapping[str, CueStatistics]


class RowStatistics(NamedTuple):
    """What each row is compared with; NaN where the training values do not vary, so that nothing is high or low.

    Args:
        means: Shape ``(rows, cues)``.
        spreads: Sample standard deviations, shape ``(rows, cues)``.
        usual: Medians, shape ``(rows, cues)``.
        thresholds: Shape ``(rows, cues, levels - 1)``.
    """

    means: FloatArray
    spreads: FloatArray
    usual: FloatArray
    thresholds: FloatArray


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


def fit_group(values: FloatArray, cues: Sequence[str], levels: int) -> Group:
    """Statistics of one group, from the measurements of its rows; all as for :func:`fit_groups`."""
    rows = int(np.isfinite(values).any(axis=1).sum())
    return Group(rows, {cue: cue_statistics(values[:, i], levels) for i, cue in enumerate(cues)})


def fit_groups(
    values: FloatArray,
    cues: Sequence[str],
    levels: int,
    candidates: Sequence[tuple[str, ...]],
    least: int,
    speakers: Collection[str] | None,
) -> dict[str, Group]:
    """Statistics of the groups that have enough training rows for statistics of their own.

    Args:
        values: Measurements, shape ``(rows, cues)``; NaN where not measured.
        cues: Names of the cues.
        levels: Number of levels, 3 to 6.
        candidates: :func:`reference_groups` of each row.
        least: Rows a group needs; ``"overall"`` is always kept.
        speakers: Only these speakers get a group, whatever their number of rows; None: every speaker with enough rows.

    Returns:
        Group name → group, ``"overall"`` first, then by name.
    """
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, groups in enumerate(candidates):
        for group in groups:
            rows_of[group].append(row)

    def kept(group: str) -> bool:
        kind, _, name = group.partition(": ")
        return name in speakers if kind == "speaker" and speakers is not None else len(rows_of[group]) >= least

    names = [OVERALL, *sorted(group for group in rows_of if group != OVERALL and kept(group))]
    return {name: fit_group(values[rows_of[name]], cues, levels) for name in names}


def group_of(entry: Mapping[str, Any]) -> Group:
    """The statistics of a group from its JSON values, in which NaN is null."""
    return Group(int(entry["rows"]), {cue: _statistics(statistics) for cue, statistics in entry["cues"].items()})


def row_statistics(groups: Mapping[str, Group], cues: Sequence[str], chosen: Sequence[str]) -> RowStatistics:
    """The statistics of the group that is chosen for each row, one entry per row."""
    table = [[group.cues[cue] for cue in cues] for group in groups.values()]
    varies = np.array([[cue.varies for cue in row] for row in table])[..., np.newaxis]
    numbers = np.array(
        [[(cue.mean, cue.sd, cue.median, *cue.thresholds) for cue in row] for row in table], dtype=np.float64
    )
    position = {name: index for index, name in enumerate(groups)}
    entries = np.where(varies, numbers, np.nan)[[position[name] for name in chosen]]
    return RowStatistics(entries[..., 0], entries[..., 1], entries[..., 2], entries[..., 3:])


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


def _statistics(entry: Mapping[str, Any]) -> CueStatistics:
    return CueStatistics(
        count=int(entry["count"]),
        mean=_number(entry["mean"]),
        sd=_number(entry["sd"]),
        median=_number(entry["median"]),
        thresholds=tuple(_number(threshold) for threshold in entry["thresholds"]),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)

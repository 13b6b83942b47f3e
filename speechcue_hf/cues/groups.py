"""Statistics of groups of training rows, and the statistics that each row of a batch is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from speechcue_hf.cues.levels import CueStatistics, FloatArray, cue_statistics


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


def fit_group(values: FloatArray, cues: Sequence[str], levels: int) -> Group:
    """Statistics of one group.

    Args:
        values: Measurements of its rows, shape ``(rows, cues)``; NaN where not measured.
        cues: Names of the cues.
        levels: Number of levels, 3 to 6.

    Returns:
        The group.
    """
    rows = int(np.isfinite(values).any(axis=1).sum())
    return Group(rows, {cue: cue_statistics(values[:, i], levels) for i, cue in enumerate(cues)})


def fit_groups(
    values: FloatArray, cues: Sequence[str], levels: int, candidates: Sequence[tuple[str, ...]], kept: Sequence[str]
) -> dict[str, Group]:
    """Statistics of several groups that may overlap.

    Args:
        values: Measurements, shape ``(rows, cues)``; NaN where not measured.
        cues: Names of the cues.
        levels: Number of levels, 3 to 6.
        candidates: The groups each row belongs to.
        kept: The groups to fit.

    Returns:
        Group name → group, in the order of ``kept``.
    """
    rows_of: dict[str, list[int]] = {group: [] for group in kept}
    for row, groups in enumerate(candidates):
        for group in groups:
            if group in rows_of:
                rows_of[group].append(row)
    return {group: fit_group(values[rows], cues, levels) for group, rows in rows_of.items()}


def row_statistics(groups: Mapping[str, Group], cues: Sequence[str], chosen: Sequence[str]) -> RowStatistics:
    """Look up the statistics of each row's group.

    Args:
        groups: Group name → group.
        cues: Names of the cues.
        chosen: Name of the group of each row.

    Returns:
        Statistics with one entry per row.
    """
    table = [[group.cues[cue] for cue in cues] for group in groups.values()]
    varies = np.array([[cue.varies for cue in row] for row in table])[..., np.newaxis]
    numbers = np.array(
        [[(cue.mean, cue.sd, cue.median, *cue.thresholds) for cue in row] for row in table], dtype=np.float64
    )
    position = {name: index for index, name in enumerate(groups)}
    entries = np.where(varies, numbers, np.nan)[[position[name] for name in chosen]]
    return RowStatistics(entries[..., 0], entries[..., 1], entries[..., 2], entries[..., 3:])

"""Turn-taking: how soon, or how early, a turn follows the one before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from datasets import Dataset, Features, Value

from speechcue_hf.corpora.joining import put_beside
from speechcue_hf.cues.table import columns_of

TURN_COLUMNS = columns_of(group="turn_taking")
NEEDED_COLUMNS = ("dialogue_id", "turn", "start", "end")


def turn_taking(previous: Mapping[str, Any] | None, row: Mapping[str, Any]) -> dict[str, float | None]:
    """Latency and overlap of a turn, from the turn before it and never from later ones.

    Source: Heldner & Edlund (2010), Journal of Phonetics 38: gap and overlap as one signed offset between turns.

    Args:
        previous: The row before, with ``dialogue_id``, ``turn``, ``start`` and ``end`` (s); None at the first row.
        row: The turn itself, same columns.

    Returns:
        ``turn_latency_s``, from the previous turn's end to this one's start, negative when it starts earlier;
        ``overlap_s``, the time both speak. None at the first turn of a dialogue, where the row before is not the turn
        before, and where a time is unknown.

    Example:
        >>> before = {"dialogue_id": "a", "turn": 0, "start": 0.0, "end": 2.0}
        >>> turn_taking(before, {"dialogue_id": "a", "turn": 1, "start": 1.5, "end": 3.0})
        {'turn_latency_s': -0.5, 'overlap_s': 0.5}
    """
    if previous is None or (previous["dialogue_id"], previous["turn"] + 1) != (row["dialogue_id"], row["turn"]):
        return dict.fromkeys(TURN_COLUMNS)
    if None in (previous["start"], previous["end"], row["start"], row["end"]):
        return dict.fromkeys(TURN_COLUMNS)
    both_start, first_end = max(previous["start"], row["start"]), min(previous["end"], row["end"])
    return {"turn_latency_s": row["start"] - previous["end"], "overlap_s": max(0.0, first_end - both_start)}


class TurnFollower:
    """``turn_taking`` for rows that come one by one, in speaking order; it remembers the row before and no more."""

    def __init__(self) -> None:
        self._previous: Mapping[str, Any] | None = None

    def __call__(self, row: Mapping[str, Any]) -> dict[str, float | None]:
        """The turn-taking columns of the next row."""
        measured = turn_taking(self._previous, row)
        self._previous = {column: row[column] for column in NEEDED_COLUMNS}
        return measured


def has_turns(columns: Iterable[str] | None) -> bool:
    """Whether a dataset with these columns says who followed whom, and when."""
    return set(NEEDED_COLUMNS) <= set(columns or ())


def add_turn_taking(dataset: Dataset) -> Dataset:
    """Add the columns ``turn_latency_s`` and ``overlap_s`` to a split in speaking order.

    Call it before the split is sharded: a shard does not know the turn before its first row.

    Args:
        dataset: With ``dialogue_id``, ``turn``, ``start`` and ``end``; where one is missing both new columns are null.

    Returns:
        The split with both columns, replaced where it had them; no other column is touched.
    """
    if has_turns(dataset.column_names):
        rows = list(map(TurnFollower(), dataset.select_columns(list(NEEDED_COLUMNS))))
    else:
        rows = [dict.fromkeys(TURN_COLUMNS)] * len(dataset)
    features = Features({column: Value("float64") for column in TURN_COLUMNS})
    added = {column: [row[column] for row in rows] for column in TURN_COLUMNS}
    return put_beside(dataset, Dataset.from_dict(added, features=features))

"""Whole dialogues in speaking order: the one place that divides rows into dialogues, and refuses rows that are none.

Whoever looks at the turns before one (prompts, biographies, the running baseline, the encoder) takes dialogues from
here. Rows that were reversed, filtered, shuffled or interleaved would show another past, and the future with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from speechcue_hf.corpora.catalogue import corpus_of_rows
from speechcue_hf.errors import DialogueError

if TYPE_CHECKING:
    from datasets import Dataset

_FIX = (
    "rows of a dialogue must stand together, in speaking order, from its first turn on, so undo shuffling and "
    'filtering (dataset.sort(["dialogue_id", "turn"]) puts whole dialogues in order), and let map pass whole ones '
    "(batched=True, batch_size=None)"
)


def split_dialogues(rows: Dataset) -> list[range]:
    """The places of the rows of each dialogue of a split, in order.

    Where the corpus does not say itself in which order turns follow, their times must agree with it.

    Args:
        rows: With ``dialogue_id`` and ``turn``, and ``start`` (s) where times are known.

    Raises:
        DialogueError: If the rows are not whole dialogues in speaking order, or later turns start before earlier ones.
    """
    if missing := [name for name in ("dialogue_id", "turn") if name not in rows.column_names]:
        raise DialogueError(f"the rows have no column {missing[0]!r}, so nothing says in which order turns follow")
    corpus = corpus_of_rows(rows)
    names = ("dialogue_id", "turn") if corpus and corpus.order_fixed else ("dialogue_id", "turn", "start")
    return dialogues({name: rows[name][:] for name in names if name in rows.column_names})


def dialogues(batch: Mapping[str, Sequence[Any]]) -> list[range]:
    """The places of the rows of each dialogue, in order.

    Args:
        batch: Column → values, one per row: ``dialogue_id`` and ``turn``, and ``start`` (s) if times are to agree.

    Raises:
        DialogueError: As :func:`split_dialogues`.

    Example:
        >>> dialogues({"dialogue_id": ["a", "a", "b"], "turn": [0, 1, 0]})
        [range(0, 2), range(2, 3)]
    """
    ids, turns = batch["dialogue_id"], batch["turn"]
    starts = [place for place in range(len(ids)) if place == 0 or ids[place] != ids[place - 1]]
    spans = [range(*ends) for ends in pairwise([*starts, len(ids)])]
    seen: set[Any] = set()
    for span in spans:
        _check_turns(ids[span.start], turns, span)
        if ids[span.start] in seen:
            raise DialogueError(f"dialogue {ids[span.start]!r} stands twice among the rows: {_FIX}")
        seen.add(ids[span.start])
    if "start" in batch:
        for span in spans:
            _check_times(ids[span.start], batch["start"], span)
    return spans


def _check_turns(name: str, turns: Sequence[int], span: range) -> None:
    for expected, place in enumerate(span):
        if turns[place] != expected:
            raise DialogueError(
                f"row {place} is turn {turns[place]} of dialogue {name!r}, where turn {expected} is expected: {_FIX}"
            )


def _check_times(name: str, starts: Sequence[float | None], span: range) -> None:
    before = (0, float("-inf"))
    for turn, place in enumerate(span):
        start = starts[place]
        if start is not None and start < before[1]:
            raise DialogueError(
                f"dialogue {name!r}: turn {turn} starts at {start:g} s, before turn {before[0]}, which starts at "
                f"{before[1]:g} s: number the turns in the order in which they start"
            )
        before = before if start is None else (turn, start)


def on_one_line(name: str | None) -> str | None:
    r"""A speaker's name without line ends, behind which a prompt would seem to go on with another turn.

    Example:
        >>> on_one_line("Ben: angry\nX")
        'Ben: angry X'
    """
    lines = (name or "").splitlines()
    return name if lines in ([], [name]) else " ".join(line.strip() for line in lines if line.strip())

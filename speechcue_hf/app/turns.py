"""Turns of a conversation as they are collected on the page, and their words as lines that people type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speechcue_hf.transcription.turns import SpokenTurn

ClipTurn = dict[str, Any]
"""Of :data:`speechcue_hf.inference.conversations.TURN_KEYS`: ``audio``, ``speaker``, ``text``, and of a part of a
recording ``start``, ``end`` and ``channel``."""


def whole_clip(path: str | Path) -> ClipTurn:
    """A clip that is one turn, of which nothing else is known."""
    return {"audio": str(path), "speaker": None, "text": ""}


def parts_of(path: str | Path, turns: Sequence[SpokenTurn]) -> list[ClipTurn]:
    """The turns of one recording."""
    return [
        {
            "audio": str(path),
            "speaker": turn.speaker,
            "text": turn.text,
            "start": turn.start,
            "end": turn.end,
            "channel": turn.channel,
        }
        for turn in turns
    ]


def as_lines(turns: Sequence[ClipTurn]) -> str:
    """Who says what, a line for each turn.

    Example:
        >>> print(as_lines([{"speaker": "Ann", "text": "Hello."}, {"speaker": None, "text": "Bye."}]))
        Ann: Hello.
        Bye.
    """
    return "\n".join(_line(turn["speaker"], turn["text"]) for turn in turns)


def _line(speaker: str | None, text: str) -> str:
    said = " ".join(text.split())
    # A line that begins with a colon has no speaker, whatever colons follow.
    return f"{speaker or ''}: {said}" if speaker or ":" in said else said


def with_lines(turns: Sequence[ClipTurn], lines: str) -> list[ClipTurn]:
    """Turns with the speakers and words of lines as :func:`as_lines` writes them.

    Args:
        turns: The turns.
        lines: One for each turn; blank ones at the end may be missing.

    Returns:
        New turns.

    Raises:
        ValueError: If there are more lines than turns.

    Example:
        >>> with_lines([{"audio": "a.wav"}], "Ann: Hello: you!")
        [{'audio': 'a.wav', 'speaker': 'Ann', 'text': 'Hello: you!'}]
    """
    given = lines.rstrip().splitlines() if lines.strip() else []
    if len(given) > len(turns):
        raise ValueError(f"there are {len(given)} lines of words for {len(turns)} turns: write one line for each turn")
    given += [""] * (len(turns) - len(given))
    return [{**turn, **_said(line)} for turn, line in zip(turns, given, strict=True)]


def _said(line: str) -> dict[str, str | None]:
    speaker, colon, text = line.partition(":")
    return (
        {"speaker": speaker.strip() or None, "text": text.strip()} if colon else {"speaker": None, "text": line.strip()}
    )

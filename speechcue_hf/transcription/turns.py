"""Who says what when: words and speakers of a recording as turns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from speechcue_hf.transcription.recognition import Word
from speechcue_hf.transcription.voice_activity import Span


@dataclass(frozen=True)
class SpokenTurn:
    """One turn of a recording.

    Args:
        start: In s from the beginning of the recording.
        end: In s.
        channel: Channel that it is on, from 0; None for all together.
        speaker: Who speaks, or None.
        text: What is said; empty where that is not known.
        language: Code such as ``en``, or None.
    """

    start: float
    end: float
    channel: int | None = None
    speaker: str | None = None
    text: str = ""
    language: str | None = None


def stretches(turns: Iterable[SpokenTurn]) -> list[Span]:
    """What of a channel is in any of its turns: turns that overlap or touch are one stretch.

    Example:
        >>> [(span.start, span.end) for span in stretches([SpokenTurn(3, 5), SpokenTurn(0, 1), SpokenTurn(4, 6)])]
        [(0, 1), (3, 6)]
    """
    spans: list[Span] = []
    for turn in sorted(turns, key=lambda turn: turn.start):
        if spans and turn.start <= spans[-1].end:
            spans[-1] = Span(spans[-1].start, max(spans[-1].end, turn.end))
        else:
            spans.append(Span(turn.start, turn.end))
    return spans


def share_out(words: Iterable[Word], turns: Sequence[SpokenTurn]) -> list[list[Word]]:
    """Give each word to the turn that it overlaps most, or else lies next to; of two alike, to the one that is nearer.

    Args:
        words: Of one channel, in their order.
        turns: Of that channel; at least one if there are words.

    Returns:
        The words of each turn.

    Example:
        >>> words = [Word(" yes", 0.1, 0.4), Word(" no", 1.0, 1.2)]
        >>> [[word.text for word in own] for own in share_out(words, [SpokenTurn(0, 0.5), SpokenTurn(0.9, 2)])]
        [[' yes'], [' no']]
    """
    shared: list[list[Word]] = [[] for _ in turns]
    for word in words:
        shared[max(range(len(turns)), key=lambda place: _nearness(word, turns[place]))].append(word)
    return shared


def text_of(words: Iterable[Word]) -> str:
    """The text of words, with blanks only where they bring them.

    Example:
        >>> text_of([Word(" Who", 0, 1), Word(" is it?", 1, 2)]), text_of([Word("你", 0, 1), Word("好", 1, 2)])
        ('Who is it?', '你好')
    """
    return " ".join("".join(word.text for word in words).split())


def _nearness(word: Word, turn: SpokenTurn) -> tuple[float, float]:
    """Seconds that word and turn have in common, negative where they lie apart; then how near their middles are."""
    common = min(word.end, turn.end) - max(word.start, turn.start)
    return common, -abs(word.start + word.end - turn.start - turn.end)

"""What is different in a second take: in its measurements, in the words about it, and in the answers of a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from speechcue_hf.cues.table import cues
from speechcue_hf.templates import own_templates

Row = Mapping[str, Any]
"""Of one take, as :meth:`speechcue_hf.app.listening.Heard.table` gives it, with the levels of its cues."""


class Change(NamedTuple):
    """One quantity in two takes.

    Attributes:
        what: Its name.
        unit: Of its values.
        values: In the first and in the second take; None where it is not known.
        levels: Likewise, in words; None without a describer.
    """

    what: str
    unit: str
    values: tuple[float | None, float | None]
    levels: tuple[str | None, str | None] = (None, None)

    @property
    def difference(self) -> float | None:
        """By how much the second value is larger; None where one of them is not known."""
        first, second = self.values
        return None if first is None or second is None else second - first


def changes(first: Row, second: Row) -> list[Change]:
    """All that was measured in either take, then how likely a model finds each emotion.

    Example:
        >>> [change] = changes({"duration_s": 1.0}, {"duration_s": 1.5})
        >>> change.what, change.unit, change.difference
        ('Duration', 's', 0.5)
    """
    measured = [
        Change(
            cue.label,
            cue.unit,
            (first.get(cue.column), second.get(cue.column)),
            (first.get(f"{cue.column}_level"), second.get(f"{cue.column}_level")),
        )
        for cue in cues()
        if first.get(cue.column) is not None or second.get(cue.column) is not None
    ]
    likely = [row.get("probabilities") or {} for row in (first, second)]
    emotions = dict.fromkeys([*likely[0], *likely[1]])
    return measured + [
        Change(f"Probability of {emotion}", "", (likely[0].get(emotion), likely[1].get(emotion)))
        for emotion in emotions
    ]


def changes_table(first: Row, second: Row) -> str:
    """The changes as HTML, in which nothing that was said is markup."""
    descriptions = [row["description"] or "" for row in (first, second)]
    return (
        own_templates("app/templates", escaped=True)
        .get_template("changes.html.jinja")
        .render(
            changes=changes(first, second),
            takes=[
                {"emotion": row.get("emotion"), "text": row["text"], "words": words}
                for row, words in zip((first, second), marked_words(*descriptions), strict=True)
            ],
        )
    )


def marked_words(first: str, second: str) -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    """Two texts in pieces, each with whether the other text lacks it there.

    Example:
        >>> marked_words("spoken much louder.", "spoken softly.")
        ([('spoken', False), ('much louder.', True)], [('spoken', False), ('softly.', True)])
    """
    words = first.split(), second.split()
    matched = SequenceMatcher(None, *words, autojunk=False).get_opcodes()
    return (
        [*_pieces(words[0], [(tag, start, end) for tag, start, end, _, _ in matched])],
        [*_pieces(words[1], [(tag, start, end) for tag, _, _, start, end in matched])],
    )


def _pieces(words: Sequence[str], spans: Sequence[tuple[str, int, int]]) -> Iterator[tuple[str, bool]]:
    for tag, start, end in spans:
        if end > start:
            yield " ".join(words[start:end]), tag != "equal"

"""One row per utterance: what a corpus reader returns and the columns that every loader shares.

``docs/reference/columns.md`` is the reference for users.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa
from datasets import Audio, ClassLabel, Features, Value

from speechcue_hf.corpora.recordings import Part
from speechcue_hf.errors import CorpusError

SPLITS = ("train", "validation", "test")
"""In the order in which ``load_dataset`` gives them."""

SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
"""Split → the words by which ``load_dataset`` knows it in the name of a file or folder."""

AUDIO_STATUSES = ("ok", "missing", "corrupt", "miscut", "truncated", "too_short", "none")
"""``none``: the release has no clip. ``miscut``: the clip holds more than the utterance. ``truncated``: the file ends
early, by what it says of its own length. ``too_short``: under 0.3 s."""


@dataclass(frozen=True)
class Utterance:
    """One utterance as its release annotates it.

    Args:
        dialogue_id: Unique in the whole corpus, all splits included.
        utterance_id: Unique in the whole corpus, all splits included.
        text: What was said, as released.
        emotion: A name from the corpus's label set, or None where there is no label.
        speaker: Who speaks, or None.
        gender: ``"female"``, ``"male"`` or None.
        clip: Where the clip must lie, or None when the release has none of it. The file need not exist.
        start: Start in the dialogue's recording, in s, or None.
        end: End in the dialogue's recording, in s, or None.
        extras: The corpus's own columns.
        part: What of the file ``clip`` is the utterance, where it is cut out of a recording; None: the whole file.
    """

    dialogue_id: str
    utterance_id: str
    text: str
    emotion: str | None = None
    speaker: str | None = None
    gender: str | None = None
    clip: Path | None = None
    start: float | None = None
    end: float | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
    part: Part | None = None


def utterance_features(emotions: Sequence[str], extras: Mapping[str, Any]) -> Features:
    """The features of a corpus: the shared columns, then its own.

    Args:
        emotions: The label names, in the order of their class ids.
        extras: Column name → feature of the corpus's own columns.
    """
    return Features(
        {
            "dialogue_id": Value("string"),
            "utterance_id": Value("string"),
            "turn": Value("int32"),
            "speaker": Value("string"),
            "gender": Value("string"),
            "text": Value("string"),
            "emotion": ClassLabel(names=list(emotions)),
            "audio": Audio(decode=False),
            "audio_status": Value("string"),
            "start": Value("float64"),
            "end": Value("float64"),
            **extras,
        }
    )


def dialogues_of(utterances: Iterable[Utterance]) -> list[list[Utterance]]:
    """Utterances of one split by dialogue: dialogues in order of first appearance, turns in the order given."""
    dialogues: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        dialogues.setdefault(utterance.dialogue_id, []).append(utterance)
    return list(dialogues.values())


def check_utterances(utterances: Iterable[Utterance], emotions: Collection[str]) -> None:
    """Refuse utterances that a file says something else of than their columns hold.

    Raises:
        CorpusError: If one has an id, a text, a time, a clip or a label that is none; it names the utterance and the
            column.
    """
    for it in utterances:
        for column in ("dialogue_id", "utterance_id", "text", "speaker", "gender", "emotion"):
            value = getattr(it, column)
            if not _is_text(value) and (value is not None or column in ("dialogue_id", "utterance_id", "text")):
                raise CorpusError(
                    f"utterance {it.utterance_id!r}, {column}: {value!r:.60} is no text: correct the file"
                )
        if isinstance(it.clip, Path) and "\0" in str(it.clip):
            raise CorpusError(f"utterance {it.utterance_id!r}: the name of its clip holds a zero: correct the file")
        if it.emotion is not None and it.emotion not in emotions:
            raise CorpusError(f"utterance {it.utterance_id!r}: {it.emotion!r:.60} is none of {', '.join(emotions)}")
        for time in (it.start, it.end):
            if time is not None and not (isinstance(time, int | float) and math.isfinite(time)):
                raise CorpusError(f"utterance {it.utterance_id!r}: {time!r:.60} is no time in s: correct the file")


def _is_text(value: Any) -> bool:
    """Whether a value is a text that can be written in utf-8."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


class UtteranceRow(NamedTuple):
    """An utterance in its dialogue, with its clip as far as it can be used."""

    turn: int
    utterance: Utterance
    status: str
    flac: bytes | None = None
    """Of a clip that was cut out of a recording."""

    @property
    def audio(self) -> dict[str, Any] | None:
        """The value of the column ``audio``."""
        if self.utterance.part is not None:
            name = PurePosixPath(self.utterance.utterance_id).name
            return None if self.flac is None else {"bytes": self.flac, "path": f"{name}.flac"}
        usable = self.utterance.clip and self.status != "missing"
        return {"bytes": None, "path": str(self.utterance.clip)} if usable else None


def utterance_table(rows: Sequence[UtteranceRow], features: Features) -> pa.Table:
    """Arrow table of utterances, in the given features.

    Args:
        rows: The utterances.
        features: From :func:`utterance_features`.

    Returns:
        A table whose schema is ``features.arrow_schema``.

    Raises:
        CorpusError: If a value does not fit its column.
    """
    emotion = features["emotion"]
    values = [
        {
            **vars(row.utterance),
            "turn": row.turn,
            "emotion": None if row.utterance.emotion is None else emotion.str2int(row.utterance.emotion),
            "audio": row.audio,
            "audio_status": row.status,
            **row.utterance.extras,
        }
        for row in rows
    ]
    try:
        return pa.table({name: [row[name] for row in values] for name in features}, schema=features.arrow_schema)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        first, last = rows[0].utterance.utterance_id, rows[-1].utterance.utterance_id
        raise CorpusError(
            f"utterances {first!r} to {last!r}: a value does not fit its column ({error}): correct the file"
        ) from error

"""From the turns of a recording to a table: what is said, how it sounds, and which emotion it has."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from speechcue_hf.cues.describe import SpeechDescriber, describe_rows
from speechcue_hf.cues.measure import measure_dataset
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.inference.classifier import joined_notes
from speechcue_hf.inference.conversations import Turn, rows_of
from speechcue_hf.inference.recognizer import EmotionRecognizer, RecognizedEmotion
from speechcue_hf.transcription.turns import SpokenTurn

logger = logging.getLogger(__name__)

FEW_TURNS = 10
"""Levels that compare fewer turns with one another say little, as for the speakers of a train split."""


def analyse_turns(
    recording: Path,
    turns: Sequence[SpokenTurn],
    *,
    recognizer: EmotionRecognizer | None = None,
    describer: SpeechDescriber | None = None,
) -> list[dict[str, Any]]:
    """Measure and describe the turns of a recording, and recognize their emotions.

    Args:
        recording: Its file.
        turns: In speaking order, with their texts.
        recognizer: Knows emotions, and brings the describer of its training; None for descriptions alone.
        describer: For a recognizer without one, or where there is none; None compares the turns with one another.

    Returns:
        One row for each turn: who says what when; with a recognizer ``emotion`` and ``probabilities``; ``description``
        and ``impression`` in words; all measurements; ``note`` with what could not be measured, read or heard.

    Raises:
        EvaluationError: As of the recognizer.
        ValueError: If a turn does not fit the recording.
    """
    said = [
        {
            "audio": str(recording),
            "text": turn.text,
            "speaker": turn.speaker,
            "start": turn.start,
            "end": turn.end,
            "channel": turn.channel,
        }
        for turn in turns
    ]
    rows = described_turns(said, recognizer=recognizer, describer=describer)
    found = recognizer.recognize(rows) if recognizer else [None] * len(rows)
    return [
        {
            "recording": recording.name,
            "turn": number,
            "speaker": turn.speaker,
            "channel": turn.channel,
            "start": turn.start,
            "end": turn.end,
            "language": turn.language,
            "text": turn.text,
            **analysed,
        }
        for number, (turn, analysed) in enumerate(zip(turns, analysis_of(rows, found), strict=True))
    ]


def analysis_of(rows: Dataset, found: Sequence[RecognizedEmotion | None]) -> Iterator[dict[str, Any]]:
    """What a table says of each turn beside who says what.

    Args:
        rows: From :func:`described_turns`.
        found: The emotion of each row; None without a recognizer.

    Yields:
        ``emotion`` and ``probabilities`` with a recognizer; ``description``, ``impression``, measurements and ``note``.
    """
    measured = [name for name in MeasurementSettings().columns if name in rows.column_names]
    for row, one in zip(rows.remove_columns("audio"), found, strict=True):
        yield {
            **({} if one is None else {"emotion": one.emotion, "probabilities": one.probabilities}),
            "description": row["speech_description"],
            "impression": row["speech_impression"],
            **{name: row[name] for name in measured},
            "note": joined_notes(row["measurement_note"], None if one is None else one.note),
        }


def described_turns(
    turns: Sequence[Turn], *, recognizer: EmotionRecognizer | None = None, describer: SpeechDescriber | None = None
) -> Dataset:
    """Turns as rows that are measured and in words, and hold what the recognizer reads.

    Args:
        turns: As :func:`speechcue_hf.inference.conversations.rows_of` takes them.
        recognizer: As for :func:`analyse_turns`.
        describer: Likewise.

    Raises:
        DescriberError: If there is no describer, and no clip could be measured.
        EvaluationError, ValueError: As of :func:`analyse_turns`.
    """
    rows = rows_of(turns, recognizer.classifier.names if recognizer else ())
    if recognizer is not None:
        rows = recognizer.prepare(rows)
    return rows if "speech_description" in rows.column_names else _described(rows, describer)


def _described(rows: Dataset, describer: SpeechDescriber | None) -> Dataset:
    """Rows in words, by the describer that is given or one that compares them with one another."""
    settings = describer.measurement_settings() if describer else MeasurementSettings()
    measured = measure_dataset(rows, settings)
    if describer is None:
        if len(rows) < FEW_TURNS:
            logger.warning(
                "levels compare the %d turns of this recording with one another, which are few: give a describer that "
                "knows more of them",
                len(rows),
            )
        describer = SpeechDescriber.fit(measured, settings=settings)
    return describe_rows(measured, describer)

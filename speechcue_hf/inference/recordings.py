"""From the turns of a recording to a table: what is said, how it sounds, and which emotion it has."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from speechcue_hf.cues.describe import SpeechDescriber, describe_rows
from speechcue_hf.cues.measure import measure_dataset
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.inference.classifier import joined_notes
from speechcue_hf.inference.conversations import rows_of
from speechcue_hf.inference.recognizer import EmotionRecognizer
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
    rows = rows_of(said, recognizer.classifier.names if recognizer else ())
    if recognizer is not None:
        rows = recognizer.prepare(rows)
    if "speech_description" not in rows.column_names:
        rows = _described(rows, describer)
    found = recognizer.recognize(rows) if recognizer else [None] * len(rows)
    values = rows.remove_columns("audio")
    measured = [name for name in MeasurementSettings().columns if name in rows.column_names]
    return [
        {
            "recording": recording.name,
            "turn": row["turn"],
            "speaker": turn.speaker,
            "channel": turn.channel,
            "start": turn.start,
            "end": turn.end,
            "language": turn.language,
            "text": turn.text,
            **({} if one is None else {"emotion": one.emotion, "probabilities": one.probabilities}),
            "description": row["speech_description"],
            "impression": row["speech_impression"],
            **{name: row[name] for name in measured},
            "note": joined_notes(row["measurement_note"], None if one is None else one.note),
        }
        for turn, row, one in zip(turns, values, found, strict=True)
    ]


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

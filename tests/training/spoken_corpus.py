"""Clips of tones that are high or low and loud or quiet, with captions, in the columns of loaders and captions."""

import io
from typing import Any

import numpy as np
import soundfile
from datasets import Dataset, DatasetDict

RATE = 16_000
PITCH = {"low": 200.0, "high": 800.0}
VOLUME = {"quiet": 0.02, "loud": 0.3}


def spoken_corpus(counts: dict[str, int] | None = None, seconds: float = 0.25) -> tuple[DatasetDict, DatasetDict]:
    """Clips and captions of splits with so many utterances; the last utterance of each split has no caption."""
    counts = counts or {"train": 9, "validation": 5}
    rows = {split: [_row(split, place, seconds) for place in range(count)] for split, count in counts.items()}
    clips = {
        split: [{"utterance_id": row["utterance_id"], "audio": row["audio"]} for row in part]
        for split, part in rows.items()
    }
    captions = {
        split: [_caption(row, place == len(part) - 1) for place, row in enumerate(part)] for split, part in rows.items()
    }
    return _splits(clips), _splits(captions)


def _splits(rows: dict[str, list[dict[str, Any]]]) -> DatasetDict:
    return DatasetDict({split: Dataset.from_list(part) for split, part in rows.items()})


def _row(split: str, place: int, seconds: float) -> dict[str, Any]:
    pitch, volume = list(PITCH)[place % 2], list(VOLUME)[place // 2 % 2]
    samples = VOLUME[volume] * np.sin(
        2 * np.pi * PITCH[pitch] * np.arange(round((seconds + 0.01 * place) * RATE)) / RATE
    )
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV")
    audio = {"path": f"{split}{place}.wav", "bytes": file.getvalue()}
    return {"utterance_id": f"{split}{place}", "audio": audio, "pitch": pitch, "volume": volume}


def _caption(row: dict[str, Any], refused: bool) -> dict[str, Any]:
    text = None if refused else f"The speaker speaks with {row['pitch']} pitch and {row['volume']} volume."
    parts = [
        {"type": "audio", "text": None},
        {"type": "text", "text": "Please describe the pitch and volume in the audio."},
    ]
    answer = [{"role": "assistant", "content": [{"type": "text", "text": text}]}]
    return {
        "utterance_id": row["utterance_id"],
        "dialogue_id": row["utterance_id"],
        "caption": text,
        "prompt": [{"role": "user", "content": parts}],
        "completion": None if refused else answer,
    }

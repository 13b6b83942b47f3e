"""A tiny SEmoLLM with what lies beside a trained one, and clips for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from datasets import Audio, ClassLabel, Dataset, DatasetDict, Features, Value

from speechcue_hf.captions.build import caption_dataset, caption_record
from speechcue_hf.captions.tasks import caption_task
from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.cues.measure import MeasurementSettings, measure_dataset
from speechcue_hf.records import write_record
from tests.models.semollm.tiny_model import build_tiny_semollm
from tests.records import training_record

EMOTIONS = ["angry", "happy", "sad"]
TASKS = ("emotion", "explanation")
SETTINGS = MeasurementSettings(groups=("loudness", "pitch"))


def write_clip(path: Path, f0: float, gain: float, *, seconds: float = 0.6, rate: int = 16000) -> Path:
    """A buzz of known pitch and loudness."""
    time = np.arange(round(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * f0 * harmonic * time) / harmonic for harmonic in range(1, 8))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, gain * buzz / 2, rate)
    return path


def spoken_rows(folder: Path) -> Dataset:
    """Nine buzzes, from low and quiet to high and loud; the emotion of the last is not known."""
    paths = [write_clip(folder / f"u{row}.wav", 100 + 20 * row, 0.02 * 1.4**row) for row in range(9)]
    columns = {
        "dialogue_id": [f"d{row // 3}" for row in range(9)],
        "utterance_id": [f"u{row}" for row in range(9)],
        "turn": [row % 3 for row in range(9)],
        "gender": [None] * 9,
        "text": ["Hello there."] * 9,
        "emotion": [*(row % 3 for row in range(8)), None],
        "audio": [{"path": str(path), "bytes": None} for path in paths],
    }
    file = {"path": Value("string"), "bytes": Value("binary")}
    features = dict.fromkeys(columns, Value("string")) | {"turn": Value("int32"), "audio": file}
    rows = Dataset.from_dict(columns, features=Features(features | {"emotion": ClassLabel(names=EMOTIONS)}))
    return rows.cast_column("audio", Audio(decode=False))


def describe(rows: Dataset) -> tuple[SpeechDescriber, Dataset]:
    """The rows described, without their audio, by a describer that learnt from them."""
    measured = measure_dataset(rows, SETTINGS)
    describer = SpeechDescriber.fit(measured, levels=3, baseline="overall", settings=SETTINGS)
    return describer, describe_dataset(measured, describer).remove_columns("audio")


def write_model(folder: Path, describer: SpeechDescriber, described: Dataset) -> Path:
    """A model folder as stage 3 leaves it; the model is random."""
    tasks = [caption_task(name) for name in TASKS]
    captions = DatasetDict(train=caption_dataset(described, tasks, describer.levels))
    texts = [text for text in captions["train"]["caption"] if text] + [task.question for task in tasks]
    model, processor = build_tiny_semollm(texts)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    describer.save_pretrained(folder)
    made = {"describer_sha256": describer.fingerprint, "baseline": describer.baseline, "generator": None}
    write_record(caption_record(captions, tasks, **made), folder)
    write_record(training_record(stage=3, describer_sha256=describer.fingerprint), folder)
    return folder

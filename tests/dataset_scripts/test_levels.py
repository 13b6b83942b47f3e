"""The corpus of known levels sounds as its columns say, measured by Praat, and keeps its splits apart."""

import csv
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from speechcue_hf.cues.measure import measure_speech

pytestmark = pytest.mark.slow

MAKER = Path(__file__).parents[2] / "dataset_scripts" / "levels.py"
MEASURED = {
    "pitch": ("f0_median_hz", ("low", "normal", "high")),
    "speed": ("articulation_rate_per_s", ("slow", "normal", "fast")),
    "volume": ("intensity_mean_db", ("quiet", "normal", "loud")),
}


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
def test_clips_sound_as_their_columns_say(tmp_path: Path) -> None:
    counts = ["--train", "60", "--validation", "6", "--test", "6"]
    subprocess.run([sys.executable, str(MAKER), str(tmp_path), *counts], check=True)
    with (tmp_path / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    said = defaultdict(set)
    for row in rows:
        said[row["split"]].add(row["text"])
    assert not said["test"] & said["train"] and not said["validation"] & (said["train"] | said["test"])
    angry = [row for row in rows if row["volume"] == "loud" and row["speed"] == "fast"]
    assert angry and {row["emotion"] for row in angry} == {"angry"}

    measured = [measure_speech({"audio": {"path": str(tmp_path / row["file_name"]), "bytes": None}}) for row in rows]
    for cue, (column, levels) in MEASURED.items():
        # Pitch is relative to the voice.
        centres = {
            voice: np.mean([one[column] for one, row in zip(measured, rows, strict=True) if row["speaker"] == voice])
            for voice in {row["speaker"] for row in rows}
        }
        means = [
            np.mean([
                one[column] / centres[row["speaker"]]
                for one, row in zip(measured, rows, strict=True)
                if row[cue] == level
            ])
            for level in levels
        ]  # fmt: skip
        assert means == sorted(means) and means[2] > 1.1 * means[0], cue

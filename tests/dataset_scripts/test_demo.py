"""The maker of the demo corpus gives the shipped corpus again."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechcue_hf.corpora.demo import DEMO_FOLDER

MAKER = Path(__file__).parents[2] / "dataset_scripts" / "demo.py"


def espeak_version() -> str | None:
    if shutil.which("espeak-ng") is None:
        return None
    line = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True).stdout
    return line.split(":")[1].split()[0]


SHIPPED_VERSION = json.loads((DEMO_FOLDER / "maker.json").read_text())["espeak_ng"]


@pytest.mark.skipif(espeak_version() != SHIPPED_VERSION, reason=f"needs espeak-ng {SHIPPED_VERSION}")
def test_maker_reproduces_the_shipped_corpus(tmp_path: Path) -> None:
    """Byte-identical metadata; clips may differ by the Opus encoder only, its error some 20 dB below the speech."""
    subprocess.run([sys.executable, str(MAKER), str(tmp_path)], check=True)
    for name in ("metadata.csv", "maker.json"):
        assert (tmp_path / name).read_bytes() == (DEMO_FOLDER / name).read_bytes(), name
    with (DEMO_FOLDER / "metadata.csv").open(newline="") as file:
        names = [row["file_name"] for row in csv.DictReader(file)]
    for clips in (tmp_path / "audio", DEMO_FOLDER / "audio"):
        assert sorted(f"audio/{path.name}" for path in clips.iterdir()) == sorted(names)
    for name in names:
        made, _ = soundfile.read(tmp_path / name)
        shipped, _ = soundfile.read(DEMO_FOLDER / name)
        assert made.shape == shipped.shape, name
        assert np.corrcoef(made, shipped)[0, 1] > 0.99, name

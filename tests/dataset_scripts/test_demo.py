"""The maker of the demo corpus gives the shipped corpus again, and publishes it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from datasets import load_dataset
from huggingface_hub import DatasetCard

from speechcue_hf.corpora.demo import DEMO_FOLDER
from tests.hub.hub_server import Hub

pytestmark = pytest.mark.slow

MAKER = Path(__file__).parents[2] / "dataset_scripts" / "demo.py"


def espeak_version() -> str | None:
    if shutil.which("espeak-ng") is None:
        return None
    line = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True).stdout
    return line.split(":")[1].split()[0]


SHIPPED_VERSION = json.loads((DEMO_FOLDER / "maker.json").read_text())["espeak_ng"]


@pytest.mark.skipif(espeak_version() is None, reason="needs espeak-ng")
def test_from_text_to_the_hub_in_one_command(hub: Hub, tmp_path: Path) -> None:
    arguments = [sys.executable, str(MAKER), str(tmp_path / "demo"), "--push-to-hub", "tester/demo"]
    subprocess.run(arguments, check=True, env={**os.environ, "HF_HOME": str(tmp_path / "home")})
    if espeak_version() == SHIPPED_VERSION:
        check_same_as_shipped(tmp_path / "demo")
    for view in ("utterances", "described"):
        rows = load_dataset("tester/demo", view, cache_dir=str(tmp_path / "cache"))
        assert rows.num_rows == {"train": 64, "validation": 16, "test": 16}
    assert DatasetCard.load("tester/demo").data.license == "cc0-1.0"


def check_same_as_shipped(made: Path) -> None:
    """Byte-identical metadata; clips may differ by the Opus encoder only, its error some 20 dB below the speech."""
    for name in ("metadata.csv", "maker.json"):
        assert (made / name).read_bytes() == (DEMO_FOLDER / name).read_bytes(), name
    with (DEMO_FOLDER / "metadata.csv").open(newline="") as file:
        names = [row["file_name"] for row in csv.DictReader(file)]
    for clips in (made / "audio", DEMO_FOLDER / "audio"):
        assert sorted(f"audio/{path.name}" for path in clips.iterdir()) == sorted(names)
    for name in names:
        again, _ = soundfile.read(made / name)
        shipped, _ = soundfile.read(DEMO_FOLDER / name)
        assert again.shape == shipped.shape, name
        assert np.corrcoef(again, shipped)[0, 1] > 0.99, name

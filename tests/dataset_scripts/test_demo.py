"""The maker of the demo corpus gives the shipped corpus again, and publishes it."""

from __future__ import annotations

import csv
import importlib.util
import json
import shutil
import subprocess
import sys
from itertools import groupby, islice
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from datasets import load_dataset
from huggingface_hub import DatasetCard

from speechcue_hf.corpora.demo import DEMO_FOLDER
from tests.hub.hub_server import Hub

pytestmark = pytest.mark.slow

MAKER = Path(__file__).parents[2] / "dataset_scripts" / "demo.py"
TIMES = ("start", "end")


def espeak_version() -> str | None:
    if shutil.which("espeak-ng") is None:
        return None
    line = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True).stdout
    return line.split(":")[1].split()[0]


SHIPPED = json.loads((DEMO_FOLDER / "maker.json").read_text())


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    specification = importlib.util.spec_from_file_location("demo_maker", MAKER)
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "demo_maker", module)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def shipped() -> list[dict[str, str]]:
    with (DEMO_FOLDER / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_shipped_rows_are_those_of_the_scripts(maker: ModuleType, shipped: list[dict[str, str]]) -> None:
    made = [row for rows, _ in maker.perform_all() for row in rows]
    assert made == [{name: value for name, value in row.items() if name not in TIMES} for row in shipped]
    assert sorted(f"audio/{path.name}" for path in (DEMO_FOLDER / "audio").iterdir()) == sorted(
        row["file_name"] for row in shipped
    )


@pytest.mark.skipif(espeak_version() != SHIPPED["espeak_ng"], reason="needs the espeak-ng that spoke the demo corpus")
def test_spoken_again_it_is_the_same(maker: ModuleType, shipped: list[dict[str, str]], tmp_path: Path) -> None:
    """Clips may differ by the Opus encoder only, its error some 10 dB below the speech."""
    (tmp_path / "audio").mkdir()
    turns, pauses = next(maker.perform_all())
    assert maker.speak_dialogue(turns, pauses, tmp_path) == shipped[: len(turns)]
    for row in turns:
        again, _ = soundfile.read(tmp_path / row["file_name"])
        there, _ = soundfile.read(DEMO_FOLDER / row["file_name"])
        assert again.shape == there.shape and np.corrcoef(again, there)[0, 1] > 0.95, row["file_name"]


@pytest.mark.skipif(espeak_version() is None, reason="needs espeak-ng")
def test_from_text_to_the_hub_in_one_command(
    hub: Hub, maker: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a script of two lines for each split."""
    with maker.SCRIPTS.open(encoding="utf-8", newline="") as file:
        splits = [list(lines) for _, lines in groupby(csv.DictReader(file), key=lambda line: line["split"])]
    lines = [line for split in splits for line in islice(split, 2)]
    with (tmp_path / "scripts.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(lines[0]))
        table.writeheader()
        table.writerows(lines)
    monkeypatch.setattr(maker, "SCRIPTS", tmp_path / "scripts.csv")
    monkeypatch.setattr(sys, "argv", ["demo.py", str(tmp_path / "demo"), "--push-to-hub", "tester/demo"])
    maker.main()
    record = json.loads((tmp_path / "demo" / "maker.json").read_text())
    assert record == {**SHIPPED, "espeak_ng": espeak_version()}
    for view in ("utterances", "described"):
        rows = load_dataset("tester/demo", view, cache_dir=str(tmp_path / "cache"))
        assert rows.num_rows == {"train": 12, "validation": 12, "test": 12}
    assert DatasetCard.load("tester/demo").data.license == "cc0-1.0"

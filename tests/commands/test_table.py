from pathlib import Path

import pytest

from speechcue_hf.cli import main
from tests.evaluation.run_folders import write_run


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    for name, rate in (("text", 0.5), ("cues", 0.7)):
        for seed in (1, 2):
            write_run(tmp_path / name / f"seed-{seed}", rate, seed=seed, rows=48)
    return [str(tmp_path / "text"), str(tmp_path / "cues")]


def test_prints_or_writes_the_table(runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", *runs, "--draws", "50"]) == 0
    assert "| cues | 2 |" in capsys.readouterr().out
    path = tmp_path / "table.tex"
    assert main(["table", *runs, "--draws", "50", "--format", "latex", "-o", str(path)]) == 0
    assert r"\begin{tabular}" in path.read_text() and capsys.readouterr().out == f"Written to {path}.\n"


def test_compare_takes_folders_of_seeds(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *runs, "--draws", "50"]) == 0
    printed = capsys.readouterr().out
    assert "(mean of 2 seeds, sd " in printed and "over seeds    p = " in printed


def test_an_ensemble_takes_a_folder_of_seeds(
    runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ensemble", runs[0], "-o", str(tmp_path / "together")]) == 0
    assert "seed-1 alone" in capsys.readouterr().out
    assert main(["ensemble", runs[0], "-o", f"{runs[0]}/seed-2"]) == 1
    assert "is one of the runs" in capsys.readouterr().err

import json
from pathlib import Path

import pytest
from datasets import Dataset

from speechcue_hf.cli import main
from speechcue_hf.evaluation.report import summarise, write_report
from speechcue_hf.records import ResultsRecord


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    for name, right in (("a", [0.9, 0.4]), ("b", [0.3, 0.8])):
        table = Dataset.from_dict(
            {
                "utterance_id": ["u0", "u1"],
                "dialogue_id": ["d0", "d1"],
                "label": ["happy", "sad"],
                "prediction": [["sad", "happy"][right[0] > 0.5], ["happy", "sad"][right[1] > 0.5]],
                "probabilities": [[right[0], 1 - right[0]], [1 - right[1], right[1]]],
            }
        )
        write_report(tmp_path / name, ResultsRecord(**summarise(table, ["happy", "sad"]), split="test"), table)
    return [str(tmp_path / "a"), str(tmp_path / "b")]


def test_an_ensemble_is_a_run_that_is_compared_like_any_other(
    runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    together = tmp_path / "together"
    assert main(["ensemble", *runs, "-o", str(together)]) == 0
    printed = capsys.readouterr().out
    assert "weighted F1   100.00 %" in printed
    assert f"33.33 %   weighted F1 of {runs[0]} alone" in printed
    assert {path.name for path in together.iterdir()} == {
        "results.json",
        "predictions.parquet",
        "confusion_matrix.png",
    }
    assert main(["compare", runs[0], str(together), "-o", str(tmp_path / "difference.json")]) == 0
    assert json.loads((tmp_path / "difference.json").read_text())["difference"] == pytest.approx(2 / 3)


def test_a_run_is_not_replaced_by_its_ensemble(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    before = (Path(runs[1]) / "predictions.parquet").read_bytes()
    assert main(["ensemble", *runs, "-o", f"{runs[0]}/../b"]) == 1
    assert "is one of the runs, and would be replaced: name another folder" in capsys.readouterr().err
    assert (Path(runs[1]) / "predictions.parquet").read_bytes() == before


def test_a_run_alone_is_no_ensemble(runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ensemble", runs[0], "-o", str(tmp_path / "together")]) == 1
    assert "made of two or more runs" in capsys.readouterr().err

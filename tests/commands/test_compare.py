import argparse
import json
import warnings

import pytest
from datasets import Dataset, config

from speechcue_hf.cli import main
from speechcue_hf.commands import compare
from speechcue_hf.evaluation.report import summarise, write_report
from speechcue_hf.records import ResultsRecord


@pytest.fixture
def runs(tmp_path):
    for name, predictions in (("a", ["sad"] * 12), ("b", ["happy", "sad"] * 6)):
        table = Dataset.from_dict(
            {
                "utterance_id": [f"u{index}" for index in range(12)],
                "dialogue_id": [f"d{index // 3}" for index in range(12)],
                "label": ["happy", "sad"] * 6,
                "prediction": predictions,
            }
        )
        write_report(tmp_path / name, ResultsRecord(**summarise(table, ["happy", "sad"])), table)
    return tmp_path


def test_prints_and_writes_the_difference(runs, capsys):
    parser = argparse.ArgumentParser()
    compare.add_arguments(parser)
    compare.run(parser.parse_args([str(runs / "a"), str(runs / "b"), "--draws", "200", "-o", str(runs / "out.json")]))
    result = json.loads((runs / "out.json").read_text())
    assert result["weighted_f1"] == pytest.approx([1 / 3, 1])
    assert (result["both"], result["only_first"], result["only_second"]) == (6, 0, 6)
    printed = capsys.readouterr().out
    assert "difference    +66.67" in printed
    assert result["warning"] and result["warning"] in printed and "4 dialogues are too few" in printed


def test_says_nothing_else_and_leaves_nothing_in_the_cache(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(["compare", str(runs / "a"), str(runs / "b"), "--draws", "50"]) == 0
    assert capsys.readouterr().err == ""
    assert not (tmp_path / "cache").exists()

import json
import shutil

import numpy as np
import pytest
from datasets import Dataset

from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.compare import compare_runs
from speechcue_hf.evaluation.report import summarise, write_report
from speechcue_hf.metrics.scores import weighted_f1
from speechcue_hf.records import ResultsRecord

LABELS = ["happy", "sad", "neutral"]


def write_run(folder, hit_rate, *, seed, labels=LABELS, rows=400):
    generator = np.random.default_rng(seed)
    true = np.random.default_rng(0).choice(3, size=rows)
    predicted = np.where(generator.random(rows) < hit_rate, true, (true + 1) % 3)
    table = Dataset.from_dict(
        {
            "utterance_id": [f"u{index}" for index in range(rows)],
            "dialogue_id": [f"d{index // 8}" for index in range(rows)],
            "label": [labels[index] for index in true],
            "prediction": [labels[index] for index in predicted],
        }
    )
    # The order of rows must not matter.
    table = table.select(np.random.default_rng(seed).permutation(rows))
    write_report(folder, ResultsRecord(**summarise(table, labels)), table)
    return true, predicted


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "a", tmp_path / "b"


def test_a_clear_difference_is_found_and_signed(runs):
    true, first = write_run(runs[0], 0.5, seed=1)
    _, second = write_run(runs[1], 0.8, seed=2)
    result = compare_runs(*runs)
    scores = [weighted_f1(true, answers.tolist()) for answers in (first, second)]
    assert result["weighted_f1"] == pytest.approx(scores)
    assert result["difference"] == pytest.approx(scores[1] - scores[0])
    assert 0 < result["interval"][0] < result["difference"] < result["interval"][1]
    assert result["p_value"] < 0.01
    assert (result["dialogues"], result["warning"]) == (50, None)
    assert result["both"] == ((first == true) & (second == true)).sum()
    assert result["only_second"] == ((first != true) & (second == true)).sum()
    assert sum(result[key] for key in ("both", "only_first", "only_second", "neither")) == result["n"] == 400


def test_a_run_against_itself_shows_nothing(runs):
    write_run(runs[0], 0.6, seed=1)
    result = compare_runs(runs[0], runs[0])
    assert (result["difference"], result["interval"], result["p_value"]) == (0, [0, 0], 1)


def test_other_utterances_are_refused(runs):
    write_run(runs[0], 0.6, seed=1)
    write_run(runs[1], 0.6, seed=1, rows=392)
    with pytest.raises(EvaluationError, match="not scored on the same labelled utterances"):
        compare_runs(*runs)


def test_other_labels_are_refused(runs):
    write_run(runs[0], 0.6, seed=1)
    write_run(runs[1], 0.6, seed=1, labels=["happy", "sad", "calm"])
    with pytest.raises(EvaluationError, match="different label sets"):
        compare_runs(*runs)


def name_task(folder, task):
    results = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps({**results, "corpus": {"task": task}}))


def test_runs_of_different_tasks_are_refused(runs):
    write_run(runs[0], 0.5, seed=1, rows=8)
    shutil.copytree(*runs)
    assert compare_runs(*runs, draws=10)["task"] is None
    name_task(runs[0], "iemocap-4-ser")
    assert compare_runs(*runs, draws=10)["task"] is None
    name_task(runs[1], "iemocap-4-ser")
    assert compare_runs(*runs, draws=10)["task"] == "iemocap-4-ser"
    name_task(runs[1], "iemocap-6-erc")
    with pytest.raises(EvaluationError, match=r"different tasks.*a iemocap-4-ser, .*b iemocap-6-erc\."):
        compare_runs(*runs)

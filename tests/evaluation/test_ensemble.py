import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.ensemble import ensemble_runs
from speechcue_hf.evaluation.report import summarise, write_report
from speechcue_hf.metrics.scores import weighted_f1
from speechcue_hf.records import ResultsRecord

LABELS = ["happy", "sad", "neutral"]
TRUE = [0, 1, 2, 0]
FIRST = [[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6], [0.1, 0.8, 0.1]]
SECOND = [[0.2, 0.6, 0.2], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1]]


def write_run(folder: Path, probabilities: list[list[float]], labels: list[str], **facts: object) -> Path:
    """A run with its label set, and the columns of its probabilities, in an order of its own."""
    order = [LABELS.index(label) for label in labels]
    table = Dataset.from_dict(
        {
            "utterance_id": [f"u{row}" for row in range(4)],
            "dialogue_id": ["d0", "d0", "d1", "d1"],
            "label": [LABELS[label] for label in TRUE],
            "prediction": [LABELS[int(np.argmax(row))] for row in probabilities],
            "probabilities": [[row[column] for column in order] for row in probabilities],
        }
    )
    table = table.select(np.random.default_rng(len(facts)).permutation(4))
    write_report(folder, ResultsRecord(**summarise(table, labels), **facts), table)
    return folder


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    corpus = {"name": "meld", "task": "meld-7-erc"}
    first = write_run(tmp_path / "a", FIRST, LABELS, corpus=corpus, split="test", seed=1, sees_future=False)
    second = write_run(tmp_path / "b", SECOND, ["sad", "neutral", "happy"], corpus=corpus, sees_future=False)
    return [first, second]


def test_mean_probabilities_name_the_label_whatever_the_order_of_rows_and_labels(runs: list[Path]) -> None:
    results, predictions = ensemble_runs(runs)
    expected = (np.array(FIRST) + np.array(SECOND)) / 2
    assert results.labels == tuple(LABELS)
    assert predictions["utterance_id"][:] == ["u0", "u1", "u2", "u3"]
    np.testing.assert_allclose(predictions["probabilities"][:], expected, atol=1e-12)
    assert predictions["prediction"][:] == ["sad", "sad", "happy", "sad"]
    assert results.weighted_f1 == pytest.approx(weighted_f1(TRUE, expected.argmax(1).tolist()))
    ranked = np.sort(expected, axis=1)
    np.testing.assert_allclose(predictions["margin"][:], ranked[:, -1] - ranked[:, -2], atol=1e-12)


def test_members_and_what_they_have_in_common_are_recorded_without_paths(runs: list[Path]) -> None:
    results, _ = ensemble_runs(runs)
    assert (results.corpus["task"], results.split, results.decode) == ("meld-7-erc", "test", "ensemble")
    assert [member.get("seed") for member in results.members] == [1, None]
    scores = [json.loads((run / "results.json").read_text())["weighted_f1"] for run in runs]
    assert [member["weighted_f1"] for member in results.members] == scores
    assert str(runs[0].parent) not in str(results)


@pytest.mark.parametrize(("states", "seen"), [((False, False), False), ((False, None), None), ((None, True), True)])
def test_one_member_that_saw_the_future_is_enough(runs: list[Path], states: tuple[object, ...], seen: object) -> None:
    for run, state in zip(runs, states, strict=True):
        edit(run / "results.json", sees_future=state)
    assert ensemble_runs(runs)[0].sees_future is seen


def test_a_probability_of_nothing_stays_one(tmp_path: Path) -> None:
    certain = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    results, predictions = ensemble_runs([write_run(tmp_path / name, certain, LABELS) for name in ("a", "b")])
    np.testing.assert_allclose(predictions["probabilities"][:], certain, atol=1e-300)
    assert results.weighted_f1 == 1


def test_what_cannot_be_averaged_is_refused(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="made of two or more runs"):
        ensemble_runs(runs[:1])
    with pytest.raises(EvaluationError, match="One run is named twice among"):
        ensemble_runs([*runs, runs[0] / ".." / runs[0].name])
    generated = Dataset.from_parquet(str(runs[1] / "predictions.parquet"), cache_dir=str(tmp_path / "cache"))
    other = shutil.copytree(runs[1], tmp_path / "generated")
    generated.remove_columns("probabilities").to_parquet(str(other / "predictions.parquet"))
    with pytest.raises(EvaluationError, match=r"generated have no probabilities.*again with --decode score"):
        ensemble_runs([runs[0], other])
    edit(runs[1] / "results.json", corpus={"task": "emorynlp-7-erc"})
    with pytest.raises(EvaluationError, match=r"different tasks.*a meld-7-erc, .*b emorynlp-7-erc\."):
        ensemble_runs(runs)

import numpy as np
import pytest
from datasets import Dataset
from matplotlib import image

from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.report import summarise, write_report
from speechcue_hf.metrics.scores import classification_metrics
from speechcue_hf.records import ResultsRecord, read_record

LABELS = ["happy", "sad"]


@pytest.fixture
def predictions():
    generator = np.random.default_rng(0)
    return Dataset.from_dict(
        {
            "utterance_id": [f"u{index}" for index in range(60)],
            "dialogue_id": [f"d{index // 6}" for index in range(60)],
            "label": generator.choice(LABELS, 60).tolist(),
            "prediction": [None, *generator.choice(LABELS, 59).tolist()],
        }
    )


def test_summary_holds_the_metrics_and_an_interval_around_them(predictions):
    summary = summarise(predictions, LABELS)
    true = [LABELS.index(word) for word in predictions["label"]]
    predicted = [None if word is None else LABELS.index(word) for word in predictions["prediction"]]
    assert summary.items() >= classification_metrics(true, predicted, LABELS).items()
    interval = summary["weighted_f1_interval"]
    assert interval["low"] < summary["weighted_f1"] < interval["high"]
    assert interval["dialogues"] == 10


def test_files_are_written_and_read_back(predictions, tmp_path):
    results = ResultsRecord(split="test", **summarise(predictions, LABELS))
    write_report(tmp_path / "run", results, predictions)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "confusion_matrix.png",
        "predictions.parquet",
        "results.json",
    ]
    assert read_record(ResultsRecord, tmp_path / "run") == results
    assert Dataset.from_parquet(str(tmp_path / "run" / "predictions.parquet")).to_dict() == predictions.to_dict()
    assert image.imread(tmp_path / "run" / "confusion_matrix.png").std() > 0.05


def test_nothing_local_reaches_the_results(predictions, tmp_path):
    write_report(tmp_path, ResultsRecord(**summarise(predictions, LABELS)), predictions)
    assert str(tmp_path) not in (tmp_path / "results.json").read_text()


def test_nothing_to_score_is_refused(predictions):
    with pytest.raises(EvaluationError, match="no labelled utterance"):
        summarise(predictions.select([]), LABELS)

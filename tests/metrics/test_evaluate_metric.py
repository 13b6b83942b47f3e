import pytest

from speechcue_hf.metrics.scores import weighted_f1

evaluate = pytest.importorskip("evaluate")


def test_evaluate_loads_it_by_path_and_offline(monkeypatch, tmp_path):
    from speechcue_hf.metrics import evaluate_metric

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    metric = evaluate.load(evaluate_metric.__file__, cache_dir=str(tmp_path))
    references, predictions = [0, 0, 0, 1, 2], [0, 1, -1, 1, 0]
    scores = metric.compute(references=references, predictions=predictions)
    assert scores["weighted_f1"] == pytest.approx(weighted_f1(references, [0, 1, None, 1, 0]))
    assert scores["accuracy"] == pytest.approx(2 / 5)
    assert scores["invalid_rate"] == pytest.approx(1 / 5)


def test_batches_add_up(tmp_path):
    from speechcue_hf.metrics import evaluate_metric

    metric = evaluate.load(evaluate_metric.__file__, cache_dir=str(tmp_path))
    metric.add_batch(references=[0, 1], predictions=[0, 0])
    metric.add_batch(references=[1], predictions=[1])
    assert metric.compute()["accuracy"] == pytest.approx(2 / 3)

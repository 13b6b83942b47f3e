import numpy as np
import pytest

from speechcue_hf.metrics.spread import spread_lines, spread_of


def test_mean_and_deviation_of_the_sample() -> None:
    values = [0.61, 0.64, 0.58]
    found = spread_of([{"weighted_f1": value, "loss": 1.0} for value in values])
    assert found["weighted_f1"]["mean"] == pytest.approx(np.mean(values))
    assert found["weighted_f1"]["sd"] == pytest.approx(np.std(values, ddof=1))
    assert (found["weighted_f1"]["values"], found["loss"]["sd"]) == (values, 0)
    assert spread_lines(found) == ["  weighted_f1 0.6100 ± 0.0300", "  loss 1.0000 ± 0.0000"]


def test_a_single_run_has_no_deviation() -> None:
    found = spread_of([{"accuracy": 0.5}])
    assert found == {"accuracy": {"mean": 0.5, "sd": None, "values": [0.5]}}
    assert spread_lines(found) == ["  accuracy 0.5000"]

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from speechcue_hf.metrics.calibration import reliability


def test_bins_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    sure = random.uniform(0.01, 1, 500)
    right = random.random(500) < sure**2
    found = reliability(sure, right)
    accuracy, confidence = calibration_curve(right, sure, n_bins=10)
    assert [bin["accuracy"] for bin in found["bins"]] == pytest.approx(accuracy.tolist())
    assert [bin["confidence"] for bin in found["bins"]] == pytest.approx(confidence.tolist())
    sizes = np.histogram(sure, bins=np.linspace(0, 1, 11))[0]
    assert [bin["n"] for bin in found["bins"]] == sizes.tolist()
    expected = np.average(np.abs(accuracy - confidence), weights=sizes)
    assert found["expected_calibration_error"] == pytest.approx(expected)


def test_no_answers_have_no_error():
    found = reliability([], [])
    assert found["expected_calibration_error"] is None and len(found["bins"]) == 10
    assert found["bins"][0] == {"low": 0.0, "high": 0.1, "n": 0, "confidence": None, "accuracy": None}


@pytest.mark.parametrize("confidences", [[1.2], [-0.1], [float("nan")]])
def test_what_is_no_probability_is_refused(confidences):
    with pytest.raises(ValueError, match="between 0 and 1"):
        reliability(confidences, [True])
    with pytest.raises(ValueError, match="as many confidences"):
        reliability([0.5, 0.5], [True])

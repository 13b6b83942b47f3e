import numpy as np
import pytest
from scipy import stats

from speechcue_hf.metrics.significance import holm, seeds_p_value


def test_the_test_over_seeds_is_welchs():
    first, second = [0.61, 0.63, 0.60], [0.66, 0.64, 0.65, 0.69]
    variances = [np.var(scores, ddof=1) / len(scores) for scores in (first, second)]
    freedom = sum(variances) ** 2 / (variances[0] ** 2 / 2 + variances[1] ** 2 / 3)
    statistic = abs(np.mean(first) - np.mean(second)) / np.sqrt(sum(variances))
    assert seeds_p_value(first, second) == pytest.approx(2 * stats.t.sf(statistic, freedom))


@pytest.mark.parametrize("scores", [([0.6], [0.5, 0.7]), ([0.6, 0.6], [0.5, 0.5]), ([], [0.5, 0.7])])
def test_seeds_that_tell_nothing_have_no_p_value(scores):
    assert seeds_p_value(*scores) is None


def test_holm_steps_down():
    # The worked example of Holm's procedure: 4·0.005, 3·0.01, 2·0.03, and 1·0.04, which may not fall below the third.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([None, 0.04]) == [None, 0.04] and holm([]) == []

import math

import numpy as np
import pytest

from speechcue_hf.cues.levels import (
    DEGREES,
    LEVEL_NAMES,
    MISSING,
    QUANTILES,
    cue_statistics,
    level_indices,
    level_quantiles,
    named,
)


def test_thresholds_interpolate_linearly():
    # By hand: the quantile q of 0..10 lies at 10 q.
    assert cue_statistics(np.arange(11.0), levels=5).thresholds == pytest.approx((1.0, 2.5, 7.5, 9.0))
    assert cue_statistics([1.0, 2.0], levels=4).thresholds == pytest.approx((1.25, 1.5, 1.75))


def test_spread_is_the_sample_standard_deviation():
    statistics = cue_statistics([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], levels=3)
    assert statistics.mean == 5.0
    assert statistics.median == 4.5
    assert statistics.sd == pytest.approx(math.sqrt(32 / 7))
    assert statistics.count == 8


def test_missing_values_are_no_part_of_the_statistics():
    with_gaps = cue_statistics([np.nan, 1.0, 2.0, np.inf, 6.0], levels=5)
    assert with_gaps == cue_statistics([1.0, 2.0, 6.0], levels=5)


def test_nothing_measured():
    statistics = cue_statistics([np.nan, np.nan], levels=6)
    assert statistics.count == 0
    assert np.isnan([statistics.mean, statistics.sd, *statistics.thresholds]).all()
    assert len(statistics.thresholds) == 5
    assert not statistics.varies


@pytest.mark.parametrize("values", [[0.1] * 7, [3.0]])
def test_constant_values_do_not_vary(values):
    # 0.1 seven times: rounding in the mean would leave a spread of 1e-17.
    assert not cue_statistics(values, levels=5).varies


@pytest.mark.parametrize("levels", [2, 7, "five", None])
def test_other_numbers_of_levels_are_refused(levels):
    with pytest.raises(ValueError, match="3, 4, 5 or 6"):
        level_quantiles(levels)


def test_a_value_on_a_threshold_takes_the_lower_level():
    values = np.array([[0.9], [1.0], [1.1], [2.0], [2.1]])
    thresholds = np.broadcast_to([[[1.0, 2.0]]], (5, 1, 2))
    assert level_indices(values, thresholds).ravel().tolist() == [0, 0, 1, 1, 2]


def test_no_level_without_value_or_thresholds():
    values = np.array([[np.nan, 1.0, 1.0]])
    thresholds = np.array([[[0.0, 2.0], [np.nan, np.nan], [0.0, 2.0]]])
    assert level_indices(values, thresholds).tolist() == [[MISSING, MISSING, 1]]


def test_named_levels():
    assert named(np.array([4, MISSING, 0]), LEVEL_NAMES[5]) == ["very_high", None, "very_low"]


@pytest.mark.parametrize("levels", [3, 4, 5, 6])
def test_tables_of_levels_agree(levels):
    assert len(LEVEL_NAMES[levels]) == len(DEGREES[levels]) == len(QUANTILES[levels]) + 1 == levels
    # A degree is 0 exactly between the quartiles and 2 exactly in the outer tenths.
    uppers = (*QUANTILES[levels], 1.0)
    for upper, degree in zip(uppers, DEGREES[levels], strict=True):
        assert (degree == 0) == (0.25 < upper <= 0.75)
        assert (degree == -2) == (upper == 0.1)


def test_last_digits_move_no_level():
    thresholds = np.array([[[0.0, 123.456]]])
    for value, level in [(123.456 + 1e-5, 1), (123.457, 2), (1e-10, 0), (1e-6, 1)]:
        assert level_indices(np.array([[value]]), thresholds) == level

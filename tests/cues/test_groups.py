import numpy as np
import pytest

from speechcue_hf.cues.groups import fit_groups, row_statistics

VALUES = np.array([[1.0, 5.0], [2.0, 5.0], [6.0, 5.0], [np.nan, np.nan]])
CANDIDATES = [("speaker: Ann", "overall"), ("speaker: Ann", "overall"), ("overall",), ("overall",)]


@pytest.fixture
def groups():
    return fit_groups(VALUES, ["pitch", "loudness"], 4, CANDIDATES, ["overall", "speaker: Ann"])


def test_groups_overlap(groups):
    assert list(groups) == ["overall", "speaker: Ann"]
    assert (groups["overall"].rows, groups["speaker: Ann"].rows) == (3, 2)
    assert groups["overall"].cues["pitch"].mean == 3.0
    assert groups["speaker: Ann"].cues["pitch"].mean == 1.5


def test_each_row_gets_the_statistics_of_its_group(groups):
    statistics = row_statistics(groups, ["pitch", "loudness"], ["speaker: Ann", "overall", "speaker: Ann"])
    assert statistics.means[:, 0].tolist() == [1.5, 3.0, 1.5]
    assert statistics.usual[:, 0].tolist() == [1.5, 2.0, 1.5]
    assert statistics.spreads[0, 0] == pytest.approx(np.sqrt(0.5))
    assert statistics.thresholds.shape == (3, 2, 3)
    assert statistics.thresholds[0, 0].tolist() == [1.25, 1.5, 1.75]


def test_a_cue_that_does_not_vary_has_no_statistics(groups):
    statistics = row_statistics(groups, ["pitch", "loudness"], ["overall"])
    assert np.isnan(statistics.thresholds[0, 1]).all()
    assert np.isnan([statistics.means[0, 1], statistics.spreads[0, 1], statistics.usual[0, 1]]).all()

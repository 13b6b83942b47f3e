import json

import numpy as np
import pytest

from speechcue_hf.cues.levels import CueStatistics
from speechcue_hf.cues.normalisation import Group, fit_groups, group_of, past_means, reference_groups, row_statistics
from speechcue_hf.records import with_nulls

VALUES = np.array([[1.0, 5.0], [2.0, 5.0], [6.0, 5.0], [np.nan, np.nan]])
CANDIDATES = [("speaker: Ann", "overall"), ("speaker: Ann", "overall"), ("overall",), ("overall",)]


@pytest.fixture
def groups():
    return fit_groups(VALUES, ["pitch", "loudness"], 4, CANDIDATES, 2, None)


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


def test_nearest_group_first():
    assert reference_groups("speaker", "Ann", "female") == ("speaker: Ann", "gender: female", "overall")
    assert reference_groups("running", "Ann", "female") == ("gender: female", "overall")
    assert reference_groups("overall", "Ann", "female") == ("overall",)
    assert reference_groups("speaker", None, None) == ("overall",)


def test_groups_with_enough_rows_are_kept():
    rows = [reference_groups("speaker", name, "female") for name in ["Ann"] * 3 + ["Bea"] * 2 + ["overall"]]

    def kept(least, speakers):
        return list(fit_groups(np.ones((6, 1)), ["pitch"], 4, rows, least, speakers))

    assert kept(3, None) == ["overall", "gender: female", "speaker: Ann"]
    assert kept(3, ["Bea"]) == ["overall", "gender: female", "speaker: Bea"]
    assert kept(99, None) == ["overall"]


def test_past_means():
    values = np.array([[1.0, 10.0], [5.0, np.nan], [3.0, np.nan], [np.nan, 20.0], [8.0, 30.0], [7.0, 7.0]])
    dialogues = ["a", "a", "a", "a", "a", "b"]
    speakers = ["Ann", "Bea", "Ann", "Ann", "Ann", "Ann"]
    nan = np.nan
    after_one = [[nan, nan], [nan, nan], [1.0, 10.0], [2.0, 10.0], [2.0, 15.0], [nan, nan]]
    after_two = [[nan, nan], [nan, nan], [nan, nan], [2.0, nan], [2.0, 15.0], [nan, nan]]
    np.testing.assert_array_equal(past_means(dialogues, speakers, values, least=1), after_one)
    np.testing.assert_array_equal(past_means(dialogues, speakers, values, least=2), after_two)
    assert np.isnan(past_means(dialogues, [None] * 6, values, least=1)).all()


STATISTICS = {"count": 2, "mean": 0.1, "sd": 1 / 3, "median": 0.1, "thresholds": [-1.0, 1e-9]}


def as_json(entry):
    return json.loads(json.dumps(with_nulls(entry)))


def test_numbers_come_back_exactly_from_json():
    group = group_of(as_json({"rows": 2, "cues": {"a": STATISTICS}}))
    assert group == Group(2, {"a": CueStatistics(2, 0.1, 1 / 3, 0.1, (-1.0, 1e-9))})


def test_nan_is_null_in_json():
    entry = as_json({"rows": 0, "cues": {"a": {**STATISTICS, "thresholds": (np.nan, np.nan)}}})
    assert entry["cues"]["a"]["thresholds"] == [None, None]
    assert np.isnan(group_of(entry).cues["a"].thresholds).all()

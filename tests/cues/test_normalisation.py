import numpy as np

from speechcue_hf.cues.normalisation import kept_groups, past_means, reference_groups


def test_nearest_group_first():
    assert reference_groups("speaker", "Ann", "female") == ("speaker: Ann", "gender: female", "overall")
    assert reference_groups("running", "Ann", "female") == ("gender: female", "overall")
    assert reference_groups("overall", "Ann", "female") == ("overall",)
    assert reference_groups("speaker", None, None) == ("overall",)


def test_groups_with_enough_rows_are_kept():
    rows = [reference_groups("speaker", name, "female") for name in ["Ann"] * 3 + ["Bea"] * 2 + ["overall"]]
    assert kept_groups(rows, 3, None) == ["overall", "gender: female", "speaker: Ann"]
    assert kept_groups(rows, 3, ["Bea"]) == ["overall", "gender: female", "speaker: Bea"]
    assert kept_groups(rows, 99, None) == ["overall"]


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

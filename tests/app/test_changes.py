"""What is said of two takes."""

import pytest

from speechcue_hf.app.changes import changes, changes_table, marked_words

FIRST = {
    "text": "I <b>know</b>.",
    "description": "spoken softly, at the average pace",
    "duration_s": 1.25,
    "f0_mean_hz": None,
    "duration_s_level": "low",
    "emotion": "sad",
    "probabilities": {"sad": 0.75, "happy": 0.25},
}
SECOND = {**FIRST, "text": "I know!", "description": "spoken much more softly, at the average pace"}
SECOND |= {"duration_s": 1.0, "f0_mean_hz": 200.0, "duration_s_level": "very_low", "probabilities": {"sad": 1.0}}


def test_every_quantity_of_either_take_has_its_difference():
    found = {change.what: change for change in changes(FIRST, SECOND)}
    assert [*found] == ["Duration", "Mean pitch", "Probability of sad", "Probability of happy"]
    assert found["Duration"].difference == -0.25 and found["Duration"].levels == ("low", "very_low")
    assert found["Probability of sad"].difference == 0.25
    assert found["Mean pitch"].difference is None, "it is known of one take alone"
    assert found["Probability of happy"].values == (0.25, None)


def test_takes_that_no_model_heard_have_no_probabilities():
    silent = {key: value for key, value in FIRST.items() if key not in ("emotion", "probabilities")}
    assert [change.what for change in changes(silent, silent)] == ["Duration"]


@pytest.mark.parametrize("words", [("", ""), ("a b", ""), ("a b c", "b c d"), ("same", "same")])
def test_no_word_is_lost_and_those_of_both_stand_in_both(words):
    marked = marked_words(*words)
    assert tuple(" ".join(piece for piece, _ in pieces) for pieces in marked) == words
    first, second = ([piece for piece, changed in pieces if not changed] for pieces in marked)
    assert first == second


def test_the_table_marks_what_changed_and_makes_no_markup_of_words():
    table = changes_table(FIRST, SECOND)
    assert "I &lt;b&gt;know&lt;/b&gt;." in table and "<b>" not in table
    assert "<mark>much more</mark>" in table and "<mark>low → very low</mark>" in table
    assert "<td>1.25</td><td>1</td>\n<td>-0.25</td>" in table

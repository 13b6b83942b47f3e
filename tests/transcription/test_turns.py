from speechcue_hf.transcription.recognition import Word
from speechcue_hf.transcription.turns import SpokenTurn, share_out, stretches, text_of


def test_a_word_goes_to_the_turn_that_it_has_most_in_common_with():
    turns = [SpokenTurn(0, 2, speaker="A"), SpokenTurn(1.8, 4, speaker="B")]
    words = [Word(" a", 1.0, 1.9), Word(" b", 1.7, 2.4), Word(" late", 9.0, 9.5)]
    assert [[word.text for word in own] for own in share_out(words, turns)] == [[" a"], [" b", " late"]]


def test_a_word_within_two_turns_goes_to_the_one_whose_middle_is_nearer():
    word = Word(" x", 5.0, 5.2)
    assert share_out([word], [SpokenTurn(0, 12), SpokenTurn(4, 6)]) == [[], [word]]


def test_no_turns_take_no_words():
    assert share_out([], []) == []


def test_stretches_join_what_overlaps_and_leave_out_what_nobody_says():
    turns = [SpokenTurn(5, 6), SpokenTurn(0, 3), SpokenTurn(1, 2), SpokenTurn(6, 8)]
    assert [tuple(span) for span in stretches(turns)] == [(0, 3), (5, 8)]


def test_text_has_blanks_only_where_the_language_has():
    assert text_of([Word(" Ann", 0, 1), Word("'s", 1, 2), Word(" here.", 2, 3)]) == "Ann's here."
    assert text_of([Word("今天", 0, 1), Word("很好。", 1, 2)]) == "今天很好。"
    assert text_of([]) == ""

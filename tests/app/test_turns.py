import pytest

from speechcue_hf.app.turns import as_lines, parts_of, whole_clip, with_lines
from speechcue_hf.transcription.turns import SpokenTurn


@pytest.mark.parametrize(
    ("speaker", "text"),
    [("Ann", "Hello."), (None, "Hello."), (None, "Note: two: colons"), ("Ann", ""), (None, ""), ("Ann", "a: b")],
)
def test_lines_say_what_was_typed(speaker, text):
    turns = [{**whole_clip("a.wav"), "speaker": speaker, "text": text}] * 2
    assert with_lines([whole_clip("a.wav")] * 2, as_lines(turns)) == turns


def test_a_line_end_within_a_turn_begins_no_other():
    assert as_lines([{"speaker": "Ann", "text": "One\ntwo.  Three."}]) == "Ann: One two. Three."


def test_lines_may_be_missing_and_not_too_many():
    clips = [whole_clip("a.wav"), whole_clip("b.wav")]
    assert with_lines(clips, "Ann: Hello.\n\n")[1] == clips[1] and with_lines(clips, "") == clips
    with pytest.raises(ValueError, match="3 lines of words for 2 turns"):
        with_lines(clips, "a\nb\nc")


def test_parts_of_a_recording_know_where_they_are():
    turn = SpokenTurn(speaker="A", text="Hello.", start=0.5, end=1.5, channel=1)
    [part] = parts_of("call.wav", [turn])
    assert part == {"audio": "call.wav", "speaker": "A", "text": "Hello.", "start": 0.5, "end": 1.5, "channel": 1}

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechcue_hf.transcription.recognition import Heard, Word, windows_of
from speechcue_hf.transcription.settings import TranscriptionSettings
from speechcue_hf.transcription.transcribe import Recording, transcribe
from speechcue_hf.transcription.turns import SpokenTurn
from tests.transcription.spoken import RATE, agree, recording

SETTINGS = TranscriptionSettings()


class Counter:
    """Stands in for a recognizer: it says of each stretch how many tenths of a second it heard."""

    def __init__(self):
        self.heard = []

    def windows_of(self, spans):
        return windows_of(spans)

    def __call__(self, windows, batch_size):
        for window in windows:
            self.heard.append(window)
            words = [
                Word(f" {len(samples) * 10 // RATE}", span.start, span.end)
                for span, samples in zip(window.spans, window.samples, strict=True)
            ]
            yield Heard(window.key, words, "en")


def place(tmp_path, name, sound, rate=RATE):
    soundfile.write(tmp_path / f"{name}.wav", sound, rate)
    return Recording(name, tmp_path / f"{name}.wav")


def test_turns_of_a_call_have_their_speakers(tmp_path):
    sound, placed = recording([0.8, -0.4, 1.0, 0.7], channels=2)
    (made,) = transcribe([place(tmp_path, "call", sound)], Counter(), SETTINGS)
    assert agree(made.turns, placed)
    assert [turn.channel for turn in made.turns] == [it.channel for it in placed]
    assert [turn.speaker for turn in made.turns] == [f"call channel {it.channel}" for it in placed]
    assert [turn.language for turn in made.turns] == ["en"] * 5
    for turn in made.turns:
        assert int(turn.text) == pytest.approx((turn.end - turn.start) * 10, abs=2)


def test_what_is_heard_of_a_turn_is_its_own_sound(tmp_path):
    # The second speaker alone is loud at the overlap: a cut out of the wrong channel would show.
    sound, placed = recording([-0.5], channels=2)
    counter = Counter()
    list(transcribe([place(tmp_path, "call", sound)], counter, SETTINGS))
    for window, it in zip(counter.heard, placed, strict=True):
        first = round(window.spans[0].start * RATE)
        own = sound[first : first + len(window.samples[0]), it.channel]
        np.testing.assert_allclose(window.samples[0][: len(own)], own, atol=2e-3)


def test_nobody_knows_who_speaks_in_one_channel(tmp_path):
    sound, placed = recording([0.8, 1.0])
    (made,) = transcribe([place(tmp_path, "talk", sound)], Counter(), SETTINGS)
    assert agree(made.turns, placed)
    assert {(turn.speaker, turn.channel) for turn in made.turns} == {(None, None)}


def test_a_pause_is_what_the_settings_say(tmp_path):
    sound, _ = recording([0.8, 1.2])
    there = place(tmp_path, "talk", sound)
    (made,) = transcribe([there], Counter(), TranscriptionSettings(pause=1.5, speakers="one"))
    assert len(made.turns) == 1


def test_a_recording_that_cannot_be_read_keeps_its_place(tmp_path):
    sound, _ = recording([0.8])
    (tmp_path / "bad.wav").write_bytes(b"RIFFnothing")
    silent = place(tmp_path, "silent", np.zeros(3 * RATE))
    recordings = [silent, Recording("bad", tmp_path / "bad.wav"), place(tmp_path, "good", sound)]
    made = list(transcribe(recordings, Counter(), SETTINGS))
    assert [it.recording.name for it in made] == ["silent", "bad", "good"]
    assert made[0].problem == "no speech was found"
    assert "bad.wav" in made[1].problem
    assert (made[2].problem, len(made[2].turns)) == (None, 2)


def test_given_turns_stay_as_they_are(tmp_path):
    sound, placed = recording([-0.4, 0.8])
    turns = [SpokenTurn(it.start, it.end, speaker="AB"[number % 2]) for number, it in enumerate(placed)]
    there = place(tmp_path, "talk", sound)._replace(turns=turns)
    counter = Counter()
    (made,) = transcribe([there], counter, SETTINGS)
    assert [(turn.start, turn.end, turn.speaker) for turn in made.turns] == [
        (turn.start, turn.end, turn.speaker) for turn in turns
    ]
    # Turns that overlap are heard as one stretch, once.
    assert [len(window.spans) for window in counter.heard] == [2]


def test_a_given_turn_that_is_longer_than_a_window_is_heard_in_parts(tmp_path):
    sound, _ = recording([0.3] * 13)
    length = len(sound) / RATE
    assert length > 28
    there = place(tmp_path, "talk", sound)._replace(turns=[SpokenTurn(0.0, length)])
    counter = Counter()
    (made,) = transcribe([there], counter, SETTINGS)
    assert all(span.end - span.start <= 28 for window in counter.heard for span in window.spans)
    assert len(made.turns) == 1
    assert len(made.turns[0].text.split()) >= 2


def test_speakers_are_told_by_a_diariser(tmp_path):
    sound, placed = recording([0.8, 0.9, 1.0])
    there = place(tmp_path, "talk", sound)

    def diariser(path: Path) -> list[SpokenTurn]:
        assert path == there.path
        # Two parts of one turn, as diarisers cut them.
        a, b, *others = [SpokenTurn(it.start, it.end, speaker=f"S{i % 2}") for i, it in enumerate(placed)]
        middle = (a.start + a.end) / 2
        return [SpokenTurn(a.start, middle, speaker="S0"), SpokenTurn(middle + 0.1, a.end, speaker="S0"), b, *others]

    (made,) = transcribe([there], Counter(), SETTINGS, diariser=diariser)
    assert agree(made.turns, placed)
    assert [turn.speaker for turn in made.turns] == ["talk S0", "talk S1"] * 2


def test_settings_that_mean_nothing_are_refused():
    for wrong in (
        {"speakers": "all"},
        {"pause": 0.0},
        {"longest_turn": 60.0},
        {"diariser": "a/b", "speakers": "channels"},
    ):
        with pytest.raises(ValueError, match=r"must be|choose one"):
            TranscriptionSettings(**wrong)

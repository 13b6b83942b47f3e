"""What the command line gives the page; the app itself is started in ``tests/app``."""

import argparse
import os
import signal
import sys

import pytest
import soundfile

from speechcue_hf.cli import main
from speechcue_hf.commands import app
from speechcue_hf.transcription.turns import SpokenTurn
from tests.transcription.spoken import RATE, recording


def test_without_gradio_the_extra_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "speechcue_hf.app.page", raising=False)
    assert main(["app"]) == 1
    assert "pip install 'speechcue_hf[app]'" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def parsed(*words):
    parser = argparse.ArgumentParser()
    app.add_arguments(parser)
    return parser.parse_args(words)


def test_models_and_describers_are_lists_to_choose_from():
    arguments = parsed("--model", "a", "b", "--describer", "c", "--model", "d")
    assert arguments.model == ["a", "b", "d"] and arguments.describer == ["c"]
    assert parsed().model == parsed().describer == [] and parsed().recognizer is None


def test_no_option_is_taken_and_ignored():
    with pytest.raises(SystemExit):
        parsed("--turns", "call.rttm")


def test_who_speaks_is_told_apart_without_a_recognizer_by_a_model_that_is_loaded_once(monkeypatch, tmp_path):
    sound, (first, second) = recording([0.8])
    soundfile.write(tmp_path / "call.wav", sound, RATE)
    loads = []

    def load(name, revision):
        loads.append((name, revision))
        return lambda _: [SpokenTurn(*first[1:], speaker="A"), SpokenTurn(*second[1:], speaker="B")]

    monkeypatch.setattr("speechcue_hf.transcription.diarisation.load_diariser", load)
    found = app.choices(parsed("--diarise", str(tmp_path))).find_turns
    for _ in range(2):
        assert [turn.speaker for turn in found(tmp_path / "call.wav").turns] == ["call A", "call B"]
    assert loads == [(str(tmp_path), None)]


@pytest.mark.parametrize("port", ["0", "-1", "http"])
def test_a_port_that_is_none_is_wrong_usage(port):
    with pytest.raises(SystemExit):
        parsed("--port", port)


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit):
        main(["app", "--help"])
    assert "speechcue app --model" in capsys.readouterr().out

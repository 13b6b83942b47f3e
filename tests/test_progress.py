import logging

import pytest

from speechcue_hf import progress


def test_items_come_through_unchanged(caplog):
    with caplog.at_level(logging.INFO):
        assert list(progress.progress(range(5), "Counting", "numbers")) == [0, 1, 2, 3, 4]
        assert list(progress.progress([1], "Counting", "numbers")) == [1]
    assert not caplog.messages


def test_long_work_says_in_a_log_how_far_it_is(caplog, monkeypatch, capsys):
    clock = iter(range(0, 1000, 40))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with caplog.at_level(logging.INFO), progress.counting("Writing", 1200, "texts", done=1000) as count:
        count(50)
        count(100)
    assert caplog.messages == ["Writing: 1,150 of 1,200 texts"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_shown_on_a_terminal_only(terminal, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    assert list(progress.progress(range(3), "Counting", "numbers")) == [0, 1, 2]
    assert ("Counting" in capsys.readouterr().err) == terminal

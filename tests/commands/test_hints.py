"""The hints that commands print (``Next: …``) lead, as they stand, from a corpus to the card of a model."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from speechcue_hf.cli import main
from tests.recognizer_runs import write_conversations

pytestmark = pytest.mark.slow


def test_each_hint_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    write_conversations(tmp_path / "raw")
    said = "Next: speechcue prepare folder --data-dir raw -o 'my data/prepared'"
    taken = []
    while hints := [line for line in said.splitlines() if line.startswith("Next: ")]:
        [hint] = hints
        program, *words = shlex.split(hint.removeprefix("Next: "))
        assert program == "speechcue" and main(words) == 0, hint
        taken.append(words[0])
        said = capsys.readouterr().out
    assert taken == ["prepare", "measure", "describe", "train", "evaluate", "card"]
    assert (tmp_path / "my data" / "run" / "README.md").is_file()

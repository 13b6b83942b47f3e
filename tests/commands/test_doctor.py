from speechcue_hf.cli import main
from speechcue_hf.commands import doctor
from speechcue_hf.environment import Finding


def test_prints_versions_and_findings(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda: [Finding("note", "no token", "hf auth login")])
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert "datasets" in printed and "→ hf auth login" in printed


def test_a_problem_is_exit_code_1(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda: [Finding("problem", "torchaudio does not import", "remove it")])
    assert main(["doctor"]) == 1
    assert "1 problem found" in capsys.readouterr().err

import argparse
import ast
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from speechcue_hf import cli
from speechcue_hf.errors import CorpusError


def command_that(action):
    return SimpleNamespace(
        EXAMPLES="examples:\n  speechcue doctor", add_arguments=lambda parser: None, run=lambda arguments: action()
    )


def fails():
    raise CorpusError("train_sent_emo.csv has 9,988 rows, the release has 9,989")


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_each_command_has_help_with_examples(name, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0
    assert f"speechcue {name}" in capsys.readouterr().out.split("examples:")[1]


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_examples_in_the_help_can_be_typed_as_they_stand(name):
    examples = cli.import_module(f"speechcue_hf.commands.{name.replace('-', '_')}").EXAMPLES.replace("\\\n", " ")
    lines = [shlex.split(line, comments=True) for line in examples.splitlines() if line.startswith("  speechcue ")]
    assert lines
    for line in lines:
        arguments = [argument.replace("$SLURM_ARRAY_TASK_ID", "0") for argument in line[1:]]
        assert cli._parse(cli._parser([name]), arguments).command == name


@pytest.mark.parametrize("wrong", [[], ["nonsense"], ["doctor", "--nonsense"]])
def test_wrong_usage_is_exit_code_2(wrong):
    with pytest.raises(SystemExit) as stop:
        cli.main(wrong)
    assert stop.value.code == 2


def test_a_failure_is_one_line_and_exit_code_1(capsys, monkeypatch):
    monkeypatch.setattr(cli, "import_module", lambda name: command_that(fails))
    assert cli.main(["doctor"]) == 1
    assert capsys.readouterr().err == "speechcue doctor: train_sent_emo.csv has 9,988 rows, the release has 9,989\n"


@pytest.mark.parametrize("error", [KeyError("rows"), TypeError("a\nb"), AttributeError(), RecursionError("x" * 9999)])
def test_what_nobody_foresaw_is_one_line_with_an_exit_code_of_its_own(error, capsys, monkeypatch):
    def breaks():
        raise error

    monkeypatch.setattr(cli, "import_module", lambda name: command_that(breaks))
    assert cli.main(["doctor"]) == 3
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and len(said) < 700
    assert said.startswith(f"speechcue doctor: unexpected {type(error).__name__}")
    assert said.endswith("(run it again with -v to see where, and report that)\n")


def test_verbose_shows_where_nobody_foresaw_it(capsys, caplog, monkeypatch):
    monkeypatch.setattr(cli, "import_module", lambda name: command_that(lambda: {}["rows"]))
    assert cli.main(["-v", "doctor"]) == 3
    assert "Traceback" in caplog.text
    assert capsys.readouterr().err.endswith("(please report it with the lines above)\n")


def test_a_command_that_is_stopped_says_so(capsys, monkeypatch):
    def stopped():
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "import_module", lambda name: command_that(stopped))
    assert cli.main(["doctor"]) == 130
    assert capsys.readouterr().err == "speechcue doctor: stopped\n"


@pytest.mark.parametrize("when", [lambda fails: lambda name: command_that(fails), lambda fails: fails])
def test_a_missing_library_leads_to_the_doctor(when, capsys, monkeypatch):
    def needs_torch(*_):
        raise ModuleNotFoundError("No module named 'torch'")

    monkeypatch.setattr(cli, "import_module", when(needs_torch))
    assert cli.main(["train"]) == 1
    assert capsys.readouterr().err == (
        "speechcue train: No module named 'torch' (`speechcue doctor` finds what is not installed)\n"
    )


@pytest.mark.parametrize("arguments", [["-v", "doctor"], ["doctor", "-v"]])
def test_verbose_is_taken_before_and_after_the_command(arguments, monkeypatch):
    seen = []
    command = SimpleNamespace(EXAMPLES="", add_arguments=lambda parser: None, run=seen.append)
    monkeypatch.setattr(cli, "import_module", lambda name: command)
    assert cli.main(arguments) == 0
    assert isinstance(seen[0], argparse.Namespace) and seen[0].verbose is True


@pytest.mark.parametrize("switch", ["HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS"])
def test_either_switch_turns_progress_bars_off(switch, tmp_path):
    environment = {name: value for name, value in os.environ.items() if "PROGRESS" not in name}
    command = [sys.executable, "-m", "speechcue_hf.cli", "prepare", "demo", "-o", str(tmp_path / "demo")]
    environment |= {"HF_HOME": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    shown = subprocess.run(command, capture_output=True, text=True, env={**environment, switch: "1"})
    assert (shown.returncode, shown.stderr) == (0, "")


def test_the_command_line_is_a_program():
    shown = subprocess.run([sys.executable, "-m", "speechcue_hf.cli", "--version"], capture_output=True, text=True)
    assert (shown.returncode, shown.stdout.split()[0]) == (0, "speechcue_hf")


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_shell_gets_completion_for_every_command(shell, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--print-completion", shell])
    assert stop.value.code == 0
    script = capsys.readouterr().out
    assert all(name in script for name in cli.COMMANDS) and "--baseline" in script


@pytest.mark.parametrize("line", [["data", "-o", "out"], ["--dataset", "data", "-o", "out"], ["-o", "out", "data"]])
@pytest.mark.parametrize("name", ["measure", "describe", "biographies", "caption", "probe"])
def test_a_dataset_folder_is_named_in_either_way(name, line):
    assert cli._parse(cli._parser([name]), [name, *line]).dataset == Path("data")


@pytest.mark.parametrize("line", [[], ["a", "--dataset", "b"]])
def test_no_dataset_folder_or_two_are_wrong_usage(line, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["measure", *line, "-o", "out"])
    assert stop.value.code == 2
    assert ("name the dataset folder" if not line else "two dataset folders are given") in capsys.readouterr().err


@pytest.mark.parametrize("given", [["a", "b"], ["a,b"], ["a, b"], ["a", "--cues", "b"]])
def test_lists_stand_between_blanks_or_commas(given):
    line = ["probe", "data", "-o", "out", "--cues", *given]
    assert cli._parse(cli._parser(["probe"]), line).cues == ["a", "b"]


@pytest.mark.parametrize("wrong", ["0", "-1", "two", "1.5"])
def test_a_number_that_must_be_positive(wrong, capsys):
    with pytest.raises(SystemExit):
        cli.main(["compare", "a", "b", f"--draws={wrong}"])
    assert "must be a whole number above 0" in capsys.readouterr().err


def test_a_log_gets_no_bars(tmp_path):
    environment = {name: value for name, value in os.environ.items() if "PROGRESS" not in name}
    environment |= {"HF_HOME": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-m", "speechcue_hf.cli", "prepare", "demo", "-o", str(tmp_path / "demo")]
    shown = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (shown.returncode, shown.stderr) == (0, "")


def _parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """A parser and those of its commands."""
    kinds = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [parser, *(it for kind in kinds for below in kind.choices.values() for it in _parsers(below))]


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_no_abbreviation_is_taken_for_an_option(name):
    for parser in _parsers(cli._parser([name])):
        for action in parser._actions:
            for option in action.option_strings:
                shorter = option[:-1]
                if option.startswith("--") and len(shorter) > 2 and shorter not in parser._option_string_actions:
                    assert parser._parse_optional(shorter) is None or not any(
                        found[0] for found in _found(parser, shorter)
                    ), option


def _found(parser: argparse.ArgumentParser, option: str) -> list[tuple]:
    """What a parser makes of an option: one tuple in Python up to 3.11, a list of them later."""
    found = parser._parse_optional(option)
    return [found] if isinstance(found, tuple) else found


SCRIPTS = [path for folder in ("dataset_scripts", "recipes", "benchmarks") for path in Path(folder).glob("*.py")]


@pytest.mark.parametrize("path", SCRIPTS, ids=str)
def test_scripts_take_no_abbreviation_either(path):
    made = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("ArgumentParser", "add_parser"))
    ]
    for call in made:
        assert {"allow_abbrev": False}.items() <= {
            keyword.arg: getattr(keyword.value, "value", None) for keyword in call.keywords
        }.items()


def test_an_abbreviated_option_is_wrong_usage(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["compare", "a", "b", "--draw", "10"])
    assert stop.value.code == 2
    assert "--draw" in capsys.readouterr().err

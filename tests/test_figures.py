"""Figures of speed and score in the README and the documentation are those of data files."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("figures", ROOT / "benchmarks" / "figures.py")
figures = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(figures)

NUMBER = r"\d+(?:[.,]\d+)*"
FIGURE = re.compile(
    rf"({NUMBER}) ± ({NUMBER})|({NUMBER})(?: and ({NUMBER}))?"
    r"(?= (?:times\s+(?:faster|fewer|less|slower)|CPU[- ](?:s\b|seconds|minutes)|ms per s|points\b|weighted F1))"
)
"""Numbers with a unit of speed or score; lengths, limits and settings have others."""

SHOWN = [path for path in figures.PAGES if path.parent.name != "benchmarks"]
PUBLISHED = ROOT / "speechcue_hf" / "evaluation" / "published_figures.json"


def known() -> set[str]:
    """Numbers that benchmarks printed, and those of papers."""
    printed = [path.read_text(encoding="utf-8") for path in (*(ROOT / "benchmarks").glob("*.json"), PUBLISHED)]
    return set(re.findall(NUMBER, "\n".join(printed)))


def prose(page: str) -> str:
    """A page without its blocks of figures and of code."""
    return re.sub(r"^```.*?^```$", "", figures.BLOCK.sub("", page), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("path", figures.PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_tables_are_as_the_data_files_have_them(path):
    page = path.read_text(encoding="utf-8")
    assert figures.rendered(page) == page, "run python benchmarks/figures.py"


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_figure_is_in_a_data_file(path):
    found = {
        number for groups in FIGURE.findall(prose(path.read_text(encoding="utf-8"))) for number in groups if number
    }
    assert found <= known(), found - known()


def test_a_figure_without_a_data_file_is_found():
    text = prose(
        "It is 123.45 times\nfaster, 61.3 ± 0.4.\n```text\n9.9 times faster\n```\n<!-- figures: loading 0 -->\n"
    )
    assert {number for groups in FIGURE.findall(text) for number in groups if number} == {"123.45", "61.3", "0.4"}


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.json")), ids=lambda path: path.stem)
def test_a_data_file_says_where_it_comes_from(path):
    data = json.loads(path.read_text(encoding="utf-8"))
    program = re.search(r"python benchmarks/(\w+)\.py", data["command"])[1]
    assert path.stem.startswith(program) and (ROOT / "benchmarks" / f"{program}.py").is_file()
    assert data["run_on"] and data["printed"]


def test_what_a_benchmark_prints_is_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(figures, "FOLDER", tmp_path)
    monkeypatch.delenv("SPEECHCUE_RECORDED_BY", raising=False)
    monkeypatch.setattr(figures.sys, "argv", ["benchmarks/a.py", "--count", "3"])
    with figures.recorded("a"):
        print("Some clips:\n\n| a | b |\n|---|---|\n| 1 | 2 |")
    monkeypatch.delenv("SPEECHCUE_RECORDED_BY", raising=False)
    assert json.loads((tmp_path / "a.json").read_text())["command"] == "python benchmarks/a.py --count 3"
    assert figures.blocks("a") == ["| a | b |\n|---|---|\n| 1 | 2 |", "```\nSome clips:\n```"]


def test_benchmarks_take_no_more_of_the_tests_than_servers_and_references():
    programs = (ROOT / "benchmarks").glob("*.py")
    using = {path.stem for path in programs if re.search(r"^(?:from|import) tests", path.read_text(), re.MULTILINE)}
    assert using <= {"loading", "server", "measure", "probe", "equality"}

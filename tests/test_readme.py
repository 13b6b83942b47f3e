"""What the README shows is what happens."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import get_dataset_config_names

from speechcue_hf.cli import COMMANDS
from speechcue_hf.corpora.catalogue import corpora
from speechcue_hf.corpora.parquet import write_dataset
from speechcue_hf.training.recipes import packaged_recipes
from tests.demo_slice import demo_slice

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RECIPES = (ROOT / "recipes" / "README.md").read_text(encoding="utf-8")
EXTENDING = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


def block_after(marker, text=README):
    return re.search(rf"<!-- {marker} -->\n```\w+\n(.*?)```", text, re.DOTALL).group(1)


def test_the_usage_example_prints_what_it_says(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-c", block_after("usage")], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ran.stdout == block_after("usage-output")


@pytest.mark.parametrize("corpus", corpora())
def test_the_table_names_each_corpus_with_its_configs(corpus):
    assert f"`speechcue/{corpus}`" in README
    configs = get_dataset_config_names(f"speechcue/{corpus}")
    assert configs == ["default"] or all(f"`{config}`" in README for config in configs)


def test_the_commands_shown_exist():
    shown = set(re.findall(r"\bspeechcue ([a-z]+) ", README))
    assert shown <= set(COMMANDS), shown - set(COMMANDS)


def test_the_recipes_shown_exist():
    shown = set(re.findall(r"--config ([\w./-]+)", README + RECIPES))
    assert shown and shown <= set(packaged_recipes()), shown - set(packaged_recipes())


def test_the_corpus_that_is_shown_is_the_one_that_is_tested():
    tested = (ROOT / "tests" / "corpora" / "outside" / "cheers.py").read_text(encoding="utf-8")
    assert block_after("corpus", EXTENDING) == tested


def test_the_cue_that_is_shown_is_measured(tmp_path):
    write_dataset(demo_slice(), tmp_path / "data" / "demo")
    shown = block_after("cue", EXTENDING) + "print(min(measured['test']['crest_ratio']) > 1)"
    ran = subprocess.run([sys.executable, "-c", shown], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout == "True\n"


def test_every_link_into_the_repository_leads_somewhere():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links and all((ROOT / link).exists() for link in links), links


def test_there_are_two_commands_for_a_fresh_machine():
    for marker, job in (("main-job", "bin/speechcue quickstart"), ("test-command", "bin/pytest")):
        command = block_after(marker)
        assert command.startswith("python3 -m venv") and job in command and command.count("\n") == 1

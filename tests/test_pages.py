"""What the README and the documentation show can be typed, and leads somewhere; ``tests/pages.py`` runs it."""

import json
import re
from itertools import takewhile
from pathlib import Path

import pytest
import yaml
from datasets import get_dataset_config_names

from speechcue_hf import cli
from speechcue_hf.corpora.catalogue import corpora
from speechcue_hf.training.recipes import packaged_recipes
from tests.pages import PATTERNS, ROOT, commands

PAGES = [path for pattern in PATTERNS for path in sorted(ROOT.glob(pattern))]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CORPORA = (ROOT / "docs" / "how-to" / "corpora.md").read_text(encoding="utf-8")
TUTORIALS = ROOT / "docs" / "tutorials"
NOTEBOOKS = sorted(TUTORIALS.glob("*.ipynb"))


def block_after(marker: str, text: str = README) -> str:
    return re.search(rf"<!-- {marker} -->\n```\w+\n(.*?)```", text, re.DOTALL).group(1)


def typed(text: str) -> list[list[str]]:
    """The commands of a text: those of its blocks, and those in backticks."""
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [words for block in blocks for words in commands(block) if words[0] == "speechcue"]


def cells_of(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def of_notebook(path: Path) -> str:
    sources = ["".join(cell["source"]) for cell in cells_of(path)]
    shell = [source.removeprefix("%%bash") for source in sources if source.startswith("%%bash\n")]
    return "".join(f"```bash\n{source}\n```\n" for source in shell)


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_can_be_typed_as_they_stand(path):
    text = of_notebook(path) if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")
    for words in typed(text):
        line = [*takewhile(lambda word: word not in {"|", "2>"}, words[1:])]
        line = [word.replace("$SLURM_ARRAY_TASK_ID", "1") for word in line]
        assert cli._parse(cli._parser([line[0]]), line).command == line[0]
        assert "--config" not in line or line[line.index("--config") + 1] in packaged_recipes()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_in_the_text_exist(path):
    shown = set(re.findall(r"`speechcue ([a-z]+(?:-[a-z]+)?)\b", path.read_text(encoding="utf-8")))
    assert shown <= {*cli.COMMANDS}, shown - {*cli.COMMANDS}


@pytest.mark.parametrize("corpus", corpora())
def test_the_table_names_each_corpus_with_its_configs(corpus):
    assert f"`speechcue/{corpus}`" in CORPORA
    configs = get_dataset_config_names(f"speechcue/{corpus}")
    assert configs == ["default"] or all(f"`{config}`" in CORPORA for config in configs)


def test_the_corpus_that_is_shown_is_the_one_that_is_tested():
    tested = (ROOT / "tests" / "corpora" / "outside" / "cheers.py").read_text(encoding="utf-8")
    assert block_after("corpus", (ROOT / "docs" / "how-to" / "extend.md").read_text(encoding="utf-8")) == tested


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "recipes/README.md"])
def test_links_into_the_repository_lead_somewhere(name):
    """Those among the pages of the site are checked when it is built."""
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / name).read_text(encoding="utf-8"))
    assert all(((ROOT / name).parent / link).exists() for link in links), links


def test_pictures_of_the_readme_are_seen_outside_the_repository_too():
    """PyPI shows the README alone: addresses are those at which the project's host shows files of this repository."""
    source = re.search(r"Source = https://github\.com/(\S+)", (ROOT / "setup.cfg").read_text(encoding="utf-8"))[1]
    shown = re.findall(r"!\[[^\]]+\]\((\S+?)\)", README)
    places = [address.removeprefix(f"https://raw.githubusercontent.com/{source}/main/") for address in shown]
    assert len(shown) >= 3 and all((ROOT / place).is_file() for place in places), shown


def test_there_are_two_commands_for_a_fresh_machine():
    for marker, job in (("main-job", "bin/speechcue quickstart"), ("test-command", "bin/pytest")):
        command = block_after(marker)
        assert command.startswith("python3 -m venv") and job in command and command.count("\n") == 1


def test_the_readme_is_short():
    assert README.count("\n") <= 200


def test_the_manifest_names_every_notebook_with_its_limit():
    manifest = yaml.safe_load((TUTORIALS / "manifest.yaml").read_text(encoding="utf-8"))
    assert {*manifest} == {path.stem for path in NOTEBOOKS}
    assert all(limits["seconds"] > 0 for limits in manifest.values())
    index = (TUTORIALS / "index.md").read_text(encoding="utf-8")
    assert all(f"({name}.md)" in index for name in manifest)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_hold_no_outputs(path):
    cells = [cell for cell in cells_of(path) if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    assert cells[0]["metadata"]["tags"] == ["skip-execution"] and cells[0]["source"][0].startswith("%pip install")

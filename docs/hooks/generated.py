"""Pages of the reference made of the package at each build: API, commands, files, recipes, prompts, figures."""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
from dataclasses import fields
from graphlib import TopologicalSorter
from importlib import import_module
from inspect import getdoc
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import speechcue_hf
from speechcue_hf import cli, records
from speechcue_hf.corpora.catalogue import corpora
from speechcue_hf.prompts.specification import load_prompt, presets
from speechcue_hf.training.recipes import packaged_recipes

ROOT = Path(__file__).parents[2]
SUMMARY = re.compile(r"^- (.+?): ((?:``\w+``(?:, )?)+)$", re.MULTILINE)
_LAYER = "display: flex; flex-wrap: wrap; gap: .5rem; margin-bottom: .5rem"
_BOX = "flex: 1 1 9rem; border: 1px solid var(--md-default-fg-color--lighter); border-radius: .3rem; padding: .5rem"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for name, make in PAGES.items():
        files.append(File.generated(config, f"reference/{name}.md", content=make()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Draw the rooms where a page asks for them."""
    return markdown.replace("<!-- rooms -->", rooms()) if "<!-- rooms -->" in markdown else markdown


def rooms() -> str:
    """The packages below ``speechcue_hf`` in layers, each of which imports from those below it alone.

    Raises:
        graphlib.CycleError: If imports go round in a circle.
    """
    package = Path(speechcue_hf.__file__).parent
    names = {path.parent.name: path for path in package.glob("*/__init__.py")}
    imports = {
        name: {found for file in path.parent.rglob("*.py") for found in _imported(file) if found in names} - {name}
        for name, path in names.items()
    }
    height: dict[str, int] = {}
    for name in TopologicalSorter(imports).static_order():
        height[name] = 1 + max((height[other] for other in imports[name]), default=0)
    drawn = []
    for layer in sorted({*height.values()}, reverse=True):
        boxes = [
            _room(name, ast.get_docstring(ast.parse(names[name].read_text(encoding="utf-8"))))
            for name in sorted(names)
            if height[name] == layer
        ]
        drawn.append(f'<div style="{_LAYER}">{"".join(boxes)}</div>')
    return "\n".join(drawn)


def _room(name: str, said: str | None) -> str:
    first = (said or "").splitlines()[0].replace("``", "")
    about = re.sub(r":\w+:`[^`]+\.(\w+)`", r"\1", first)
    return f'<div style="{_BOX}"><strong>{name}</strong><br><small>{about}</small></div>'


def _imported(file: Path) -> set[str]:
    """Packages below ``speechcue_hf`` that a module imports when it runs."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    typing = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and getattr(branch.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    modules = [
        node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and id(node) not in typing
    ]
    return {module.split(".")[1] for module in modules if module.startswith("speechcue_hf.")}


def api() -> str:
    """What ``speechcue_hf`` exports, in the groups of its docstring, from the docstrings of each."""
    stub = ast.parse(Path(speechcue_hf.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    places = {
        alias.name: f"speechcue_hf.{node.module}.{alias.name}"
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    parts = [
        "# API",
        "Everything for use is imported from `speechcue_hf` itself. Errors that a caller can do something about are "
        "`SpeechcueError`s; their messages name the fix.",
    ]
    for title, names in SUMMARY.findall(speechcue_hf.__doc__ or ""):
        parts.append(f"## {title[0].upper()}{title[1:]}")
        parts += [f"::: {places.pop(name)}" for name in re.findall(r"\w+", names)]
    parts.append("## Further")
    parts += [f"::: {place}" for place in places.values()]
    return "\n\n".join(parts)


def commands() -> str:
    """The help of every command, as its parser prints it."""
    os.environ["COLUMNS"] = "100"
    parser = cli._parser([*cli.COMMANDS])
    [subparsers] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    parts = ["# Commands", "What `speechcue COMMAND --help` prints.", _text(parser.format_help())]
    for name in cli.COMMANDS:
        parts += [f"## {name}", _text(subparsers.choices[name].format_help())]
    return "\n\n".join(parts)


def files() -> str:
    """The records that lie beside data and models, from the classes that read them."""
    found = [
        kind
        for module in RECORDS
        for kind in vars(import_module(module)).values()
        if isinstance(kind, type) and issubclass(kind, records.Record) and "FILE" in vars(kind)
    ]
    parts = [
        "# Files",
        "JSON beside data and models says how it was made. Missing keys take their defaults, unknown ones stay, and "
        "a newer format than this release knows is refused by name.",
    ]
    for kind in sorted({kind.FILE: kind for kind in found}.values(), key=lambda kind: kind.FILE):
        parts += [f"## `{kind.FILE}`", f"Format {kind.FORMAT}.", *_documented(kind)]
    return "\n\n".join(parts)


def _documented(kind: type[records.Record]) -> list[str]:
    """What a record's docstring says, and its keys with what it says of each."""
    text = re.sub(r":\w+:`~?([\w.]+)`", r"`\1`", (kind.__doc__ or "").replace("``", "`"))
    said, told = [*re.split(r"\n    (?:Args|Attributes):\n", text), ""][:2]
    meanings = dict(re.findall(r"^ {8}(\w+): (.+(?:\n {12}.+)*)", told, re.MULTILINE))
    keys = [it.name for it in fields(kind) if it.name != "unknown"]
    rows = [f"| `{key}` | {' '.join(meanings.get(key, '').split()).replace('|', chr(92) + '|')} |" for key in keys]
    return [" ".join(said.split()), "\n".join(["| key | meaning |", "|---|---|", *rows])]


def releases() -> str:
    """What each corpus is and what its release needs, from its loader and from what is known of it."""
    parts = ["# Releases", "What each loader reads, and what may be passed on of it; it refuses a copy that differs."]
    for name, known in corpora().items():
        text = getdoc(import_module(known.loader)) or ""
        text = re.sub(r"::\n\n((?: {4}.*\n?)+)", r":\n\n\1", text).replace("``", "`")
        rows = {"licence": known.licence, "may leave": MAY_LEAVE[known.may_leave], "cite": known.citation}
        table = [f"| {key} | {value} |" for key, value in rows.items() if value]
        parts += [f"## {name}", re.sub(r"(https?://[^\s;,)]+[^\s;,).])", r"<\1>", text)]
        parts += ["\n".join(["| | |", "|---|---|", *table])]
    return "\n\n".join(parts)


def recipes() -> str:
    """Every recipe with its first line, and its settings."""
    parts = ["# Recipes", "`speechcue recipes NAME -o FILE` writes one out to change."]
    for name, path in packaged_recipes().items():
        text = path.read_text(encoding="utf-8")
        parts += [f"## {name}", text.splitlines()[0].lstrip("# "), _folded("settings", f"```yaml\n{text.strip()}\n```")]
    return "\n\n".join(parts)


def prompts() -> str:
    """Every preset with its settings, and its template."""
    parts = ["# Prompts", "`prompt: NAME` in a recipe; `{extends: NAME, setting: value}` changes one."]
    for name in presets():
        values = load_prompt(name).to_values()
        template = values.pop("template")
        settings = json.dumps({key: value for key, value in values.items() if key != "name"}, indent=2)
        parts += [f"## {name}", f"```json\n{settings}\n```", _folded("template", f"````jinja\n{template}\n````")]
    return "\n\n".join(parts)


def benchmarks() -> str:
    """What each benchmark measured, with the command that measures it again, and the notes beside it."""
    parts = ["# Benchmarks", "What was measured, by which command, on what. `benchmarks/NAME.json` has each as data."]
    for path in sorted((ROOT / "benchmarks").glob("*.md")):
        notes = re.sub(r"^(#+) ", r"#\1 ", path.read_text(encoding="utf-8").strip(), flags=re.MULTILINE)
        title, _, rest = notes.partition("\n")
        parts.append(f"{title} {{ #{path.stem} }}\n{rest}")
    return "\n\n".join(parts)


def _text(text: str) -> str:
    return f"```text\n{text.strip()}\n```"


def _folded(title: str, block: str) -> str:
    """A block that opens when its title is clicked."""
    return f'<details markdown="1"><summary>{title}</summary>\n\n{block}\n\n</details>'


MAY_LEAVE = {
    "everything": "everything",
    "annotations": "all but the clips",
    "cues": "ids, measurements and descriptions alone",
}
RECORDS = (
    "speechcue_hf.records",
    "speechcue_hf.cues.describe",
    "speechcue_hf.cues.settings",
    "speechcue_hf.prompts.specification",
    "speechcue_hf.transcription.settings",
)
PAGES = {
    "api": api,
    "commands": commands,
    "files": files,
    "releases": releases,
    "recipes": recipes,
    "prompts": prompts,
    "benchmarks": benchmarks,
}

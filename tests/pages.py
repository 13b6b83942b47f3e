"""Code blocks of the README and the documentation, run by Sybil: they do what they show, and print what they say.

- A block of ``python`` runs, in the names of the blocks before it on its page.
- A block of ``bash`` runs its ``speechcue`` commands in this process; nothing else is run.
- A block of ``text`` is what the block before it printed; ``…`` stands for anything.
- ``<!-- skip: next "reason" -->``, or ``start`` and ``end``, keep blocks from running; ``tests/test_pages.py`` checks
  that their commands could be typed.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import shlex
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from speechcue_hf import cli
from speechcue_hf.corpora import catalogue
from speechcue_hf.cues import table

ROOT = Path(__file__).parents[1]
PATTERNS = ["README.md", "CONTRIBUTING.md", "recipes/README.md", "docs/*.md", "docs/*/*.md"]


def commands(block: str) -> list[list[str]]:
    """Command lines of a block of ``bash``, in words."""
    lines = block.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def run_commands(example: Example) -> None:
    """Run ``speechcue`` commands."""
    with printing(example):
        for words in commands(example.parsed):
            assert words[0] == "speechcue", f"{words[0]} is not run: skip this block, or leave it out"
            assert cli.main(words[1:]) == 0, words


def run_program(example: Example) -> None:
    """Run Python."""
    with printing(example):
        exec(compile(example.parsed, example.path, "exec"), example.namespace)


def compare_output(example: Example) -> str | None:
    """Compare what was printed last."""
    printed = example.namespace.pop("__printed__", None)
    assert printed is not None, "no block before it has run: skip this one as well"
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    wanted, checker = str(example.parsed).replace("…", "..."), doctest.OutputChecker()
    if checker.check_output(wanted, printed, options):
        return None
    return checker.output_difference(doctest.Example("", wanted), printed, options)


@contextlib.contextmanager
def printing(example: Example) -> Any:
    """Keep what is printed, for the block of text that may follow."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        yield
    example.namespace["__printed__"] = printed.getvalue()


def enter_folder(namespace: dict[str, Any]) -> None:
    """Each page runs in an empty folder of its own, and what it registers is gone after it."""
    namespace["__leave__"] = stack = contextlib.ExitStack()
    for registry in (catalogue, table):
        stack.enter_context(mock.patch.object(registry, "_added", {}))
    folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
    stack.callback(os.chdir, os.getcwd())
    os.chdir(folder)


def leave_folder(namespace: dict[str, Any]) -> None:
    """Go back to where the tests run."""
    namespace["__leave__"].close()


PAGES = Sybil(
    parsers=[
        CodeBlockParser(language="python", evaluator=run_program),
        CodeBlockParser(language="bash", evaluator=run_commands),
        CodeBlockParser(language="text", evaluator=compare_output),
        SkipParser(),
    ],
    path=str(ROOT),
    patterns=PATTERNS,
    # What earlier releases published.
    excludes=["tests/*/*/*/README.md"],
    setup=enter_folder,
    teardown=leave_folder,
)

"""What the benchmarks measured, as data: ``NAME.json`` holds what ``NAME.py`` printed, when, where, by which command.

    python benchmarks/figures.py

puts the tables into the README, the documentation and the notes beside the benchmarks again, between
``<!-- figures: NAME NUMBER -->`` and ``<!-- /figures -->``; ``tests/test_figures.py`` finds a figure that no file has.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import re
import shlex
import sys
from collections.abc import Iterator
from datetime import date
from itertools import groupby
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted(FOLDER.glob("*.md")))
BLOCK = re.compile(r"(<!-- figures: ([\w-]+) (\d+) -->\n).*?(<!-- /figures -->)", re.DOTALL)


class _Tee(io.StringIO):
    """What is printed, on the screen as well."""

    def write(self, text: str) -> int:
        sys.__stdout__ and sys.__stdout__.write(text)
        return super().write(text)


@contextlib.contextmanager
def recorded(name: str) -> Iterator[None]:
    """Keep what a benchmark prints, as the data file of its name, once it has ended without an error.

    Args:
        name: Of the file; ``"measure"`` is ``benchmarks/measure.json``.
    """
    # Programs that a benchmark starts are parts of it.
    if os.environ.setdefault("SPEECHCUE_RECORDED_BY", str(os.getpid())) != str(os.getpid()):
        yield
        return
    load = f"load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else "load unknown"
    with contextlib.redirect_stdout(_Tee()) as printed:
        yield
    run_on = f"{date.today():%d %B %Y}, Python {platform.python_version()}, {os.cpu_count()} cores, {load}"
    command = shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    values = {"command": command, "run_on": run_on, "printed": printed.getvalue().splitlines()}
    (FOLDER / f"{name}.json").write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def blocks(name: str) -> list[str]:
    """What a benchmark printed, in Markdown: first its tables, then what stands between them as blocks of code."""
    lines = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["printed"]
    runs = [(table, "\n".join(run).strip("\n")) for table, run in groupby(lines, key=lambda line: line.startswith("|"))]
    tables, texts = ([run for kind, run in runs if kind is table and run] for table in (True, False))
    return [*tables, *(f"```\n{text}\n```" for text in texts)]


def rendered(page: str) -> str:
    """A page with every block of figures as the data files have it."""
    return BLOCK.sub(lambda found: f"{found[1]}{blocks(found[2])[int(found[3])]}\n{found[4]}", page)


def main() -> None:
    """Render all pages."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        path.write_text(rendered(text), encoding="utf-8")


if __name__ == "__main__":
    main()

"""``speechcue recipes``: list the recipes of this package, or write one out to change."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

EXAMPLES = """examples:
  speechcue recipes                                        # all, each with its first line
  speechcue recipes quickstart -o my_recipe.yaml           # a copy to change
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", nargs="?", help="the recipe")
    parser.add_argument("-o", "--output", type=Path, help="file to write it to (default: print it)")


def run(arguments: argparse.Namespace) -> None:
    """List recipes, print one, or write it to a file."""
    from speechcue_hf.training.recipes import packaged_recipes
    from speechcue_hf.values import meant

    recipes = packaged_recipes()
    if arguments.name is None:
        wide = max(map(len, recipes))
        print(*(f"{name:<{wide}}  {_first_line(path)}".rstrip() for name, path in recipes.items()), sep="\n")
        return
    if arguments.name not in recipes:
        raise ValueError(f"the recipe {arguments.name!r} {meant(arguments.name, recipes)}")
    if arguments.output is None:
        print(recipes[arguments.name].read_text(encoding="utf-8"), end="")
        return
    if arguments.output.exists():
        raise ValueError(f"{arguments.output} exists already: remove it, or name another file")
    shutil.copyfile(recipes[arguments.name], arguments.output)
    print(f"{arguments.output} is a copy of {arguments.name}, to change as you like.")


def _first_line(path: Path) -> str:
    """What the recipe says of itself: the comment that it begins with."""
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""

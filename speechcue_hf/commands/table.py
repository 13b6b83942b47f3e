"""``speechcue table``: runs beside each other as a paper shows them."""

from __future__ import annotations

import argparse
from pathlib import Path

from speechcue_hf.commands.arguments import positive_int

EXAMPLES = """examples:
  speechcue table runs/text runs/cues runs/shuffled
  speechcue table runs/text runs/cues --published --format latex -o table.tex
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        help="folders that `speechcue evaluate` wrote for the same split, of one seed or several; the first is what "
        "the others are compared with",
    )
    parser.add_argument("--format", choices=("markdown", "latex", "csv"), default="markdown")
    parser.add_argument("--published", action="store_true", help="put figures of papers on the same task beside ours")
    parser.add_argument("--draws", type=positive_int, default=2000, help="bootstrap draws (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, help="file to write; without it the table is printed")


def run(arguments: argparse.Namespace) -> None:
    """Print or write the table."""
    from speechcue_hf.evaluation.table import scores_table
    from speechcue_hf.evaluation.table_formats import FORMATS

    table = scores_table(arguments.runs, published=arguments.published, draws=arguments.draws, seed=arguments.seed)
    text = FORMATS[arguments.format](table)
    if arguments.output is None:
        print(text, end="")
    else:
        arguments.output.write_text(text, encoding="utf-8")
        print(f"Written to {arguments.output}.")

"""``speechcue ensemble``: several evaluated runs taken as one model."""

from __future__ import annotations

import argparse
from pathlib import Path

from speechcue_hf.commands.arguments import add_picture_format
from speechcue_hf.errors import EvaluationError

EXAMPLES = """examples:
  speechcue ensemble runs/windows runs/dialogue -o runs/together
  speechcue ensemble runs/seeds -o runs/together
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        help="folders that `speechcue evaluate` wrote for the same split; one of several seeds stands for all of them",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for results, predictions and picture")
    add_picture_format(parser)


def run(arguments: argparse.Namespace) -> None:
    """Average the probabilities of the runs, write the report and print the figures."""
    from speechcue_hf.commands.evaluate import print_summary
    from speechcue_hf.evaluation.ensemble import ensemble_runs
    from speechcue_hf.evaluation.report import write_report
    from speechcue_hf.evaluation.runs import run_folders

    folders = [place for folder in arguments.runs for place in run_folders(folder)]
    if arguments.output.resolve() in [folder.resolve() for folder in (*folders, *arguments.runs)]:
        raise EvaluationError(f"{arguments.output} is one of the runs, and would be replaced: name another folder.")
    results, predictions = ensemble_runs(folders)
    write_report(arguments.output, results, predictions, picture_format=arguments.format)
    print_summary(results)
    for folder, member in zip(folders, results.members or (), strict=True):
        print(f"  {100 * member['weighted_f1']:.2f} %   weighted F1 of {folder} alone")
    print(f"Written to {arguments.output}.")

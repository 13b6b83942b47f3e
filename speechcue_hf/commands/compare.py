"""``speechcue compare``: is one run better than another, or is it chance?"""

from __future__ import annotations

import argparse
from pathlib import Path

from speechcue_hf.commands.arguments import positive_int
from speechcue_hf.records import write_json

EXAMPLES = """examples:
  speechcue compare runs/text-only runs/with-cues
  speechcue compare runs/text-only runs/with-cues --draws 10000 -o comparison.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("first", type=Path, help="folder that `speechcue evaluate` wrote")
    parser.add_argument("second", type=Path, help="another one, scored on the same utterances")
    parser.add_argument("--draws", type=positive_int, default=2000, help="bootstrap draws (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, help="also write the comparison as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Compare two runs and print the difference."""
    from speechcue_hf.evaluation.compare import compare_runs

    result = compare_runs(arguments.first, arguments.second, draws=arguments.draws, seed=arguments.seed)
    low, high = result["interval"]
    first, second = result["weighted_f1"]
    task = f"task {result['task']}: " if result["task"] else ""
    print(
        f"{task}{result['n']} utterances of {result['dialogues']} dialogues, "
        f"{result['draws']} paired draws over dialogues"
    )
    print(f"  weighted F1   {100 * first:6.2f} %   {arguments.first}")
    print(f"  weighted F1   {100 * second:6.2f} %   {arguments.second}")
    print(
        f"  difference    {100 * result['difference']:+6.2f}     "
        f"(95 % interval {100 * low:+.2f} to {100 * high:+.2f}, p = {result['p_value']:.4f})"
    )
    if result["warning"]:
        print(f"  {result['warning']}")
    for warning in (result["future_warning"], result["reading_warning"]):
        if warning:
            print(f"  {warning}")
    print(
        f"  right in both {result['both']}, only in the first {result['only_first']}, "
        f"only in the second {result['only_second']}, in neither {result['neither']}"
    )
    if arguments.output is not None:
        write_json(result, arguments.output)
        print(f"Written to {arguments.output}.")

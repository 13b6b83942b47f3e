"""``speechcue compare``: is one run better than another, or is it chance?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import stdev

from speechcue_hf.commands.arguments import positive_int
from speechcue_hf.records import write_json

EXAMPLES = """examples:
  speechcue compare runs/text-only runs/with-cues
  speechcue compare runs/text-seeds runs/cues-seeds       # several seeds each: their means
  speechcue compare runs/text-only runs/with-cues --draws 10000 -o comparison.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("first", type=Path, help="folder that `speechcue evaluate` wrote, of one seed or several")
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
    by_seed = result["weighted_f1_by_seed"]
    print(f"  weighted F1   {100 * first:6.2f} %   {arguments.first}{_seeds(by_seed[0])}")
    print(f"  weighted F1   {100 * second:6.2f} %   {arguments.second}{_seeds(by_seed[1])}")
    print(
        f"  difference    {100 * result['difference']:+6.2f}     "
        f"(95 % interval {100 * low:+.2f} to {100 * high:+.2f}, p = {result['p_value']:.4f})"
    )
    if result["p_value_seeds"] is not None:
        print(f"  over seeds    p = {result['p_value_seeds']:.4f} (Welch's t-test)")
    if result["warning"]:
        print(f"  {result['warning']}")
    for warning in (result["future_warning"], result["reading_warning"]):
        if warning:
            print(f"  {warning}")
    print(
        f"  right in both {result['both']:.4g}, only in the first {result['only_first']:.4g}, "
        f"only in the second {result['only_second']:.4g}, in neither {result['neither']:.4g}"
    )
    if arguments.output is not None:
        write_json(result, arguments.output)
        print(f"Written to {arguments.output}.")


def _seeds(scores: Sequence[float]) -> str:
    """How many seeds a mean is of, and how far they lie apart."""
    return f" (mean of {len(scores)} seeds, sd {100 * stdev(scores):.2f})" if len(scores) > 1 else ""

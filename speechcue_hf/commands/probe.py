"""``speechcue probe``: how much emotion the measurements carry by themselves."""

from __future__ import annotations

import argparse
from pathlib import Path

from speechcue_hf.commands.arguments import add_dataset, add_list, add_picture_format, read_split

EXAMPLES = """examples:
  speechcue probe data/described -o runs/probe
  speechcue probe data/described --on level -o runs/probe-levels
  speechcue probe data/described --cues f0_mean_hz intensity_mean_db -o runs/probe-two
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_dataset(parser, "folder that `speechcue describe` wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for table and pictures")
    add_picture_format(parser)
    parser.add_argument("--split", default="test", help="split that is scored (default: %(default)s)")
    parser.add_argument("--on", choices=("z", "level"), default="z", help="z-scores or levels (default: %(default)s)")
    add_list(parser, "--cues", metavar="CUE", help="measurement columns (default: those of the published table)")
    parser.add_argument("--seed", type=int, default=42, help="of the classifiers (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Fit on train, score, write ``probe.json`` and pictures, print the table."""
    from speechcue_hf.evaluation.probe import probe_cues, write_probes

    probes = probe_cues(
        read_split(arguments.dataset, "train"),
        read_split(arguments.dataset, arguments.split),
        representation=arguments.on,
        cues=arguments.cues,
        seed=arguments.seed,
    )
    write_probes(arguments.output, probes, picture_format=arguments.format)
    print(f"{'classifier':<24} weighted F1   accuracy   ({arguments.split}, {probes[0].results['n']} utterances)")
    for probe in probes:
        scores = probe.results
        print(f"{probe.classifier:<24} {100 * scores['weighted_f1']:9.2f} % {100 * scores['accuracy']:8.2f} %")
    print(f"Written to {arguments.output}: probe.json and a picture for each classifier.")

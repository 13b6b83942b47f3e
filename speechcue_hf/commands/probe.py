"""``speechcue probe``: how much emotion the measurements carry by themselves."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLES = """examples:
  speechcue probe data/described -o runs/probe
  speechcue probe data/described --on level -o runs/probe-levels
  speechcue probe data/described --cues f0_mean_hz,intensity_mean_db -o runs/probe-two
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("dataset", type=Path, help="folder that `speechcue describe` wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for table and pictures")
    parser.add_argument("--split", default="test", help="split that is scored (default: %(default)s)")
    parser.add_argument("--on", choices=("z", "level"), default="z", help="z-scores or levels (default: %(default)s)")
    parser.add_argument(
        "--cues", help="measurement columns, separated by commas (default: those of the published table)"
    )
    parser.add_argument("--seed", type=int, default=42, help="default: %(default)s")


def run(arguments: argparse.Namespace) -> None:
    """Fit on train, score, write ``probe.json`` and pictures, print the table.

    Raises:
        EvaluationError: If the dataset has no such split or was not described.
    """
    from speechcue_hf.corpora.parquet import read_dataset
    from speechcue_hf.errors import EvaluationError
    from speechcue_hf.evaluation.probe import probe_cues, write_probes

    dataset = read_dataset(arguments.dataset)
    for split in ("train", arguments.split):
        if split not in dataset:
            raise EvaluationError(f"{arguments.dataset} has no split {split!r}; it has {', '.join(dataset)}.")
    probes = probe_cues(
        dataset["train"],
        dataset[arguments.split],
        representation=arguments.on,
        cues=arguments.cues.split(",") if arguments.cues else None,
        seed=arguments.seed,
    )
    write_probes(arguments.output, probes)
    print(f"{'classifier':<24} weighted F1   accuracy   ({arguments.split}, {probes[0].results['n']} utterances)")
    for probe in probes:
        scores = probe.results
        print(f"{probe.classifier:<24} {100 * scores['weighted_f1']:9.2f} % {100 * scores['accuracy']:8.2f} %")
    print(f"Written to {arguments.output}: probe.json and a picture for each classifier.")

# /// script
# dependencies = ["speechcue_hf", "ray[data]"]
# ///
"""Measure a dataset folder with Ray Data, on this machine or on a cluster.

    python recipes/ray_measure.py data/demo data/measured --split train

Turn-taking is added first, while the rows are in order; then the clips are measured wherever Ray finds room.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import ray
from datasets import Dataset

from speechcue_hf import MeasurementSettings, measure_speech, read_dataset
from speechcue_hf.cues.turns import add_turn_taking


def measure_with_ray(dataset: Dataset, settings: MeasurementSettings) -> ray.data.Dataset:
    """Measure a split lazily, each task on one processor; the rows come without ``audio``, in Ray's order."""

    def measure(row: dict[str, object]) -> dict[str, object]:
        measured = measure_speech(row, settings)
        return {**{name: value for name, value in row.items() if name != "audio"}, **measured}

    return ray.data.from_huggingface(add_turn_taking(dataset)).map(measure, num_cpus=1)


def main() -> None:
    """Read a split, measure it, and write Parquet files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("dataset", type=Path, help="dataset folder, as `speechcue prepare` writes it")
    parser.add_argument("output", type=Path, help="folder for the Parquet files")
    parser.add_argument("--split", default="train")
    arguments = parser.parse_args()
    rows = read_dataset(arguments.dataset)[arguments.split]
    measure_with_ray(rows, MeasurementSettings()).write_parquet(str(arguments.output.resolve()))


if __name__ == "__main__":
    main()

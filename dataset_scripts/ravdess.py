# /// script
# requires-python = ">=3.10"
# dependencies = ["speechcue_hf"]
# ///
"""From your copy of RAVDESS to a dataset folder: ``python ravdess.py RAVDESS data/ravdess``."""

import argparse
import logging
from pathlib import Path

from datasets import load_dataset

from speechcue_hf import write_dataset
from speechcue_hf.commands.publish import add_push_arguments, push


def main() -> None:
    """Load the clips of the actors and write them."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("release", help="the folder with Actor_01 to Actor_24")
    parser.add_argument("output", type=Path, help="dataset folder to write")
    parser.add_argument("--num-proc", type=int, default=1, help="processes, and files of each split")
    add_push_arguments(parser)
    arguments = parser.parse_args()
    dataset = load_dataset("speechcue/ravdess", data_dir=arguments.release, num_proc=arguments.num_proc)
    write_dataset(dataset, arguments.output, arguments.num_proc)
    push(arguments.output, arguments, arguments.num_proc)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main()

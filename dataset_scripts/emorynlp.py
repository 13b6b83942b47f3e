# /// script
# requires-python = ">=3.10"
# dependencies = ["speechcue_hf"]
# ///
"""From your copy of EmoryNLP to a dataset folder: ``python emorynlp.py EmoryNLP data/emorynlp``."""

import argparse
import logging
from pathlib import Path

from datasets import load_dataset

from speechcue_hf import write_dataset
from speechcue_hf.commands.publish import add_push_arguments, push


def main() -> None:
    """Load the release, compare it with its counts, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("release", help="the folder with emorynlp_*_final.csv or emotion-detection-*.json")
    parser.add_argument("output", type=Path, help="dataset folder to write")
    add_push_arguments(parser)
    arguments = parser.parse_args()
    write_dataset(load_dataset("speechcue/emorynlp", data_dir=arguments.release), arguments.output)
    push(arguments.output, arguments)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main()

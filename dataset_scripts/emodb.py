# /// script
# requires-python = ">=3.10"
# dependencies = ["speechcue_hf"]
# ///
"""From your copy of EmoDB to a dataset folder: ``python emodb.py EmoDB data/emodb``."""

import argparse
import logging
from pathlib import Path

from datasets import load_dataset

from speechcue_hf import write_dataset
from speechcue_hf.commands.publish import add_push_arguments, push


def main() -> None:
    """Load the clips of the speakers and write them."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("release", help="the unpacked release, with wav in it")
    parser.add_argument("output", type=Path, help="dataset folder to write")
    parser.add_argument("--num-proc", type=int, default=1, help="processes, and files of each split")
    add_push_arguments(parser)
    arguments = parser.parse_args()
    dataset = load_dataset("speechcue/emodb", data_dir=arguments.release, num_proc=arguments.num_proc)
    write_dataset(dataset, arguments.output, arguments.num_proc)
    push(arguments.output, arguments, arguments.num_proc)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main()

# /// script
# requires-python = ">=3.10"
# dependencies = ["speechcue_hf"]
# ///
"""From your copy of IEMOCAP to a dataset folder: ``python iemocap.py IEMOCAP_full_release data/iemocap``."""

import argparse
import logging
from pathlib import Path

from datasets import load_dataset

from speechcue_hf import write_dataset
from speechcue_hf.commands.publish import add_push_arguments, push


def main() -> None:
    """Load with the split of the chosen task and write with the clips."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("release", help="the folder IEMOCAP_full_release")
    parser.add_argument("output", type=Path, help="dataset folder to write")
    parser.add_argument("--config", default="erc-6", choices=("erc-6", "ser-4", "all"))
    parser.add_argument("--fold", type=int, help="of ser-4: the session left out for the test, 1 to 5")
    add_push_arguments(parser)
    arguments = parser.parse_args()
    dataset = load_dataset("speechcue/iemocap", arguments.config, data_dir=arguments.release, fold=arguments.fold)
    write_dataset(dataset, arguments.output)
    push(arguments.output, arguments)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main()

# /// script
# requires-python = ">=3.10"
# dependencies = ["speechcue_hf"]
# ///
"""From SEmoLLM's lists of clips (``id<TAB>wav``) to a dataset folder: ``python wav_list.py lists data/clips``."""

import argparse
import logging
from pathlib import Path

from datasets import load_dataset

from speechcue_hf import write_dataset
from speechcue_hf.commands.publish import add_push_arguments, push


def main() -> None:
    """Load what the lists name and write it with the clips."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("lists", help="folder with train.tsv, validation.tsv and test.tsv, or one list")
    parser.add_argument("output", type=Path, help="dataset folder to write")
    parser.add_argument("--num-proc", type=int, default=1, help="processes, and files of each split")
    add_push_arguments(parser)
    arguments = parser.parse_args()
    dataset = load_dataset("speechcue/wav_list", data_dir=arguments.lists, num_proc=arguments.num_proc)
    write_dataset(dataset, arguments.output, arguments.num_proc)
    push(arguments.output, arguments, arguments.num_proc)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main()

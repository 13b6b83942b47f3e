# /// script
# requires-python = ">=3.10"
# dependencies = ["speechcue_hf"]
# ///
"""From your own conversations to a dataset folder: ``python folder.py conversations data/conversations``.

``docs/reference/columns.md`` lists the columns of the metadata. The clips are embedded: the folder can be moved and
pushed.
"""

import argparse
import logging
from pathlib import Path

from datasets import load_dataset

from speechcue_hf import write_dataset
from speechcue_hf.commands.publish import add_push_arguments, push


def main() -> None:
    """Load what the metadata names and write it with the clips."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("conversations", help="folder with metadata.csv, .jsonl or .parquet")
    parser.add_argument("output", type=Path, help="dataset folder to write")
    parser.add_argument("--labels", nargs="+", help="emotions in the order of their class ids; default: by name")
    add_push_arguments(parser)
    arguments = parser.parse_args()
    dataset = load_dataset("speechcue/folder", data_dir=arguments.conversations, labels=arguments.labels)
    write_dataset(dataset, arguments.output)
    push(arguments.output, arguments)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main()

# /// script
# requires-python = ">=3.10"
# dependencies = ["speechcue_hf"]
# ///
"""Your own conversations (a metadata file beside clips) → a dataset folder that plain ``load_dataset`` reads.

``docs/columns.md`` lists the columns of the metadata. The clips are embedded: the folder can be moved and pushed.

Example:
    python dataset_scripts/folder.py path/to/conversations -o data/conversations --labels calm annoyed angry
"""

import argparse
from pathlib import Path

from datasets import load_dataset

import speechcue_hf  # noqa: F401 (makes load_dataset know the corpus)
from speechcue_hf.corpora.parquet import write_dataset

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path, help="folder with metadata.csv, .jsonl or .parquet")
    parser.add_argument("-o", "--output", type=Path, required=True, help="dataset folder to write")
    parser.add_argument("--labels", nargs="+", help="emotions in the order of their class ids; default: by name")
    parser.add_argument("--num-proc", type=int, help="processes that look at the clips")
    arguments = parser.parse_args()

    dataset = load_dataset(
        "speechcue/folder", data_dir=str(arguments.data_dir), labels=arguments.labels, num_proc=arguments.num_proc
    )
    write_dataset(dataset, arguments.output)

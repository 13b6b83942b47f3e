# /// script
# requires-python = ">=3.10"
# dependencies = ["speechcue_hf"]
# ///
"""DailyDialog as released → a dataset folder that plain ``load_dataset`` reads.

Example:
    python dataset_scripts/dailydialog.py path/to/DailyDialog -o data/dailydialog
"""

import argparse
from pathlib import Path

from datasets import load_dataset

import speechcue_hf  # noqa: F401 (makes load_dataset know the corpus)
from speechcue_hf.corpora.parquet import write_dataset

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path, help="the unpacked release, with train/, validation/ and test/")
    parser.add_argument("-o", "--output", type=Path, required=True, help="dataset folder to write")
    parser.add_argument("--no-verify", action="store_true", help="accept a partial copy")
    arguments = parser.parse_args()

    dataset = load_dataset("speechcue/dailydialog", data_dir=str(arguments.data_dir), verify=not arguments.no_verify)
    write_dataset(dataset, arguments.output)

# /// script
# requires-python = ">=3.10"
# dependencies = ["speechcue_hf"]
# ///
"""EmoryNLP as released → a dataset folder that plain ``load_dataset`` reads.

Example:
    python dataset_scripts/emorynlp.py path/to/EmoryNLP -o data/emorynlp
"""

import argparse
from pathlib import Path

from datasets import load_dataset

import speechcue_hf  # noqa: F401 (makes load_dataset know the corpus)
from speechcue_hf.corpora.parquet import write_dataset

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path, help="the folder with emorynlp_*_final.csv or emotion-detection-*.json")
    parser.add_argument("-o", "--output", type=Path, required=True, help="dataset folder to write")
    parser.add_argument("--no-verify", action="store_true", help="accept a partial copy")
    arguments = parser.parse_args()

    dataset = load_dataset("speechcue/emorynlp", data_dir=str(arguments.data_dir), verify=not arguments.no_verify)
    write_dataset(dataset, arguments.output)

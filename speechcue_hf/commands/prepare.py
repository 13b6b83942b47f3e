"""``speechcue prepare``: from a corpus as released to a dataset folder that stands alone."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from datasets import load_dataset

from speechcue_hf.commands.arguments import command_line, positive_int, print_next
from speechcue_hf.corpora.catalogue import NAMESPACE, corpora
from speechcue_hf.corpora.parquet import write_dataset

EXAMPLES = """examples:
  speechcue prepare demo -o data/demo
  speechcue prepare meld --data-dir MELD.Raw -o data/meld --num-proc 2
  speechcue prepare iemocap --data-dir IEMOCAP_full_release --config ser-4 --fold 1 -o data/iemocap-fold1
  speechcue prepare libritts --data-dir LibriTTS -o data/libritts
  speechcue prepare folder --data-dir my_conversations -o data/mine

Afterwards load_dataset("data/meld") reads the folder, without speechcue_hf and without the corpus. The clips are in it
(of mp4 the sound, as FLAC): mind the licence of the corpus before you publish it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_corpus_arguments(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, help="dataset folder to write")
    parser.add_argument("--no-verify", action="store_true", help="take a copy that differs from its release")
    parser.add_argument("--without-audio", action="store_true", help="leave the clips out, keep their state")
    parser.add_argument(
        "--num-proc", type=positive_int, default=1, help="processes, and files of each split (default: 1)"
    )


def add_corpus_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that choose a corpus."""
    parser.add_argument("corpus", choices=tuple(corpora()))
    parser.add_argument("--data-dir", help="folder of your copy of the corpus (the demo needs none)")
    parser.add_argument("--config", help="config of the corpus, such as erc-6, ser-4 or all of iemocap")
    parser.add_argument("--fold", type=int, help="of iemocap ser-4: the session left out for the test, 1 to 5")


def corpus_options(arguments: argparse.Namespace) -> dict[str, str | int]:
    """The parsed arguments that choose a corpus, as keyword arguments of ``load_dataset``, without those not given."""
    if arguments.fold is not None and "fold" not in corpora()[arguments.corpus].options:
        raise ValueError(f"--fold {arguments.fold}: {arguments.corpus} has no folds, leave it out")
    options = {"path": NAMESPACE + arguments.corpus, "name": arguments.config}
    options |= {"data_dir": arguments.data_dir, "fold": arguments.fold}
    return {name: value for name, value in options.items() if value is not None}


def run(arguments: argparse.Namespace) -> None:
    """Load the corpus, write it, and say what was written."""
    dataset = load_dataset(**corpus_options(arguments), verify=not arguments.no_verify, num_proc=arguments.num_proc)
    statuses = {split: Counter(rows["audio_status"]) for split, rows in dataset.items()}
    if arguments.without_audio:
        dataset = dataset.remove_columns("audio")
    write_dataset(dataset, arguments.output, arguments.num_proc, command=command_line(arguments))
    for split, rows in dataset.items():
        clips = ", ".join(f"{number:,} {status}" for status, number in statuses[split].most_common())
        print(f"{split}: {len(rows):,} utterances in {len(rows.unique('dialogue_id')):,} dialogues; clips: {clips}")
    print(f"Written to {arguments.output}.")
    if not arguments.without_audio:
        print_next("measure", arguments.output, "-o", arguments.output.with_name(f"{arguments.output.name}-measured"))

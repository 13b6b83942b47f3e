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
  speechcue prepare folder --data-dir recordings --turns call.TextGrid -o data/mine
  speechcue prepare folder --data-dir clips --skeleton

Afterwards load_dataset("data/meld") reads the folder, without speechcue_hf and without the corpus. The clips are in it
(of mp4 the sound, as FLAC): mind the licence of the corpus before you publish it.

Turns are cut out of recordings by start, end and channel, from metadata, or from a table that lies beside a recording
and has its name: ELAN, TextGrid, JSON of Whisper and its kin, WebVTT, SubRip, csv, RTTM, labels of Audacity; or from
segments of Kaldi and manifests of lhotse in the folder.
--skeleton writes a metadata.csv with a row for each clip, or for each turn of such a table, to be filled in.
"""


_OPTIONS = {"fold": "folds", "turns": "turn tables"}
"""Options of some corpora → what the others lack."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_corpus_arguments(parser)
    parser.add_argument("-o", "--output", type=Path, help="dataset folder to write")
    parser.add_argument(
        "--skeleton", action="store_true", help="of folder: write the beginning of its metadata, and nothing else"
    )
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
    parser.add_argument("--turns", metavar="FILE", help="of folder: table of the turns of its recordings")


def corpus_options(arguments: argparse.Namespace) -> dict[str, str | int]:
    """The parsed arguments that choose a corpus, as keyword arguments of ``load_dataset``, without those not given."""
    given = {"fold": arguments.fold, "turns": arguments.turns}
    for name, value in given.items():
        if value is not None and name not in corpora()[arguments.corpus].options:
            raise ValueError(f"--{name} {value}: {arguments.corpus} has no {_OPTIONS[name]}, leave it out")
    options = {"path": NAMESPACE + arguments.corpus, "name": arguments.config, "data_dir": arguments.data_dir, **given}
    return {name: value for name, value in options.items() if value is not None}


def run(arguments: argparse.Namespace) -> None:
    """Load the corpus, write it, and say what was written."""
    if arguments.skeleton:
        _write_skeleton(arguments)
        return
    if arguments.output is None:
        raise ValueError("say where the dataset folder goes: -o DIR")
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


def _write_skeleton(arguments: argparse.Namespace) -> None:
    """Write the beginning of a folder's metadata."""
    from speechcue_hf.corpora.folder import write_skeleton

    if arguments.corpus != "folder" or arguments.data_dir is None:
        raise ValueError("--skeleton goes with `prepare folder --data-dir DIR`")
    file, rows = write_skeleton(arguments.data_dir, arguments.turns)
    print(f"{file}: {rows:,} rows. Fill in what is known, and leave the other cells empty.")
    out = Path(arguments.data_dir).absolute()
    print_next("prepare", "folder", "--data-dir", arguments.data_dir, "-o", out.with_name(f"{out.name}-prepared"))

"""``speechcue measure``: measure the speech of every clip of a dataset folder."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from datasets import Dataset, DatasetDict
from pyarrow.parquet import read_table

from speechcue_hf.commands.arguments import add_dataset, add_list, positive_int, print_next
from speechcue_hf.corpora.identity import carry_records
from speechcue_hf.corpora.parquet import carry_identity, read_dataset, shard_name, write_shard
from speechcue_hf.cues.measure import measure_clips
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.cues.table import groups
from speechcue_hf.cues.turns import add_turn_taking
from speechcue_hf.errors import SpeechcueError
from speechcue_hf.records import BIOGRAPHIES_FILE, MEASUREMENT_FILE, find_record, write_record
from speechcue_hf.values import meant

EXAMPLES = """examples:
  speechcue measure data/demo -o data/measured
  speechcue measure data/meld -o data/measured --num-proc 8
  speechcue measure data/meld -o data/paper --preset speechcuellm
  speechcue measure data/meld -o data/measured --groups loudness pitch rhythm
  speechcue measure data/meld -o data/measured --shard $SLURM_ARRAY_TASK_ID --num-shards 16
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_dataset(parser, "folder, as `speechcue prepare` writes it")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write; finished files are kept")
    parser.add_argument(
        "--preset",
        choices=("default", "speechcuellm"),
        default="default",
        help="ours, or the paper's eight numbers exactly (default: %(default)s)",
    )
    add_list(parser, "--groups", metavar="GROUP", help=f"of {', '.join(groups())} (default: the preset's)")
    parser.add_argument("--num-proc", type=positive_int, help="worker processes (default: work in this one)")
    parser.add_argument("--shard", type=int, default=0, help="which shard this job measures, from 0")
    parser.add_argument("--num-shards", type=int, default=1, help="into how many shards the corpus is divided")


def run(arguments: argparse.Namespace) -> None:
    """Measure the shard of each split, write it without its audio, and print what could not be measured."""
    if not 0 <= arguments.shard < arguments.num_shards:
        raise ValueError(f"--shard must be from 0 to {arguments.num_shards - 1}, got {arguments.shard}")
    settings = _settings(arguments)
    dataset = read_dataset(arguments.dataset)
    if "turn_taking" in settings.groups:
        dataset = DatasetDict({split: add_turn_taking(rows) for split, rows in dataset.items()})
    _write_settings(settings, arguments.output)
    carry_identity(arguments.dataset, dataset, arguments.output)
    carry_records(arguments.dataset, arguments.output, [BIOGRAPHIES_FILE])
    for split, rows in dataset.items():
        path = arguments.output / shard_name(str(split), arguments.shard, arguments.num_shards)
        shard = rows.shard(arguments.num_shards, arguments.shard, contiguous=True)
        if _is_complete(path, shard):
            print(f"{path.name}: kept, it is complete")
            continue
        measured = measure_clips(shard, settings, arguments.num_proc).remove_columns("audio")
        write_shard(measured, path)
        print(f"{path.name}: {len(measured)} utterances")
        _print_notes(measured["measurement_note"])
    print_next("describe", arguments.output, "-o", arguments.output.parent / "described")


def _settings(arguments: argparse.Namespace) -> MeasurementSettings:
    preset = MeasurementSettings.speechcuellm() if arguments.preset == "speechcuellm" else MeasurementSettings()
    for name in arguments.groups or ():
        if name not in groups():
            raise ValueError(f"the group of measurements {name!r} {meant(name, groups())}")
    return preset if arguments.groups is None else replace(preset, groups=tuple(arguments.groups))


def _write_settings(settings: MeasurementSettings, folder: Path) -> None:
    """Put the settings beside the shards; shards of other settings must not mix with them."""
    there = find_record(MeasurementSettings, folder)
    if there is not None and there != settings:
        raise SpeechcueError(
            f"{folder} holds measurements by other settings ({MEASUREMENT_FILE}): choose another folder"
        )
    write_record(settings, folder)


def _is_complete(path: Path, shard: Dataset) -> bool:
    """Whether a file is there and has the utterances of this shard; it was moved into place whole."""
    if not path.exists():
        return False
    written: list[str] = read_table(path, columns=["utterance_id"])["utterance_id"].to_pylist()
    return written == list(shard["utterance_id"])


def _print_notes(notes: Iterable[str | None]) -> None:
    """Print each reason for a missing value with the number of utterances it concerns."""
    reasons = Counter(reason for note in notes if note for reason in note.split("; "))
    for reason, count in reasons.most_common(10):
        print(f"  {count} x {reason}")

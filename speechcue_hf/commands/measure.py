"""``speechcue measure``: measure the speech of every clip of a dataset folder."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from datasets import Dataset, DatasetDict
from pyarrow import ArrowException
from pyarrow.parquet import read_table

from speechcue_hf.commands.arguments import add_dataset, add_list, command_line, positive_int, print_next
from speechcue_hf.corpora.catalogue import corpus_of_rows
from speechcue_hf.corpora.joining import with_utterance_ids
from speechcue_hf.corpora.parquet import carry_identity, read_dataset, shard_name, write_dataset, write_shard
from speechcue_hf.corpora.writing import UNFINISHED, check_splits_of, end_writing, join_writing, whole_folder
from speechcue_hf.cues.engines import ENGINES
from speechcue_hf.cues.measure import clip_columns, measure_clips
from speechcue_hf.cues.paper import PAPER_CORPORA
from speechcue_hf.cues.published import join_measurements
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.cues.table import groups
from speechcue_hf.cues.turns import TURN_COLUMNS, add_turn_taking
from speechcue_hf.errors import SpeechcueError
from speechcue_hf.records import (
    BIOGRAPHIES_FILE,
    CORPUS_FILE,
    MEASUREMENT_FILE,
    carry_records,
    find_record,
    write_record,
    write_record_once,
)
from speechcue_hf.values import meant

EXAMPLES = """examples:
  speechcue measure data/demo -o data/measured
  speechcue measure data/meld -o data/measured --num-proc 8 --engine fast
  speechcue measure data/meld -o data/paper --preset speechcuellm
  speechcue measure data/iemocap -o data/paper --published iemocap_audio_features.csv
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
        help="ours, or the paper's eight numbers exactly (default: default)",
    )
    add_list(
        parser,
        "--published",
        metavar="FILE",
        help="csv files that SpeechCueLLM published: their numbers are joined by utterance, and nothing is measured",
    )
    add_list(parser, "--groups", metavar="GROUP", help=f"of {', '.join(groups())} (default: the preset's)")
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="praat",
        help="Praat itself, or what gives the same numbers: kernels in less time, which need numba, or tensors, on a "
        "GPU where there is one, which need torch (default: %(default)s)",
    )
    parser.add_argument("--num-proc", type=positive_int, help="worker processes (default: work in this one)")
    parser.add_argument("--shard", type=int, default=0, help="which shard this job measures, from 0")
    parser.add_argument("--num-shards", type=int, default=1, help="into how many shards the corpus is divided")


def run(arguments: argparse.Namespace) -> None:
    """Measure the shard of each split, without its audio, and let the folder appear if it was the last that missed."""
    output, count = arguments.output, arguments.num_shards
    if arguments.published is not None:
        _join_published(arguments)
        return
    if not 0 <= arguments.shard < count:
        raise ValueError(f"--shard must be from 0 to {count - 1}, got {arguments.shard}")
    settings = _settings(arguments)
    dataset = DatasetDict({split: with_utterance_ids(rows) for split, rows in read_dataset(arguments.dataset).items()})
    shards = {
        shard_name(str(split), index, count): rows.shard(count, index, contiguous=True)
        for split, rows in _with_turn_taking(dataset, settings).items()
        for index in range(count)
    }
    check_splits_of(output, [*shards])
    _check_settings(settings, find_record(MeasurementSettings, output), output)
    unfinished = join_writing(output, command_line(arguments, shard="N"), [*shards])
    _check_settings(settings, write_record_once(settings, unfinished), output)
    for split in dataset:
        name = shard_name(str(split), arguments.shard, count)
        if _is_written(output, name, shards[name]):
            print(f"{name}: kept, it is complete")
        else:
            _measure(shards[name], settings, arguments.num_proc, unfinished / name)
    if missing := [name for name, rows in shards.items() if not _is_written(output, name, rows)]:
        print(f"{output} appears with the last shard: {len(missing)} of {len(shards)} files are still to be written.")
        return

    def add_records(unfinished: Path) -> None:
        carry_identity(arguments.dataset, dataset, unfinished)
        carry_records(arguments.dataset, unfinished, [BIOGRAPHIES_FILE])

    end_writing(output, [*shards], [CORPUS_FILE, BIOGRAPHIES_FILE], add_records)
    if any(_has_measurements(output / name) for name in shards):
        print_next("describe", output, "-o", output.parent / "described")
    else:
        print(f"No clip was measured: {output} has the reason for each in the column measurement_note.")


def _join_published(arguments: argparse.Namespace) -> None:
    """Write the rows with published measurements, and the record of the files that they are from."""
    given = {"--preset default": arguments.preset == "default", "--groups": arguments.groups is not None}
    given |= {"--engine": arguments.engine != "praat", "--num-proc": arguments.num_proc is not None}
    given |= {"--num-shards": arguments.num_shards != 1}
    if refused := [name for name, is_given in given.items() if is_given]:
        raise ValueError(f"--published takes the paper's numbers as they are: leave {refused[0]} out")
    files = [Path(name) for name in arguments.published]
    output = arguments.output
    joined = join_measurements(read_dataset(arguments.dataset), files)
    digests = tuple(sha256(file.read_bytes()).hexdigest() for file in files)
    records = [CORPUS_FILE, MEASUREMENT_FILE, BIOGRAPHIES_FILE]
    with whole_folder(output, command_line(arguments), records) as unfinished:
        write_dataset(joined, unfinished)
        carry_records(arguments.dataset, unfinished, [BIOGRAPHIES_FILE])
        write_record(replace(MeasurementSettings.speechcuellm(), published=digests), unfinished)
    for split, rows in joined.items():
        notes = rows["measurement_note"][:]
        print(f"{split}: {len(rows):,} utterances, {notes.count(None):,} of them with published measurements")
        _print_notes(notes)
    corpus = corpus_of_rows(next(iter(joined.values())))
    described = corpus is not None and corpus.name in PAPER_CORPORA
    print_next("describe", output, "-o", output.parent / "described", *(["--preset", "speechcuellm"] * described))


def _with_turn_taking(dataset: DatasetDict, settings: MeasurementSettings) -> DatasetDict:
    if "turn_taking" not in settings.groups:
        return dataset
    return DatasetDict({split: add_turn_taking(rows) for split, rows in dataset.items()})


def _measure(shard: Dataset, settings: MeasurementSettings, num_proc: int | None, path: Path) -> None:
    """Measure a shard, write its file, and print what could not be measured."""
    measured = measure_clips(shard, settings, num_proc).remove_columns("audio")
    write_shard(measured, path)
    print(f"{path.name}: {len(measured)} utterances")
    _print_notes(measured["measurement_note"])


def _settings(arguments: argparse.Namespace) -> MeasurementSettings:
    preset = MeasurementSettings.speechcuellm() if arguments.preset == "speechcuellm" else MeasurementSettings()
    for name in arguments.groups or ():
        if name not in groups():
            raise ValueError(f"the group of measurements {name!r} {meant(name, groups())}")
    chosen = preset.groups if arguments.groups is None else tuple(arguments.groups)
    return replace(preset, groups=chosen, engine=arguments.engine)


def _check_settings(settings: MeasurementSettings, there: MeasurementSettings | None, folder: Path) -> None:
    """Shards of other settings must not mix with those that are there; those of another engine may."""
    if there is not None and replace(there, engine=settings.engine) != settings:
        raise SpeechcueError(
            f"{folder} holds measurements by other settings ({MEASUREMENT_FILE}): choose another folder"
        )


def _is_written(folder: Path, name: str, shard: Dataset) -> bool:
    """Whether a shard's file is among what is being written or in its place, with the utterances of this shard."""
    return any(_is_complete(place / name, shard["utterance_id"][:]) for place in (folder / UNFINISHED, folder))


def _is_complete(path: Path, utterances: Sequence[str]) -> bool:
    try:
        written: list[str] = read_table(path, columns=["utterance_id"])["utterance_id"].to_pylist()
    # Not there, or no Parquet with that column: it is measured again.
    except (OSError, ArrowException, KeyError):
        return False
    return written == utterances


def _has_measurements(path: Path) -> bool:
    table = read_table(path, columns=[*clip_columns(), *TURN_COLUMNS])
    return any(column.null_count < len(column) for column in table.columns)


def _print_notes(notes: Iterable[str | None]) -> None:
    """Print each reason for a missing value with the number of utterances it concerns."""
    reasons = Counter(reason for note in notes if note for reason in note.split("; "))
    for reason, count in reasons.most_common(10):
        print(f"  {count} x {reason}")

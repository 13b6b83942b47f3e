"""What the commands' arguments have in common: how a dataset folder, a split, a model and a list are named."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechcue_hf.errors import EvaluationError

if TYPE_CHECKING:
    from datasets import Dataset


def add_dataset(parser: argparse.ArgumentParser, what: str, *, required: bool = True) -> None:
    """Declare a dataset folder, which is given by its place or as ``--dataset``; it is parsed as ``dataset``."""
    parser.add_argument(
        "dataset", nargs="?", type=Path, action=_OneFolder, const=required, metavar="DATASET", help=what
    )
    parser.add_argument("--dataset", type=Path, action=_OneFolder, help=argparse.SUPPRESS)


class _OneFolder(argparse.Action):
    """Takes a folder once; that there is none is seen where the line ends, when argparse asks for the place."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, value: Any, _: Any = None
    ) -> None:
        given = getattr(namespace, self.dest)
        if value is not None and given is not None:
            parser.error(f"two dataset folders are given, {given} and {value}: name one")
        if value is None and given is None and self.const:
            parser.error("name the dataset folder")
        setattr(namespace, self.dest, given if value is None else value)


def add_list(parser: argparse.ArgumentParser, *names: str, **options: Any) -> None:
    """Declare an option with several values, between blanks or commas, all at once or one at a time."""
    parser.add_argument(*names, nargs="+", action=_Values, **options)


class _Values(argparse.Action):
    """Adds values to those that were given before."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, _: Any = None
    ) -> None:
        new = [part.strip() for value in values for part in value.split(",") if part.strip()]
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or ()), *new])


def add_model(parser: argparse.ArgumentParser, what: str) -> None:
    """Declare the model that is asked, and its revision."""
    parser.add_argument("--model", required=True, metavar="DIR_OR_ID", help=what)
    parser.add_argument("--revision", help="branch, tag or commit of the model on the Hub")


def add_part(parser: argparse.ArgumentParser) -> None:
    """Declare which part of a recording is meant; :func:`part_of` reads what was given."""
    parser.add_argument("--start", type=float, metavar="S", help="of the utterance in its recording, with --end")
    parser.add_argument("--end", type=float, metavar="S", help="of the utterance; what lies beside it is not heard")
    parser.add_argument("--channel", help="the utterance's: a number from 0, left or right (default: all)")


def part_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was given of ``start``, ``end`` and ``channel``."""
    given = {name: getattr(arguments, name) for name in ("start", "end", "channel")}
    return {name: value for name, value in given.items() if value is not None}


def add_picture_format(parser: argparse.ArgumentParser) -> None:
    """Declare the format of pictures; it is parsed as ``format``."""
    parser.add_argument(
        "--format", choices=("png", "svg"), default="png", help="of pictures; svg goes beside the PNG, which cards show"
    )


def read_split(folder: Path, split: str) -> Dataset:
    """Read one split of a dataset folder; it is an EvaluationError if there is no such split."""
    from speechcue_hf.corpora.parquet import read_dataset
    from speechcue_hf.cues.measure import tell_unmeasured

    dataset = read_dataset(folder)
    if split not in dataset:
        raise EvaluationError(f"{folder} has no split {split!r}; it has {', '.join(dataset)}.")
    tell_unmeasured({split: dataset[split]}, folder)
    return dataset[split]


def print_next(*words: object) -> None:
    """Print the command that comes next, from its name on; it runs as it stands."""
    print(f"Next: {shlex.join(['speechcue', *map(str, words)])}")


def command_line(arguments: argparse.Namespace, **others: str) -> str:
    """The line that was given, to be given again; names and passwords in addresses are masked.

    Args:
        arguments: As parsed.
        **others: Options by name whose value is replaced, such as ``shard="N"``.
    """
    line = [re.sub(r"(?<=://)[^\s/@]+(?=@)", "***", word) for word in arguments.line]
    for name, value in others.items():
        if f"--{name}" in line:
            line[line.index(f"--{name}") + 1] = value
    return shlex.join(["speechcue", *line])


def positive_int(text: str) -> int:
    """A whole number above 0; argparse says what is wrong with any other text."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, got {text!r}")
    return int(text)

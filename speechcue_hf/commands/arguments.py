"""What the commands' arguments have in common: how a dataset folder, a split, a model and a list are named."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechcue_hf.errors import EvaluationError

if TYPE_CHECKING:
    from datasets import Dataset


def add_dataset(parser: argparse.ArgumentParser, what: str, *, required: bool = True) -> None:
    """Declare a dataset folder, which is given by its place or as ``--dataset``; it is parsed as ``dataset``.

    Args:
        parser: Of the command.
        what: The help.
        required: Whether the command cannot do without.
    """
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
    """Declare an option with several values, between blanks or commas, all at once or one at a time.

    Args:
        parser: Of the command.
        *names: Of the option.
        **options: As for ``add_argument``.
    """
    parser.add_argument(*names, nargs="+", action=_Values, **options)


class _Values(argparse.Action):
    """Adds values to those that were given before."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, _: Any = None
    ) -> None:
        new = [part.strip() for value in values for part in value.split(",") if part.strip()]
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or ()), *new])


def add_model(parser: argparse.ArgumentParser, what: str, *, required: bool = True) -> None:
    """Declare the model that is asked, and its revision.

    Args:
        parser: Of the command, or a group of options.
        what: The help.
        required: Whether the command cannot do without.
    """
    parser.add_argument("--model", required=required, metavar="DIR_OR_ID", help=what)
    parser.add_argument("--revision", help="branch, tag or commit of the model on the Hub")


def add_seed(parser: argparse.ArgumentParser, what: str, default: int = 0) -> None:
    """Declare the seed of what is drawn at random."""
    parser.add_argument("--seed", type=int, default=default, help=f"{what} (default: %(default)s)")


def read_split(folder: Path, split: str) -> Dataset:
    """Read one split of a dataset folder.

    Args:
        folder: The folder.
        split: Name of the split.

    Returns:
        Its rows.

    Raises:
        EvaluationError: If there is no such split.
        CorpusError: If the folder holds no dataset.
    """
    from speechcue_hf.corpora.parquet import read_dataset

    dataset = read_dataset(folder)
    if split not in dataset:
        raise EvaluationError(f"{folder} has no split {split!r}; it has {', '.join(dataset)}.")
    return dataset[split]


def print_next(*words: object) -> None:
    """Print the command that comes next; it runs as it stands.

    Args:
        *words: Of the command, after ``speechcue``.
    """
    print(f"Next: {shlex.join(['speechcue', *map(str, words)])}")


def positive_int(text: str) -> int:
    """A whole number above 0.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, got {text!r}")
    return int(text)


def chosen_of(given: Sequence[str] | None, known: Sequence[str], what: str) -> tuple[str, ...] | None:
    """Values of a list that must be known ones.

    Args:
        given: What the command line gives.
        known: What there is.
        what: What it is called in an error.

    Returns:
        The values; None if none are given.

    Raises:
        ValueError: If one is not known.
    """
    from speechcue_hf.values import meant

    for value in given or ():
        if value not in known:
            raise ValueError(f"the {what} {value!r} {meant(value, known)}")
    return None if given is None else tuple(given)

"""What the readers of text releases share: files of the expected name, in utf-8, with the expected counts."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from speechcue_hf.corpora.check import count_splits, differences, release_counts
from speechcue_hf.corpora.schema import Utterance
from speechcue_hf.errors import CorpusError

logger = logging.getLogger(__name__)

FIX = "download the release again, or correct the file"
"""Of what no setting helps against."""

_FIX_OR_PARTIAL = (
    "download the release again, or pass verify=False (`speechcue prepare --no-verify`) to work with a partial copy"
)


def compare_counts(
    corpus: str, config: str, splits: Mapping[str, Sequence[Utterance]], files: Mapping[str, Path], verify: bool
) -> None:
    """Compare what the files of the splits held with the release.

    Args:
        corpus: Name of the corpus, such as ``emorynlp``.
        config: Name of its config.
        splits: Split name → utterances read.
        files: Split name, or ``all splits`` → the file or folder they come from, for the message.
        verify: Whether a difference is an error; else it is logged.

    Raises:
        CorpusError: If ``verify`` and they differ.
    """
    found = count_splits(splits)
    expected = release_counts(corpus, config, found)
    for split, file in files.items():
        problems = differences(found, {split: expected.get(split, {})})
        report([f"{file}, {problem}" for problem in problems], verify)


def report(problems: Iterable[str], verify: bool) -> None:
    """Refuse a copy that differs from its release, or log that it does.

    Args:
        problems: What differs, and where.
        verify: Whether the first of them is an error.

    Raises:
        CorpusError: If ``verify`` and there is one.
    """
    for problem in problems:
        if verify:
            raise CorpusError(f"{problem}: {_FIX_OR_PARTIAL}")
        logger.warning("%s; loaded as it is (verify=False)", problem)


def first_of(problems: Sequence[str]) -> list[str]:
    """One line for all problems of one kind: the first, and how many more there are; none where there is none.

    Example:
        >>> first_of(["a.wav is missing", "b.wav is missing"])
        ['a.wav is missing (and 1 more like it)']
    """
    if len(problems) < 2:
        return list(problems)
    return [f"{problems[0]} (and {len(problems) - 1:,} more like it)"]


def named_clips(clips: Iterable[Path], pattern: re.Pattern[str], verify: bool) -> Iterator[tuple[Path, re.Match[str]]]:
    """The clips of a release that says in their names what they are, each with what its name says.

    Args:
        clips: Files.
        pattern: Of a name without its ending.
        verify: Whether a clip with another name is an error; else it is left out, and that is logged.

    Raises:
        CorpusError: If ``verify`` and a clip has another name.
    """
    foreign = []
    for clip in clips:
        if name := pattern.fullmatch(clip.stem):
            yield clip, name
        else:
            foreign.append(f"{clip} is not named as the release names its clips")
    report(first_of(foreign), verify)


def split_of(actor: int, last_actors: Mapping[str, int]) -> str:
    """The split of an actor, by the last actor of each.

    Example:
        >>> split_of(17, {"train": 16, "validation": 20, "test": 24})
        'validation'
    """
    return next(split for split, last in last_actors.items() if actor <= last)


def csv_rows(file: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a csv, each with the number of its last line.

    Args:
        file: For the message.
        text: What the file holds.

    Raises:
        CorpusError: If it is no csv.
    """
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise CorpusError(f"{file}, line {reader.line_num + 1}: {error}: {FIX}") from error


def first_existing(paths: Iterable[Path]) -> Path | None:
    """The first of some paths that is there, or None."""
    return next((path for path in paths if path.exists()), None)


def read_utf8(file: Path) -> str:
    """Text of a file, line ends as they are, without a byte order mark.

    Raises:
        CorpusError: If it is not utf-8.
    """
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{file} is not utf-8 ({error}): {FIX}") from error

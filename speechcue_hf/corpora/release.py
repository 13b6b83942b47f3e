"""What the readers of text releases share: files of the expected name, in utf-8, with the expected counts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from speechcue_hf.corpora.check import count_splits, differences, release_counts
from speechcue_hf.corpora.schema import Utterance
from speechcue_hf.errors import CorpusError

logger = logging.getLogger(__name__)

FIX = "download the release again, or pass verify=False (`speechcue prepare --no-verify`) to work with a partial copy"


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
        for problem in differences({split: found[split]}, {split: expected.get(split, {})}):
            report(f"{file}, {problem}", verify)


def report(problem: str, verify: bool) -> None:
    """Refuse a copy that differs from its release, or log that it does.

    Args:
        problem: What differs, and where.
        verify: Whether it is an error.

    Raises:
        CorpusError: If ``verify``.
    """
    if verify:
        raise CorpusError(f"{problem}: {FIX}")
    logger.warning("%s; loaded as it is (verify=False)", problem)


def first_of(problems: Sequence[str]) -> list[str]:
    """One line for many problems of one kind.

    Args:
        problems: One line each, may be empty.

    Returns:
        Nothing, or the first and how many more there are.

    Example:
        >>> first_of(["a.wav is missing", "b.wav is missing"])
        ['a.wav is missing (and 1 more like it)']
    """
    if len(problems) < 2:
        return list(problems)
    return [f"{problems[0]} (and {len(problems) - 1:,} more like it)"]


def first_existing(paths: Iterable[Path]) -> Path | None:
    """The first of some paths that is there, or None."""
    return next((path for path in paths if path.exists()), None)


def read_utf8(file: Path) -> str:
    """Text of a file.

    Args:
        file: The file; a byte order mark at its start is left out.

    Returns:
        Its text, line ends as they are.

    Raises:
        CorpusError: If it is not utf-8.
    """
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{file} is not utf-8 ({error}): {FIX}") from error

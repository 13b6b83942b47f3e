"""What the readers of text releases share: files of the expected name, in utf-8, with the expected counts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechcue_hf.corpora.schema import Utterance
from speechcue_hf.errors import CorpusError

logger = logging.getLogger(__name__)

CURE = "download the release again, or pass verify=False to work with a partial copy"


@dataclass(frozen=True)
class SplitSize:
    """Size of one split of a release."""

    dialogues: int
    utterances: int

    def __str__(self) -> str:
        return f"{self.utterances:,} utterances in {self.dialogues:,} dialogues"


def size_of(utterances: Sequence[Utterance]) -> SplitSize:
    """Count the dialogues and utterances of a split."""
    return SplitSize(len({utterance.dialogue_id for utterance in utterances}), len(utterances))


def compare_size(file: Path, utterances: Sequence[Utterance], release: SplitSize, verify: bool) -> None:
    """Compare what a file held with the release.

    Args:
        file: The file, for the message.
        utterances: What it held.
        release: What it should hold.
        verify: Whether a difference is an error; else it is logged.

    Raises:
        CorpusError: If ``verify`` and they differ.
    """
    found = size_of(utterances)
    if found != release:
        report(f"{file} has {found}, the release has {release}", verify)


def report(problem: str, verify: bool) -> None:
    """Refuse a copy that differs from its release, or log that it does.

    Args:
        problem: What differs, and where.
        verify: Whether it is an error.

    Raises:
        CorpusError: If ``verify``.
    """
    if verify:
        raise CorpusError(f"{problem}: {CURE}")
    logger.warning("%s; loaded as it is (verify=False)", problem)


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
        raise CorpusError(f"{file} is not utf-8 ({error}): {CURE}") from error

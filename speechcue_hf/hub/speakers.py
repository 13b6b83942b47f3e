"""Speakers of people's own recordings get numbers in what is published: their names stay here unless asked for."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from datasets import Dataset, DatasetDict

from speechcue_hf.corpora.catalogue import Corpus, is_of_users
from speechcue_hf.corpora.joining import put_beside
from speechcue_hf.cues.describe import SpeechDescriber

logger = logging.getLogger(__name__)

_GROUP = "speaker: "
"""Before the name of a speaker, in the name of a describer's group."""


def are_private(corpus: Corpus | None) -> bool:
    """Whether the speakers of a corpus are people whom its user knows: those of recordings that nobody has released."""
    return corpus is None or is_of_users(corpus)


def numbers(names: Iterable[str | None], called: str = "speaker") -> dict[str, str]:
    """Name → number, in the order in which they appear.

    Example:
        >>> numbers(["Ann", None, "Ben", "Ann"])
        {'Ann': 'speaker 1', 'Ben': 'speaker 2'}
    """
    known = dict.fromkeys(name for name in names if name)
    return {name: f"{called} {place}" for place, name in enumerate(known, start=1)}


def speakers_of(datasets: Iterable[DatasetDict]) -> list[str | None]:
    """All speakers of some datasets, in the order in which they appear."""
    return [
        name
        for dataset in datasets
        for rows in dataset.values()
        if "speaker" in rows.column_names
        for name in rows.unique("speaker")
    ]


def speakers_of_describer(describer: SpeechDescriber) -> list[str]:
    """The speakers with statistics of their own."""
    return [group.removeprefix(_GROUP) for group in describer.groups if group.startswith(_GROUP)]


def number_rows(dataset: DatasetDict, called: Mapping[str, str]) -> DatasetDict:
    """Rows with numbers for the names of speakers, in their column and in biographies; what people say stays."""
    return DatasetDict({split: _number_split(rows, called) for split, rows in dataset.items()})


def number_describer(describer: SpeechDescriber, called: Mapping[str, str]) -> SpeechDescriber:
    """The same describer with numbers for the names of speakers; its fingerprint stays, so that records still fit."""
    groups = {
        f"{_GROUP}{called[name.removeprefix(_GROUP)]}" if name.startswith(_GROUP) else name: group
        for name, group in describer.groups.items()
    }
    return replace(describer, groups=groups, named_sha256=describer.fingerprint)


def warn_of_names(dataset: DatasetDict, called: Mapping[str, str]) -> None:
    """Say in the log where names of speakers still stand: in what was said, and in ids and file names."""
    pattern = _pattern(called)
    for column in ("text", "utterance_id", "dialogue_id"):
        texts = [text or "" for rows in dataset.values() if column in rows.column_names for text in rows[column]]
        if pattern and (count := sum(bool(pattern.search(text)) for text in texts)):
            logger.warning("the column %s names speakers in %d rows, which are published as they are", column, count)


def _number_split(rows: Dataset, called: Mapping[str, str]) -> Dataset:
    changed = [name for name in ("speaker", "biography") if name in rows.column_names]
    if not changed:
        return rows
    pattern = _pattern(called)

    def renamed(batch: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        columns = {"speaker": lambda name: called.get(name, name)}
        if pattern:
            columns["biography"] = lambda text: pattern.sub(lambda match: called[match[0]], text)
        return {
            name: [value and columns[name](value) if name in columns else value for value in batch[name]]
            for name in changed
        }

    part = rows.select_columns(changed)
    part = part.map(renamed, batched=True, features=part.features, desc="Numbering speakers")
    return put_beside(rows, part).select_columns(rows.column_names)


def _pattern(called: Mapping[str, str]) -> re.Pattern[str] | None:
    """Any of the names as a whole word; the longest is tried first."""
    names = sorted(map(re.escape, called), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(names)})(?!\w)") if names else None

"""Rows and what belongs to them, joined by utterance id or, where one was made of the other, row by row."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

from datasets import Dataset, Features, IterableDataset, concatenate_datasets

from speechcue_hf.errors import CorpusError

AnyRows = TypeVar("AnyRows", Dataset, IterableDataset)


def put_beside(rows: Dataset, columns: Dataset) -> Dataset:
    """Put columns beside rows, whose info and split stay; ``concatenate_datasets`` alone keeps free texts only.

    Args:
        rows: The rows.
        columns: As many rows of other columns, in the same order; they take the place of those of the same names.
    """
    rows = rows.remove_columns([name for name in columns.column_names if name in rows.column_names])
    joined: Dataset = concatenate_datasets([rows, columns], axis=1, split=rows.split)
    if not len(rows):  # concatenate_datasets leaves out what has no rows, columns and all.
        features = Features({**rows.features, **columns.features})
        joined = Dataset.from_dict({name: [] for name in features}, features=features, split=rows.split)
    joined.info.dataset_name, joined.info.config_name = rows.info.dataset_name, rows.info.config_name
    joined.info.description = rows.info.description
    return joined


def with_utterance_ids(rows: AnyRows) -> AnyRows:
    """Rows with ``utterance_id``: their own, or else their split and their place in it, such as ``train_12``."""
    if "utterance_id" in (rows.column_names or ()):
        return rows
    split = str(rows.split or "row")
    if isinstance(rows, IterableDataset):
        return rows.map(lambda row, place: {"utterance_id": f"{split}_{place}"}, with_indices=True)
    ids = [f"{split}_{place}" for place in range(len(rows))]
    return put_beside(rows, Dataset.from_dict({"utterance_id": ids}))


def letters(text: str) -> str:
    r"""Letters and digits only, all small: copies of a corpus differ in quotation marks, spaces, control characters.

    Example:
        >>> letters("It\u2019s  me.") == letters("It\u0092s me")
        True
    """
    return re.sub(r"[\W_]+", "", text).casefold()


def clip_places(utterances: Iterable[str], clips: Dataset) -> list[int]:
    """Find the place of each utterance's clip in another dataset.

    Args:
        utterances: Ids.
        clips: With ``utterance_id`` and ``audio``.

    Raises:
        CorpusError: If the dataset has no clips, or none of an utterance.
    """
    if "audio" not in clips.column_names:
        raise CorpusError("the dataset with the clips has no column 'audio': give what `speechcue prepare` wrote")
    places = {name: place for place, name in enumerate(clips["utterance_id"])}
    requested = list(utterances)
    if missing := [name for name in requested if name not in places]:
        raise CorpusError(
            f"the dataset with the clips has no row for {missing[0]!r} (and {len(missing) - 1} more): give the folder "
            "that was measured, as `speechcue prepare` wrote it"
        )
    return [places[name] for name in requested]


def with_clips(rows: Dataset, clips: Dataset) -> Dataset:
    """Put clips beside rows, by utterance id, as ``audio``.

    Args:
        rows: With ``utterance_id``.
        clips: With ``utterance_id`` and ``audio``, of at least these utterances.

    Raises:
        CorpusError: If a clip is not there.
    """
    places = clip_places(rows["utterance_id"], clips)
    return put_beside(rows, clips.select_columns("audio").select(places))

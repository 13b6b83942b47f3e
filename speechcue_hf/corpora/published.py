"""Columns that somebody has published for a corpus, joined by utterance id to a copy that stays where it is."""

from __future__ import annotations

from functools import cache

import pyarrow as pa
from datasets import Dataset, concatenate_datasets, load_dataset
from datasets.exceptions import DatasetNotFoundError
from huggingface_hub import HfApi
from huggingface_hub.errors import OfflineModeIsEnabled, RepositoryNotFoundError

from speechcue_hf.errors import CorpusError


def commit_of(repo_id: str) -> str | None:
    """The commit that a dataset repository is at now.

    Args:
        repo_id: ``user/name``, as ``speechcue publish dataset`` made it.

    Returns:
        40 hexadecimal digits; None without a way to the Hub, where what was fetched before is used.

    Raises:
        CorpusError: If there is no such repository, or it may not be read.
    """
    try:
        return HfApi().dataset_info(repo_id).sha
    except OfflineModeIsEnabled:
        return None
    except RepositoryNotFoundError as error:
        raise CorpusError(
            f"there is no dataset {repo_id!r} on the Hub, or it is not yours to read: look at the name given as "
            "published=, and log in with `hf auth login`"
        ) from error


@cache
def read_published(repo_id: str, view: str, revision: str | None) -> Dataset:
    """Read the rows of a published view, all splits together, with ``utterance_id``.

    Args:
        repo_id: Dataset repository.
        view: Config of it, such as ``described``.
        revision: Commit; None takes what was fetched before.

    Raises:
        CorpusError: If there is no such view, or its rows have no ids.
    """
    try:
        splits = load_dataset(repo_id, view, revision=revision)
    except (DatasetNotFoundError, ValueError) as error:
        raise CorpusError(f"{repo_id} cannot be joined: {error}") from error
    rows = concatenate_datasets(list(splits.values()))
    if "utterance_id" not in rows.column_names:
        raise CorpusError(f"{repo_id}, view {view}, has no column utterance_id to join by")
    return rows


def join_published(table: pa.Table, published: Dataset, *, required: bool) -> pa.Table:
    """Put published columns that rows have not themselves beside them, by utterance id.

    Args:
        table: Rows of the corpus, with ``utterance_id``.
        published: From :func:`read_published`.
        required: Refuse a row that was not published; False leaves its columns null.

    Raises:
        CorpusError: If a row was not published.
    """
    places = _places(published)
    ids = table["utterance_id"].to_pylist()
    missing = [name for name in ids if name not in places]
    if missing and required:
        raise CorpusError(
            f"utterance {missing[0]!r} and {len(missing) - 1} more of these rows were not published there: take the "
            "config that was published, or pass verify=False, which leaves their columns null"
        )
    taken = published.data.table.take(pa.array([places.get(name) for name in ids], pa.int64()))
    for name in (name for name in published.column_names if name not in table.column_names):
        table = table.append_column(published.features.arrow_schema.field(name), taken[name])
    return table


def _places(published: Dataset) -> dict[str, int]:
    ids: list[str] = list(published["utterance_id"])
    places = {name: place for place, name in enumerate(ids)}
    if len(places) != len(ids):
        raise CorpusError("the published rows name an utterance twice, so they cannot be joined by id")
    return places

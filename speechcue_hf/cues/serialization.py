"""``describer.json``: where it lies, and how statistics come back from it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechcue_hf.cues.groups import Group
from speechcue_hf.cues.levels import CueStatistics
from speechcue_hf.errors import DescriberError
from speechcue_hf.records import DESCRIBER_FILE, with_nulls

_PLACES = {"model": DESCRIBER_FILE, "dataset": f"described/{DESCRIBER_FILE}"}
"""Kind of repository → where it lies there."""


def find_describer(name: str | Path, revision: str | None) -> Path:
    """The path of ``describer.json`` in a folder, or in the cache after fetching it from the Hub.

    Args:
        name: The folder, or the id of a model repository, or of a dataset repository that ``speechcue publish dataset``
            made.
        revision: Branch, tag or commit of the repository.

    Returns:
        A file that exists.

    Raises:
        DescriberError: If there is neither such a folder nor such a repository with the file, or no way to the Hub.
    """
    if Path(name).is_dir():
        path = Path(name) / DESCRIBER_FILE
        if not path.is_file():
            raise DescriberError(f"{name} holds no {DESCRIBER_FILE}: save a describer there with save_pretrained.")
        return path
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    reasons: list[str] = []
    for kind, path_there in _PLACES.items():
        try:
            return Path(hf_hub_download(str(name), path_there, repo_type=kind, revision=revision))
        except (HFValidationError, RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError) as error:
            reasons.append(f"{kind}: {error}")
    raise DescriberError(
        f"{name} is neither a folder nor a model repository on the Hub with a {DESCRIBER_FILE}, nor a dataset "
        f"repository with {_PLACES['dataset']}; {'; '.join(reasons)}"
    )


def canonical_text(values: Mapping[str, Any]) -> str:
    """The values of a describer as text that depends on nothing else.

    Args:
        values: The describer's fields as plain dictionaries, lists and numbers.

    Returns:
        JSON with sorted keys; NaN becomes null.
    """
    document = with_nulls({"format_version": 1, **values})
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def group_of(entry: Any) -> Group:
    """The statistics of a group, from JSON values or as they are.

    Raises:
        KeyError: If a value is missing.
        TypeError: If one is of another type.
    """
    if isinstance(entry, Group):
        return entry
    return Group(int(entry["rows"]), {cue: _statistics(statistics) for cue, statistics in entry["cues"].items()})


def _statistics(entry: Mapping[str, Any]) -> CueStatistics:
    return CueStatistics(
        count=int(entry["count"]),
        mean=_number(entry["mean"]),
        sd=_number(entry["sd"]),
        median=_number(entry["median"]),
        thresholds=tuple(_number(threshold) for threshold in entry["thresholds"]),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)

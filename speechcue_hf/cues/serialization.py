"""``describer.json``: where it lies, and how statistics become JSON and come back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechcue_hf.cues.groups import Group
from speechcue_hf.cues.levels import CueStatistics
from speechcue_hf.errors import DescriberError
from speechcue_hf.filenames import DESCRIBER_FILE

FORMAT_VERSION = 1

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


def dump(fields: Mapping[str, Any]) -> str:
    """The text of ``describer.json``.

    Args:
        fields: The describer's fields as plain dictionaries, lists and numbers.

    Returns:
        JSON with sorted keys, so that equal fields give equal text; NaN becomes null.
    """
    document = _nulls({"format_version": FORMAT_VERSION, **fields})
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def parse(text: str) -> dict[str, Any]:
    """Read the text of ``describer.json``.

    Args:
        text: From :func:`dump`.

    Returns:
        The fields, ``"groups"`` as :class:`~speechcue_hf.cues.groups.Group` and ``"cues"`` as a tuple.

    Raises:
        DescriberError: If the text is not valid or of another format.
    """
    try:
        fields = json.loads(text)
        version = fields.pop("format_version")
        writer = fields["package_version"]
    except (json.JSONDecodeError, KeyError, AttributeError, TypeError) as error:
        raise DescriberError(f"not a describer ({error!r}): fit it again.") from error
    if version != FORMAT_VERSION:
        raise DescriberError(
            f"written in format {version}, and this package reads format {FORMAT_VERSION}: "
            f"install speechcue_hf {writer}, or fit the describer again."
        )
    try:
        groups = {name: _group(entry) for name, entry in fields["groups"].items()}
        return {**fields, "cues": tuple(fields["cues"]), "groups": groups}
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise DescriberError(f"not a valid describer ({error!r}): fit it again.") from error


def _nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _nulls(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_nulls(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _group(entry: Mapping[str, Any]) -> Group:
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

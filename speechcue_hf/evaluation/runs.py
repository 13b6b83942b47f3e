"""What lies beside a model or a dataset and says how it was made: prompt, training record, describer, biographies."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from speechcue_hf.errors import EvaluationError
from speechcue_hf.filenames import BASE_MODEL_FOLDER, BIOGRAPHIES_FILE, DESCRIBER_FILE


def find_beside(model: str | Path, name: str) -> Path | None:
    """Find a file beside a model.

    Args:
        model: A folder, or the id of a model on the Hub.
        name: Name of the file.

    Returns:
        Where the file is on this machine, or None where the model has no such file.

    Raises:
        OSError: If there is no such model.
    """
    from transformers.utils.hub import cached_file

    found = cached_file(str(model), name, _raise_exceptions_for_missing_entries=False)
    return None if found is None else Path(found)


def model_type(model: str | Path) -> str | None:
    """Find the kind of a model, such as ``"bioserc"``, in its ``config.json`` or that of the base model beside it.

    Args:
        model: A folder, or the id of a model on the Hub.

    Returns:
        Its kind; None for an adapter whose base model lies elsewhere.

    Raises:
        OSError: If there is no such model.
    """
    path = find_beside(model, "config.json") or find_beside(model, f"{BASE_MODEL_FOLDER}/config.json")
    return None if path is None else read_record(path).get("model_type")


def read_record(path: Path) -> dict[str, Any]:
    """Read a record in JSON.

    Raises:
        EvaluationError: If it is no JSON.
    """
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise EvaluationError(f"{path} is no JSON ({error}). Write it again with the command that made it.") from error
    return record


def describer_sha256(folder: Path) -> str | None:
    """Fingerprint of the describer that worded a dataset: SHA-256 of its file, None where there is none.

    Args:
        folder: A dataset folder.

    Returns:
        64 hexadecimal digits or None.
    """
    path = folder / DESCRIBER_FILE
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def biographies_of(folder: Path) -> Path | None:
    """Find the record of a dataset's biographies.

    Args:
        folder: A dataset folder.

    Returns:
        Its ``biographies.json``, None where there is none.
    """
    path = folder / BIOGRAPHIES_FILE
    return path if path.is_file() else None

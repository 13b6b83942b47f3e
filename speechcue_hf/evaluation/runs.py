"""What lies beside a model or a dataset and says how it was made: prompt, training record, describer, biographies."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from speechcue_hf.errors import EvaluationError
from speechcue_hf.filenames import (
    BASE_MODEL_FOLDER,
    BIOGRAPHIES_FILE,
    DESCRIBER_FILE,
    PROMPT_FILE,
    PROMPT_TEMPLATE_FILE,
)
from speechcue_hf.models.loading import find_beside
from speechcue_hf.prompts.specification import PromptSpecification, load_prompt


def prompt_beside(model: str | Path, revision: str | None = None) -> PromptSpecification | None:
    """Load the prompt that a model was trained on.

    Args:
        model: A folder, or the id of a model on the Hub.
        revision: Branch, tag or commit on the Hub.

    Returns:
        The prompt; None where no ``prompt.json`` lies beside the model.

    Raises:
        OSError: If there is no such model.
        PromptError: If the prompt is not valid.
    """
    path = find_beside(model, PROMPT_FILE, revision)
    if path is None:
        return None
    # From the Hub its template comes as a file of its own, into the same folder.
    find_beside(model, PROMPT_TEMPLATE_FILE, revision)
    return load_prompt(path)


def model_type(model: str | Path, revision: str | None = None) -> str | None:
    """Find the kind of a model, such as ``"bioserc"``, in its ``config.json`` or that of its base model.

    Args:
        model: A folder, or the id of a model on the Hub; of an adapter, its base model may be either, too.
        revision: Branch, tag or commit on the Hub.

    Returns:
        Its kind; None where nothing says it.

    Raises:
        OSError: If there is no such model, or an adapter's base model is not found.
    """
    path = find_beside(model, "config.json", revision)
    adapter = None if path else find_beside(model, "adapter_config.json", revision)
    if adapter is not None:
        settings = read_record(adapter)
        base = settings["base_model_name_or_path"]
        beside = base == BASE_MODEL_FOLDER
        path = (
            find_beside(model, f"{base}/config.json", revision)
            if beside
            else find_beside(base, "config.json", settings.get("revision"))
        )
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

"""Who wrote the biographies that prompts tell: a model is evaluated on biographies made like those of its training."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

_SHAPING = ("source", "scope", "refresh", "word_limit", "prompt", "writer")
"""What in the file would make other texts; the rest counts rows and tokens, which differ from corpus to corpus."""


def biography_record(path: Path | None) -> dict[str, Any]:
    """Say what shaped the biographies of a dataset, for the records of training and evaluation.

    Args:
        path: The ``biographies.json`` beside the rows, or None.

    Returns:
        ``biographies``: their source, scope, writer, prompt and limits; and ``biographies_sha256``, of the whole file.
        Both None without a file.
    """
    if path is None:
        return {"biographies": None, "biographies_sha256": None}
    content = path.read_bytes()
    facts = {name: value for name, value in json.loads(content).items() if name in _SHAPING}
    return {"biographies": facts, "biographies_sha256": hashlib.sha256(content).hexdigest()}

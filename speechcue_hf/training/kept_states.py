"""A folder of hidden states says what made them, so that no others are taken for them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speechcue_hf.errors import TrainingError
from speechcue_hf.records import read_json, write_json


def open_states(folder: Path, identity: Mapping[str, Any]) -> None:
    """Make a folder of states, or find one whose ``states.json`` says the same.

    Raises:
        TrainingError: If it holds states that something else made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "states.json"
    if not record.is_file():
        write_json(dict(identity), record)
    kept = read_json(record, "delete the folder")
    if differing := sorted(name for name in identity if kept.get(name) != identity[name]):
        raise TrainingError(
            f"{record} tells of states that differ in {', '.join(differing)}: name another folder for these states, or "
            "delete that one"
        )


def digest_of(tensors: Iterable[Tensor]) -> str:
    """SHA-256 of tensors, in single precision."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().to(torch.float32).numpy().tobytes())
    return digest.hexdigest()

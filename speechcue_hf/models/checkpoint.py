"""The tensors of a checkpoint from strangers, without running anything that the file holds."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from speechcue_hf.errors import CheckpointError


class _Inert:
    """Stands for whatever a checkpoint holds beside tensors and plain values: it takes anything and does nothing."""

    def __new__(cls, *args: object, **kwargs: object) -> _Inert:
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        """Keep nothing."""


def read_tensors(path: Path, key: str) -> dict[str, Tensor]:
    """Read the state dict of a checkpoint, less distributed training's prefix, without running anything it holds.

    Args:
        path: The file, as ``torch.save`` wrote it. Schedules, settings and whatever else lies in it is passed over.
        key: Where the state dict lies, if the file holds more than that.

    Returns:
        Name → tensor.

    Raises:
        CheckpointError: If it is no checkpoint or holds no state dict.
    """
    try:
        # What torch does not allow is put together from harmless pieces, and never looked at.
        others = torch.serialization.get_unsafe_globals_in_checkpoint(path) if zipfile.is_zipfile(path) else []
        with torch.serialization.safe_globals([(_Inert, name) for name in others]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        # PyTorch's second sentence advises to load it with what it may run.
        cause = str(error).splitlines()[0].partition(". ")[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path.name}: cannot be read as tensors and plain values only ({cause})") from error
    state = content.get(key, content) if isinstance(content, dict) else None
    named = state.items() if isinstance(state, dict) else ()
    tensors = {name.removeprefix("module."): value for name, value in named if isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(f"{path.name}: holds no state dict, neither as it is nor under {key!r}")
    return tensors

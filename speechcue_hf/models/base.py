"""The base model of a run: on the Hub, or in a folder beside the adapter that is trained on it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from speechcue_hf.errors import TrainingError
from speechcue_hf.records import BASE_MODEL_FOLDER, read_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
"""Of a model; a folder of this machine has more parts or none."""

TINY_MODEL = "tiny"
"""Given as model, it means the tiny chat model that is built on the spot."""


def place_base_model(name: str, output: Path, texts: Iterable[str], seed: int) -> str:
    """Put a base model that is not on the Hub where the adapter will look for it: a tiny one made, a local one linked.

    Args:
        name: Hub id, folder, or ``tiny``.
        output: Folder of the run.
        texts: What the tiny model's tokenizer is trained on.
        seed: Of the tiny model's parameters.

    Returns:
        The Hub id as it is, or the folder beside the adapter.

    Raises:
        TrainingError: If the output folder holds another base model already, or the model is a ``.gguf`` file.
    """
    if is_gguf(name):
        raise TrainingError(
            f"{Path(name).name} holds weights that were rounded to a few bits, which training cannot go on from: name "
            "the model that it was made of, by its Hub id or folder"
        )
    beside = output / BASE_MODEL_FOLDER
    if name != TINY_MODEL and not Path(name).is_dir():
        return name
    output.mkdir(parents=True, exist_ok=True)
    # A link whose model is gone counts as there: it is not replaced without a word.
    if os.path.lexists(beside):
        if beside.resolve() != (output.resolve() / BASE_MODEL_FOLDER if name == TINY_MODEL else Path(name).resolve()):
            raise TrainingError(f"{output.name} already holds a run on another base model: give another --output_dir")
    elif name == TINY_MODEL:
        from speechcue_hf.models.tiny import build_tiny_model

        model, tokenizer = build_tiny_model(texts, seed=seed)
        model.save_pretrained(beside)
        tokenizer.save_pretrained(beside)
    else:
        _link(beside, Path(name).resolve())
    return str(beside)


def leads_elsewhere(folder: Path) -> bool:
    """Whether a folder is a link of any kind, also to a folder that is gone.

    Example:
        >>> leads_elsewhere(Path.cwd())
        False
    """
    return folder.resolve() != folder.parent.resolve() / folder.name


def _link(place: Path, folder: Path) -> None:
    """Let a place lead to a folder."""
    if sys.platform == "win32":
        # A junction: few users of Windows have the right to make symbolic links.
        import _winapi

        _winapi.CreateJunction(str(folder), str(place))
    else:
        place.symlink_to(folder, target_is_directory=True)


def is_gguf(name: str | Path) -> bool:
    """Whether a model is named by a ``.gguf`` file, which llama.cpp and its kin read.

    Example:
        >>> is_gguf("models/SmolLM2-135M-Instruct.Q4_1.gguf")
        True
    """
    return Path(name).suffix.lower() == ".gguf"


def base_model_name(name: str) -> str:
    """Hub id of a model, in the cache of the Hub too, or the name of its folder or file without the path to it."""
    if is_gguf(name):
        return Path(name).name
    if not Path(name).is_dir():
        return name
    folder = Path(name).absolute()
    cached = next((part for part in reversed(folder.parts) if part.startswith("models--")), None)
    return cached.removeprefix("models--").replace("--", "/") if cached else folder.resolve().name


def original_name(name: str) -> str:
    """Hub id of the model that a folder's model was loaded from, as its configuration says, or its name as it is."""
    path = Path(name) / "config.json"
    said = read_json(path, "take another copy of the model").get("_name_or_path") if path.is_file() else None
    # What an earlier transformers wrote there may be a path as well.
    return said if said and HUB_ID.fullmatch(said) and not Path(said).exists() else base_model_name(name)


def has_plain_cache(model: PreTrainedModel) -> bool:
    """Whether every layer of a model sees the whole of its key-value cache, as sliding windows and states do not."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)

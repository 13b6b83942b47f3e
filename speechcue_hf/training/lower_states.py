"""Hidden states below the first layer that has an adapter: nothing there learns, so each batch runs there once.

They are kept on disk, as wide as the model and in its numbers: SmolLM2-135M takes 2.3 kB a token, MELD's training split
as whole dialogues 1.4 GB. Later epochs and seeds run the upper layers alone, with the same loss and the same gradients.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, Features, Value
from torch import Tensor

from speechcue_hf.errors import TrainingError
from speechcue_hf.models.token_tree import additive_mask
from speechcue_hf.training.kept_states import digest_of, open_states
from speechcue_hf.training.label_loss import collate_trees

logger = logging.getLogger(__name__)

_FEATURES = Features({"tokens_sha256": Value("string"), "states": Value("large_binary")})
_APART = 1e-3
"""Largest difference of last states, as a share of the largest of them, that rounding may make."""


def keep_lower_states(batches: Mapping[str, Dataset], model: Any, first: int, folder: Path) -> dict[str, Dataset]:
    """Compute the states of every batch below a layer, or find them where they were kept before.

    A split whose file is there is not computed again, so an interrupted run goes on with the next one.

    Args:
        batches: Splits, from :func:`speechcue_hf.training.label_loss.batches_of_dialogues`.
        model: The base model, without adapter.
        first: The first layer that learns, counted from 0.
        folder: Where states are kept: an Arrow file for each split, and ``states.json``.

    Returns:
        The batches with a column ``states``: the bytes of ``(nodes, width)``, read from disk when they are used.

    Raises:
        TrainingError: If the folder holds states of other batches, another model or another layer, the model drops out
            states where nothing learns, or it does more to its states than to run its layers.
    """
    decoder = model.get_decoder()
    layers = len(decoder.layers)
    if not 0 < first < layers:
        raise TrainingError(f"lora_first_layer is {first}: states are kept below a layer from 1 to {layers - 1}")
    if getattr(model.config, "attention_dropout", 0.0):
        raise TrainingError(
            "the model's attention_dropout changes states at each step: set it to 0, or leave states out"
        )
    lower = [tensor for layer in decoder.layers[:first] for tensor in layer.state_dict().values()]
    embeddings = model.get_input_embeddings().weight
    identity = {"first_layer": first, "lower_sha256": digest_of([embeddings, *lower]), "dtype": str(model.dtype)}
    open_states(folder, identity)
    model.eval()
    kept = {split: _keep_split(part, model, first, folder / f"{split}.arrow") for split, part in batches.items()}
    _check(model, first, next(iter(kept.values()))[0])
    return kept


@contextmanager
def upper_layers(model: Any, first: int) -> Iterator[None]:
    """Let a model run its layers from ``first`` on; states are given to it as embeddings then.

    Args:
        model: A causal language model, wrapped for an adapter or not.
        first: The first layer that runs, counted from 0.
    """
    with _layers(model, first, None):
        yield


@contextmanager
def _layers(model: Any, first: int, end: int | None) -> Iterator[None]:
    """Let a model, wrapped for an adapter or not, run some of its layers."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    decoder = base.get_decoder()
    whole = decoder.layers
    decoder.layers = whole[first:end]
    try:
        yield
    finally:
        decoder.layers = whole


def _keep_split(batches: Dataset, model: Any, first: int, path: Path) -> Dataset:
    if not path.is_file():
        batches.map(
            _run_lower,
            fn_kwargs={"model": model, "first": first},
            remove_columns=batches.column_names,
            features=_FEATURES,
            cache_file_name=str(path),
            # Else a hash of the whole model, which is not looked at: the file is found by its name.
            new_fingerprint=hashlib.sha256(str(path).encode()).hexdigest()[:32],
            writer_batch_size=16,
            desc=f"States of {path.stem}",
        )
        logger.info("States below layer %d of %s: %.1f GB", first, path.stem, path.stat().st_size / 1e9)
    kept = Dataset.from_file(str(path))
    if list(kept["tokens_sha256"]) != [_digest_of_tokens(rows) for rows in batches["input_ids"]]:
        raise TrainingError(f"{path.name} holds states of other batches: delete it, or name another folder")
    return batches.add_column("states", kept.data.column("states"), feature=Value("large_binary"))


def _run_lower(batch: Mapping[str, Any], model: Any, first: int) -> dict[str, Any]:
    """The states that a batch brings to a layer."""
    states = _states(model, first, _on(model, collate_trees([batch])))
    plain = states[0].cpu().contiguous().view(torch.uint8)
    return {"tokens_sha256": _digest_of_tokens(batch["input_ids"]), "states": plain.numpy().tobytes()}


def _states(model: Any, first: int, tree: Mapping[str, Tensor]) -> Tensor:
    """What layer ``first`` is given for a tree, shape ``(1, nodes, width)``."""
    given: list[Tensor] = []
    layer = model.get_decoder().layers[first]
    hook = layer.register_forward_pre_hook(
        lambda _, arguments, named: given.append(arguments[0] if arguments else named["hidden_states"]),
        with_kwargs=True,
    )
    try:
        with torch.inference_mode(), _layers(model, 0, first + 1):
            model.get_decoder()(input_ids=tree["input_ids"], use_cache=False, **_seen(model, tree))
    finally:
        hook.remove()
    return given[0]


def _check(model: Any, first: int, batch: Mapping[str, Any]) -> None:
    """Refuse a model whose last states are others when its upper layers are given what the lower ones made."""
    tree = _on(model, collate_trees([batch]))
    decoder, seen = model.get_decoder(), _seen(model, tree)
    with torch.inference_mode():
        whole = decoder(input_ids=tree["input_ids"], use_cache=False, **seen).last_hidden_state
        with upper_layers(model, first):
            states = tree["states"].view(model.dtype)
            upper = decoder(inputs_embeds=states, use_cache=False, **seen).last_hidden_state
    if (whole - upper).abs().max() > _APART * whole.abs().max():
        raise TrainingError(
            f"{type(model).__name__} does more to its embeddings than to run its layers on them, so its states cannot "
            "be kept: leave states out"
        )


def _on(model: Any, tree: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.to(model.device) for name, value in tree.items()}


def _seen(model: Any, tree: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Mask and positions of a tree."""
    nodes = torch.arange(tree["input_ids"].shape[1], device=model.device)
    mask = additive_mask(nodes, nodes, tree["ends"][0], model.dtype)
    return {"attention_mask": mask, "position_ids": tree["position_ids"]}


def _digest_of_tokens(rows: list[list[int]]) -> str:
    return hashlib.sha256(repr(rows).encode()).hexdigest()

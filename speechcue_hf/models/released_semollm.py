"""SEmoLLM's released checkpoint: its LAVIS-style names to those of our model, each weight accounted for."""

from __future__ import annotations

import logging
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speechcue_hf.errors import CheckpointError
from speechcue_hf.models.semollm import SEmoLLMForConditionalGeneration, SEmoLLMProcessor
from speechcue_hf.models.semollm.assembly import assemble_semollm, qformer_name
from speechcue_hf.models.semollm.processing_semollm import PAPER_TEMPLATE, with_audio_parts

logger = logging.getLogger(__name__)

ADAPTER = "model.speech_adapter."
QFORMER = f"{ADAPTER}projector.qformer."

RENAMES = (
    (r"^wavlm\.", "model.speech_encoder.encoder."),
    # Weight norm as torch named it before parametrizations.
    (r"\.pos_conv_embed\.conv\.weight_g$", ".pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"\.pos_conv_embed\.conv\.weight_v$", ".pos_conv_embed.conv.parametrizations.weight.original1"),
    (r"^layer_weights$", f"{ADAPTER}layer_weights"),
    (r"^projector\.", f"{ADAPTER}projection.0."),
    (r"^ln_audio\.", f"{ADAPTER}projection.2."),
    (r"^query_tokens$", f"{QFORMER}query_tokens"),
    (r"^llm_proj\.", f"{ADAPTER}projector.output."),
    (r"^llama_model\.(?:base_model\.model\.)?model\.", "model.language_model."),
    (r"^llama_model\.(?:base_model\.model\.)?lm_head\.", "lm_head."),
    (r"\.base_layer\.", "."),
)
"""Patterns of released names to ours; the Q-Former's inner names are :func:`qformer_name`'s."""

CONSTANTS = ("position_ids", "rotary_emb.inv_freq")
"""Ends of names that are no weights: counters and frequencies that a model makes itself."""

LORA = re.compile(r"\.lora_(?P<side>[AB])(?:\.default)?\.weight$")

TABLES = ("word_embeddings.weight", "embed_tokens.weight", "lm_head.weight")
"""Ends of names whose first dimension counts tokens; ours may have one more, the placeholder for speech."""

FROM_BERT = re.compile(r"qformer\.((word|position)_embeddings|layers\.encoder\.layer\.\d+\.(intermediate|output)\.)")
"""What reads text in the Q-Former: only stage 1 uses it, and a checkpoint of a later stage may lack it."""


@dataclass
class Conversion:
    """What became of each weight of a checkpoint.

    Attributes:
        used: Released name → our name.
        constants: Released names that are no weights.
        merged: LoRA names, merged into the weights they belong to.
        unplaced: Released names that our model has no place for.
        kept: Our names that the checkpoint lacks, and which are as the pretrained parts have them.
    """

    used: dict[str, str] = field(default_factory=dict)
    constants: list[str] = field(default_factory=list)
    merged: list[str] = field(default_factory=list)
    unplaced: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def convert_released(
    checkpoint: Path, wavlm: str, bert: str, llm: str, *, lora_alpha: float | None = None, allow_unplaced: bool = False
) -> tuple[SEmoLLMForConditionalGeneration, SEmoLLMProcessor, Conversion]:
    """Read a released checkpoint into a model put together from the parts it was trained on.

    Args:
        checkpoint: The file, as ``torch.save`` wrote it; only tensors and plain values are read from it.
        wavlm: Hub id or folder of the WavLM.
        bert: Hub id or folder of the BERT that the Q-Former started as.
        llm: Hub id or folder of the Llama.
        lora_alpha: Scale that the LoRA was trained with; the file does not tell it.
        allow_unplaced: Whether to go on without the weights that have no place.

    Returns:
        The model, its processor (with the paper's order: speech, prompt, BOS, answer), and what became of the weights.

    Raises:
        CheckpointError: If the file cannot be read, is for another size, lacks a part, or has weights without a place.
        OSError: If a part cannot be found.
    """
    released = read_checkpoint(checkpoint)
    model, processor = assemble_semollm(
        wavlm, llm, bert, chat_template=with_audio_parts(PAPER_TEMPLATE), **_sizes(released, checkpoint.name)
    )
    conversion = _place_weights(model, released, checkpoint.name, lora_alpha)
    if conversion.unplaced and not allow_unplaced:
        raise CheckpointError(
            f"{checkpoint.name}: {len(conversion.unplaced)} weights have no place in the model: "
            f"{', '.join(conversion.unplaced)}. If the model can do without them, convert again with --allow-unplaced"
        )
    return model, processor, conversion


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint by name, less distributed training's prefix, without running anything it holds.

    Raises:
        CheckpointError: If it is no checkpoint, or holds more than tensors and plain values.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path.name}: cannot be read as tensors and plain values only ({cause})") from error
    state = content.get("model", content) if isinstance(content, dict) else {}
    tensors = {name.removeprefix("module."): value for name, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(f"{path.name}: holds no state dict, neither as it is nor under 'model'")
    return tensors


def _place_weights(
    model: SEmoLLMForConditionalGeneration, released: Mapping[str, Tensor], name: str, lora_alpha: float | None
) -> Conversion:
    """Copy released weights into a model, and merge LoRA into the language model."""
    own: dict[str, Tensor] = model.state_dict()
    conversion = Conversion()
    for released_name, value in released.items():
        target = our_name(released_name)
        if released_name.endswith(CONSTANTS):
            conversion.constants.append(released_name)
        elif target in own:
            _copy(own[target], value, target, released_name, name)
            conversion.used[released_name] = target
        elif not LORA.search(released_name):
            conversion.unplaced.append(released_name)
    _merge_lora(own, released, conversion, name, lora_alpha)
    conversion.kept = sorted(set(own) - set(conversion.used.values()))
    new = [key for key in conversion.kept if key.startswith(ADAPTER) and not FROM_BERT.search(key)]
    if new:
        raise CheckpointError(f"{name}: has no weights for {', '.join(new)}, which would stay random")
    return conversion


def our_name(released: str) -> str:
    """Name of a released weight in our model; one that the model does not have if there is no place for it.

    Example:
        >>> our_name("Qformer.bert.encoder.layer.0.crossattention.self.key.weight")
        'model.speech_adapter.projector.qformer.layers.encoder.layer.0.crossattention.attention.key.weight'
    """
    if released.startswith("Qformer.bert."):
        return QFORMER + qformer_name(released.removeprefix("Qformer.bert."))
    for pattern, replacement in RENAMES:
        released = re.sub(pattern, replacement, released)
    return released


def _sizes(released: Mapping[str, Tensor], name: str) -> dict[str, Any]:
    """Settings that the checkpoint's shapes tell."""
    missing = [part for part in ("query_tokens", "projector.weight", "layer_weights") if part not in released]
    if missing:
        raise CheckpointError(f"{name}: is no SEmoLLM checkpoint, it has no {', '.join(missing)}")
    return {
        "num_query_tokens": released["query_tokens"].shape[1],
        "classifier_proj_size": released["projector.weight"].shape[0],
    }


def _copy(target: Tensor, value: Tensor, our: str, released: str, name: str) -> None:
    rows = min(len(value), len(target)) if our.endswith(TABLES) and value.dim() else len(target)
    if target[:rows].shape != value.shape:
        raise CheckpointError(
            f"{name}: {released} has shape {tuple(value.shape)}, the model of the given parts {tuple(target.shape)}: "
            "give the parts (--wavlm, --bert, --llm) that this checkpoint was trained on"
        )
    with torch.no_grad():
        target[:rows].copy_(value)


def _merge_lora(
    own: Mapping[str, Tensor], released: Mapping[str, Tensor], conversion: Conversion, name: str, alpha: float | None
) -> None:
    """Add each B A, scaled by alpha / rank, to its weight."""
    for first in [key for key in released if (found := LORA.search(key)) and found["side"] == "A"]:
        second = first.replace(".lora_A", ".lora_B")
        target = own.get(our_name(LORA.sub(".weight", first)))
        if target is None or second not in released:
            continue
        if alpha is None:
            raise CheckpointError(
                f"{name}: holds a LoRA, whose scale the file does not tell: give --lora-alpha (8 to 32)"
            )
        down, up = released[first].float(), released[second].float()
        with torch.no_grad():
            target += (up @ down * (alpha / len(down))).to(target.dtype)
        conversion.merged += [first, second]
    conversion.unplaced += [key for key in released if LORA.search(key) and key not in conversion.merged]

"""SEmoLLM's released checkpoint: its LAVIS-style names to those of our model, each weight accounted for."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speechcue_hf.errors import CheckpointError
from speechcue_hf.models.checkpoint import read_tensors
from speechcue_hf.models.semollm import SEmoLLMForConditionalGeneration, SEmoLLMProcessor
from speechcue_hf.models.semollm.assembly import assemble_semollm, qformer_name

logger = logging.getLogger(__name__)

ADAPTER = "model.speech_adapter."
SPEECH_ENCODER = "model.speech_encoder.encoder."
LANGUAGE_MODEL = ("model.language_model.", "lm_head.")
QFORMER = f"{ADAPTER}projector.qformer."

RENAMES = (
    (r"^wavlm\.", SPEECH_ENCODER),
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

RELEASED_PARTS = {
    SPEECH_ENCODER: "wavlm.",
    "model.language_model.": "llama_model.model.",
    "lm_head.": "llama_model.lm_head.",
}
"""Beginnings of our names, for the pretrained parts, and of the released ones."""

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
        missing: Those of them that belong to the WavLM, or to a language model that the checkpoint has in part.
    """

    used: dict[str, str] = field(default_factory=dict)
    constants: list[str] = field(default_factory=list)
    merged: list[str] = field(default_factory=list)
    unplaced: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def convert_released(
    checkpoint: Path,
    wavlm: str,
    bert: str,
    llm: str,
    *,
    lora_alpha: float | None = None,
    allow_unplaced: bool = False,
    allow_missing: bool = False,
) -> tuple[SEmoLLMForConditionalGeneration, SEmoLLMProcessor, Conversion]:
    """Read a released checkpoint into a model put together from the parts it was trained on.

    The processor gives the model what the released code gives it: clips as they are, not normalised, whatever the
    WavLM's own feature extractor does; and prompt and answer in the tokens that each has alone, a BOS between them.

    Args:
        checkpoint: The file, as ``torch.save`` wrote it; only its tensors are read.
        wavlm: Hub id or folder of the WavLM.
        bert: Hub id or folder of the BERT that the Q-Former started as.
        llm: Hub id or folder of the Llama.
        lora_alpha: Scale that the LoRA was trained with; the file does not tell it.
        allow_unplaced: Whether to go on without the weights that have no place.
        allow_missing: Whether to take from ``wavlm`` what the checkpoint lacks of its WavLM, and from ``llm`` what it
            lacks of a language model that it has in part. A language model of which it has nothing, as one that was
            frozen, is taken from ``llm`` anyway.

    Returns:
        The model, its processor (with the paper's order: speech, prompt, BOS, answer), and what became of the weights.

    Raises:
        CheckpointError: If the file cannot be read, is for another size, lacks a part, or has weights without a place.
        ModelError: If packages are missing that the tokenizer is read with.
        OSError: If a part cannot be found.
    """
    released = read_tensors(checkpoint, "model")
    model, processor = assemble_semollm(wavlm, llm, bert, paper_order=True, **_sizes(released, checkpoint.name))
    processor.feature_extractor.do_normalize = False
    conversion = _place_weights(model, released, checkpoint.name, lora_alpha)
    if conversion.unplaced and not allow_unplaced:
        raise CheckpointError(
            f"{checkpoint.name}: {len(conversion.unplaced)} weights have no place in the model: "
            f"{', '.join(conversion.unplaced)}. If the model can do without them, convert again with --allow-unplaced"
        )
    if conversion.missing:
        lacks = f"{checkpoint.name}: has no weights for {describe_missing(conversion)}"
        if not allow_missing:
            raise CheckpointError(
                f"{lacks}. If it was trained with those that --wavlm and --llm have, convert again with "
                "--allow-missing, which takes them from there"
            )
        logger.warning("%s: those of --wavlm and --llm are in their place", lacks)
    return model, processor, conversion


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
    conversion.missing = _missing(conversion, tied=model.config.tie_word_embeddings)
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


def describe_missing(conversion: Conversion) -> str:
    """Say which parts of WavLM and language model a checkpoint lacks, by the names that it has for them."""
    whole = Counter(map(_part, [*conversion.used.values(), *conversion.kept]))
    lacking = Counter(map(_part, conversion.missing))
    parts = [
        part if count == whole[part] else f"{part} ({count} of its {whole[part]} weights)"
        for part, count in lacking.items()
    ]
    if not any(name.startswith(SPEECH_ENCODER) for name in conversion.used.values()):
        parts = ["all of wavlm", *(part for part in parts if not part.startswith("wavlm."))]
    return ", ".join(parts)


def _part(name: str) -> str:
    """Released name of the numbered layer, or else the module, that one of our weights belongs to."""
    for ours, released in RELEASED_PARTS.items():
        if name.startswith(ours):
            name = released + name.removeprefix(ours)
    layer = re.match(r".+?\.\d+(?=\.)", name)
    return layer[0] if layer else re.sub(r"\.(weight|bias|parametrizations\..+)$", "", name)


def _missing(conversion: Conversion, *, tied: bool) -> list[str]:
    """What the checkpoint lacks of the WavLM, and of a language model that it has in part."""
    parts = [SPEECH_ENCODER]
    if any(name.startswith(LANGUAGE_MODEL) for name in conversion.used.values()):
        parts += LANGUAGE_MODEL
    names = [name for name in conversion.kept if name.startswith(tuple(parts))]
    return [name for name in names if not (tied and name.startswith("lm_head."))]


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

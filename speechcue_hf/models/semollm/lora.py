"""LoRA on the language model of a SEmoLLM, with the whole adapter saved beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peft import LoraConfig


def lora_settings(
    rank: int = 8, alpha: int = 32, dropout: float = 0.1, modules: Sequence[str] = ("q_proj", "v_proj")
) -> LoraConfig:
    """Settings of a LoRA that leaves the speech encoder alone and trains Q-Former, queries, layer weights, projections.

    Speech encoders name their layers as language models do: ``["q_proj", "v_proj"]`` alone would reach WavLM as well.

    Args:
        rank: Rank of the update; 2 to 8 in the paper.
        alpha: Its scale; 8 to 32 in the paper.
        dropout: Dropout before it; 0.1 in the paper.
        modules: Last part of the names of the language model's layers that get one.

    Returns:
        What ``peft.get_peft_model`` takes; the adapter that it saves holds the whole :class:`SpeechAdapter`.

    Example:
        >>> lora_settings(rank=4).r
        4
    """
    from peft import LoraConfig

    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=rf"(.*\.)?language_model\..*\.({'|'.join(modules)})",
        modules_to_save=["speech_adapter"],
        task_type="CAUSAL_LM",
    )

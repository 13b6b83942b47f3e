"""The settings of an encoder's training, which recipes and command lines give."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

import torch
from transformers import TrainingArguments

from speechcue_hf.training.arguments import adapt_to_machine

logger = logging.getLogger(__name__)

BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")
"""What PyTorch calls a CPU's instructions for bfloat16: two kinds on x86, one on ARM."""


@dataclass
class EncoderSettings:
    """The model; the settings are those of :class:`speechcue_hf.models.bioserc.configuration_bioserc.BiosErcConfig`.

    Args:
        encoder: Hub id or folder of the pretrained text encoder, or of a run, whose encoder is then trained on.
        encoder_revision: Its branch, tag or commit on the Hub.
        cues: ``none``, ``z_scores`` (every column ``<measurement>_z`` of the dataset) or ``description``.
    """

    encoder: str = "FacebookAI/roberta-large"
    encoder_revision: str = "main"
    reading: Literal["windows", "dialogue"] = "windows"
    speaker_names: bool = False
    context_before: int = 2
    context_after: int = 0
    max_tokens: int | None = None
    causal: bool = True
    num_attention_heads: int = 8
    dropout: float = 0.2
    frozen_layers: int = 0
    biographies: Literal["none", "static", "attention"] = "none"
    cues: Literal["none", "z_scores", "description"] = "none"


@dataclass
class EncoderTraining(TrainingArguments):
    """The trainer's settings with defaults for this task; a batch is a number of dialogues.

    Args:
        encoder_learning_rate: Of the encoder; None: ``learning_rate``, as everything else.
        one_cycle: Let the learning rate rise and fall once, in place of ``lr_scheduler_type``.
        class_weights: ``none``, or ``log``: ln(N / n_c) of the labels that are trained on.
        logit_adjustment: τ of :func:`speechcue_hf.training.encoder.logit_shifts`, to be chosen on validation: more
            than 0 lets rare emotions be named more often.
    """

    encoder_learning_rate: float | None = None
    one_cycle: bool = False
    class_weights: Literal["none", "log"] = "none"
    logit_adjustment: float = 0.0
    eval_strategy: str = "epoch"
    save_strategy: str = "epoch"
    save_total_limit: int | None = 1
    load_best_model_at_end: bool = True
    metric_for_best_model: str | None = "weighted_f1"
    remove_unused_columns: bool = False
    logging_steps: float = 50
    output_dir: str = "runs/encoder"
    report_to: str = "none"

    def __post_init__(self) -> None:
        requested = self.bf16
        adapt_to_machine(self)
        if requested and not torch.cuda.is_available():
            # Faster on a CPU that has the instructions; on one that has not, many times slower.
            self.bf16 = _cpu_has_bfloat16()
            if not self.bf16:
                logger.warning("bf16 is left off: this CPU has no instructions for it; single precision is faster")
        super().__post_init__()  # type: ignore[no-untyped-call]


def _cpu_has_bfloat16() -> bool:
    """Whether the CPU has instructions for bfloat16."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in BFLOAT16_INSTRUCTIONS)

"""The settings of an encoder's training, which recipes and command lines give."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
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

    encoder: str = field(default="FacebookAI/roberta-large", metadata={"help": "Hub id or folder of the text encoder."})
    encoder_revision: str = field(default="main", metadata={"help": "Branch, tag or commit on the Hub."})
    reading: Literal["windows", "dialogue"] = field(
        default="windows", metadata={"help": "Each utterance in its window, or the dialogue at once."}
    )
    speaker_names: bool = field(default=False, metadata={"help": "The encoder reads who speaks."})
    context_before: int = field(default=2, metadata={"help": "Turns before the target that the encoder reads."})
    context_after: int = field(default=0, metadata={"help": "Turns after it; more than 0 sees the future."})
    max_tokens: int | None = field(default=None, metadata={"help": "Most tokens of target and context."})
    causal: bool = field(default=True, metadata={"help": "Layers over the dialogue see past turns only."})
    num_attention_heads: int = field(default=8, metadata={"help": "Of the attention over the dialogue."})
    dropout: float = field(default=0.2, metadata={"help": "In the layers over the encoder."})
    frozen_layers: int = field(default=0, metadata={"help": "Lowest layers of the encoder that are not trained."})
    biographies: Literal["none", "static", "attention"] = field(
        default="none", metadata={"help": "How biographies are fused."}
    )
    cues: Literal["none", "z_scores", "description"] = field(
        default="none", metadata={"help": "What of the voice is fused."}
    )


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

    encoder_learning_rate: float | None = field(default=None, metadata={"help": "Of the encoder, if it differs."})
    one_cycle: bool = field(default=False, metadata={"help": "One rise and fall of the learning rate."})
    class_weights: Literal["none", "log"] = field(default="none", metadata={"help": "Of the classes, in the loss."})
    logit_adjustment: float = field(default=0.0, metadata={"help": "0 to 1: how far label frequencies are taken out."})
    eval_strategy: str = field(default="epoch", metadata={"help": "When to evaluate on the selection split."})
    save_strategy: str = field(default="epoch", metadata={"help": "When to write a checkpoint."})
    save_total_limit: int | None = field(default=1, metadata={"help": "Checkpoints kept beside the best."})
    load_best_model_at_end: bool = field(default=True, metadata={"help": "Keep the best epoch."})
    metric_for_best_model: str | None = field(default="weighted_f1", metadata={"help": "What chooses the epoch."})
    remove_unused_columns: bool = field(default=False, metadata={"help": "Must stay false: the collator reads them."})
    logging_steps: float = field(default=50, metadata={"help": "Steps between two losses in the log."})
    output_dir: str = field(default="runs/encoder", metadata={"help": "Where the results go."})
    report_to: str = field(default="none", metadata={"help": "Where to report to."})

    def __post_init__(self) -> None:
        requested = self.bf16
        adapt_to_machine(self)
        if requested and not torch.cuda.is_available():
            # Faster on a CPU that has the instructions; on one that has not, many times slower.
            self.bf16 = cpu_has_bfloat16()
            if not self.bf16:
                logger.warning("bf16 is left off: this CPU has no instructions for it; single precision is faster")
        super().__post_init__()  # type: ignore[no-untyped-call]


def cpu_has_bfloat16() -> bool:
    """Whether the CPU has instructions for bfloat16."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in BFLOAT16_INSTRUCTIONS)

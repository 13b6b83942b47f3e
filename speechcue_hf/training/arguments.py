"""The settings of a fine-tuning run, which recipes and command lines give."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import datasets
import torch
from huggingface_hub.utils.tqdm import are_progress_bars_disabled
from transformers import TrainingArguments
from trl import ModelConfig, SFTConfig  # type: ignore[attr-defined]

from speechcue_hf.models.base import TINY_MODEL


@dataclass
class DataSettings:
    """What is trained on.

    Args:
        dataset: Folder of the described dataset; not needed where the dataset itself is handed over.
        selection_split: Split on which the best epoch is chosen; never ``test``.
        train_split: Split that is trained on.
        data_percent: Share of the training dialogues that is trained on; see
            :func:`speechcue_hf.corpora.subset.sample_dialogues`.
        seeds: Train once with each of these seeds, in place of ``seed``.
    """

    dataset: str | None = None
    selection_split: str = "validation"
    train_split: str = "train"
    data_percent: float = 100.0
    seeds: list[int] | None = None


@dataclass
class FineTuning(DataSettings):
    """What a chat model is trained on.

    Args:
        prompt: Name of a preset, path of a prompt file, or settings as in such a file; None is our own, ``speechcue``.
        token_budget: Most tokens of prompt and answer; longer prompts lose their oldest turns. None: as
            many as the model has positions for.
    """

    prompt: dict[str, Any] | str | None = None
    token_budget: int | None = None


@dataclass
class TrainingSettings(SFTConfig):
    """TRL's settings with defaults for this task; without a GPU the CPU is used, in single precision.

    The best epoch is kept by its loss on the selection split. Truncation is off, because it would drop answers and with
    them rows: ``token_budget`` shortens prompts instead.
    """

    max_length: int | None = None
    eval_strategy: str = "epoch"
    save_strategy: str = "epoch"
    save_total_limit: int | None = 1
    load_best_model_at_end: bool = True
    gradient_checkpointing: bool = False
    output_dir: str = "runs/sft"
    report_to: str | list[str] | None = "none"

    def __post_init__(self) -> None:
        adapt_to_machine(self)
        # Newer releases of transformers call it activation_checkpointing and warn of the old name, which all know.
        names = {setting.name for setting in fields(self)}
        if "activation_checkpointing" in names and self.activation_checkpointing is None:
            self.activation_checkpointing = self.gradient_checkpointing
        super().__post_init__()  # type: ignore[no-untyped-call]


@dataclass
class ModelSettings(ModelConfig):
    """TRL's settings of the base model and its LoRA adapter, with the adapter on and as large as SpeechCueLLM's."""

    model_name_or_path: str | None = TINY_MODEL
    use_peft: bool = True
    lora_r: int = 16
    lora_alpha: int = 16
    lora_target_modules: list[str] | None = field(default_factory=lambda: ["q_proj", "k_proj", "v_proj"])


def adapt_to_machine(training: TrainingArguments) -> None:
    """Set what the machine decides: single precision on the CPU where there is no GPU, no bars where they are off."""
    if not torch.cuda.is_available():
        training.use_cpu, training.bf16, training.fp16 = True, False, False
    if datasets.are_progress_bars_disabled() or are_progress_bars_disabled():
        training.disable_tqdm = True

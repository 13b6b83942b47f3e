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

    dataset: str | None = field(default=None, metadata={"help": "Folder of the described dataset."})
    selection_split: str = field(default="validation", metadata={"help": "Split that chooses the best epoch."})
    train_split: str = field(default="train", metadata={"help": "Split that is trained on."})
    data_percent: float = field(default=100.0, metadata={"help": "Share of the training dialogues."})
    seeds: list[int] | None = field(default=None, metadata={"help": "Train once with each of these seeds."})


@dataclass
class FineTuning(DataSettings):
    """What a chat model is trained on.

    Args:
        prompt: Name of a preset, path of a prompt file, or settings as in such a file; None is our own, ``speechcue``.
        token_budget: Most tokens of prompt and answer; longer prompts lose their oldest turns. None: as
            many as the model has positions for.
    """

    prompt: dict[str, Any] | str | None = field(
        default=None, metadata={"help": "Preset, prompt file, or settings as JSON."}
    )
    token_budget: int | None = field(default=None, metadata={"help": "Most tokens of prompt and answer."})


@dataclass
class TrainingSettings(SFTConfig):
    """TRL's settings with defaults for this task; without a GPU the CPU is used, in single precision.

    The best epoch is kept by its loss on the selection split. Truncation is off, because it would drop answers and with
    them rows: ``token_budget`` shortens prompts instead.
    """

    max_length: int | None = field(default=None, metadata={"help": "Not used: see token_budget."})
    eval_strategy: str = field(default="epoch", metadata={"help": "When to evaluate on the selection split."})
    save_strategy: str = field(default="epoch", metadata={"help": "When to write a checkpoint."})
    save_total_limit: int | None = field(default=1, metadata={"help": "Checkpoints kept beside the best."})
    load_best_model_at_end: bool = field(default=True, metadata={"help": "Keep the best epoch."})
    gradient_checkpointing: bool = field(default=False, metadata={"help": "Trade compute for memory."})
    output_dir: str = field(default="runs/sft", metadata={"help": "Where the results go."})
    report_to: str | list[str] | None = field(default="none", metadata={"help": "Where to report to."})

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

    model_name_or_path: str | None = field(
        default=TINY_MODEL, metadata={"help": "Hub id or folder of the base model; `tiny` builds one on the spot."}
    )
    use_peft: bool = field(default=True, metadata={"help": "Train a LoRA adapter; false trains all parameters."})
    lora_r: int = field(default=16, metadata={"help": "Rank of the adapter."})
    lora_alpha: int = field(default=16, metadata={"help": "Scale of the adapter."})
    lora_target_modules: list[str] | None = field(
        default_factory=lambda: ["q_proj", "k_proj", "v_proj"], metadata={"help": "Layers that are adapted."}
    )


def adapt_to_machine(training: TrainingArguments) -> None:
    """Set what the machine decides: single precision on the CPU where there is no GPU, no bars where they are off."""
    if not torch.cuda.is_available():
        training.use_cpu, training.bf16, training.fp16 = True, False, False
    if datasets.are_progress_bars_disabled() or are_progress_bars_disabled():
        training.disable_tqdm = True

"""The settings of training runs, which recipes and command lines give."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import datasets
import torch
from huggingface_hub.utils.tqdm import are_progress_bars_disabled
from transformers import IntervalStrategy, TrainingArguments
from transformers.trainer_utils import SaveStrategy
from trl import ModelConfig, SFTConfig  # type: ignore[attr-defined]

from speechcue_hf.models.base import TINY_MODEL

logger = logging.getLogger(__name__)

_COUNTS = (
    *(
        "num_attention_heads",
        "max_tokens",
        "token_budget",
        "tokens_per_batch",
        "lora_r",
        "lora_alpha",
        "num_query_tokens",
    ),
    *("classifier_proj_size", "per_device_train_batch_size", "per_device_eval_batch_size"),
    "gradient_accumulation_steps",
)
_AMOUNTS = (
    *("context_before", "context_after", "frozen_layers", "lora_first_layer", "num_train_epochs", "learning_rate"),
    *("encoder_learning_rate", "weight_decay", "max_grad_norm"),
    *("matching_weight", "contrastive_weight", "generation_weight"),
)
_SHARES = ("dropout", "lora_dropout", "projection_dropout", "label_smoothing_factor")
_RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(_COUNTS, (1, math.inf)),
    **dict.fromkeys(_AMOUNTS, (0, math.inf)),
    **dict.fromkeys(_SHARES, (0, 1)),
    "data_percent": (0, 100),
    "stage": (1, 3),
}
"""Setting → its least value and its greatest; one that may be null is not held against it then."""

_CHOICES = {"dtype": ("auto", "float32", "bfloat16", "float16"), "bnb_4bit_quant_type": ("nf4", "fp4")}
"""Setting whose type is any text → what it may be."""


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
class ModelSettings(ModelConfig):
    """TRL's settings of the base model and its LoRA adapter, with the adapter on and as large as SpeechCueLLM's.

    Args:
        lora_first_layer: The first layer that gets an adapter, counted from 0.
        states: Folder in which the states below that layer are kept, so that they are computed once for all epochs and
            seeds; None computes them at each step. Needs ``sharing: dialogue``.
    """

    model_name_or_path: str | None = TINY_MODEL
    use_peft: bool = True
    lora_r: int = 16
    lora_alpha: int = 16
    lora_target_modules: list[str] | None = field(default_factory=lambda: ["q_proj", "k_proj", "v_proj"])
    lora_first_layer: int = 0
    states: str | None = None


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
    design: Literal["plain", "standardised", "paper"] = "plain"
    width: int | None = None
    reading: Literal["windows", "dialogue"] = "windows"
    speaker_names: bool = False
    context_before: int = 2
    context_after: int = 0
    max_tokens: int | None = None
    causal: bool = True
    num_attention_heads: int = 8
    dropout: float = 0.2
    input_dropout: float = 0.0
    frozen_layers: int = 0
    biographies: Literal["none", "static", "attention"] = "none"
    cues: Literal["none", "z_scores", "description"] = "none"


@dataclass
class StageSettings:
    """The model of a stage of SEmoLLM.

    Args:
        stage: 1 pretrains the Q-Former on captions, 2 joins it to a frozen language model, 3 adds LoRA to that.
        captions: Folder of the captions: rows with ``utterance_id``, ``caption``, ``prompt`` and ``completion``.
        start_from: Output folder of the stage before; stages 2 and 3 need it.
        speech_encoder: Stage 1: Hub id or folder of the speech encoder, or ``tiny``, which builds one on the spot.
        qformer: Stage 1: Hub id or folder of the BERT that the Q-Former starts as, or ``tiny``.
        language_model: Stage 2: Hub id or folder of the language model, or ``tiny``.
        num_query_tokens: Stage 1: queries of the Q-Former.
        classifier_proj_size: Stage 1: width of what the Q-Former reads.
        projection_dropout: Stage 1: dropout before the Q-Former, in all stages.
        speech_layers: Stage 1: hidden states of the encoder that enter the learned sum; all by default.
        dtype: Stages 2 and 3: number type of the language model's parameters on a GPU.
        states: Folder in which the frozen encoder's states are kept, so that they are computed once; None computes
            them anew in every epoch.
        states_kind: What is kept: ``layers``, all that enter the learned sum, or ``sum``, that sum as the stage before
            has learned it, which is then not learned further.
        matching_weight: Stage 1: of SCM in the loss.
        contrastive_weight: Stage 1: of SCC.
        generation_weight: Stage 1: of SCG.
        collapse_threshold: Stage 1: mean cosine between the queries of a clip at which the run stops.
        augmentation: Settings of :class:`speechcue_hf.training.augmentation.Augmentation`; none by default.
        lora_r: Stage 3: rank of the adapter of the language model.
        lora_alpha: Its scale.
        lora_dropout: Its dropout.
        lora_target_modules: The language model's layers that are adapted.
    """

    stage: int = 1
    captions: str | None = None
    start_from: str | None = None
    speech_encoder: str = TINY_MODEL
    qformer: str = TINY_MODEL
    language_model: str = TINY_MODEL
    num_query_tokens: int = 32
    classifier_proj_size: int = 256
    projection_dropout: float = 0.1
    speech_layers: list[int] | None = None
    dtype: str = "float32"
    states: str | None = None
    states_kind: Literal["layers", "sum"] = "layers"
    matching_weight: float = 1.0
    contrastive_weight: float = 1.0
    generation_weight: float = 1.0
    collapse_threshold: float = 0.98
    augmentation: dict[str, Any] | None = None
    lora_r: int = 8
    lora_alpha: int = 32
    lora_dropout: float = 0.1
    lora_target_modules: list[str] = field(default_factory=lambda: ["q_proj", "v_proj"])


@dataclass
class _EpochDefaults:
    """Defaults that all trainers share: each epoch is judged, and the best one kept."""

    SCORES: ClassVar[tuple[str, ...]] = ("loss", "weighted_f1")
    """What an epoch may be judged by."""

    eval_strategy: IntervalStrategy | str = "epoch"
    save_strategy: SaveStrategy | str = "epoch"
    save_total_limit: int | None = 1
    load_best_model_at_end: bool = True
    report_to: str | list[str] | None = "none"

    def __post_init__(self) -> None:
        self._adapt_to_machine()
        super().__post_init__()  # type: ignore[misc]

    def _adapt_to_machine(self) -> None:
        """Single precision on the CPU where there is no GPU, no bars where they are off."""
        training: Any = self
        if not torch.cuda.is_available():
            training.use_cpu, training.bf16, training.fp16 = True, False, False
        if datasets.are_progress_bars_disabled() or are_progress_bars_disabled():
            training.disable_tqdm = True


@dataclass
class TrainingSettings(_EpochDefaults, SFTConfig):
    """TRL's settings with defaults for this task; without a GPU the CPU is used, in single precision.

    The best epoch is kept by its loss on the selection split. Truncation is off, because it would drop answers and with
    them rows: ``token_budget`` shortens prompts instead.

    Args:
        sharing: ``dialogue`` trains on whole dialogues, whose prompts run what they have in common once; ``none`` runs
            each prompt by itself. Loss and gradients are the same. None: ``dialogue`` where the prompt tells a
            conversation from its start and the model's attention lets prompts branch.
        tokens_per_batch: With ``sharing: dialogue`` most tokens of a batch, in place of
            ``per_device_train_batch_size``.
    """

    sharing: Literal["dialogue", "none"] | None = None
    tokens_per_batch: int = 1024
    max_length: int | None = None
    gradient_checkpointing: bool = False
    output_dir: str = "runs/sft"

    def __post_init__(self) -> None:
        # Newer releases of transformers call it activation_checkpointing and warn of the old name, which all know.
        names = {setting.name for setting in fields(self)}
        if "activation_checkpointing" in names and self.activation_checkpointing is None:
            self.activation_checkpointing = self.gradient_checkpointing
        super().__post_init__()


@dataclass
class EncoderTraining(_EpochDefaults, TrainingArguments):
    """The trainer's settings with defaults for an encoder; a batch is a number of dialogues.

    Args:
        encoder_learning_rate: Of the encoder; None: ``learning_rate``, as everything else.
        one_cycle: Let the learning rate rise and fall once, in place of ``lr_scheduler_type``. It rises in the warm-up
            steps, or in three tenths of all if none are given.
        class_weights: ``none``, or ``log``: ln(N / n_c) of the labels that are trained on.
        logit_adjustment: τ of :func:`speechcue_hf.training.encoder.logit_shifts`, to be chosen on validation: more
            than 0 lets rare emotions be named more often.
    """

    encoder_learning_rate: float | None = None
    one_cycle: bool = False
    class_weights: Literal["none", "log"] = "none"
    logit_adjustment: float = 0.0
    metric_for_best_model: str | None = "weighted_f1"
    remove_unused_columns: bool = False
    logging_steps: float = 50
    output_dir: str = "runs/encoder"

    def _adapt_to_machine(self) -> None:
        requested = self.bf16
        super()._adapt_to_machine()
        if requested and not torch.cuda.is_available():
            # What PyTorch calls a CPU's instructions for bfloat16: two kinds on x86, one on ARM. Where they are missing
            # it is many times slower than single precision.
            capabilities = torch.cpu.get_capabilities()
            self.bf16 = any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
            if not self.bf16:
                logger.warning("bf16 is left off: this CPU has no instructions for it; single precision is faster")


@dataclass
class StageTraining(_EpochDefaults, TrainingArguments):
    """The trainer's settings with defaults for a stage: the epoch of least loss on the selection split is kept."""

    SCORES: ClassVar[tuple[str, ...]] = ("loss",)

    metric_for_best_model: str | None = "loss"
    remove_unused_columns: bool = False
    logging_steps: float = 50
    output_dir: str = "runs/semollm"


def check_settings(data: DataSettings, model: Any, training: Any) -> None:
    """Refuse values that no run could use, before anything is loaded for it.

    Args:
        data: What is trained on.
        model: The model: ``ModelSettings``, ``EncoderSettings`` or ``StageSettings``.
        training: How it is trained.

    Raises:
        ValueError: If a value is none of a setting's choices or out of its range; the message names both.

    Example:
        >>> check_settings(DataSettings(seeds=[1, 1]), EncoderSettings(), None)
        Traceback (most recent call last):
        ValueError: seeds must be different numbers, at least one, got [1, 1]
    """
    for settings in filter(None, (data, model, training)):
        hints = get_type_hints(type(settings))
        for name in (setting.name for setting in fields(settings)):
            _check_value(name, getattr(settings, name), hints[name])
    if data.seeds is not None and (not data.seeds or len(set(data.seeds)) < len(data.seeds)):
        raise ValueError(f"seeds must be different numbers, at least one, got {data.seeds}")
    if data.data_percent == 0:
        raise ValueError("data_percent must be over 0 and at most 100, got 0")
    metric = None if training is None else training.metric_for_best_model
    if metric is not None and metric.removeprefix("eval_") not in training.SCORES:
        raise ValueError(f"metric_for_best_model must be {' or '.join(training.SCORES)}, got {metric!r}")


def _check_value(name: str, value: Any, hint: Any) -> None:
    kinds = [kind for kind in (hint, *get_args(hint)) if get_origin(kind) is Literal]
    choices = get_args(kinds[0]) if kinds else _CHOICES.get(name)
    if choices is not None and value is not None and value not in choices:
        raise ValueError(f"{name} must be {', '.join(choices[:-1])} or {choices[-1]}, got {value!r}")
    least, most = _RANGES.get(name, (-math.inf, math.inf))
    if value is not None and name in _RANGES and not least <= value <= most:
        raise ValueError(f"{name} must be {least} {'or more' if most == math.inf else f'to {most}'}, got {value}")

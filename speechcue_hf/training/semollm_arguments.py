"""The settings of SEmoLLM's three stages, which recipes and command lines give."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from transformers import TrainingArguments

from speechcue_hf.models.base import TINY_MODEL
from speechcue_hf.training.arguments import adapt_to_machine


@dataclass
class StageSettings:
    """The model of a stage.

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
class StageTraining(TrainingArguments):
    """The trainer's settings with defaults for this task: the epoch of least loss on the selection split is kept."""

    eval_strategy: str = "epoch"
    save_strategy: str = "epoch"
    save_total_limit: int | None = 1
    load_best_model_at_end: bool = True
    metric_for_best_model: str | None = "loss"
    remove_unused_columns: bool = False
    logging_steps: float = 50
    output_dir: str = "runs/semollm"
    report_to: str = "none"

    def __post_init__(self) -> None:
        adapt_to_machine(self)
        super().__post_init__()  # type: ignore[no-untyped-call]

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

    stage: int = field(default=1, metadata={"help": "1, 2 or 3."})
    captions: str | None = field(default=None, metadata={"help": "Folder of the captions."})
    start_from: str | None = field(default=None, metadata={"help": "Output folder of the stage before."})
    speech_encoder: str = field(default=TINY_MODEL, metadata={"help": "Stage 1: the speech encoder."})
    qformer: str = field(default=TINY_MODEL, metadata={"help": "Stage 1: the BERT that the Q-Former starts as."})
    language_model: str = field(default=TINY_MODEL, metadata={"help": "Stage 2: the language model."})
    num_query_tokens: int = field(default=32, metadata={"help": "Stage 1: queries."})
    classifier_proj_size: int = field(default=256, metadata={"help": "Stage 1: width of what the Q-Former reads."})
    projection_dropout: float = field(default=0.1, metadata={"help": "Stage 1: dropout before the Q-Former."})
    speech_layers: list[int] | None = field(default=None, metadata={"help": "Stage 1: hidden states that are summed."})
    dtype: str = field(default="float32", metadata={"help": "Number type of the language model on a GPU."})
    states: str | None = field(default=None, metadata={"help": "Folder for the frozen encoder's states."})
    states_kind: Literal["layers", "sum"] = field(default="layers", metadata={"help": "What of them is kept."})
    matching_weight: float = field(default=1.0, metadata={"help": "Stage 1: of SCM."})
    contrastive_weight: float = field(default=1.0, metadata={"help": "Stage 1: of SCC."})
    generation_weight: float = field(default=1.0, metadata={"help": "Stage 1: of SCG."})
    collapse_threshold: float = field(default=0.98, metadata={"help": "Stage 1: query similarity that stops the run."})
    augmentation: dict[str, Any] | None = field(default=None, metadata={"help": "Settings, as JSON."})
    lora_r: int = field(default=8, metadata={"help": "Stage 3: rank."})
    lora_alpha: int = field(default=32, metadata={"help": "Stage 3: scale."})
    lora_dropout: float = field(default=0.1, metadata={"help": "Stage 3: dropout."})
    lora_target_modules: list[str] = field(
        default_factory=lambda: ["q_proj", "v_proj"], metadata={"help": "Stage 3: layers of the language model."}
    )


@dataclass
class StageTraining(TrainingArguments):
    """The trainer's settings with defaults for this task: the epoch of least loss on the selection split is kept."""

    eval_strategy: str = field(default="epoch", metadata={"help": "When to evaluate on the selection split."})
    save_strategy: str = field(default="epoch", metadata={"help": "When to write a checkpoint."})
    save_total_limit: int | None = field(default=1, metadata={"help": "Checkpoints kept beside the best."})
    load_best_model_at_end: bool = field(default=True, metadata={"help": "Keep the best epoch."})
    metric_for_best_model: str | None = field(default="loss", metadata={"help": "What chooses the epoch."})
    remove_unused_columns: bool = field(default=False, metadata={"help": "Must stay false: the collator reads them."})
    logging_steps: float = field(default=50, metadata={"help": "Steps between two losses in the log."})
    output_dir: str = field(default="runs/semollm", metadata={"help": "Where the results go."})
    report_to: str = field(default="none", metadata={"help": "Where to report to."})

    def __post_init__(self) -> None:
        adapt_to_machine(self)
        super().__post_init__()  # type: ignore[no-untyped-call]

"""The three stages of SEmoLLM's training, each from the folder that the stage before has written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset, DatasetDict
from peft import PeftModel, get_peft_model
from torch import Tensor
from transformers import Trainer, set_seed

from speechcue_hf.corpora.identity import identify, metadata_of
from speechcue_hf.corpora.joining import clip_places
from speechcue_hf.errors import TrainingError
from speechcue_hf.models.base import TINY_MODEL, base_model_name, place_base_model
from speechcue_hf.models.loading import hub_commit
from speechcue_hf.models.semollm.assembly import lora_settings, start_stage1, start_stage2, start_stage3
from speechcue_hf.models.semollm.pretraining_semollm import LossWeights, SEmoLLMForPretraining
from speechcue_hf.models.tiny_semollm import LANGUAGE_MODEL, QFORMER, SPEECH_ENCODER, build_tiny_parts
from speechcue_hf.provenance import Provenance
from speechcue_hf.records import (
    CAPTIONS_FILE,
    DESCRIBER_FILE,
    CorpusIdentity,
    TrainingRecord,
    carry_records,
    find_record,
)
from speechcue_hf.training.arguments import DataSettings, StageSettings, StageTraining, check_settings
from speechcue_hf.training.augmentation import Augmentation
from speechcue_hf.training.run import STAGE1_PARTS, check_run, check_splits, chosen_rows, train_and_record
from speechcue_hf.training.semollm_batches import AnswerCollator, CaptionCollator, ClipLoader, StateLoader
from speechcue_hf.training.speech_states import keep_states

if TYPE_CHECKING:
    from speechcue_hf.models.semollm.processing_semollm import SEmoLLMProcessor

PARTS = {1: (SPEECH_ENCODER, QFORMER), 2: (LANGUAGE_MODEL,), 3: ()}
"""Stage → the settings that name what it puts together."""


class StageTrainer(Trainer):
    """The trainer of all three stages: it augments states, logs every part of the loss, and watches for collapse."""

    def __init__(
        self, *, speech_encoder: Any, augmentation: Augmentation | None, collapse_threshold: float, **settings: Any
    ) -> None:
        super().__init__(**settings)
        self.collapse_threshold = collapse_threshold
        self.speech_encoder = speech_encoder
        self.augmentation = augmentation if augmentation is not None and augmentation.changes_states else None
        # Stage 1 has no labels among its inputs, and yet a loss.
        self.can_return_loss = True
        self._parts: dict[str, list[Tensor]] = defaultdict(list)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The model's loss; its parts are kept for the log."""
        if model.training and self.augmentation is not None:
            with self.accelerator.autocast():
                inputs = augmented(inputs, self.speech_encoder, self.augmentation)
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        prefix = "" if model.training else "eval_"
        for name in STAGE1_PARTS:
            if outputs.get(name) is not None:
                self._parts[prefix + name].append(outputs[name].detach())
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], *args: Any, **settings: Any) -> None:
        """Add the parts since the last log, means over steps and processes, and stop when queries have collapsed."""
        prefix = next((prefix for prefix in ("", "eval_") if f"{prefix}loss" in logs), None)
        parts = {} if prefix is None else self._take_parts(prefix)
        super().log(logs | parts, *args, **settings)
        similarity = parts.get("query_similarity")
        if similarity is not None and similarity > self.collapse_threshold:
            raise TrainingError(
                f"the queries have collapsed: at step {self.state.global_step} the mean cosine between the queries of "
                f"a clip is {similarity:.3f}, above collapse_threshold {self.collapse_threshold}, so one query would "
                "do for all. Lower learning_rate or lengthen the warm-up, raise contrastive_weight, or take fewer "
                "queries (num_query_tokens)"
            )

    def training_step(self, *args: Any, **settings: Any) -> Tensor:
        """One step; where memory does not suffice, the error says what would help."""
        try:
            return super().training_step(*args, **settings)
        except torch.OutOfMemoryError as error:
            raise TrainingError(_memory_advice(self.args, str(error))) from error

    def _take_parts(self, prefix: str) -> dict[str, float]:
        taken = {}
        for name in STAGE1_PARTS:
            if values := self._parts.pop(prefix + name, None):
                mean = torch.stack(values).float().mean()
                taken[prefix + name] = float(self.accelerator.gather(mean).mean())
        return taken


def augmented(
    inputs: Mapping[str, Tensor], speech_encoder: Callable[..., Any], augmentation: Augmentation
) -> dict[str, Tensor]:
    """Mask the encoder's states of a batch, each clip's by draws of its own.

    Args:
        inputs: Of the model: ``input_features`` and their mask, or ``speech_states``, shape
            ``(clips, layers, frames, width)``, and ``speech_states_mask``, shape ``(clips, frames)``.
        speech_encoder: Makes states where there are none.
        augmentation: What is done to them.

    Returns:
        The inputs, with states in any case.
    """
    inputs = dict(inputs)
    if "speech_states" not in inputs:
        made = speech_encoder(inputs.pop("input_features"), inputs.pop("input_features_mask"))
        inputs["speech_states"], inputs["speech_states_mask"] = made
    states = inputs["speech_states"].clone()
    for clip, frames in zip(states, inputs["speech_states_mask"].sum(dim=1).tolist(), strict=True):
        clip[:, :frames] = augmentation.states(clip[:, :frames])
    return inputs | {"speech_states": states}


def _memory_advice(training: Any, reason: str) -> str:
    size, steps = training.per_device_train_batch_size, training.gradient_accumulation_steps
    smaller = f"per_device_train_batch_size {max(size // 2, 1)} with gradient_accumulation_steps {steps * 2}"
    return (
        f"a batch of {size} rows does not fit into the memory of the device: try {smaller}, which trains alike in "
        "stages 2 and 3 (stage 1 has fewer negatives), gradient_checkpointing true, dtype bfloat16, or states, which "
        f"takes the speech encoder out of the run. torch says: {reason.splitlines()[0] if reason else 'out of memory'}"
    )


def train_stage(
    clips: DatasetDict, captions: DatasetDict, data: DataSettings, model: StageSettings, training: StageTraining
) -> Path:
    """Train one stage and write it with all that the next one, or an evaluation, needs.

    Args:
        clips: With ``utterance_id`` and ``audio``.
        captions: With ``utterance_id``, ``caption``, ``prompt`` and ``completion``, as
            :mod:`speechcue_hf.captions.build` makes them; rows without a caption are counted and left out.
        data: Which splits are trained on and chosen by.
        model: The model of the stage.
        training: How it is trained; ``output_dir`` is where the results go.

    Returns:
        The output folder: the model (of stage 3 the LoRA adapter with the speech adapter, and stage 2 as
        ``base_model``), its processor, ``training.json``, and ``captions.json`` and ``describer.json`` of the folder
        that ``model.captions`` names, from which an explanation is asked and judged.

    Raises:
        TrainingError: If the splits are not honest, ``start_from`` is not the folder of the stage before, the output
            folder holds an unfinished run, the queries collapse, or a batch does not fit into memory.
    """
    augmentation = check_stage(model)
    check_settings(data, model, training)
    check_splits(captions, data, labelled=False)
    checkpoint = check_run(training)
    rows = DatasetDict(
        {split: _with_caption(part) for split, part in chosen_rows(captions, data, training.seed).items()}
    )
    set_seed(training.seed)
    with training.main_process_first(desc="preparing model"):
        network, processor = _start(model, training, _texts(rows["train"]))
    with training.main_process_first(desc="encoding clips"):
        loaded = _with_speech(rows, clips, data, model, network, processor, augmentation)
    trainer = _make_trainer(loaded, model, training, network, processor, augmentation)
    return train_and_record(trainer, checkpoint, partial(_describe, model, rows, captions, data))


def check_stage(model: StageSettings) -> Augmentation | None:
    """Refuse settings that do not fit the stage or the folder it starts from, and read those of the augmentation.

    Raises:
        TrainingError: If there is no such stage, the folder is not that of the stage before, or the augmentation would
            make captions untrue or belong to clips whose states are kept.
        ValueError: If a setting of the augmentation is out of its range.
    """
    if model.stage not in (1, 2, 3):
        raise TrainingError(f"stage must be 1, 2 or 3, got {model.stage}")
    if model.stage == 1 and model.start_from is not None:
        raise TrainingError("stage 1 starts from speech_encoder and qformer: leave start_from out")
    if model.stage > 1:
        _check_stage_before(model)
    if model.augmentation is None:
        return None
    augmentation = Augmentation.of(model.augmentation)
    if augmentation.changes_style and model.stage < 3:
        raise TrainingError(
            f"stage {model.stage} learns captions that tell pitch, speed and volume, which speeds and gain_db "
            "would make untrue: leave both out of augmentation"
        )
    if augmentation.changes_samples and model.states is not None:
        raise TrainingError(
            "kept states are those of the clips as they are: leave out states, or speeds, gain_db, snr_db"
        )
    return augmentation


def _check_stage_before(model: StageSettings) -> None:
    if model.start_from is None:
        raise TrainingError(f"stage {model.stage} starts from stage {model.stage - 1}: name its folder by start_from")
    folder = Path(model.start_from)
    before = find_record(TrainingRecord, folder)
    if before is None:
        raise TrainingError(f"{folder} holds no finished stage: there is no {TrainingRecord.FILE}")
    if before.stage != model.stage - 1:
        raise TrainingError(
            f"{folder} is of stage {before.stage}, but stage {model.stage} starts from stage {model.stage - 1}"
        )


def _start(model: StageSettings, training: StageTraining, texts: Iterable[str]) -> tuple[Any, SEmoLLMProcessor]:
    """The network of a stage and its processor; tiny parts know the texts."""
    dtype = model.dtype if torch.cuda.is_available() else "float32"
    parts = [_place_part(getattr(model, part), part, training, texts) for part in PARTS[model.stage]]
    if model.stage == 1:
        speech_encoder, qformer = parts
        return start_stage1(
            speech_encoder,
            qformer,
            LossWeights(model.matching_weight, model.contrastive_weight, model.generation_weight),
            num_query_tokens=model.num_query_tokens,
            classifier_proj_size=model.classifier_proj_size,
            projection_dropout=model.projection_dropout,
            speech_layers=model.speech_layers,
        )
    if model.stage == 2:
        [language_model] = parts
        return start_stage2(str(model.start_from), language_model, dtype)
    base = place_base_model(str(model.start_from), Path(training.output_dir), (), training.seed)
    network, processor = start_stage3(base, dtype)
    settings = lora_settings(model.lora_r, model.lora_alpha, model.lora_dropout, model.lora_target_modules)
    return get_peft_model(network, settings), processor


def _place_part(name: str, part: str, training: StageTraining, texts: Iterable[str]) -> str:
    """Where a part is: on the Hub, in a folder, or, when it is to be tiny, built beside the model."""
    if name != TINY_MODEL:
        return name
    folder = Path(training.output_dir) / "tiny_parts"
    build_tiny_parts(folder, texts, seed=training.seed)
    return str(folder / part)


def _texts(rows: Dataset) -> Iterator[str]:
    """Captions and questions, read only when somebody asks for them."""
    for row in rows:
        yield row["caption"]
        yield from (part["text"] for message in row["prompt"] for part in message["content"] if part["text"])


def _with_caption(rows: Dataset) -> Dataset:
    found = rows.select([place for place, caption in enumerate(rows["caption"]) if caption is not None])
    if len(found) == 0:
        raise TrainingError("no row has a caption: look at the column caption_note")
    return found.select_columns(["utterance_id", "caption", "prompt", "completion"])


def _with_speech(
    rows: DatasetDict,
    clips: DatasetDict,
    data: DataSettings,
    model: StageSettings,
    network: Any,
    processor: SEmoLLMProcessor,
    augmentation: Augmentation | None,
) -> DatasetDict:
    """Rows that load their speech when they are read; only training rows are augmented."""
    spoken = {"train": clips[data.train_split], "validation": clips[data.selection_split]}
    chosen = DatasetDict()
    for split, part in rows.items():
        chosen[split] = spoken[split].select(clip_places(dict.fromkeys(part["utterance_id"]), spoken[split]))
    seconds = network.config.train_seconds
    loaders: dict[str, Any]
    if model.states is None:
        changes = {"train": augmentation, "validation": None}
        loaders = {split: ClipLoader(part, seconds, changes[split]) for split, part in chosen.items()}
    else:
        base = _speech_part(network)
        weights = base.speech_adapter.layer_weights.requires_grad_(False) if model.states_kind == "sum" else None
        layers = network.config.num_speech_layers if weights is None else 1
        folder = Path(model.states)
        kept = keep_states(chosen, base.speech_encoder, processor, folder, seconds=seconds, layer_weights=weights)
        loaders = {split: StateLoader(part, layers) for split, part in kept.items()}
    return DatasetDict({split: part.with_transform(loaders[split]) for split, part in rows.items()})


def _speech_part(network: Any) -> Any:
    """What holds speech encoder and adapter, in the network of any stage."""
    network = network.get_base_model() if isinstance(network, PeftModel) else network
    return network if isinstance(network, SEmoLLMForPretraining) else network.model


def _make_trainer(
    rows: DatasetDict,
    model: StageSettings,
    training: StageTraining,
    network: Any,
    processor: SEmoLLMProcessor,
    augmentation: Augmentation | None,
) -> StageTrainer:
    seconds = network.config.train_seconds
    collator: CaptionCollator | AnswerCollator = AnswerCollator(processor, seconds)
    if model.stage == 1:
        collator = CaptionCollator(processor, seconds, network.config.qformer_config.max_position_embeddings)
    return StageTrainer(
        speech_encoder=_speech_part(network).speech_encoder,
        augmentation=augmentation,
        collapse_threshold=model.collapse_threshold,
        model=network,
        args=training,
        train_dataset=rows["train"],
        eval_dataset=rows["validation"],
        processing_class=processor,
        data_collator=collator,
    )


def _identity(captions: DatasetDict, folder: str | None) -> CorpusIdentity | None:
    """The corpus of captions: as the record in their folder says, or else they themselves."""
    return (find_record(CorpusIdentity, Path(folder)) if folder else None) or identify(captions)


def _describe(
    model: StageSettings, rows: DatasetDict, captions: DatasetDict, data: DataSettings, output: Path
) -> dict[str, Any]:
    """Put captions' record and describer beside the model, and say what it was trained on, without paths."""
    made: dict[str, Any] = {}
    if model.captions is not None:
        folder = Path(model.captions)
        carry_records(folder, output, [CAPTIONS_FILE, DESCRIBER_FILE])
        made = {**Provenance.of(folder).shown}
    parts = {part: getattr(model, part) for part in PARTS[model.stage]}
    named = {part: base_model_name(getattr(model, part)) for part in (SPEECH_ENCODER, QFORMER, LANGUAGE_MODEL)}
    settings = asdict(model) | named | {"captions": None, "start_from": None, "states": None}
    before = None if model.start_from is None else find_record(TrainingRecord, Path(model.start_from))
    emotion = captions[data.train_split].features.get("emotion")
    names = [] if emotion is None else list(emotion.names)
    splits = {"train": data.train_split, "validation": data.selection_split}
    return {
        "stage": model.stage,
        "base_model": named[SPEECH_ENCODER] if model.stage == 1 else base_model_name(str(model.start_from)),
        "stage_before_sha256": None if before is None else before.fingerprint,
        "part_revisions": {part: None if name == TINY_MODEL else hub_commit(name) for part, name in parts.items()},
        "model": {name: value for name, value in settings.items() if value is not None},
        "states_kept": None if model.states is None else model.states_kind,
        "labels": {"names": names, "words": names},
        "corpus": metadata_of(_identity(captions, model.captions)),
        **made,
        "sees_future": False,
        "data_percent": data.data_percent,
        "rows": {
            split: {"all": len(captions[name]), "with_caption": len(rows[split])} for split, name in splits.items()
        },
    }

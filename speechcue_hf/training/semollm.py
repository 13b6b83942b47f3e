"""The three stages of SEmoLLM's training, each from the folder that the stage before has written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset, DatasetDict
from peft import PeftModel, get_peft_model
from transformers import PrinterCallback, set_seed

from speechcue_hf.corpora.identity import carry_records, metadata_of
from speechcue_hf.corpora.joining import clip_places
from speechcue_hf.corpora.subset import share_of
from speechcue_hf.errors import TrainingError
from speechcue_hf.models.base import TINY_MODEL, base_model_name, place_base_model
from speechcue_hf.models.loading import hub_commit
from speechcue_hf.models.semollm.lora import lora_settings
from speechcue_hf.models.semollm.pretraining_semollm import LossWeights, SEmoLLMForPretraining
from speechcue_hf.models.semollm_stages import start_stage1, start_stage2, start_stage3
from speechcue_hf.models.tiny_parts import LANGUAGE_MODEL, QFORMER, SPEECH_ENCODER, build_tiny_parts
from speechcue_hf.provenance import NOT_KNOWN, Provenance
from speechcue_hf.records import (
    CAPTIONS_FILE,
    DESCRIBER_FILE,
    CorpusIdentity,
    TrainingRecord,
    find_record,
    write_record,
)
from speechcue_hf.training.arguments import DataSettings
from speechcue_hf.training.augmentation import Augmentation
from speechcue_hf.training.checks import check_quiet, check_split_use, find_checkpoint
from speechcue_hf.training.record import clean_folder, trainer_record
from speechcue_hf.training.semollm_arguments import StageSettings, StageTraining
from speechcue_hf.training.semollm_batches import AnswerCollator, CaptionCollator, ClipLoader, StateLoader
from speechcue_hf.training.semollm_trainer import StageTrainer
from speechcue_hf.training.speech_states import keep_states

TINY_PARTS = "tiny_parts"
"""Beside a model made of tiny parts: these."""

if TYPE_CHECKING:
    from speechcue_hf.models.semollm.processing_semollm import SEmoLLMProcessor


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
    check_split_use(captions, data)
    check_quiet(training)
    checkpoint = find_checkpoint(training)
    rows = _captioned_rows(captions, data, training.seed)
    set_seed(training.seed)
    with training.main_process_first(desc="preparing model"):
        network, processor = _start(model, training, _texts(rows["train"]))
    with training.main_process_first(desc="encoding clips"):
        loaded = _with_speech(rows, clips, data, model, network, processor, augmentation)
    trainer = _make_trainer(loaded, model, training, network, processor, augmentation)
    trainer.train(resume_from_checkpoint=checkpoint)
    output = Path(training.output_dir)
    trainer.save_model(str(output))
    if trainer.is_world_process_zero():
        clean_folder(output)
        if model.captions is not None:
            carry_records(Path(model.captions), output, [CAPTIONS_FILE, DESCRIBER_FILE])
        record = _stage_record(model, rows, captions, data)
        write_record(TrainingRecord(**record, **trainer_record(trainer, training)), output)
    trainer.accelerator.wait_for_everyone()
    return output


def check_stage(model: StageSettings) -> Augmentation | None:
    """Refuse settings that do not fit the stage or the folder it starts from.

    Args:
        model: The model of the stage.

    Returns:
        The augmentation, None without one.

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
    augmentation = Augmentation(**model.augmentation)
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
    stage = before.stage
    if stage != model.stage - 1:
        raise TrainingError(
            f"{folder} is of stage {stage}, but stage {model.stage} starts from stage {model.stage - 1}"
        )


def _start(model: StageSettings, training: StageTraining, texts: Iterable[str]) -> tuple[Any, SEmoLLMProcessor]:
    """The network of a stage and its processor; tiny parts know the texts."""
    dtype = model.dtype if torch.cuda.is_available() else "float32"
    if model.stage == 1:
        return start_stage1(
            _part(model.speech_encoder, SPEECH_ENCODER, training, texts),
            _part(model.qformer, QFORMER, training, texts),
            LossWeights(model.matching_weight, model.contrastive_weight, model.generation_weight),
            num_query_tokens=model.num_query_tokens,
            classifier_proj_size=model.classifier_proj_size,
            projection_dropout=model.projection_dropout,
            speech_layers=model.speech_layers,
        )
    if model.stage == 2:
        language_model = _part(model.language_model, LANGUAGE_MODEL, training, texts)
        return start_stage2(str(model.start_from), language_model, dtype)
    base = place_base_model(str(model.start_from), Path(training.output_dir), (), training.seed)
    network, processor = start_stage3(base, dtype)
    settings = lora_settings(model.lora_r, model.lora_alpha, model.lora_dropout, model.lora_target_modules)
    adapted: Any = get_peft_model(network, settings)
    # PEFT writes a card with every checkpoint, which names the base model by its path on this machine.
    adapted.create_or_update_model_card = lambda folder: None
    return adapted, processor


def _part(name: str, kind: str, training: StageTraining, texts: Iterable[str]) -> str:
    """Where a part is: on the Hub, in a folder, or, when it is to be tiny, built beside the model."""
    if name != TINY_MODEL:
        return name
    parts = Path(training.output_dir) / TINY_PARTS
    build_tiny_parts(parts, texts, seed=training.seed)
    return str(parts / kind)


def _texts(rows: Dataset) -> Iterator[str]:
    """Captions and questions, read only when somebody asks for them."""
    for row in rows:
        yield row["caption"]
        yield from (part["text"] for message in row["prompt"] for part in message["content"] if part["text"])


def _captioned_rows(captions: DatasetDict, data: DataSettings, seed: int) -> DatasetDict:
    """Rows with a caption, splits ``train`` and ``validation``."""
    kept = ["utterance_id", "caption", "prompt", "completion"]
    rows = {"train": captions[data.train_split], "validation": captions[data.selection_split]}
    if data.data_percent < 100:
        rows["train"] = share_of(rows["train"], data.data_percent, seed)
    return DatasetDict({split: _with_caption(part).select_columns(kept) for split, part in rows.items()})


def _with_caption(rows: Dataset) -> Dataset:
    found = rows.select([place for place, caption in enumerate(rows["caption"]) if caption is not None])
    if len(found) == 0:
        raise TrainingError("no row has a caption: look at the column caption_note")
    return found


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
    named = {"train": clips[data.train_split], "validation": clips[data.selection_split]}
    requested = {split: list(dict.fromkeys(part["utterance_id"])) for split, part in rows.items()}
    chosen = DatasetDict({split: named[split].select(clip_places(requested[split], named[split])) for split in rows})
    changes = {"train": augmentation, "validation": None}
    seconds = network.config.train_seconds
    if model.states is None:
        return DatasetDict(
            {split: rows[split].with_transform(ClipLoader(chosen[split], seconds, changes[split])) for split in rows}
        )
    base = _speech_part(network)
    weights = base.speech_adapter.layer_weights if model.states_kind == "sum" else None
    if weights is not None:
        weights.requires_grad_(False)
    kept = keep_states(
        chosen, base.speech_encoder, processor, Path(model.states), seconds=seconds, layer_weights=weights
    )
    layers = 1 if weights is not None else network.config.num_speech_layers
    return DatasetDict({split: rows[split].with_transform(StateLoader(kept[split], layers)) for split in rows})


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
    trainer = StageTrainer(
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
    # What stands for the bar where bars are off prints raw numbers among our lines; training.json has them.
    trainer.remove_callback(PrinterCallback)
    return trainer


def _part_revisions(model: StageSettings) -> dict[str, str | None]:
    """Commit of each part on the Hub that the stage puts together."""
    parts = {1: ("speech_encoder", "qformer"), 2: ("language_model",)}.get(model.stage, ())
    names = {part: getattr(model, part) for part in parts}
    return {part: None if name == TINY_MODEL else hub_commit(name) for part, name in names.items()}


def _stage_record(model: StageSettings, rows: DatasetDict, captions: DatasetDict, data: DataSettings) -> dict[str, Any]:
    """What was trained, without paths: values of :class:`speechcue_hf.records.TrainingRecord`."""
    named = {name: base_model_name(getattr(model, name)) for name in ("speech_encoder", "qformer", "language_model")}
    settings = asdict(model) | named | {"captions": None, "start_from": None, "states": None}
    before = None if model.start_from is None else find_record(TrainingRecord, Path(model.start_from))
    folder = None if model.captions is None else Path(model.captions)
    identity = None if folder is None else find_record(CorpusIdentity, folder)
    emotion = captions[data.train_split].features.get("emotion")
    names = [] if emotion is None else list(emotion.names)
    splits = {"train": data.train_split, "validation": data.selection_split}
    return {
        "stage": model.stage,
        "base_model": named["speech_encoder"] if model.stage == 1 else base_model_name(str(model.start_from)),
        "stage_before_sha256": None if before is None else before.fingerprint,
        "part_revisions": _part_revisions(model),
        "model": {name: value for name, value in settings.items() if value is not None},
        "states_kept": None if model.states is None else model.states_kind,
        "corpus": metadata_of(identity),
        "labels": {"names": names, "words": names},
        **(NOT_KNOWN if folder is None else Provenance.of(folder)).shown,
        "sees_future": False,
        "data_percent": data.data_percent,
        "rows": {
            split: {"all": len(captions[name]), "with_caption": len(rows[split])} for split, name in splits.items()
        },
    }

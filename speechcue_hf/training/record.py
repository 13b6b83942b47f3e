"""What a run leaves beside its model: how its dataset was made, what was done and how it went."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import Dataset

from speechcue_hf.environment import library_versions
from speechcue_hf.filenames import BASE_MODEL_FOLDER, BIOGRAPHIES_FILE, DESCRIBER_FILE, DISTRIBUTIONS_FILE
from speechcue_hf.training.arguments import ModelSettings, TrainingSettings

if TYPE_CHECKING:
    from transformers import Trainer, TrainingArguments


_SETTINGS = (
    "num_train_epochs",
    "max_steps",
    "learning_rate",
    "lr_scheduler_type",
    "warmup_steps",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "optim",
    "adam_beta1",
    "adam_beta2",
    "weight_decay",
    "max_grad_norm",
    "neftune_noise_alpha",
    "bf16",
    "metric_for_best_model",
)
_STAGE1 = ("matching_loss", "contrastive_loss", "generation_loss", "query_similarity")
_SCORES = ("epoch", "step", "loss", "eval_loss", "eval_weighted_f1", "learning_rate")
_LOGGED = (*_SCORES, *_STAGE1, *(f"eval_{name}" for name in _STAGE1))
_ADAPTER = ("lora_r", "lora_alpha", "lora_dropout", "lora_target_modules", "lora_modules_to_save")


def keep_beside(output: Path, describer: Path | None, biographies: Path | None) -> None:
    """Put what a dataset was made with beside a saved model, and take out what tells of the machine it was made on.

    Args:
        output: The output folder, with the model saved in it.
        describer: The describer's file, or None; the picture of its thresholds beside it goes along.
        biographies: The record of the dataset's biographies, or None.
    """
    picture = None if describer is None else describer.with_name(DISTRIBUTIONS_FILE)
    beside = ((describer, DESCRIBER_FILE), (picture, DISTRIBUTIONS_FILE), (biographies, BIOGRAPHIES_FILE))
    for source, name in beside:
        if source is not None and source.is_file():
            shutil.copyfile(source, output / name)
    # A pickle with the paths of this run; training.json has the settings.
    (output / "training_args.bin").unlink(missing_ok=True)
    for path in (output / "adapter_config.json", *output.glob("checkpoint-*/adapter_config.json")):
        if path.is_file():
            _name_base_beside(path, output / BASE_MODEL_FOLDER)


def training_record(trainer: Trainer, model: ModelSettings, training: TrainingSettings) -> dict[str, Any]:
    """Say what chat model was trained and how it went, without paths.

    Args:
        trainer: The trainer, after training.
        model: The base model and its adapter.
        training: How it was trained.

    Returns:
        The base model, its adapter, and what :func:`run_record` returns.
    """
    return {
        "base_model": base_model_name(str(model.model_name_or_path)),
        "adapter": {name: getattr(model, name) for name in _ADAPTER} if model.use_peft else None,
        "quantised": bool(model.load_in_4bit or model.load_in_8bit),
        **run_record(trainer, training),
    }


def run_record(trainer: Trainer, training: TrainingArguments) -> dict[str, Any]:
    """Say how a run went, whatever its model.

    Args:
        trainer: The trainer, after training.
        training: How it was trained.

    Returns:
        Settings, seed, number of parameters and steps, the best step with its scores, losses, library versions.
    """
    return {
        "seed": training.seed,
        "settings": {name: getattr(training, name) for name in _SETTINGS},
        "processes": training.world_size,
        "parameters": _count_parameters(trainer.model),
        "steps": trainer.state.global_step,
        "best": _best(trainer.state.log_history, trainer.state.best_global_step),
        "log": _losses(trainer.state.log_history),
        "libraries": library_versions(),
    }


def count_rows(rows: Dataset) -> dict[str, int]:
    """Count the rows of a split, those without a label, and those whose prompt the token budget shortened."""
    return {
        "all": len(rows),
        "unlabelled": sum(emotion is None for emotion in rows["emotion"]),
        "shortened": sum(count > 0 for count in rows["turns_dropped"]),
    }


def sha256_of(path: Path | None) -> str | None:
    """SHA-256 of a file, None without one."""
    return None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()


def base_model_name(name: str) -> str:
    """Hub id of a base model, or the name of its folder without the path to it."""
    return Path(name).resolve().name if Path(name).is_dir() else name


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write JSON that people can read."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _name_base_beside(path: Path, base: Path) -> None:
    """Name a base model that lies beside the adapter by its folder alone, which :func:`load_model` looks for there."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    if Path(settings["base_model_name_or_path"]) == base:
        write_json(settings | {"base_model_name_or_path": BASE_MODEL_FOLDER}, path)


def _count_parameters(model: Any) -> dict[str, int]:
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return {"all": sum(size for size, _ in sizes), "trained": sum(size for size, trained in sizes if trained)}


def _best(history: Sequence[Mapping[str, Any]], step: int | None) -> dict[str, Any]:
    """The step whose model is kept, with its scores on the selection split."""
    scores: dict[str, Any] = {"step": step}
    for entry in history:
        if entry.get("step") == step:
            scores |= {name: entry[name] for name in ("eval_loss", "eval_weighted_f1") if name in entry}
    return scores


def _losses(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    lines = [{name: entry[name] for name in _LOGGED if name in entry} for entry in history]
    return [line for line in lines if {"loss", "eval_loss", "eval_weighted_f1"} & set(line)]

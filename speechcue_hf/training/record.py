"""What a run leaves beside its model: what was done, and how it went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechcue_hf.environment import library_versions
from speechcue_hf.records import BASE_MODEL_FOLDER, read_json, write_json
from speechcue_hf.training.arguments import ModelSettings

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


def clean_folder(output: Path) -> None:
    """Take out of a saved model what tells of the machine it was made on.

    Args:
        output: The output folder, with the model saved in it.
    """
    # A pickle with the paths of this run; training.json has the settings.
    (output / "training_args.bin").unlink(missing_ok=True)
    for path in (output / "adapter_config.json", *output.glob("checkpoint-*/adapter_config.json")):
        if path.is_file():
            _name_base_beside(path, output / BASE_MODEL_FOLDER)


def adapter_record(model: ModelSettings) -> dict[str, Any] | None:
    """Settings of the adapter of a chat model; None for one that is trained whole."""
    return {name: getattr(model, name) for name in _ADAPTER} if model.use_peft else None


def trainer_record(trainer: Trainer, training: TrainingArguments) -> dict[str, Any]:
    """Say how a run went, whatever its model.

    Args:
        trainer: The trainer, after training.
        training: How it was trained.

    Returns:
        Settings, seed, number of parameters and steps, the best step with its scores, losses, library versions: values
        of :class:`speechcue_hf.records.TrainingRecord`.
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


def _name_base_beside(path: Path, base: Path) -> None:
    """Name a base model that lies beside the adapter by its folder alone, which :func:`load_model` looks for there."""
    settings = read_json(path, "train again")
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

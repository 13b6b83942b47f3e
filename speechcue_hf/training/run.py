"""What all kinds of training have in common: checks before a run, the rows it takes, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import DatasetDict
from peft import PeftModel
from transformers import PrinterCallback, Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from speechcue_hf.corpora.subset import share_of
from speechcue_hf.environment import library_versions
from speechcue_hf.errors import TrainingError
from speechcue_hf.inference.classifier import Prediction
from speechcue_hf.metrics.scores import weighted_f1
from speechcue_hf.prompts.build import label_names
from speechcue_hf.records import BASE_MODEL_FOLDER, TrainingRecord, read_json, write_json, write_record
from speechcue_hf.training.arguments import DataSettings

STAGE1_PARTS = ("matching_loss", "contrastive_loss", "generation_loss", "query_similarity")
"""What stage 1 of SEmoLLM logs beside its loss."""

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
    "sharing",
    "tokens_per_batch",
)
_SCORES = ("eval_loss", "eval_weighted_f1")
_STAGE1_LOGGED = (*STAGE1_PARTS, *(f"eval_{name}" for name in STAGE1_PARTS))
_LOGGED = ("epoch", "step", "loss", *_SCORES, "learning_rate", *_STAGE1_LOGGED)


class SelectingTrainer(Trainer):
    """A trainer that scores its model on the selection split as the final evaluation does.

    The scores are logged as ``eval_weighted_f1``, by which the best epoch may be chosen.
    """

    predictions: Callable[[], Sequence[Prediction]]
    """Predictions of the labelled utterances of the selection split by the model as it is."""
    references: Sequence[int]
    """Their true classes."""

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Loss on the selection split, and the score of the classifier."""
        metrics: dict[str, float] = super().evaluate(*args, **kwargs)
        labels = [prediction.label for prediction in self.predictions()]
        scores = {"eval_weighted_f1": weighted_f1(self.references, labels)}
        self.log(dict(scores))
        return metrics | scores


def check_splits(dataset: DatasetDict, data: DataSettings, *, labelled: bool = True) -> None:
    """Refuse splits on which a run would not be honest, and labels that differ between them.

    Args:
        dataset: With ``utterance_id``.
        data: Which splits are trained on and chosen by.
        labelled: Whether ``emotion`` is what is learnt.

    Raises:
        TrainingError: If the test split is to train or to choose, one split is to do both, a split is missing or empty,
            the splits share utterances, they differ in their labels, or there are fewer than two labels.
        PromptError: If the column ``emotion`` is missing or no ``ClassLabel``.
    """
    train, selection = data.train_split, data.selection_split
    for split, purpose in ((train, "be trained on"), (selection, "choose the best epoch")):
        if split == "test":
            raise TrainingError(
                f"the test split must not {purpose}: its score would no longer say how the model does on unseen "
                "dialogues. Choose on validation, and report on test once"
            )
        if split not in dataset or len(dataset[split]) == 0:
            raise TrainingError(f"the dataset has no rows of split {split!r}, it has {sorted(dataset)}")
    if selection == train:
        raise TrainingError(f"{train!r} is trained on, so it cannot choose the best epoch: name another split")
    _check_utterances(dataset, (train, selection, "test"))
    if not labelled:
        return
    labels, others = (label_names(dataset[split].features) for split in (train, selection))
    if labels != others:
        raise TrainingError(
            f"{train} has the labels {labels}, {selection} has {others}: cast the column emotion of both to one "
            "ClassLabel"
        )
    if len(labels) < 2:
        raise TrainingError(
            f"the column emotion knows {len(labels)} label ({', '.join(labels) or 'none'}), so there is nothing "
            "to tell apart: train on rows of two emotions or more"
        )


def _check_utterances(dataset: DatasetDict, splits: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for split in splits:
        for utterance in dataset[split]["utterance_id"] if split in dataset else ():
            if seen.setdefault(utterance, split) != split:
                raise TrainingError(
                    f"utterance {utterance!r} is in {seen[utterance]!r} and in {split!r}: splits must not share rows"
                )


def check_run(training: TrainingArguments) -> str | None:
    """Refuse a run that would push its checkpoints or overwrite others, and find where one that was cut goes on.

    Args:
        training: How it is trained; ``resume_from_checkpoint`` may be a checkpoint's folder or ``true`` for the last.

    Returns:
        Folder of the checkpoint to go on from; None for a fresh start.

    Raises:
        TrainingError: If ``push_to_hub`` is on, which would upload each checkpoint with its optimizer and a card with
            local paths, or the output folder holds a checkpoint and resuming was not asked for.
    """
    if training.push_to_hub:
        raise TrainingError(
            "push_to_hub is a setting of recipes, which publish the finished run: leave it out here, and call "
            "publish_model(folder, repo_id) afterwards"
        )
    output = Path(str(training.output_dir))
    last: str | None = get_last_checkpoint(str(output)) if output.is_dir() else None  # type: ignore[no-untyped-call]
    requested = training.resume_from_checkpoint
    if str(requested).lower() == "true":
        return last
    if requested is None and last is not None:
        raise TrainingError(
            f"{output.name} already holds {Path(last).name} of an earlier run: go on with it by --resume "
            "(resume_from_checkpoint=true), or give another output folder"
        )
    return requested


def chosen_rows(dataset: DatasetDict, data: DataSettings, seed: int) -> DatasetDict:
    """The rows of a run: a split ``train``, or the share of it that is trained on, and a split ``validation``."""
    train = dataset[data.train_split]
    if data.data_percent != 100:
        train = share_of(train, data.data_percent, seed)
    return DatasetDict(train=train, validation=dataset[data.selection_split])


def train_and_record(trainer: Trainer, checkpoint: str | None, describe: Callable[[Path], Mapping[str, Any]]) -> Path:
    """Train, and leave the model, its tokenizer or processor, and ``training.json`` in the output folder.

    Args:
        trainer: The trainer.
        checkpoint: From :func:`check_run`.
        describe: Asked by the first process after training: puts into the output folder what belongs beside the model,
            and says what was trained on what, in values of :class:`speechcue_hf.records.TrainingRecord`.

    Returns:
        The output folder.
    """
    output = Path(str(trainer.args.output_dir))
    # What stands for the bar where bars are off prints raw numbers among our lines; training.json has them.
    trainer.remove_callback(PrinterCallback)
    network: Any = trainer.model
    if isinstance(trainer.model, PeftModel):
        # PEFT writes a card with every checkpoint, which names the base model by its path on this machine.
        network.create_or_update_model_card = lambda folder: None
    trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_model(str(output))
    if trainer.is_world_process_zero():
        _clean_folder(output)
        write_record(TrainingRecord(**describe(output), **_course(trainer)), output)
    trainer.accelerator.wait_for_everyone()
    return output


def _clean_folder(output: Path) -> None:
    """Take out of a saved model what tells of the machine it was made on."""
    # A pickle with the paths of this run; training.json has the settings.
    (output / "training_args.bin").unlink(missing_ok=True)
    for path in (*output.glob("adapter_config.json"), *output.glob("checkpoint-*/adapter_config.json")):
        settings = read_json(path, "train again")
        # A base model that lies beside the adapter is named by its folder alone: load_model looks for it there.
        if Path(settings["base_model_name_or_path"]) == output / BASE_MODEL_FOLDER:
            write_json(settings | {"base_model_name_or_path": BASE_MODEL_FOLDER}, path)


def _course(trainer: Trainer) -> dict[str, Any]:
    """How a run went, whatever its model."""
    training, state = trainer.args, trainer.state
    network: Any = trainer.model
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in network.parameters()]
    log = [{name: entry[name] for name in _LOGGED if name in entry} for entry in state.log_history]
    return {
        "seed": training.seed,
        "settings": {name: getattr(training, name) for name in _SETTINGS if hasattr(training, name)},
        "processes": training.world_size,
        "parameters": {
            "all": sum(size for size, _ in sizes),
            "trained": sum(size for size, trained in sizes if trained),
        },
        "steps": state.global_step,
        "best": _best(state.log_history, state.best_global_step),
        "log": [entry for entry in log if {"loss", *_SCORES} & set(entry)],
        "libraries": library_versions(),
    }


def _best(history: Sequence[Mapping[str, Any]], step: int | None) -> dict[str, Any]:
    """The step whose model is kept, with its scores on the selection split."""
    judged = [entry for entry in history if entry.get("step") == step]
    return {"step": step} | {name: entry[name] for entry in judged for name in _SCORES if name in entry}

"""What is looked at before a run starts, so that it fails at once or not at all."""

from __future__ import annotations

from pathlib import Path

import torch
from datasets import DatasetDict
from transformers import TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from speechcue_hf.errors import TrainingError
from speechcue_hf.prompts.build import label_names
from speechcue_hf.training.arguments import DataSettings, ModelSettings, TrainingSettings


def check_splits(dataset: DatasetDict, data: DataSettings) -> None:
    """Refuse splits on which a run would not be honest, and labels that differ between them.

    Args:
        dataset: The described dataset.
        data: Which splits are trained on and chosen by.

    Raises:
        TrainingError: As :func:`check_split_use` says, or if the splits differ in their labels.
        PromptError: If the column ``emotion`` is missing or no ``ClassLabel``.
    """
    check_split_use(dataset, data)
    labels = [label_names(dataset[split].features) for split in (data.train_split, data.selection_split)]
    if labels[0] != labels[1]:
        raise TrainingError(
            f"{data.train_split} has the labels {labels[0]}, {data.selection_split} has {labels[1]}: "
            "cast the column emotion of both to one ClassLabel"
        )


def check_split_use(dataset: DatasetDict, data: DataSettings) -> None:
    """Refuse splits on which a run would not be honest.

    Args:
        dataset: With ``utterance_id``.
        data: Which splits are trained on and chosen by.

    Raises:
        TrainingError: If the test split is to train or to choose, one split is to do both, a split is missing or empty,
            or the splits share utterances.
    """
    for split, purpose in ((data.train_split, "be trained on"), (data.selection_split, "choose the best epoch")):
        if split == "test":
            raise TrainingError(
                f"the test split must not {purpose}: its score would no longer say how the model does on unseen "
                "dialogues. Choose on validation, and report on test once"
            )
        if split not in dataset or len(dataset[split]) == 0:
            raise TrainingError(f"the dataset has no rows of split {split!r}, it has {sorted(dataset)}")
    if data.selection_split == data.train_split:
        raise TrainingError(
            f"{data.train_split!r} is trained on, so it cannot choose the best epoch: name another split"
        )
    _check_utterances(dataset, data)


def _check_utterances(dataset: DatasetDict, data: DataSettings) -> None:
    """Refuse splits that share utterances, the test split included."""
    seen: dict[str, str] = {}
    for split in (data.train_split, data.selection_split, "test"):
        for utterance in dataset[split]["utterance_id"] if split in dataset else ():
            if seen.setdefault(utterance, split) != split:
                raise TrainingError(
                    f"utterance {utterance!r} is in {seen[utterance]!r} and in {split!r}: splits must not share rows"
                )


def check_settings(model: ModelSettings, training: TrainingSettings) -> None:
    """Refuse settings that would lose rows or cannot work here.

    Args:
        model: The base model and its adapter.
        training: How it is trained.

    Raises:
        TrainingError: If a setting is one of those.
    """
    if training.max_length is not None or training.packing:
        raise TrainingError("max_length and packing cut rows off in silence: use token_budget, which shortens prompts")
    if (model.load_in_4bit or model.load_in_8bit) and not torch.cuda.is_available():
        raise TrainingError("a quantised base model needs a CUDA GPU: leave out load_in_4bit and load_in_8bit")


def check_quiet(training: TrainingArguments) -> None:
    """Refuse a run whose trainer would push: each checkpoint with its optimizer, and a card with local paths.

    Args:
        training: How it is trained.

    Raises:
        TrainingError: If ``push_to_hub`` is on.
    """
    if training.push_to_hub:
        raise TrainingError(
            "push_to_hub is a setting of recipes, which publish the finished run: leave it out here, and call "
            "publish_model(folder, repo_id) afterwards"
        )


def find_checkpoint(training: TrainingArguments) -> str | None:
    """Find where an interrupted run is to go on.

    Args:
        training: How it is trained; ``resume_from_checkpoint`` may be a checkpoint's folder or ``true`` for the last.

    Returns:
        The checkpoint's folder, or None for a fresh start.

    Raises:
        TrainingError: If the output folder holds a checkpoint and resuming was not asked for: it would be lost.
    """
    output = Path(str(training.output_dir))
    last: str | None = get_last_checkpoint(str(output)) if output.is_dir() else None  # type: ignore[no-untyped-call]
    wanted = training.resume_from_checkpoint
    if str(wanted).lower() == "true":
        return last
    if wanted is None and last is not None:
        raise TrainingError(
            f"{output.name} already holds {Path(last).name} of an earlier run: go on with it by --resume "
            "(resume_from_checkpoint=true), or give another output folder"
        )
    return wanted

"""Training of the encoder classifier: every head is trained, on the cross-entropy of the logits."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset, DatasetDict
from torch.nn import functional
from transformers import AutoTokenizer, set_seed

from speechcue_hf.corpora.identity import identify, metadata_of
from speechcue_hf.cues.table import measurement_columns
from speechcue_hf.errors import ModelError, TrainingError
from speechcue_hf.inference.classifier import Prediction
from speechcue_hf.inference.encoder import EncoderClassifier
from speechcue_hf.inference.scoring import evaluation_mode
from speechcue_hf.inference.settings import InferenceSettings
from speechcue_hf.models.base import base_model_name, original_name
from speechcue_hf.models.bioserc import BiosErcConfig, BiosErcForUtteranceClassification
from speechcue_hf.models.bioserc.dialogues import UNLABELLED, collate, dialogue_examples
from speechcue_hf.models.bioserc.vectors import cache_vectors, fit_inputs
from speechcue_hf.models.loading import find_beside, hub_commit, model_type
from speechcue_hf.prompts.build import label_names
from speechcue_hf.provenance import NOT_KNOWN, Provenance
from speechcue_hf.records import TrainingRecord, read_record
from speechcue_hf.training.arguments import DataSettings, EncoderSettings, EncoderTraining, check_settings
from speechcue_hf.training.run import SelectingTrainer, check_run, check_splits, chosen_rows, train_and_record

if TYPE_CHECKING:
    from torch import Tensor


RISE = 0.3
"""Share of a run's steps in which one cycle rises, where no warm-up is given: PyTorch's own."""


class DialogueTrainer(SelectingTrainer):
    """The trainer with a learning rate of its own for the encoder, and a schedule of one cycle if asked for.

    Checkpoints do without a wholly frozen encoder, which whoever goes on with them has already; the finished model has
    it.
    """

    args: EncoderTraining

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        network: Any = self.model
        if network.config.encoder_is_frozen:
            network._keys_to_ignore_on_save = {f"encoder.{name}" for name in network.encoder.state_dict()}

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the whole model, or, for a checkpoint, what is trained of it."""
        network: Any = self.model
        if not _internal_call:
            network._keys_to_ignore_on_save = None
        super().save_model(output_dir, _internal_call)

    def create_optimizer(self, model: Any = None) -> Any:
        """Hold every parameter that is trained, those of the heads included."""
        if self.optimizer is None:
            network: Any = self.model if model is None else model
            optimizer_class, settings = self.get_optimizer_cls_and_kwargs(self.args, network)
            self.optimizer = optimizer_class(parameter_groups(network, self.args), **settings)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Make the schedule that the settings ask for."""
        if self.args.one_cycle and self.lr_scheduler is None:
            optimizer = optimizer or self.optimizer
            highest = [group["lr"] for group in optimizer.param_groups]
            warmup = self.args.get_warmup_steps(num_training_steps)
            # PyTorch divides by the length of rise and fall less one step.
            rise = min(max(warmup, 2) / num_training_steps, 0.9) if warmup and num_training_steps > 2 else RISE
            # Without cycling momentum: the betas are those of the settings.
            schedule: Any = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, highest, total_steps=num_training_steps, pct_start=rise, cycle_momentum=False
            )
            self.lr_scheduler = schedule
        return super().create_scheduler(num_training_steps, optimizer)


def parameter_groups(model: Any, training: EncoderTraining) -> list[dict[str, Any]]:
    """Parameters that are trained, by learning rate and weight decay; biases and norms do not decay."""
    groups: dict[tuple[bool, bool], list[Any]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((name.startswith("encoder."), parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": (of_encoder and training.encoder_learning_rate) or training.learning_rate,
            "weight_decay": training.weight_decay if decaying else 0.0,
        }
        for (of_encoder, decaying), parameters in groups.items()
    ]


def train_encoder(
    dataset: DatasetDict,
    data: DataSettings,
    model: EncoderSettings,
    training: EncoderTraining,
    *,
    provenance: Provenance = NOT_KNOWN,
) -> Path:
    """Train an encoder classifier and write it with all that is needed to use and to judge it.

    Args:
        dataset: The dataset, with the splits that ``data`` names.
        data: What is trained on.
        model: The model.
        training: How it is trained; ``output_dir`` is where the results go. The best epoch is chosen by weighted F1 on
            the selection split.
        provenance: How the rows were made; its records are copied beside the model.

    Returns:
        The output folder: model, tokenizer, the model's code for use without this package, ``describer.json``, and
        ``training.json``.

    Raises:
        TrainingError: If the test split is given for selection, a split is missing or empty, splits share utterances,
            nothing is labelled, or the output folder holds an unfinished run and resuming was not asked for.
        ModelError: If the dataset lacks what the model reads.
        ValueError: If a setting has no such value, or does not fit the encoder.
    """
    check_settings(data, model, training)
    check_splits(dataset, data)
    checkpoint = check_run(training)
    rows = chosen_rows(dataset, data, training.seed)
    commit = hub_commit(model.encoder, model.encoder_revision)
    origin = _origin(model, commit)
    classifier = _start(model, commit, rows["train"], training)
    # The other processes find in the cache what the first has put there.
    with training.main_process_first(desc="preparing examples"):
        examples = _prepare_examples(rows, classifier)
        fit_inputs(examples["train"], classifier.model)
    emotions = rows["train"]["emotion"]
    weights = class_weights(emotions, len(classifier.names), training.class_weights)
    shifts = logit_shifts(emotions, len(classifier.names), training.logit_adjustment)
    loss = partial(weighted_loss, weights=weights, smoothing=training.label_smoothing_factor, shifts=shifts)
    trainer = _make_trainer(classifier, examples, training, loss)

    def describe(output: Path) -> dict[str, Any]:
        provenance.copy_beside(output)
        corpus = {"corpus": metadata_of(identify(dataset)), "data_percent": data.data_percent, **provenance.shown}
        return corpus | origin | _describe(model, classifier, training, weights, examples)

    return train_and_record(trainer, checkpoint, describe)


def _start(model: EncoderSettings, commit: str | None, train: Dataset, training: EncoderTraining) -> EncoderClassifier:
    """The pretrained encoder with new heads, and its tokenizer."""
    set_seed(training.seed)
    revision = commit or "main"
    tokenizer = AutoTokenizer.from_pretrained(model.encoder, revision=revision)
    settings = _model_settings(model, train)
    network: Any = BiosErcForUtteranceClassification.from_encoder(model.encoder, revision=revision, **settings)
    if training.device.type == "cpu":
        # On texts of a few dozen tokens PyTorch's fused attention takes a CPU longer than the plain one.
        network.encoder.set_attn_implementation("eager")
    network.to(training.device)
    return EncoderClassifier(network, tokenizer, InferenceSettings(batch_size=training.eval_batch_size))


def _prepare_examples(rows: DatasetDict, classifier: EncoderClassifier) -> DatasetDict:
    """Make examples of every split; with a wholly frozen encoder, their vectors."""
    network, tokenizer = classifier.model, classifier.tokenizer
    examples = {
        split: dialogue_examples(part, tokenizer, network.config, network.token_limit) for split, part in rows.items()
    }
    if network.config.encoder_is_frozen:
        examples = {split: cache_vectors(part, network) for split, part in examples.items()}
    return DatasetDict(examples)


def class_weights(emotions: Sequence[int | None], classes: int, kind: str) -> list[float] | None:
    """Weight of each class in the loss.

    Args:
        emotions: Class id of each row, None where it is not labelled.
        classes: How many there are.
        kind: ``"none"``, or ``"log"`` for ln(N / n_c) as BiosERC has it; a class that does not occur weighs 0.

    Returns:
        The weights, or None for none.

    Raises:
        TrainingError: If no row is labelled, or all are of one class, whose weight ln(N / n_c) would be 0.

    Example:
        >>> [round(weight, 3) for weight in class_weights([0, 0, 0, 1], 2, "log")]
        [0.288, 1.386]
    """
    counts = Counter(emotion for emotion in emotions if emotion is not None)
    if not counts:
        raise TrainingError("no row has a label: check the column emotion")
    if kind == "none":
        return None
    if len(counts) == 1:
        raise TrainingError("all labels are of one class, which weighs ln(N / n_c) = 0: use class_weights none")
    return [math.log(counts.total() / counts[it]) if counts[it] else 0.0 for it in range(classes)]


def logit_shifts(emotions: Sequence[int | None], classes: int, adjustment: float) -> list[float]:
    """What is added to the logits in the loss, so that rare classes need not outweigh their rarity in use.

    Args:
        emotions: Class id of each row, None where it is not labelled.
        classes: How many there are.
        adjustment: τ of the paper: 0 changes nothing, 1 takes the frequencies of the labels out altogether.

    Returns:
        τ ln(n_c / N) of each class; one that does not occur counts once.

    Source: Menon et al. (2021), Long-tail learning via logit adjustment, ICLR.

    Example:
        >>> [round(shift, 3) for shift in logit_shifts([0, 0, 0, 1], 2, 0.5)]
        [-0.144, -0.693]
    """
    counts = Counter(emotion for emotion in emotions if emotion is not None)
    return [adjustment * math.log(max(counts[it], 1) / max(counts.total(), 1)) for it in range(classes)]


def weighted_loss(
    outputs: Any,
    labels: Tensor,
    num_items_in_batch: Tensor | int | None = None,
    *,
    weights: Sequence[float] | None,
    smoothing: float,
    shifts: Sequence[float],
) -> Tensor:
    """Cross-entropy of the logits, summed over the labelled utterances and divided by their number.

    Args:
        outputs: With ``logits``, shape ``(dialogues, utterances, labels)``.
        labels: Class ids, −100 where there is no loss, shape ``(dialogues, utterances)``.
        num_items_in_batch: Labelled utterances of all batches of a step; None: those of this one.
        weights: Of the classes.
        smoothing: Share of the target that is spread over all classes.
        shifts: Added to the logits of each class, here and not in use, from :func:`logit_shifts`.

    Returns:
        The loss, a scalar.
    """
    logits = outputs["logits"].flatten(0, 1).float()
    logits = logits + logits.new_tensor(shifts)
    total = functional.cross_entropy(
        logits,
        labels.flatten(),
        weight=None if weights is None else logits.new_tensor(weights),
        ignore_index=UNLABELLED,
        label_smoothing=smoothing,
        reduction="sum",
    )
    count = (labels != UNLABELLED).sum() if num_items_in_batch is None else num_items_in_batch
    return total / max(int(count), 1)


def _make_trainer(
    classifier: EncoderClassifier, examples: DatasetDict, training: EncoderTraining, loss: Callable[..., Tensor]
) -> DialogueTrainer:
    trainer = DialogueTrainer(
        model=classifier.model,
        args=training,
        train_dataset=examples["train"],
        eval_dataset=examples["validation"],
        processing_class=classifier.tokenizer,
        data_collator=collate,
        compute_loss_func=loss,
    )
    judged = examples["validation"]
    labels = list(chain.from_iterable(judged["labels"]))

    def predictions() -> list[Prediction]:
        # Of dialogues that are encoded once for all epochs, in the precision of the training.
        with evaluation_mode(classifier.model), trainer.compute_loss_context_manager():
            predicted = classifier.classify(judged)
        return [prediction for prediction, label in zip(predicted, labels, strict=True) if label != UNLABELLED]

    trainer.predictions = predictions
    trainer.references = [label for label in labels if label != UNLABELLED]
    return trainer


def _describe(
    model: EncoderSettings,
    classifier: EncoderClassifier,
    training: EncoderTraining,
    weights: Sequence[float] | None,
    examples: DatasetDict,
) -> dict[str, Any]:
    """What the model is and what it was trained to do, without paths."""
    cue_names = list(classifier.model.config.cue_names)
    return {
        "encoder": asdict(model) | {"encoder": base_model_name(model.encoder), "cue_names": cue_names},
        "labels": {"names": classifier.names, "words": classifier.words},
        "loss": {
            "class_weights": weights,
            "label_smoothing": training.label_smoothing_factor,
            **{name: getattr(training, name) for name in ("logit_adjustment", "encoder_learning_rate", "one_cycle")},
        },
        "rows": {split: _count_utterances(part) for split, part in examples.items()},
        **classifier.shown(examples["train"]),
    }


def _count_utterances(examples: Dataset) -> dict[str, int]:
    """Count the utterances, those without a label, and those that lost context or their end to the token limit."""
    labels = list(chain.from_iterable(examples["labels"]))
    shortened = sum(chain.from_iterable(examples["shortened"]))
    return {"all": len(labels), "unlabelled": labels.count(UNLABELLED), "shortened": shortened}


def _origin(model: EncoderSettings, commit: str | None) -> dict[str, Any]:
    """Where the encoder comes from; one of a finished run keeps the base model of that, and the corpora before."""
    found = find_beside(model.encoder, TrainingRecord.FILE, commit)
    # Beside another kind of model a file of that name is not ours.
    if found is None or model_type(model.encoder, commit) != BiosErcConfig.model_type:
        return {"base_model": original_name(model.encoder), "base_model_revision": commit}
    before = read_record(TrainingRecord, found)
    run = {"corpus": before.corpus, "rows": before.rows["train"]["all"], "training_sha256": before.fingerprint}
    return {
        "base_model": before.base_model,
        "base_model_revision": before.base_model_revision,
        "trained_before": (*before.trained_before, run),
    }


def _model_settings(model: EncoderSettings, train: Dataset) -> dict[str, Any]:
    """Settings of the model's config, with what the dataset says about labels, cues and biographies."""
    settings = asdict(model)
    del settings["encoder"], settings["encoder_revision"]
    if model.cues == "z_scores":
        settings["cue_names"] = _cue_names(train)
    if model.biographies != "none":
        settings["biography_scope"] = _biography_scope(train)
    names = label_names(train.features)
    return settings | {"id2label": dict(enumerate(names)), "label2id": {name: it for it, name in enumerate(names)}}


def _cue_names(train: Dataset) -> list[str]:
    known = {f"{measurement}_z" for measurement in measurement_columns()}
    names = [column for column in train.column_names if column in known]
    if not names:
        raise ModelError("the dataset has no column of z-scores: run `speechcue measure` and `speechcue describe`")
    return names


def _biography_scope(train: Dataset) -> str:
    for scope in train["biography_scope"] if "biography_scope" in train.column_names else ():
        if scope is not None:
            return str(scope)
    raise ModelError("no row has a biography: run `speechcue biographies`, or train with biographies: none")

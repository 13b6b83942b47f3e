"""Evaluation of an encoder classifier: its probabilities for every labelled utterance of a split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset
from datasets.utils import tqdm

from speechcue_hf.environment import library_versions
from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.evaluate import check_biographies, check_describer, check_labels
from speechcue_hf.evaluation.predictions import predictions_from_classes
from speechcue_hf.evaluation.report import summarise
from speechcue_hf.inference.scoring import LabelScores
from speechcue_hf.models.bioserc.dialogues import collate, dialogue_examples
from speechcue_hf.prompts.biographies import biography_record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from speechcue_hf.models.bioserc import BiosErcForUtteranceClassification


def evaluate_encoder(
    dataset: Dataset,
    model: BiosErcForUtteranceClassification,
    tokenizer: PreTrainedTokenizerBase,
    *,
    training: Mapping[str, Any] | None = None,
    describer_sha256: str | None = None,
    biographies: Path | None = None,
    batch_size: int = 8,
) -> tuple[dict[str, Any], Dataset]:
    """Score an encoder classifier on the labelled utterances of a split.

    Args:
        dataset: The split, whole dialogues; turns without a label are read and not scored.
        model: The model, in evaluation mode.
        tokenizer: Its tokenizer.
        training: Its ``training.json``, whose describer and biographies must be those used here; None if it is lost.
        describer_sha256: Fingerprint of the describer that worded the dataset; None for text alone.
        biographies: The record of the dataset's biographies, ``biographies.json``; None if there is none.
        batch_size: Dialogues in one pass.

    Returns:
        The results (scores, and the facts that make them comparable) and the table of predictions.

    Raises:
        EvaluationError: If the model was trained with other labels, another describer or another kind of biography, or
            nothing is labelled.
        ModelError: If the dataset lacks what the model reads.
    """
    config = model.config
    labels = config.label_names
    check_labels(labels, dataset.features["emotion"].names)
    written = biography_record(biographies)
    if training is not None and config.cues != "none":
        check_describer(training["describer_sha256"], describer_sha256)
    if training is not None and config.biographies != "none":
        check_biographies(training["biographies"], written["biographies"])
    labelled = [row for row, emotion in enumerate(dataset["emotion"]) if emotion is not None]
    if not labelled:
        raise EvaluationError("No row has an emotion, so there is nothing to compare predictions with.")
    examples = dialogue_examples(dataset, tokenizer, config, model.token_limit)
    logits = predict_dialogues(examples, model, batch_size)[labelled]
    tokens = sum(len(ids) for dialogue in examples["input_ids"] for ids in dialogue)
    scores = LabelScores(tuple(labels), logits.log_softmax(-1).numpy(), "sum", tokens)
    predictions = predictions_from_classes(dataset.select(labelled), scores)
    facts = {
        "unlabelled": len(dataset) - len(labelled),
        "decode": "classify",
        "seed": None if training is None else training["seed"],
        "shortened": sum(sum(dialogue) for dialogue in examples["shortened"]),
        "describer_sha256": describer_sha256,
        **written,
        **config.future_record(),
        "libraries": library_versions(),
    }
    return {**summarise(predictions, labels), **facts}, predictions


def predict_dialogues(examples: Dataset, model: BiosErcForUtteranceClassification, batch_size: int) -> torch.Tensor:
    """Logits of every utterance.

    Args:
        examples: From :func:`speechcue_hf.models.bioserc.dialogues.dialogue_examples`.
        model: The model, in evaluation mode.
        batch_size: Dialogues in one pass.

    Returns:
        Shape ``(utterances, labels)``, float32 on the CPU, in the order of the rows.
    """
    parts = []
    for start in tqdm(range(0, len(examples), batch_size), desc="Scoring dialogues"):
        rows = range(start, min(start + batch_size, len(examples)))
        batch = {name: tensor.to(model.device) for name, tensor in collate([examples[row] for row in rows]).items()}
        del batch["labels"]
        with torch.inference_mode():
            logits = model(**batch).logits
        parts.append(logits[batch["speakers"] >= 0].float().cpu())
    return torch.cat(parts)

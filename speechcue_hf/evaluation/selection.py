"""The judge of a training run: how well the model of an epoch does on the selection split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from datasets import Dataset

from speechcue_hf.inference.scoring import score_labels
from speechcue_hf.metrics.scores import weighted_f1

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def judge(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: Dataset, labels: Sequence[str]
) -> dict[str, float]:
    """Score every label for every row, as the final evaluation does, and compare the best with the truth.

    Args:
        model: The model in training; it is scored in evaluation mode and put back as it was.
        tokenizer: Its tokenizer, with a chat template.
        rows: Labelled prompt–completion rows.
        labels: The label words, in the order of their class ids.

    Returns:
        ``weighted_f1``, between 0 and 1.

    Raises:
        EvaluationError: If a prompt exceeds the model's context.
    """
    scores = score_labels(model, tokenizer, rows["prompt"], labels)
    return {"weighted_f1": weighted_f1(rows["emotion"], scores.predictions.tolist())}

"""Contextual calibration: what a model says before it is told anything.

A small model that was not trained on the task rates labels by how common their words are. Zhao et al. (2021, "Calibrate
Before Use", ICML) ask it the same question with its content left blank, and divide by what it answers. Here blank are
all that is said and heard in the conversation and what is told of the speakers: turns, descriptions, impressions,
levels and biographies. Instruction, labels, demonstrations, and names of the speakers in their order stay.

What is left takes every label for as likely as any other. Where asked for by name, it is multiplied by the shares that
labels have in the training split (Bayes' rule): a model that was not trained then knows that much of the corpus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from datasets import Dataset

from speechcue_hf.errors import EvaluationError
from speechcue_hf.inference.settings import InferenceSettings

_CONTENT = ("text", "speech_description", "speech_impression", "biography")


def blank_rows(rows: Dataset) -> Dataset:
    """The same turns, in which nothing is said.

    Args:
        rows: Of whole dialogues.

    Returns:
        The rows with their ids, speakers and emotions; their texts are empty and their levels null.

    Example:
        >>> set(blank_rows(described["test"])["text"])
        {''}
    """
    blank = {name: "" for name in rows.column_names if name in _CONTENT}
    blank |= {name: None for name in rows.column_names if name.endswith("_level")}
    for name, value in blank.items():
        rows = rows.remove_columns(name).add_column(name, [value] * len(rows), feature=rows.features[name])
    return rows


def label_shares(train: Dataset | None, names: Sequence[str]) -> tuple[float, ...]:
    """How often each label is given in the training split.

    Args:
        train: The training split.
        names: Names of the emotions, in the order of their class ids.

    Returns:
        Shares of the rows that have a label, which add up to 1, in the order of the names.

    Raises:
        EvaluationError: If there is no training split, its labels are others, or none of its rows has one.

    Example:
        >>> round(sum(label_shares(described["train"], described["train"].features["emotion"].names)), 9)
        1.0
    """
    fix = "take --normalisation contextual, which needs none"
    if train is None:
        raise EvaluationError(f"The prior is that of the training split, and there is none: {fix}.")
    if list(train.features["emotion"].names) != list(names):
        raise EvaluationError(f"The prior is that of the training split, which has other labels: {fix}.")
    counts = Counter(emotion for emotion in train["emotion"] if emotion is not None)
    if not counts:
        raise EvaluationError(f"The prior is that of the training split, none of whose rows has a label: {fix}.")
    return tuple(counts[place] / counts.total() for place in range(len(names)))


def named_prior(
    settings: InferenceSettings, train: Dataset | None, names: Sequence[str], words: Sequence[str]
) -> dict[str, dict[str, float]]:
    """What results say of the prior: ``prior``, label word → share; nothing where none is asked for.

    Raises:
        EvaluationError: As :func:`label_shares`.
    """
    if settings.normalisation != "prior":
        return {}
    return {"prior": dict(zip(words, label_shares(train, names), strict=True))}

"""Does a model listen to the words about the voice? The same test set, scored again with other cues.

The cues are exchanged between utterances, one of them is raised or lowered for everybody, or all are left out; what is
said stays as it is. A model that answers the same way reads the text alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset

from speechcue_hf.corpora.identity import put_beside
from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.cues.normalisation import OVERALL
from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.evaluate import CLOSED_SET, InferenceSettings, score_prompts
from speechcue_hf.inference.scoring import LabelScores
from speechcue_hf.metrics.scores import accuracy, weighted_f1
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.specification import PromptSpecification

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TRUE, SHUFFLED, WITHOUT = "true cues", "shuffled cues", "without cues"


def intervene(
    dataset: Dataset,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: PromptSpecification,
    describer: SpeechDescriber,
    *,
    cues: Sequence[str] = (),
    shift: float = 2.0,
    seed: int = 0,
    decoding: InferenceSettings = CLOSED_SET,
    train: Dataset | None = None,
) -> dict[str, Any]:
    """Score a split with true, exchanged, raised, lowered and no cues, and say how the answers change.

    Args:
        dataset: The described split, whole dialogues, with its measurements.
        model: A causal language model, with or without adapter.
        tokenizer: Its tokenizer, with a chat template.
        prompt: The prompt, which must tell of the voice.
        describer: The describer that worded the split.
        cues: Measurement columns that are raised and lowered, one at a time.
        shift: By how many standard deviations of all training rows.
        seed: For the exchange of cues.
        decoding: How labels are scored.
        train: The described training split, for a prompt that shows demonstrations; their cues stay as they are.

    Returns:
        ``labels``, ``n``, ``shift``, ``seed`` and ``variants``: for each variant ``weighted_f1``, ``accuracy``,
        ``changed`` (share of answers that differ from those with true cues), ``probability_shift`` (label → mean change
        of its probability) and ``transitions`` (answers with true cues down, with the variant across).

    Raises:
        EvaluationError: If the prompt tells nothing of the voice, nothing is labelled, a cue is not the describer's, or
            the describer compares with past turns, which a shift would move as well.
    """
    if not (prompt.description or prompt.impression or prompt.context_cues):
        raise EvaluationError(
            f"The prompt {prompt.name} tells nothing of the voice, so there is nothing to intervene in."
        )
    _check_cues(describer, cues)
    labels = prompt.words(dataset.features["emotion"].names)
    variants = cue_variants(dataset, prompt, describer, cues=cues, shift=shift, seed=seed)
    true: list[int] = []
    scores: dict[str, LabelScores] = {}
    for name, rows, wording in variants:
        labelled = [row for row in build_prompts(rows, wording, train=train) if row["emotion"] is not None]
        if not labelled:
            raise EvaluationError("No row has an emotion, so there is nothing to compare answers with.")
        true = [row["emotion"] for row in labelled]
        scores[name] = score_prompts(model, tokenizer, [row["prompt"] for row in labelled], labels, decoding)
    return {
        "labels": list(labels),
        "n": len(true),
        "shift": shift,
        "seed": seed,
        "variants": {name: compare_answers(scores[TRUE], variant, true) for name, variant in scores.items()},
    }


def cue_variants(
    dataset: Dataset,
    prompt: PromptSpecification,
    describer: SpeechDescriber,
    *,
    cues: Sequence[str],
    shift: float,
    seed: int,
) -> Iterator[tuple[str, Dataset, PromptSpecification]]:
    """Yield name, rows and prompt of each variant of a described split, the true cues first; see ``intervene``."""
    yield TRUE, dataset, prompt
    yield SHUFFLED, _exchange(dataset, describer, seed), prompt
    for cue in cues:
        for verb, sign in (("raised", 1), ("lowered", -1)):
            yield f"{cue} {verb}", _shift(dataset, describer, cue, sign * shift), prompt
    yield WITHOUT, dataset, replace(prompt, description=False, impression=False, context_cues=0)


def compare_answers(with_true: LabelScores, variant: LabelScores, true: Sequence[int]) -> dict[str, Any]:
    """Say how answers change from the true cues to a variant.

    Args:
        with_true: Scores with true cues.
        variant: Scores of the same utterances with other cues.
        true: True classes, shape ``(rows,)``.

    Returns:
        The entry of one variant, as ``intervene`` describes it.
    """
    answers = variant.predictions.tolist()
    shifts = (variant.probabilities - with_true.probabilities).mean(axis=0)
    transitions = np.zeros((len(variant.labels), len(variant.labels)), dtype=int)
    np.add.at(transitions, (with_true.predictions, variant.predictions), 1)
    return {
        "weighted_f1": weighted_f1(true, answers),
        "accuracy": accuracy(true, answers),
        "changed": float((variant.predictions != with_true.predictions).mean()),
        "probability_shift": {label: float(value) for label, value in zip(variant.labels, shifts, strict=True)},
        "transitions": transitions.tolist(),
    }


def _check_cues(describer: SpeechDescriber, cues: Sequence[str]) -> None:
    unknown = [cue for cue in cues if cue not in describer.cues]
    if unknown:
        raise EvaluationError(f"The describer has no cue {unknown[0]!r}; it has {', '.join(describer.cues)}.")
    if cues and describer.baseline == "running":
        raise EvaluationError(
            "The describer compares speakers with their own past turns, which a shift would move as well. "
            "Leave the cues out, or describe the split with another baseline."
        )


def _exchange(dataset: Dataset, describer: SpeechDescriber, seed: int) -> Dataset:
    """Give every utterance the description of another one, drawn at random."""
    columns = [name for name in describer.features if name in dataset.column_names]
    order = np.random.default_rng(seed).permutation(len(dataset))
    exchanged = dataset.select_columns(columns).select(order).flatten_indices()
    return put_beside(dataset.remove_columns(columns), exchanged)


def _shift(dataset: Dataset, describer: SpeechDescriber, cue: str, deviations: float) -> Dataset:
    """Describe the split again with one measurement moved; a value that was not measured stays so."""
    step = deviations * describer.groups[OVERALL].cues[cue].sd
    moved = [None if value is None else value + step for value in dataset[cue]]
    rows = dataset.remove_columns(cue).add_column(cue, moved, feature=dataset.features[cue])
    return describe_dataset(rows, describer)

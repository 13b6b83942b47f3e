"""Does a model listen to the voice? The same test set, judged again with other voices.

What the classifier reads of the voice (descriptions, z-scores, or the clips themselves) is exchanged between
utterances, one cue is raised or lowered for everybody, or all is left out; what is said stays as it is. A model that
answers the same way reads the text alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from speechcue_hf.corpora.joining import put_beside
from speechcue_hf.cues.describe import SpeechDescriber, describe_rows
from speechcue_hf.cues.normalisation import OVERALL
from speechcue_hf.errors import EvaluationError
from speechcue_hf.inference.classifier import EmotionClassifier, Prediction, reads_descriptions
from speechcue_hf.metrics.scores import accuracy, confusion_matrix, weighted_f1

TRUE, SHUFFLED, WITHOUT = "true cues", "shuffled cues", "without cues"


def intervene(
    classifier: EmotionClassifier,
    rows: Dataset,
    describer: SpeechDescriber,
    *,
    cues: Sequence[str] = (),
    shift: float = 2.0,
    seed: int = 0,
) -> dict[str, Any]:
    """Judge a split with true, exchanged, raised, lowered and no cues, and say how the answers change.

    Args:
        classifier: Of any kind that reads something of the voice.
        rows: The described split, whole dialogues, with its measurements, and with clips for a model that hears.
        describer: The describer that worded the split.
        cues: Measurement columns that are raised and lowered, one at a time.
        shift: By how many standard deviations of all training rows.
        seed: For the exchange of cues.

    Returns:
        ``labels``, ``n``, ``shift``, ``seed`` and ``variants``: for each variant ``weighted_f1``, ``accuracy``,
        ``changed`` (share of answers that differ from those with true cues), ``probability_shift`` (label → mean change
        of its probability) and ``transitions`` (answers with true cues down, with the variant across).

    Raises:
        EvaluationError: If the classifier reads nothing of the voice, nothing is labelled, an utterance cannot be
            judged, a cue is not the describer's, or cannot be moved.
    """
    if not classifier.voice:
        raise EvaluationError("The model is told nothing of the voice, so there is nothing to intervene in.")
    _check_cues(classifier, describer, cues)
    wanted = [place for place, emotion in enumerate(rows["emotion"]) if emotion is not None]
    if not wanted:
        raise EvaluationError("No row has an emotion, so there is nothing to compare answers with.")
    true = [rows["emotion"][place] for place in wanted]
    answers = {
        name: model.predict(changed, wanted)
        for name, changed, model in variants(classifier, rows, describer, cues=cues, shift=shift, seed=seed)
    }
    return {
        "labels": list(classifier.words),
        "n": len(true),
        "shift": shift,
        "seed": seed,
        "variants": {
            name: compare_answers(answers[TRUE], variant, true, classifier.words) for name, variant in answers.items()
        },
    }


def variants(
    classifier: EmotionClassifier,
    rows: Dataset,
    describer: SpeechDescriber,
    *,
    cues: Sequence[str],
    shift: float,
    seed: int,
) -> Iterator[tuple[str, Dataset, EmotionClassifier]]:
    """Yield name, rows and classifier of each variant, the true cues first; see :func:`intervene`."""
    yield TRUE, rows, classifier
    yield SHUFFLED, shuffled(rows, classifier.voice, describer, seed), classifier
    for cue in cues:
        for verb, sign in (("raised", 1), ("lowered", -1)):
            yield f"{cue} {verb}", _shifted(rows, describer, cue, sign * shift), classifier
    deaf = classifier.without_voice()
    if deaf is not None:
        yield WITHOUT, rows, deaf


def shuffled(rows: Dataset, voice: Sequence[str], describer: SpeechDescriber, seed: int) -> Dataset:
    """Give every utterance the voice of another one, drawn at random.

    Args:
        rows: The rows.
        voice: The columns that a classifier reads of it; all that the describer adds go along.
        describer: The describer that worded the rows.
        seed: Of the draw.

    Returns:
        The rows with these columns exchanged.
    """
    columns = [name for name in dict.fromkeys((*voice, *describer.features)) if name in rows.column_names]
    order = np.random.default_rng(seed).permutation(len(rows))
    exchanged = rows.select_columns(columns).select(order).flatten_indices()
    return put_beside(rows.remove_columns(columns), exchanged)


def compare_answers(
    with_true: Sequence[Prediction], variant: Sequence[Prediction], true: Sequence[int], labels: Sequence[str]
) -> dict[str, Any]:
    """Say how answers change from the true cues to a variant: one entry of :func:`intervene`.

    Args:
        with_true: Answers with true cues.
        variant: Answers to the same utterances with other cues.
        true: True classes, shape ``(rows,)``.
        labels: The label words.

    Raises:
        EvaluationError: If an utterance could not be judged.
    """
    before, after = _judged(with_true), _judged(variant)
    answers = after.argmax(axis=1)
    transitions = confusion_matrix(before.argmax(axis=1).tolist(), answers.tolist(), labels)[:, :-1]
    shifts = (after - before).mean(axis=0)
    return {
        "weighted_f1": weighted_f1(true, answers.tolist()),
        "accuracy": accuracy(true, answers.tolist()),
        "changed": float((answers != before.argmax(axis=1)).mean()),
        "probability_shift": {label: float(value) for label, value in zip(labels, shifts, strict=True)},
        "transitions": transitions.tolist(),
    }


def _judged(predictions: Sequence[Prediction]) -> np.ndarray:
    """Probabilities, shape ``(rows, labels)``."""
    for place, prediction in enumerate(predictions):
        if prediction.probabilities is None and prediction.note is None:
            raise EvaluationError(
                f"Labelled row {place} has no probabilities, which are compared here: let labels be scored (leave "
                "--decode out; of a server also name its --tokenizer)."
            )
        if prediction.probabilities is None:
            raise EvaluationError(f"Labelled row {place} has no probabilities ({prediction.note}): leave it out.")
    return np.array([prediction.probabilities for prediction in predictions])


def _check_cues(classifier: EmotionClassifier, describer: SpeechDescriber, cues: Sequence[str]) -> None:
    unknown = [cue for cue in cues if cue not in describer.cues]
    if unknown:
        raise EvaluationError(f"The describer has no cue {unknown[0]!r}; it has {', '.join(describer.cues)}.")
    if cues and not reads_descriptions(classifier):
        raise EvaluationError(
            "The model hears the clips themselves, in which one cue cannot be moved without the others: leave the cues "
            "out, and compare true, shuffled and silent clips."
        )
    if cues and describer.baseline == "running":
        raise EvaluationError(
            "The describer compares speakers with their own past turns, which a shift would move as well. "
            "Leave the cues out, or describe the split with another baseline."
        )


def _shifted(rows: Dataset, describer: SpeechDescriber, cue: str, deviations: float) -> Dataset:
    """Describe the split again with one measurement moved; a value that was not measured stays so."""
    step = deviations * describer.groups[OVERALL].cues[cue].sd
    moved = [None if value is None else value + step for value in rows[cue]]
    changed = rows.remove_columns(cue).add_column(cue, moved, feature=rows.features[cue])
    return describe_rows(changed, describer)

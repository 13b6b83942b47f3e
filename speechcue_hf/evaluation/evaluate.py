"""Evaluation of a classifier on a split: its predictions, its scores, and what makes them comparable."""

from __future__ import annotations

from dataclasses import replace

from datasets import Dataset

from speechcue_hf.environment import library_versions
from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.predictions import prediction_table
from speechcue_hf.evaluation.report import summarise
from speechcue_hf.inference.classifier import EmotionClassifier, clip_notes, joined_notes, reads_descriptions
from speechcue_hf.provenance import NOT_KNOWN, Provenance, check_alike
from speechcue_hf.records import ResultsRecord


def evaluate(
    classifier: EmotionClassifier, rows: Dataset, provenance: Provenance = NOT_KNOWN
) -> tuple[ResultsRecord, Dataset]:
    """Score a classifier on the labelled utterances of a split.

    Args:
        classifier: Of any kind.
        rows: The split, whole dialogues in speaking order; turns without a label are context and are not scored.
        provenance: How the rows were made.

    Returns:
        The results (scores, and what makes them comparable) and the table of predictions.

    Raises:
        EvaluationError: If nothing is labelled, or the classifier was trained with another label order, describer or
            kind of biography.
        PromptError: If the rows lack what a prompt needs; ModelError: what an encoder reads.
        DialogueError: If the rows are no whole dialogues in speaking order.
    """
    known, found = list(classifier.names), list(rows.features["emotion"].names)
    if known != found:
        raise EvaluationError(
            f"The model knows the labels {', '.join(known)}, the dataset has {', '.join(found)}. "
            "Cast its emotion column to the model's labels, in their order."
        )
    shown = {**provenance.shown, **classifier.shown(rows)}
    training = classifier.training
    if training is not None:
        biographies = "biography" in classifier.columns
        check_alike(training, shown, described=reads_descriptions(classifier), biographies=biographies)
    wanted = [place for place, emotion in enumerate(rows["emotion"]) if emotion is not None]
    if not wanted:
        raise EvaluationError("No row has an emotion, so there is nothing to compare predictions with.")
    judged = rows.select(wanted)
    predictions = [
        replace(made, note=joined_notes(on_clip, made.note))
        for on_clip, made in zip(clip_notes(classifier, judged), classifier.predict(rows, wanted), strict=True)
    ]
    table = prediction_table(judged, predictions, classifier.words)
    protocol = classifier.protocol
    # An utterance that could not be judged at all is more than an answer that is no label.
    nothing = sum(prediction.label is None and prediction.output is None for prediction in predictions)
    asked = protocol.get("server") is not None
    results = ResultsRecord(
        **summarise(table, classifier.words),
        **((training.shown if training else {}) | {name: it for name, it in shown.items() if it is not None}),
        **protocol,
        seed=None if training is None else training.seed,
        unlabelled=len(rows) - len(wanted),
        unheard=0 if asked else nothing,
        unanswered=nothing if asked else None,
        shortened=sum(prediction.shortened for prediction in predictions),
        libraries=library_versions(),
    )
    return results, table

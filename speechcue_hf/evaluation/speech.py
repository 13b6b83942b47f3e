"""Evaluation of a model that hears: emotions by closed-set scoring of clips, and whether its explanations are true."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset, Features, List, Value
from datasets.utils import tqdm

from speechcue_hf.audio import Clip
from speechcue_hf.captions.build import Captioner
from speechcue_hf.captions.parts import CUE_WORDS, cue_word
from speechcue_hf.captions.reading import read_transcript
from speechcue_hf.captions.tasks import CaptionTask
from speechcue_hf.environment import library_versions
from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.evaluate import check_describer, check_labels
from speechcue_hf.evaluation.faithfulness import caption_faithfulness
from speechcue_hf.evaluation.report import summarise
from speechcue_hf.evaluation.texts import bert_score, transcript_error_rate
from speechcue_hf.inference.explain import Explainer
from speechcue_hf.inference.scoring import LabelScores, Normalisation
from speechcue_hf.inference.speech_model import decode_clip
from speechcue_hf.training.record import base_model_name

PREDICTION_FEATURES = Features(
    {
        **{name: Value("string") for name in ("utterance_id", "dialogue_id", "label", "prediction")},
        "probabilities": List(Value("float64")),
        "margin": Value("float64"),
        "note": Value("string"),
        "explanation": Value("string"),
    }
)
"""``note``: why a clip cannot be heard, which counts as a wrong answer, or what of it is not heard."""


def evaluate_speech_model(
    dataset: Dataset,
    clips: Dataset,
    explainer: Explainer,
    *,
    describer_sha256: str,
    normalisation: Normalisation = "sum",
    explain: bool = False,
    bert_model: tuple[str, int] | None = None,
    seed: int | None = None,
) -> tuple[dict[str, Any], Dataset]:
    """Score a model on the labelled utterances of a split, each by its clip alone.

    Args:
        dataset: The described split: ``utterance_id``, ``dialogue_id``, ``emotion``, and for explanations ``text`` and
            the levels of its cues.
        clips: ``utterance_id`` and ``audio`` of at least these utterances.
        explainer: The model with its questions and settings.
        describer_sha256: Fingerprint of the describer of the dataset, which must be the explainer's.
        normalisation: ``"sum"`` or ``"mean"`` over the tokens of the sentence that names an emotion.
        explain: Also let the model explain each clip, and judge what it states.
        bert_model: With ``explain``: also compare the explanations with captions by template, by BERTScore with this
            model and layer.
        seed: Of the training of the model, for the results.

    Returns:
        The results (scores, the facts that make them comparable, and ``explanations`` if asked for, as
        :func:`score_explanations` returns them) and the table of predictions.

    Raises:
        EvaluationError: If the model knows other emotions or levels, nothing is labelled, a clip is not among
            ``clips``, or a batch does not fit the memory.
    """
    check_labels(explainer.emotions, dataset.features["emotion"].names)
    check_describer(explainer.describer.fingerprint, describer_sha256)
    labelled = dataset.filter(lambda emotion: emotion is not None, input_columns="emotion", desc="Labelled rows")
    if not len(labelled):
        raise EvaluationError("No row has an emotion, so there is nothing to compare predictions with.")
    places = _places(labelled, clips)
    answered: list[dict[str, Any]] = []
    for start in tqdm(range(0, len(labelled), explainer.batch_size), desc="Listening", unit="batch"):
        batch = places[start : start + explainer.batch_size]
        heard = [decode_clip(clips[place]["audio"]) for place in batch]
        answered += _answers(heard, explainer, normalisation, explain)
    predictions = _table(labelled, answered, explainer.emotions)
    facts = {
        "unlabelled": len(dataset) - len(labelled),
        "unheard": predictions["prediction"][:].count(None),
        "decode": "score",
        "normalisation": normalisation,
        "seed": seed,
        "prompt": {"name": explainer.recognise.name, "sha256": _sha256(explainer.recognise)},
        "token_budget": None,
        "shortened": 0,
        "describer_sha256": describer_sha256,
        "sees_future": False,
        "libraries": library_versions(),
    }
    judged = {"explanations": score_explanations(labelled, predictions, explainer, bert_model)} if explain else {}
    return {**summarise(predictions, explainer.emotions), **facts, **judged}, predictions


def score_explanations(
    dataset: Dataset, predictions: Dataset, explainer: Explainer, bert_model: tuple[str, int] | None = None
) -> dict[str, Any]:
    """Compare what explanations state with the measurements and transcripts of their clips.

    Args:
        dataset: The described rows.
        predictions: Their ``explanation``, in the same order.
        explainer: What wrote them.
        bert_model: Model and layer of BERTScore; None leaves it out.

    Returns:
        Task and decoding, ``faithfulness`` (see ``caption_faithfulness``), ``transcript`` (see
        ``transcript_error_rate``; None where the task asks for none) and, if asked for, ``bert_score`` against the
        captions that the template writes of the measurements.
    """
    written = list(predictions["explanation"])
    measured = [{cue: cue_word(cue, row, explainer.describer.levels) for cue in CUE_WORDS} for row in dataset]
    transcript = None
    if "transcript" in explainer.explain.parts:
        quoted = [read_transcript(text or "") for text in written]
        transcript = transcript_error_rate(list(dataset["text"]), quoted)
    judged = {
        "prompt": {"name": explainer.explain.name, "sha256": _sha256(explainer.explain)},
        "new_tokens": explainer.new_tokens,
        "beams": explainer.beams,
        "faithfulness": caption_faithfulness(written, measured),
        "transcript": transcript,
    }
    return (
        judged if bert_model is None else {**judged, "bert_score": _bert_score(dataset, written, explainer, bert_model)}
    )


def _bert_score(
    dataset: Dataset, written: Sequence[str | None], explainer: Explainer, bert_model: tuple[str, int]
) -> dict[str, Any]:
    """BERTScore of the explanations that there are, against the template's captions of the same clips."""
    captioner = Captioner((explainer.explain,), explainer.describer.levels, explainer.emotions)
    captions = (captioner.caption(row, explainer.explain)["caption"] for row in dataset)
    pairs = [(caption, text) for caption, text in zip(captions, written, strict=True) if caption and text]
    model, layer = bert_model
    references, texts = ([pair[side] for pair in pairs] for side in (0, 1))
    return {**bert_score(references, texts, model=model, layer=layer), "model": base_model_name(model)}


def _places(labelled: Dataset, clips: Dataset) -> list[int]:
    """Where the clip of each utterance stands."""
    if "audio" not in clips.column_names:
        raise EvaluationError("the dataset with the clips has no column 'audio': give what `speechcue prepare` wrote")
    place_of = {utterance: place for place, utterance in enumerate(clips["utterance_id"])}
    if missing := [utterance for utterance in labelled["utterance_id"] if utterance not in place_of]:
        raise EvaluationError(
            f"the dataset with the clips has no row for {missing[0]} (and {len(missing) - 1} more): give the folder "
            "that was measured, as `speechcue prepare` wrote it"
        )
    return [place_of[utterance] for utterance in labelled["utterance_id"]]


def _answers(
    heard: Sequence[Clip | str], explainer: Explainer, normalisation: Normalisation, explain: bool
) -> list[dict[str, Any]]:
    """Columns of the predictions of one batch; a clip that cannot be heard has its reason only."""
    sounds = [clip for clip in heard if isinstance(clip, Clip)]
    answers = iter(_heard_answers(sounds, explainer, normalisation, explain) if sounds else ())
    return [next(answers) if isinstance(clip, Clip) else {"note": clip} for clip in heard]


def _heard_answers(
    clips: Sequence[Clip], explainer: Explainer, normalisation: Normalisation, explain: bool
) -> list[dict[str, Any]]:
    speech_model = explainer.speech_model
    scores: LabelScores = speech_model.score_emotions(clips, explainer.recognise, explainer.emotions, normalisation)
    named = [explainer.emotions[number] for number in scores.predictions]
    texts: Sequence[str | None] = [None] * len(clips)
    if explain:
        texts = explainer.write(clips, named)
    rows = zip(named, scores.probabilities.tolist(), scores.margins.tolist(), texts, clips, strict=True)
    return [
        {
            "prediction": name,
            "probabilities": probabilities,
            "margin": margin,
            "explanation": text,
            "note": speech_model.note(clip),
        }
        for name, probabilities, margin, text, clip in rows
    ]


def _table(labelled: Dataset, answered: Sequence[Mapping[str, Any]], emotions: Sequence[str]) -> Dataset:
    columns = {
        "utterance_id": list(labelled["utterance_id"]),
        "dialogue_id": list(labelled["dialogue_id"]),
        "label": [emotions[number] for number in labelled["emotion"]],
    }
    answers = {name: [row.get(name) for row in answered] for name in PREDICTION_FEATURES if name not in columns}
    return Dataset.from_dict({**columns, **answers}, features=PREDICTION_FEATURES)


def _sha256(task: CaptionTask) -> str:
    return hashlib.sha256(task.question.encode()).hexdigest()

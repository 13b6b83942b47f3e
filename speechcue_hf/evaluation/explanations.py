"""Whether the explanations of a model that hears are true: what they state beside measurements and transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datasets import Dataset

from speechcue_hf.captions.build import Captioner
from speechcue_hf.captions.parts import CUE_WORDS, cue_word
from speechcue_hf.captions.reading import read_transcript
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.evaluation.faithfulness import caption_faithfulness
from speechcue_hf.evaluation.texts import bert_score, transcript_error_rate
from speechcue_hf.inference.speech import SpeechClassifier
from speechcue_hf.models.base import base_model_name
from speechcue_hf.provenance import check_alike


def score_explanations(
    rows: Dataset,
    written: Sequence[str | None],
    classifier: SpeechClassifier,
    describer: SpeechDescriber,
    bert_model: tuple[str, int] | None = None,
) -> dict[str, Any]:
    """Compare what explanations state with the measurements and transcripts of their clips.

    Args:
        rows: The described rows.
        written: The explanation of each; None where there is none.
        classifier: What wrote them.
        describer: Of the rows.
        bert_model: Model and layer of BERTScore; None leaves it out.

    Returns:
        Task and decoding, ``faithfulness`` (see ``caption_faithfulness``), ``transcript`` (see
        ``transcript_error_rate``; None where the task asks for none) and, if asked for, ``bert_score`` against the
        captions that the template writes of the measurements.

    Raises:
        EvaluationError: If the model was taught the levels of another describer.
    """
    if classifier.training is not None:
        check_alike(classifier.training, {"describer_sha256": describer.fingerprint}, described=True, biographies=False)
    measured = [{cue: cue_word(cue, row, describer.levels) for cue in CUE_WORDS} for row in rows]
    transcript = None
    if "transcript" in classifier.explain.parts:
        quoted = [read_transcript(text or "") for text in written]
        transcript = transcript_error_rate(list(rows["text"]), quoted)
    scores = {
        "prompt": classifier.explain.named,
        **classifier.settings.protocol("new_tokens", "beams"),
        "faithfulness": caption_faithfulness(written, measured),
        "transcript": transcript,
    }
    if bert_model is None:
        return scores
    return {**scores, "bert_score": _bert_score(rows, written, classifier, describer.levels, bert_model)}


def _bert_score(
    rows: Dataset,
    written: Sequence[str | None],
    classifier: SpeechClassifier,
    levels: int,
    bert_model: tuple[str, int],
) -> dict[str, Any]:
    """BERTScore of the explanations that there are, against the template's captions of the same clips."""
    captioner = Captioner((classifier.explain,), levels, classifier.names)
    captions = (captioner.caption(row, classifier.explain)["caption"] for row in rows)
    pairs = [(caption, text) for caption, text in zip(captions, written, strict=True) if caption and text]
    model, layer = bert_model
    references, texts = ([pair[side] for pair in pairs] for side in (0, 1))
    return {**bert_score(references, texts, model=model, layer=layer), "model": base_model_name(model)}

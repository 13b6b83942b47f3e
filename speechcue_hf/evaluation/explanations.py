"""Whether the explanations of a model that hears are true: what they state beside measurements and transcripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from datasets import Dataset

from speechcue_hf.captions.build import Captioner
from speechcue_hf.captions.check import Measured
from speechcue_hf.captions.parts import CUE_WORDS, cue_word
from speechcue_hf.captions.reading import Claim, read_claims, read_transcript
from speechcue_hf.cues.describe import SpeechDescriber
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


def caption_faithfulness(captions: Sequence[str | None], measured: Sequence[Measured]) -> dict[str, Any]:
    """Share of the levels that captions state which agree with Praat's measurements of the same clips.

    An explanation can sound right and be false. A denied level is none that is stated; gender and emotion are judged
    elsewhere.

    Args:
        captions: Of each clip; None or empty where there is none.
        measured: Levels of each clip, in the same order.

    Returns:
        ``captions`` (how many there are); for each of ``pitch``, ``speed``, ``volume``, and ``all`` together:
        ``claims`` (levels stated), ``unmeasured`` (of those, levels of clips where the cue was not measured),
        ``agree``, ``faithfulness`` (``agree`` of those that can be judged; None without any) and ``stated`` (share of
        the captions that state the cue; of ``all``, of the captions and cues together).

    Raises:
        ValueError: If there is another number of captions than of clips.

    Example:
        >>> scores = caption_faithfulness(["High pitch, quickly."], [{"pitch": "high", "speed": "slow"}])
        >>> scores["pitch"]["faithfulness"], scores["speed"]["faithfulness"], scores["all"]["faithfulness"]
        (1.0, 0.0, 0.5)
    """
    if len(captions) != len(measured):
        raise ValueError(f"need the measurements of each caption's clip, got {len(captions)} and {len(measured)}")
    read = [(read_claims(caption or ""), levels) for caption, levels in zip(captions, measured, strict=True)]
    scores = {cue: _faithfulness(read, [cue]) for cue in CUE_WORDS}
    return {
        "captions": sum(bool(caption) for caption in captions),
        **scores,
        "all": _faithfulness(read, CUE_WORDS),
    }


def _faithfulness(read: Sequence[tuple[Sequence[Claim], Measured]], cues: Iterable[str]) -> dict[str, Any]:
    """Counts and shares over the claims of each caption, and the levels of its clip, about some cues."""
    stated = [
        [(claim.word, levels.get(cue)) for claim in claims if claim.cue == cue]
        for cue in cues
        for claims, levels in read
    ]
    claimed = [claim for claims in stated for claim in claims]
    judged = [word == level for word, level in claimed if level is not None]
    return {
        "claims": len(claimed),
        "unmeasured": len(claimed) - len(judged),
        "agree": sum(judged),
        "faithfulness": sum(judged) / len(judged) if judged else None,
        "stated": sum(map(bool, stated)) / len(stated) if stated else None,
    }


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

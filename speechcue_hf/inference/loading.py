"""From a folder or a Hub id to a classifier, whatever kind of model lies there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from speechcue_hf.inference.chat import ChatClassifier
from speechcue_hf.inference.classifier import EmotionClassifier
from speechcue_hf.inference.context import ModelContext
from speechcue_hf.models.loading import hub_commit, load_encoder, load_model, load_speech_model, model_type


def load_classifier(source: str | Path, *, revision: str | None = None, **requested: Any) -> EmotionClassifier:
    """Load a model with what lies beside it, all from one commit.

    Args:
        source: What a training of this package wrote (adapter, chat model, encoder classifier or SEmoLLM), any chat
            model, or the Hub id of either.
        revision: Branch, tag or commit on the Hub.
        **requested: The other fields of :class:`speechcue_hf.inference.context.ModelContext`.

    Returns:
        The classifier.

    Raises:
        OSError: If there is no model of that name, or it may not be read; the message says what to do.
        EvaluationError: If what lies beside the model does not belong to it, or nothing says which emotions it knows.
        RecordError: If a record beside it is damaged, or of a newer release.

    Example:
        >>> classifier = load_classifier("runs/cues")  # doctest: +SKIP
        >>> classifier.predict(described["test"])[0].probabilities  # doctest: +SKIP
        (0.71, 0.02, 0.27)
    """
    return load_described(ModelContext(source, hub_commit(source, revision), **requested))


def load_described(context: ModelContext) -> EmotionClassifier:
    """The classifier that a context describes; errors are those of :func:`load_classifier`."""
    load, make = _kind(model_type(context.source, context.revision))
    return make(*load(context.source, context.revision), context)


def as_classifier(model: Any, processor: Any, context: ModelContext) -> EmotionClassifier:
    """Put a loaded model, and its tokenizer or processor, together with what lies beside it.

    Errors are those of :func:`load_classifier`.
    """
    _, make = _kind(model.config.model_type)
    return make(model, processor, context)


def _kind(
    model_kind: str | None,
) -> tuple[Callable[[str | Path, str | None], tuple[Any, Any]], Callable[[Any, Any, ModelContext], EmotionClassifier]]:
    """How a kind of model is loaded, and its classifier; what is no kind of its own is a chat model."""
    if model_kind == "bioserc":
        from speechcue_hf.inference.encoder import EncoderClassifier

        return load_encoder, EncoderClassifier.of
    if model_kind == "semollm":
        from speechcue_hf.inference.speech import SpeechClassifier

        return load_speech_model, SpeechClassifier.of
    return load_model, ChatClassifier.of

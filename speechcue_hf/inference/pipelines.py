"""Emotions of conversations and explanations of clips as pipelines of transformers; importing this makes them known.

import speechcue_hf.inference.pipelines
from transformers import pipeline

recognize = pipeline("conversation-emotion-recognition", model="user/encoder")
recognize([{"speaker": "Ann", "text": "I got the job!"}])[0]["emotion"]
explain = pipeline("speech-emotion-explanation", model="runs/stage3")
explain("clip.wav")["emotion"]
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoProcessor, Pipeline
from transformers.pipelines import PIPELINE_REGISTRY

import speechcue_hf.models.bioserc
import speechcue_hf.models.semollm  # noqa: F401
from speechcue_hf.audio import as_file
from speechcue_hf.inference.context import ModelContext
from speechcue_hf.inference.conversations import Conversation
from speechcue_hf.inference.explain import Explainer, Explanation
from speechcue_hf.inference.loading import as_classifier
from speechcue_hf.inference.recognizer import EmotionRecognizer
from speechcue_hf.inference.settings import CLOSED_SET, InferenceSettings
from speechcue_hf.models.semollm.modeling_semollm import SEmoLLMForConditionalGeneration


class ConversationEmotionPipeline(Pipeline):
    """An :class:`~speechcue_hf.inference.recognizer.EmotionRecognizer` as a pipeline.

    Args:
        source: Folder or Hub id of the model, with the records of its training; the model's by default. An adapter is
            given as a loaded model, so it needs this: ``pipeline(..., model=model, tokenizer=tokenizer, source=...)``
            with ``model, tokenizer = load_model(source)``.
        commit: Branch, tag or commit of ``source`` on the Hub.
        recognition: ``generator``, ``train`` and ``settings`` of the recognizer.
        **settings: As for any pipeline.

    Example:
        >>> recognize = pipeline("conversation-emotion-recognition", model="user/encoder")  # doctest: +SKIP
        >>> recognize([{"speaker": "Ann", "text": "I got the job!"}])[0]["emotion"]  # doctest: +SKIP
        'excited'
    """

    _load_processor = False  # type: ignore[assignment]
    _load_tokenizer = True  # type: ignore[assignment]
    _load_feature_extractor = False  # type: ignore[assignment]
    _load_image_processor = False  # type: ignore[assignment]

    def __init__(
        self,
        *,
        source: str | Path | None = None,
        commit: str | None = None,
        recognition: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        beside = source or str(self.model.name_or_path)
        reads: Any = self.tokenizer
        if self.model.config.model_type == "semollm":
            auto: Any = AutoProcessor
            reads = auto.from_pretrained(str(beside), revision=commit or "main")
        self.recognizer = EmotionRecognizer.of(self.model, reads, beside, revision=commit, **(recognition or {}))

    def __call__(self, inputs: Conversation, *args: Any, text: str | None = None, **kwargs: Any) -> Any:
        """What :class:`~speechcue_hf.inference.recognizer.RecognizedEmotion` holds, for each utterance.

        Arguments and errors are those of the recognizer.
        """
        # In a mapping: a list would be taken for a batch.
        ask: Any = super().__call__
        return ask({"conversation": inputs, "text": text}, *args, **kwargs)

    def _sanitize_parameters(self, **settings: Any) -> tuple[dict[str, Any], ...]:
        return {}, {}, {}

    def preprocess(self, input_: Any, **preprocess_parameters: Any) -> dict[str, Any]:
        """Take a conversation as it is."""
        return {"asked": input_}

    def _forward(self, input_tensors: dict[str, Any], **forward_parameters: Any) -> Any:
        return {"recognized": self.recognizer(**input_tensors["asked"])}

    def postprocess(self, model_outputs: Any, **postprocess_parameters: Any) -> list[dict[str, Any]]:
        """Give results as dictionaries."""
        return [found.to_dict() for found in model_outputs["recognized"]]


class SpeechEmotionExplanationPipeline(Pipeline):
    """Emotion of a clip, probabilities, the model's reasons, and what of them Praat's measurement contradicts.

    A clip is a path, the bytes of a file, ``{"path", "bytes"}``, or samples as ``{"array": ..., "sampling_rate": ...}``
    (floats, int16 or int32 of one or two dimensions).

    Args:
        source: Folder or Hub id with ``describer.json`` and ``captions.json``; the model's by default. An adapter,
            which :func:`speechcue_hf.models.loading.load_speech_model` loads, needs it.
        emotions: The closed set, where there is no ``captions.json``.
        inference: How it is asked.
        **settings: As for any pipeline.

    Example:
        >>> explain = pipeline("speech-emotion-explanation", model="user/model")  # doctest: +SKIP
        >>> [found["emotion"] for found in explain(["a.wav", "b.wav"], batch_size=2, gender="female")]  # doctest: +SKIP
        ['sad', 'angry']
    """

    _load_processor = True  # type: ignore[assignment]
    _load_tokenizer = False  # type: ignore[assignment]
    _load_feature_extractor = False  # type: ignore[assignment]
    _load_image_processor = False  # type: ignore[assignment]

    def __init__(
        self,
        *,
        source: str | Path | None = None,
        emotions: list[str] | None = None,
        inference: InferenceSettings = CLOSED_SET,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        processor: Any = self.processor
        # Batches are only made for a pipeline that has a tokenizer.
        self.tokenizer = processor.tokenizer
        beside = source or str(self.model.name_or_path)
        context = ModelContext(beside, settings=replace(inference, explain=True), names=emotions)
        self.explainer = Explainer.of(as_classifier(self.model, processor, context), context)

    def _sanitize_parameters(self, gender: str | None = None, **settings: Any) -> tuple[dict[str, Any], ...]:
        return {}, {"gender": gender, "settings": settings}, {}

    def preprocess(self, input_: Any, **preprocess_parameters: Any) -> dict[str, Any]:
        """Take a clip, in any of the forms of :func:`speechcue_hf.audio.as_file`."""
        return {"clip": as_file(input_)}

    def _forward(self, input_tensors: dict[str, Any], **forward_parameters: Any) -> Any:
        clips, gender = input_tensors["clip"], forward_parameters["gender"]
        classifier: Any = self.explainer.classifier
        chosen = replace(classifier.settings, **forward_parameters["settings"])
        explainer = replace(self.explainer, classifier=replace(classifier, settings=chosen))
        if isinstance(clips, list):
            return {"explanation": list(explainer(clips, gender=gender, batch_size=len(clips)))}
        return {"explanation": next(explainer([clips], gender=gender))}

    def postprocess(self, model_outputs: Any, **postprocess_parameters: Any) -> dict[str, Any]:
        """Give an explanation as a dictionary, with ``marked``."""
        explanation: Explanation = model_outputs["explanation"]
        return {**explanation.to_dict(), "marked": explanation.marked}


# In the order in which they are tried: chat models also load as sequence classifiers, with a new head.
_MODELS: Any = (AutoModelForCausalLM, AutoModelForSequenceClassification)
PIPELINE_REGISTRY.register_pipeline(
    "conversation-emotion-recognition",
    pipeline_class=ConversationEmotionPipeline,
    pt_model=_MODELS,
    type="multimodal",
)
PIPELINE_REGISTRY.register_pipeline(
    "speech-emotion-explanation",
    pipeline_class=SpeechEmotionExplanationPipeline,
    pt_model=SEmoLLMForConditionalGeneration,
    type="multimodal",
)

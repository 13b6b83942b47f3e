"""Explanations as a pipeline of transformers; importing this module makes the task known.

import speechcue_hf.inference.explanation_pipeline
from transformers import pipeline

explain = pipeline("speech-emotion-explanation", model="runs/stage3")
explain("clip.wav")["emotion"]
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import Pipeline
from transformers.pipelines import PIPELINE_REGISTRY

from speechcue_hf.inference.context import ModelContext
from speechcue_hf.inference.explain import Explainer, Explanation
from speechcue_hf.inference.loading import as_classifier
from speechcue_hf.inference.settings import CLOSED_SET, InferenceSettings
from speechcue_hf.inference.speech_model import Audio
from speechcue_hf.models.semollm.modeling_semollm import SEmoLLMForConditionalGeneration

TASK = "speech-emotion-explanation"


class SpeechEmotionExplanationPipeline(Pipeline):
    """Emotion of a clip, probabilities, the model's reasons, and what of them Praat's measurement contradicts.

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
        """Take a clip.

        Args:
            input_: A path, the bytes of a file, ``{"path", "bytes"}``, or samples as
                ``{"array": ..., "sampling_rate": ...}``.
            **preprocess_parameters: None.

        Returns:
            The clip for :meth:`_forward`.

        Raises:
            ValueError: If samples are not floats, int16 or int32 of one or two dimensions, or their rate is not
                positive.
        """
        return {"clip": _as_audio(input_)}

    def _forward(self, input_tensors: dict[str, Any], **forward_parameters: Any) -> Any:
        clips, gender = input_tensors["clip"], forward_parameters["gender"]
        classifier: Any = self.explainer.classifier
        chosen = replace(classifier.settings, **forward_parameters["settings"])
        explainer = replace(self.explainer, classifier=replace(classifier, settings=chosen))
        if isinstance(clips, list):
            return {"explanation": list(explainer(clips, gender=gender, batch_size=len(clips)))}
        return {"explanation": next(explainer([clips], gender=gender))}

    def postprocess(self, model_outputs: Any, **postprocess_parameters: Any) -> dict[str, Any]:
        """Give an explanation as a dictionary.

        Args:
            model_outputs: From :meth:`_forward`.
            **postprocess_parameters: None.

        Returns:
            ``clip``, ``emotion``, ``probabilities``, ``explanation``, ``marked``, ``claims``, ``note`` and ``error``.
        """
        explanation: Explanation = model_outputs["explanation"]
        return {**explanation.to_dict(), "marked": explanation.marked}


def _as_audio(clip: Any) -> Audio:
    """A clip as a path or as the bytes of a file."""
    if isinstance(clip, bytes):
        return {"path": None, "bytes": clip}
    if isinstance(clip, Mapping) and "array" in clip:
        return {"path": None, "bytes": _wav(np.asarray(clip["array"]), int(clip["sampling_rate"]))}
    audio: Audio = clip
    return audio


def _wav(samples: np.ndarray, rate: int) -> bytes:
    """A wav of samples; of two dimensions the shorter one counts channels."""
    import soundfile

    if np.issubdtype(samples.dtype, np.floating):
        samples = samples.astype(np.float64)
    if samples.dtype not in (np.float64, np.int16, np.int32) or samples.ndim not in (1, 2):
        raise ValueError(
            "samples must be floats, int16 or int32 of shape (samples,) or (samples, channels), got "
            f"{samples.dtype} of shape {samples.shape}"
        )
    if rate <= 0:
        raise ValueError(f"sampling rate must be positive, got {rate} Hz")
    frames_first = samples.T if samples.ndim == 2 and samples.shape[0] < samples.shape[1] else samples
    file = io.BytesIO()
    subtype = "DOUBLE" if np.issubdtype(samples.dtype, np.floating) else None
    soundfile.write(file, frames_first, rate, format="WAV", subtype=subtype)
    return file.getvalue()


PIPELINE_REGISTRY.register_pipeline(
    TASK, pipeline_class=SpeechEmotionExplanationPipeline, pt_model=SEmoLLMForConditionalGeneration, type="multimodal"
)

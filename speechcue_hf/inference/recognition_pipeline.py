"""Emotions of conversations as a pipeline of transformers; importing this module makes the task known.

import speechcue_hf.inference.recognition_pipeline
from transformers import pipeline

recognize = pipeline("conversation-emotion-recognition", model="user/encoder")
recognize([{"speaker": "Ann", "text": "I got the job!"}])[0]["emotion"]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoProcessor,
    Pipeline,
)
from transformers.pipelines import PIPELINE_REGISTRY

import speechcue_hf.models.bioserc
import speechcue_hf.models.semollm  # noqa: F401
from speechcue_hf.inference.conversations import Conversation
from speechcue_hf.inference.recognizer import EmotionRecognizer

TASK = "conversation-emotion-recognition"


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
        """Recognize the emotion of every utterance.

        Args:
            inputs: A clip, the turns of a conversation, or a folder of conversations.
            *args: None.
            text: What is said in the clip.
            **kwargs: None.

        Returns:
            For each utterance what :class:`~speechcue_hf.inference.recognizer.RecognizedEmotion` holds. The errors are
            those of the recognizer.
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


# In the order in which they are tried: chat models also load as sequence classifiers, with a new head.
MODELS: Any = (AutoModelForCausalLM, AutoModelForSequenceClassification)

PIPELINE_REGISTRY.register_pipeline(
    TASK, pipeline_class=ConversationEmotionPipeline, pt_model=MODELS, type="multimodal"
)

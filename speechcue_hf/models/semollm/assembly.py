"""A SEmoLLM put together from pretrained parts: speech encoder, BERT for the Q-Former, language model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
)

from .configuration_semollm import SEmoLLMConfig
from .modeling_semollm import SEmoLLMForConditionalGeneration
from .processing_semollm import SEmoLLMProcessor, add_audio_token
from .qformer_semollm import SEmoLLMQFormer
from .speech_semollm import SpeechAdapter

BERT_TO_QFORMER = (
    (r"^embeddings\.LayerNorm", "layers.layernorm"),
    (r"^embeddings\.(word|position)_embeddings", r"\1_embeddings"),
    (r"^encoder\.", "layers.encoder."),
    (r"attention\.self\.", "attention.attention."),
)
"""Names of BERT's parameters, and of those that BLIP-2's Q-Former has beside them, to names in ``SEmoLLMQFormer``."""

SHARED_WITH_BERT = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "max_position_embeddings",
    "layer_norm_eps",
    "initializer_range",
    "pad_token_id",
)
"""Settings that a Q-Former takes from the BERT it starts as."""


def assemble_semollm(
    speech_encoder: str,
    language_model: str,
    qformer: str | None = None,
    chat_template: str | None = None,
    **settings: Any,
) -> tuple[SEmoLLMForConditionalGeneration, SEmoLLMProcessor]:
    """Put a model together from pretrained parts; what lies between them is new.

    Args:
        speech_encoder: Hub id or folder of the speech encoder.
        language_model: Hub id or folder of the language model.
        qformer: Hub id or folder of the BERT that the Q-Former starts as (``bert-base-uncased`` in the paper); one with
            random parameters when ``None``.
        chat_template: Template in place of the language model's own; see
            :func:`.processing_semollm.with_audio_parts`.
        **settings: Further settings of :class:`SEmoLLMConfig`.

    Returns:
        The model (CPU, in the number types of its parts, evaluation mode) and its processor.

    Raises:
        OSError: If there is no model of that name.
        ValueError: If the parts or settings do not fit together.
    """
    tokenizer = AutoTokenizer.from_pretrained(language_model)
    audio_token_id = add_audio_token(tokenizer)
    speech, text = load_speech_encoder(speech_encoder), AutoModelForCausalLM.from_pretrained(language_model)
    bert = None if qformer is None else AutoModel.from_pretrained(qformer)
    if bert is not None:
        settings["qformer_config"] = qformer_settings(bert.config)
    config = SEmoLLMConfig(
        speech_config=AutoConfig.from_pretrained(speech_encoder),
        text_config=text.config,
        audio_token_id=audio_token_id,
        **settings,
    )
    model = join_parts(config, speech, text)
    if bert is not None:
        start_from_bert(model.model.speech_adapter.projector.qformer, bert.state_dict())
    make_room(model, len(tokenizer))
    feature_extractor = AutoFeatureExtractor.from_pretrained(speech_encoder)
    return model, SEmoLLMProcessor.from_config(config, feature_extractor, tokenizer, chat_template)


def load_speech_encoder(source: str) -> nn.Module:
    """Load a speech encoder as :class:`FrozenSpeechEncoder` holds it.

    Args:
        source: Hub id or folder.

    Returns:
        The encoder; of Whisper the encoder alone.
    """
    model = AutoModel.from_pretrained(source)
    encoder: nn.Module = model.get_encoder() if model.config.model_type == "whisper" else model
    return encoder


def join_parts(
    config: SEmoLLMConfig, speech_encoder: nn.Module, language_model: Any
) -> SEmoLLMForConditionalGeneration:
    """Put a speech encoder and a language model around a new adapter.

    Args:
        config: Configuration of the model; its sub-configurations are those of the parts.
        speech_encoder: As :func:`load_speech_encoder` gives it.
        language_model: With its head, as ``AutoModelForCausalLM`` gives it.

    Returns:
        The model, in evaluation mode.
    """
    # On the meta device, because a second, random language model of this size may not fit into memory.
    with torch.device("meta"):
        model = SEmoLLMForConditionalGeneration(config)
    model.model.speech_encoder.encoder = speech_encoder
    model.model.speech_adapter = SpeechAdapter(config).apply(model._init_weights)
    model.model.language_model = language_model.base_model
    model.lm_head = language_model.get_output_embeddings()
    model.generation_config.update(**language_model.generation_config.to_diff_dict())
    model.generation_config.suppress_tokens = [config.audio_token_id]
    model.freeze()
    model.eval()
    return model


def make_room(model: SEmoLLMForConditionalGeneration, vocabulary: int) -> None:
    """Give the language model an embedding for the placeholder, if its vocabulary has none to spare.

    Args:
        model: Changed in place.
        vocabulary: Tokens of the tokenizer.
    """
    if vocabulary > model.config.text_config.vocab_size:
        # The new embedding is never read: speech takes its place.
        model.resize_token_embeddings(vocabulary, mean_resizing=False)
        model.freeze()  # New embeddings would be trained.


def qformer_settings(bert: PretrainedConfig, extra_tokens: int = 1) -> dict[str, Any]:
    """Settings of a Q-Former of the size of a BERT.

    Args:
        bert: The BERT's configuration.
        extra_tokens: Tokens added to its vocabulary: ``[DEC]``, the start of a generated caption.

    Returns:
        For ``SEmoLLMConfig.qformer_config``, with what reads text.
    """
    taken = {name: getattr(bert, name) for name in SHARED_WITH_BERT}
    return taken | {"vocab_size": bert.vocab_size + extra_tokens, "use_qformer_text_input": True}


def start_from_bert(qformer: SEmoLLMQFormer, bert: Mapping[str, Tensor]) -> None:
    """Give a Q-Former a BERT's parameters; queries and cross-attention stay new, as in BLIP-2.

    It has no token types: that of the first sentence, which BERT adds to every token of a text, is added to the
    positions, so that text is to it what it is to BERT.

    Args:
        qformer: Of the BERT's size; changed in place. Its feed-forward for queries starts as the one for text.
        bert: State of the BERT.

    Raises:
        ValueError: If a parameter has another shape.
    """
    own = qformer.state_dict()
    for name, value in _without_token_types(bert).items():
        renamed = qformer_name(name)
        for target in (renamed, re.sub(r"(layer\.\d+\.(?:intermediate|output))\.", r"\1_query.", renamed)):
            if target in own:
                _copy_rows(own[target], value, target)


def qformer_name(name: str) -> str:
    """Name of a BERT's parameter in :class:`SEmoLLMQFormer`.

    Args:
        name: As in ``BertModel``, or what BLIP-2's Q-Former has beside it.

    Returns:
        The other name.

    Example:
        >>> qformer_name("encoder.layer.0.attention.self.query.weight")
        'layers.encoder.layer.0.attention.attention.query.weight'
    """
    for pattern, replacement in BERT_TO_QFORMER:
        name = re.sub(pattern, replacement, name)
    return name


def _without_token_types(bert: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same state, its first token type added to the positions."""
    state = dict(bert)
    types = state.pop("embeddings.token_type_embeddings.weight", None)
    if types is not None:
        state["embeddings.position_embeddings.weight"] = state["embeddings.position_embeddings.weight"] + types[0]
    return state


def _copy_rows(target: Tensor, value: Tensor, name: str) -> None:
    """Copy; an embedding table may have more rows than what it starts as."""
    rows = len(value) if name == "word_embeddings.weight" else len(target)
    if target[:rows].shape != value.shape:
        raise ValueError(f"{name}: the Q-Former has shape {tuple(target.shape)}, the BERT {tuple(value.shape)}")
    with torch.no_grad():
        target[:rows].copy_(value)

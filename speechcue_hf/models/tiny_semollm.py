"""A tiny SEmoLLM, built from configs with a tokenizer trained on the spot: for first runs, benchmarks and tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from transformers import CONFIG_MAPPING, Wav2Vec2FeatureExtractor, WhisperFeatureExtractor

from speechcue_hf.models.semollm.configuration_semollm import SEmoLLMConfig
from speechcue_hf.models.semollm.modeling_semollm import SEmoLLMForConditionalGeneration
from speechcue_hf.models.semollm.processing_semollm import SEmoLLMProcessor, add_audio_token
from speechcue_hf.models.tiny import train_tokenizer


def build_tiny_semollm(
    texts: Iterable[str],
    *,
    seed: int = 0,
    speech_encoder: str = "wavlm",
    hidden_size: int = 32,
    num_layers: int = 2,
    text_hidden_size: int = 32,
    text_layers: int = 2,
    vocabulary: int = 400,
    speech: dict[str, Any] | None = None,
    text: dict[str, Any] | None = None,
    **settings: Any,
) -> tuple[SEmoLLMForConditionalGeneration, SEmoLLMProcessor]:
    """Build a SEmoLLM of some hundred thousand random parameters, with a processor that knows the given texts.

    Its encoder makes about 50 frames a second, as the large ones do.

    Args:
        texts: What the tokenizer is trained on: prompts and captions, say.
        seed: Makes the parameters reproducible; the state of torch's generator is left as it was.
        speech_encoder: ``model_type`` of the speech encoder: ``wavlm``, ``wav2vec2``, ``hubert``, ``data2vec-audio`` or
            ``whisper`` (clips of 2 s at most).
        hidden_size: Width of speech encoder and Q-Former.
        num_layers: Layers of each.
        text_hidden_size: Width of the language model, a Llama.
        text_layers: Its layers.
        vocabulary: Most tokens the tokenizer may have, before the placeholder for speech is added.
        speech: Further settings of the speech encoder: ``{"feat_extract_norm": "group"}``, say.
        text: Further settings of the language model.
        **settings: Further settings of :class:`SEmoLLMConfig`; 4 queries and ``classifier_proj_size`` 16 by default.

    Returns:
        The model (float32, CPU, evaluation mode) and its processor.

    Example:
        >>> model, processor = build_tiny_semollm(["Describe the voice.", "A high voice."])
        >>> model.config.num_query_tokens
        4
    """
    tokenizer = train_tokenizer(texts, vocabulary)
    audio_token_id = add_audio_token(tokenizer)
    config = SEmoLLMConfig(
        speech_config=tiny_speech_config(speech_encoder, hidden_size, num_layers, speech or {}),
        qformer_config=_qformer_config(len(tokenizer), hidden_size, num_layers),
        text_config=_text_config(tokenizer, text_hidden_size, text_layers) | (text or {}),
        audio_token_id=audio_token_id,
        **{"num_query_tokens": 4, "classifier_proj_size": 16, "stack_hidden_size": 32} | settings,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SEmoLLMForConditionalGeneration(config)
    return model.eval(), SEmoLLMProcessor.from_config(config, _feature_extractor(speech_encoder), tokenizer)


def tiny_speech_config(kind: str, hidden_size: int, num_layers: int, settings: dict[str, Any]) -> Any:
    """Configuration of a tiny speech encoder that makes about 50 frames a second.

    Args:
        kind: Its ``model_type``.
        hidden_size: Its width.
        num_layers: Its layers.
        settings: Further settings of it.

    Returns:
        The configuration.
    """
    if kind == "whisper":
        sizes: dict[str, Any] = {"d_model": hidden_size, "encoder_layers": num_layers, "encoder_attention_heads": 2}
        sizes |= {"encoder_ffn_dim": 2 * hidden_size, "num_mel_bins": 8, "max_source_positions": 100}
        return CONFIG_MAPPING[kind](**(sizes | settings))
    sizes = {"hidden_size": hidden_size, "num_hidden_layers": num_layers, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 2 * hidden_size, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
    convolutions = {"conv_dim": (hidden_size,) * 3, "conv_kernel": (10, 8, 8), "conv_stride": (5, 8, 8)}
    # As WavLM-large and wav2vec 2.0 large have it, not as the small models that the defaults describe.
    norms = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "mask_time_prob": 0.0}
    return CONFIG_MAPPING[kind](**sizes | convolutions | norms | {"num_feat_extract_layers": 3} | settings)


def _qformer_config(vocabulary: int, hidden_size: int, num_layers: int) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": hidden_size,
        "num_hidden_layers": num_layers,
        "num_attention_heads": 2,
        "intermediate_size": 2 * hidden_size,
        "max_position_embeddings": 128,
        "use_qformer_text_input": True,
    }


def _text_config(tokenizer: Any, hidden_size: int, num_layers: int) -> dict[str, Any]:
    return {
        "model_type": "llama",
        "vocab_size": len(tokenizer),
        "hidden_size": hidden_size,
        "intermediate_size": 2 * hidden_size,
        "num_hidden_layers": num_layers,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        # Larger than usual: an adapter on frozen embeddings of 0.02 cannot make any answer likely, whatever it learns.
        "initializer_range": 0.15,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _feature_extractor(speech_encoder: str) -> Any:
    if speech_encoder == "whisper":
        return WhisperFeatureExtractor(feature_size=8, chunk_length=2)
    return Wav2Vec2FeatureExtractor(return_attention_mask=True)

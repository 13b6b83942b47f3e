"""A tiny SEmoLLM, built from configs with a tokenizer trained on the spot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from transformers import Wav2Vec2FeatureExtractor, WhisperConfig, WhisperFeatureExtractor

from speechcue_hf.models.semollm import SEmoLLMConfig, SEmoLLMForConditionalGeneration, SEmoLLMProcessor
from speechcue_hf.models.semollm.processing_semollm import add_audio_token
from speechcue_hf.models.tiny import train_tokenizer
from speechcue_hf.models.tiny_semollm import tiny_speech_config


def build_tiny_semollm(
    texts: Iterable[str],
    *,
    seed: int = 0,
    speech_encoder: str = "wavlm",
    speech: dict[str, Any] | None = None,
    text: dict[str, Any] | None = None,
    **settings: Any,
) -> tuple[SEmoLLMForConditionalGeneration, SEmoLLMProcessor]:
    """A SEmoLLM of some hundred thousand random parameters, with a processor that knows the given texts.

    ``speech``, ``text`` and ``settings`` are further settings of speech encoder, language model and the whole. Whisper
    takes clips of 2 s at most.
    """
    tokenizer = train_tokenizer(texts, 400)
    audio_token_id = add_audio_token(tokenizer)
    if speech_encoder == "whisper":
        sizes = {"d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 64}
        encoder = WhisperConfig(**{**sizes, "num_mel_bins": 8, "max_source_positions": 100, **(speech or {})})
        extractor: Any = WhisperFeatureExtractor(feature_size=8, chunk_length=2)
    else:
        encoder = tiny_speech_config(speech_encoder, 32, 2, speech or {})
        extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
    config = SEmoLLMConfig(
        speech_config=encoder,
        qformer_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "max_position_embeddings": 128,
            "use_qformer_text_input": True,
        },
        text_config=_text_config(tokenizer) | (text or {}),
        audio_token_id=audio_token_id,
        **{"num_query_tokens": 4, "classifier_proj_size": 16, "stack_hidden_size": 32} | settings,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SEmoLLMForConditionalGeneration(config)
    return model.eval(), SEmoLLMProcessor.from_config(config, extractor, tokenizer)


def _text_config(tokenizer: Any) -> dict[str, Any]:
    return {
        "model_type": "llama",
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        # Larger than usual: an adapter on frozen embeddings of 0.02 cannot make any answer likely, whatever it learns.
        "initializer_range": 0.15,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }

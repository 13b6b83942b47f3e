"""Tiny parts that a SEmoLLM is put together from, built on the spot: for first runs, benchmarks and tests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertConfig,
    BertModel,
    PretrainedConfig,
    Wav2Vec2FeatureExtractor,
    WavLMModel,
    WhisperFeatureExtractor,
    WhisperModel,
)

from speechcue_hf.models.tiny import build_tiny_model, train_tokenizer
from speechcue_hf.models.tiny_semollm import tiny_speech_config

SPEECH_ENCODER, QFORMER, LANGUAGE_MODEL = "speech_encoder", "qformer", "language_model"
"""Names of the three folders."""


def build_tiny_parts(
    folder: Path, texts: Iterable[str], *, seed: int = 0, hidden_size: int = 32, speech: PretrainedConfig | None = None
) -> None:
    """Write a random speech encoder, BERT and chat model, unless they are there; all three or, if it fails, none.

    Args:
        folder: Where each gets a folder of its own.
        texts: What the tokenizers are trained on: captions and questions.
        seed: Of the parameters; torch's generator is left as it was.
        hidden_size: Width of BERT and, by default, speech encoder.
        speech: Configuration of another speech encoder: a ``WhisperConfig``. By default a WavLM of two layers, whose
            feature extractor does not normalise clips, which would take their loudness away.
    """
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="unfinished-") as temporary:
        unfinished = Path(temporary) / folder.name
        _save_parts(unfinished, list(texts), seed, hidden_size, speech or _tiny_wavlm(hidden_size))
        unfinished.rename(folder)


def _save_parts(folder: Path, texts: list[str], seed: int, hidden_size: int, speech: PretrainedConfig) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _save_speech_encoder(speech, folder / SPEECH_ENCODER)
        _save_bert(texts, hidden_size, folder / QFORMER)
    model, tokenizer = build_tiny_model(texts, seed=seed, vocabulary=512)
    model.save_pretrained(folder / LANGUAGE_MODEL)
    tokenizer.save_pretrained(folder / LANGUAGE_MODEL)


def _save_speech_encoder(config: PretrainedConfig, folder: Path) -> None:
    settings: Any = config
    if config.model_type == "whisper":
        seconds = 2 * settings.max_source_positions // 100
        WhisperModel(settings).save_pretrained(folder)
        WhisperFeatureExtractor(feature_size=settings.num_mel_bins, chunk_length=seconds).save_pretrained(folder)
    else:
        WavLMModel(settings).save_pretrained(folder)
        Wav2Vec2FeatureExtractor(return_attention_mask=True, do_normalize=False).save_pretrained(folder)


def _save_bert(texts: list[str], hidden_size: int, folder: Path) -> None:
    tokenizer = train_tokenizer(texts, 512)
    tokenizer.add_special_tokens({"cls_token": "[CLS]", "sep_token": "[SEP]"})
    tokenizer.save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        num_hidden_layers=2,
        num_attention_heads=hidden_size // 16,
        intermediate_size=2 * hidden_size,
        max_position_embeddings=96,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
        # Three times the usual: at 0.02 so narrow a model tells no caption from another, and its queries collapse.
        initializer_range=0.06,
    )
    BertModel(config).save_pretrained(folder)


def _tiny_wavlm(hidden_size: int) -> Any:
    # As WavLM-large has it.
    return tiny_speech_config("wavlm", hidden_size, 2, {"conv_bias": True})

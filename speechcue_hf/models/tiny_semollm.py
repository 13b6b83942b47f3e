"""Tiny parts that a SEmoLLM is put together from, built on the spot: for first runs, benchmarks and tests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    CONFIG_MAPPING,
    BertConfig,
    BertModel,
    PretrainedConfig,
    Wav2Vec2FeatureExtractor,
    WavLMModel,
    WhisperFeatureExtractor,
    WhisperModel,
)

from speechcue_hf.models.tiny import build_tiny_model, train_tokenizer

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
        # Biases in the convolutions as WavLM-large has them.
        encoder = speech or tiny_speech_config("wavlm", hidden_size, 2, {"conv_bias": True})
        _save_parts(unfinished, list(texts), seed, hidden_size, encoder)
        unfinished.rename(folder)


def tiny_speech_config(kind: str, hidden_size: int, num_layers: int, settings: dict[str, Any]) -> Any:
    """Configuration of a tiny speech encoder that makes about 50 frames a second, as the large ones do.

    Args:
        kind: Its ``model_type``, of one that reads samples.
        hidden_size: Its width.
        num_layers: Its layers.
        settings: Further settings of it.
    """
    sizes: dict[str, Any] = {"hidden_size": hidden_size, "num_hidden_layers": num_layers, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 2 * hidden_size, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
    convolutions = {"conv_dim": (hidden_size,) * 3, "conv_kernel": (10, 8, 8), "conv_stride": (5, 8, 8)}
    # As WavLM-large and wav2vec 2.0 large have it, not as the small models that the defaults describe.
    norms = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "mask_time_prob": 0.0}
    return CONFIG_MAPPING[kind](**sizes | convolutions | norms | {"num_feat_extract_layers": 3} | settings)


def _save_parts(folder: Path, texts: list[str], seed: int, hidden_size: int, speech: PretrainedConfig) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _save_speech_encoder(speech, folder / SPEECH_ENCODER)
        _save_bert(texts, hidden_size, folder / QFORMER)
    for part in build_tiny_model(texts, seed=seed, vocabulary=512):
        part.save_pretrained(folder / LANGUAGE_MODEL)


def _save_speech_encoder(config: Any, folder: Path) -> None:
    if config.model_type == "whisper":
        seconds = 2 * config.max_source_positions // 100
        WhisperModel(config).save_pretrained(folder)
        WhisperFeatureExtractor(feature_size=config.num_mel_bins, chunk_length=seconds).save_pretrained(folder)
    else:
        WavLMModel(config).save_pretrained(folder)
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

"""A SEmoLLM put together from pretrained parts, and what each stage of its training starts from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from peft import LoraConfig
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForCausalLM,
    AutoProcessor,
    AutoTokenizer,
    PretrainedConfig,
)

from speechcue_hf.errors import ModelError
from speechcue_hf.models.loading import read_tokenizer

from .configuration_semollm import SEmoLLMConfig
from .modeling_semollm import SEmoLLMForConditionalGeneration
from .pretraining_semollm import LossWeights, SEmoLLMForPretraining
from .processing_semollm import PAPER_TEMPLATE, SEmoLLMProcessor, add_audio_token, with_audio_parts
from .qformer_semollm import SEmoLLMQFormer
from .speech_semollm import SpeechAdapter

DECODER_TOKEN = "[DEC]"
"""First token of a caption that is generated in stage 1; the ``bos_token`` of its tokenizer."""

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
    *,
    paper_order: bool = False,
    **settings: Any,
) -> tuple[SEmoLLMForConditionalGeneration, SEmoLLMProcessor]:
    """Put a model together from pretrained parts; what lies between them is new.

    Args:
        speech_encoder: Hub id or folder of the speech encoder.
        language_model: Hub id or folder of the language model.
        qformer: Hub id or folder of the BERT that the Q-Former starts as (``bert-base-uncased`` in the paper); one with
            random parameters when ``None``.
        paper_order: Whether prompts are in the paper's order even if the language model has a chat template.
        **settings: Further settings of :class:`SEmoLLMConfig`.

    Returns:
        The model (CPU, in the number types of its parts, evaluation mode) and its processor.

    Raises:
        OSError: If there is no model of that name.
        ModelError: If packages are missing that the tokenizer is read with.
        ValueError: If the parts or settings do not fit together.
    """
    tokenizer = _read_tokenizer(language_model, paper_order)
    audio_token_id = add_audio_token(tokenizer)
    speech, text = _load_speech_encoder(speech_encoder), AutoModelForCausalLM.from_pretrained(language_model)
    bert = None if qformer is None else AutoModel.from_pretrained(qformer)
    if bert is not None:
        settings["qformer_config"] = qformer_settings(bert.config)
    config = SEmoLLMConfig(
        speech_config=AutoConfig.from_pretrained(speech_encoder),
        text_config=text.config,
        audio_token_id=audio_token_id,
        **settings,
    )
    model = join_parts(config, speech, text, len(tokenizer))
    if bert is not None:
        start_from_bert(model.model.speech_adapter.projector.qformer, bert.state_dict())
    feature_extractor = AutoFeatureExtractor.from_pretrained(speech_encoder)
    template = with_audio_parts(PAPER_TEMPLATE) if paper_order else None
    return model, SEmoLLMProcessor.from_config(config, feature_extractor, tokenizer, template)


def start_stage1(
    speech_encoder: str, bert: str, weights: LossWeights | None = None, **settings: Any
) -> tuple[SEmoLLMForPretraining, SEmoLLMProcessor]:
    """Put together a pretrained speech encoder and a Q-Former that starts as a pretrained BERT.

    Queries, cross-attention, projections and heads are new, drawn from torch's random generator.

    Args:
        speech_encoder: Hub id or folder of WavLM or one of the other encoders, with its feature extractor.
        bert: Hub id or folder of a BERT, with its tokenizer.
        weights: How much each loss counts.
        **settings: Further settings of :class:`SEmoLLMConfig`.

    Returns:
        The model, and a processor whose tokenizer is that of the Q-Former.

    Raises:
        OSError: If there is no such model.
        ModelError: If what the Q-Former is to start as is no BERT.
    """
    text: Any = AutoModel.from_pretrained(bert)
    if text.config.model_type != "bert":
        raise ModelError(f"the Q-Former starts as a BERT, but {bert} is a {text.config.model_type}")
    tokenizer = AutoTokenizer.from_pretrained(bert)
    tokenizer.add_special_tokens({"bos_token": DECODER_TOKEN})
    audio_token_id = add_audio_token(tokenizer)
    config = SEmoLLMConfig(
        speech_config=AutoConfig.from_pretrained(speech_encoder),
        qformer_config=qformer_settings(text.config, extra_tokens=len(tokenizer) - text.config.vocab_size),
        # Of the width only: stage 2 puts the language model's in its place.
        text_config={"hidden_size": text.config.hidden_size, "num_attention_heads": 1, "num_key_value_heads": 1},
        audio_token_id=audio_token_id,
        initializer_range=text.config.initializer_range,
        **settings,
    )
    model = SEmoLLMForPretraining(config, weights)
    model.speech_encoder.encoder.load_state_dict(_load_speech_encoder(speech_encoder).state_dict())
    start_from_bert(model.qformer, text.state_dict())
    extractor = AutoFeatureExtractor.from_pretrained(speech_encoder)
    return model, SEmoLLMProcessor.from_config(config, extractor, tokenizer)


def start_stage2(
    folder: str, language_model: str, dtype: str = "float32"
) -> tuple[SEmoLLMForConditionalGeneration, SEmoLLMProcessor]:
    """Join what stage 1 trained to a language model, which is frozen.

    Args:
        folder: Output folder of stage 1.
        language_model: Hub id or folder of the language model, with its tokenizer.
        dtype: Number type of the language model's parameters; the others are float32.

    Returns:
        The model, whose linear layer to the language model is new, and its processor.

    Raises:
        OSError: If there is no such model.
        ModelError: If packages are missing that the tokenizer is read with.
    """
    tokenizer = _read_tokenizer(language_model)
    pretrained = SEmoLLMForPretraining.from_pretrained(folder)
    text: Any = AutoModelForCausalLM.from_pretrained(language_model, dtype=dtype)
    settings = pretrained.config.to_dict()
    settings["qformer_config"]["use_qformer_text_input"] = False
    settings |= {"text_config": text.config.to_dict(), "audio_token_id": add_audio_token(tokenizer)}
    config = SEmoLLMConfig(**settings | {"freeze_language_model": True})
    model = join_parts(config, pretrained.speech_encoder.encoder, text, len(tokenizer))
    learned = pretrained.speech_adapter.state_dict()
    kept = {name: value for name, value in learned.items() if not name.startswith("projector.output.")}
    # What read text in stage 1 has no place any more.
    model.model.speech_adapter.load_state_dict(kept, strict=False)
    extractor = AutoProcessor.from_pretrained(folder).feature_extractor
    return model, SEmoLLMProcessor.from_config(config, extractor, tokenizer)


def start_stage3(folder: str, dtype: str = "float32") -> tuple[SEmoLLMForConditionalGeneration, SEmoLLMProcessor]:
    """Load what stage 2 trained; LoRA is put on its language model by the trainer of the stage.

    Args:
        folder: Output folder of stage 2.
        dtype: Number type of the language model's parameters; the adapter's are float32.

    Returns:
        The model and its processor.

    Raises:
        OSError: If there is no such model.
    """
    model = SEmoLLMForConditionalGeneration.from_pretrained(folder, dtype=dtype)
    model.model.speech_adapter.float()
    return model, AutoProcessor.from_pretrained(folder)


def lora_settings(
    rank: int = 8, alpha: int = 32, dropout: float = 0.1, modules: Sequence[str] = ("q_proj", "v_proj")
) -> LoraConfig:
    """Settings of a LoRA that leaves the speech encoder alone and trains Q-Former, queries, layer weights, projections.

    Speech encoders name their layers as language models do: ``["q_proj", "v_proj"]`` alone would reach WavLM as well.

    Args:
        rank: Rank of the update; 2 to 8 in the paper.
        alpha: Its scale; 8 to 32 in the paper.
        dropout: Dropout before it; 0.1 in the paper.
        modules: Last part of the names of the language model's layers that get one.

    Returns:
        What ``peft.get_peft_model`` takes; the adapter that it saves holds the whole :class:`SpeechAdapter`.

    Example:
        >>> lora_settings(rank=4).r
        4
    """
    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=rf"(.*\.)?language_model\..*\.({'|'.join(modules)})",
        modules_to_save=["speech_adapter"],
        task_type="CAUSAL_LM",
    )


def join_parts(
    config: SEmoLLMConfig, speech_encoder: nn.Module, language_model: Any, vocabulary: int = 0
) -> SEmoLLMForConditionalGeneration:
    """Put a speech encoder and a language model around a new adapter.

    Args:
        config: Configuration of the model; its sub-configurations are those of the parts.
        speech_encoder: As :class:`FrozenSpeechEncoder` holds it: of Whisper the encoder alone.
        language_model: With its head, as ``AutoModelForCausalLM`` gives it.
        vocabulary: Tokens of the tokenizer: the language model gets embeddings for those that it has none to spare for.

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
    if vocabulary > config.text_config.vocab_size:
        # The placeholder's embedding is never read: speech takes its place.
        model.resize_token_embeddings(vocabulary, mean_resizing=False)
    model.freeze()
    model.eval()
    return model


def qformer_settings(bert: PretrainedConfig, extra_tokens: int = 1) -> dict[str, Any]:
    """Settings, for ``SEmoLLMConfig.qformer_config``, of a Q-Former of the size of a BERT that reads text.

    Args:
        bert: The BERT's configuration.
        extra_tokens: Tokens added to its vocabulary: ``[DEC]``, the start of a generated caption.
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
    state, own = dict(bert), qformer.state_dict()
    types = state.pop("embeddings.token_type_embeddings.weight", None)
    if types is not None:
        state["embeddings.position_embeddings.weight"] = state["embeddings.position_embeddings.weight"] + types[0]
    for name, value in state.items():
        renamed = qformer_name(name)
        for target in (renamed, re.sub(r"(layer\.\d+\.(?:intermediate|output))\.", r"\1_query.", renamed)):
            if target in own:
                _copy_rows(own[target], value, target)


def qformer_name(name: str) -> str:
    """Name in :class:`SEmoLLMQFormer` of a parameter of ``BertModel``, or of what BLIP-2's Q-Former has beside it.

    Example:
        >>> qformer_name("encoder.layer.0.attention.self.query.weight")
        'layers.encoder.layer.0.attention.attention.query.weight'
    """
    for pattern, replacement in BERT_TO_QFORMER:
        name = re.sub(pattern, replacement, name)
    return name


def _read_tokenizer(language_model: str, paper_order: bool = False) -> Any:
    """Read a language model's tokenizer; in the paper's order prompt and answer get the tokens each has alone."""
    tokenizer: Any = read_tokenizer(language_model)
    in_order = paper_order or not tokenizer.chat_template
    return read_tokenizer(language_model, legacy=True) if in_order else tokenizer


def _load_speech_encoder(source: str) -> nn.Module:
    """A speech encoder as :class:`FrozenSpeechEncoder` holds it: of Whisper the encoder alone."""
    model = AutoModel.from_pretrained(source)
    encoder: nn.Module = model.get_encoder() if model.config.model_type == "whisper" else model
    return encoder


def _copy_rows(target: Tensor, value: Tensor, name: str) -> None:
    """Copy; an embedding table may have more rows than what it starts as."""
    rows = len(value) if name == "word_embeddings.weight" else len(target)
    if target[:rows].shape != value.shape:
        raise ValueError(f"{name}: the Q-Former has shape {tuple(target.shape)}, the BERT {tuple(value.shape)}")
    with torch.no_grad():
        target[:rows].copy_(value)

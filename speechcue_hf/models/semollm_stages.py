"""What the stages of SEmoLLM's training start from: pretrained parts, or the stage before."""

from __future__ import annotations

from typing import Any

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
from speechcue_hf.models.semollm import SEmoLLMConfig, SEmoLLMProcessor
from speechcue_hf.models.semollm.assembly import (
    join_parts,
    load_speech_encoder,
    make_room,
    qformer_settings,
    start_from_bert,
)
from speechcue_hf.models.semollm.modeling_semollm import SEmoLLMForConditionalGeneration
from speechcue_hf.models.semollm.pretraining_semollm import LossWeights, SEmoLLMForPretraining
from speechcue_hf.models.semollm.processing_semollm import add_audio_token

DECODER_TOKEN = "[DEC]"
"""First token of a caption that is generated in stage 1; the ``bos_token`` of its tokenizer."""


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
        speech_config=_without_path(AutoConfig.from_pretrained(speech_encoder)),
        qformer_config=qformer_settings(text.config, extra_tokens=len(tokenizer) - text.config.vocab_size),
        # Of the width only: stage 2 puts the language model's in its place.
        text_config={"hidden_size": text.config.hidden_size, "num_attention_heads": 1, "num_key_value_heads": 1},
        audio_token_id=audio_token_id,
        initializer_range=text.config.initializer_range,
        **settings,
    )
    model = SEmoLLMForPretraining(config, weights)
    model.speech_encoder.encoder.load_state_dict(load_speech_encoder(speech_encoder).state_dict())
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
    """
    pretrained = SEmoLLMForPretraining.from_pretrained(folder)
    text: Any = AutoModelForCausalLM.from_pretrained(language_model, dtype=dtype)
    tokenizer = AutoTokenizer.from_pretrained(language_model)
    settings = pretrained.config.to_dict()
    settings["qformer_config"]["use_qformer_text_input"] = False
    settings |= {"text_config": _without_path(text.config).to_dict(), "audio_token_id": add_audio_token(tokenizer)}
    config = SEmoLLMConfig(**settings | {"freeze_language_model": True})
    model = join_parts(config, pretrained.speech_encoder.encoder, text)
    make_room(model, len(tokenizer))
    adapter = model.model.speech_adapter
    learned = pretrained.speech_adapter.state_dict()
    taken = {name for name in adapter.state_dict() if not name.startswith("projector.output.")}
    adapter.load_state_dict({name: learned[name] for name in taken}, strict=False)
    # Again: new embeddings would be trained.
    model.freeze()
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


def _without_path(config: PretrainedConfig) -> PretrainedConfig:
    """The same configuration; it would tell where on this machine it was read, in every model made of it."""
    config._name_or_path = ""
    return config

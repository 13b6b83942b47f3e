"""Configuration of SEmoLLM: a frozen speech encoder, a projector and a language model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeVar

from transformers import CONFIG_MAPPING, AutoConfig, Blip2QFormerConfig, PretrainedConfig

Lengths = TypeVar("Lengths", int, Any)

SPEECH_ENCODERS = ("wavlm", "wav2vec2", "hubert", "data2vec-audio", "whisper")
"""Kinds of speech encoder: the first four read samples, Whisper reads a mel spectrogram."""

LOGIT_SETTINGS = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier")
"""What Gemma 2, Cohere, Granite and Falcon-H1 do to the logits behind the head, which is not done here."""


class SEmoLLMConfig(PretrainedConfig):
    """Configuration of SEmoLLM and of SpeechCueLLM's projection models, which differ in their settings only.

    - SEmoLLM: ``projector="qformer"`` over a learned sum of all hidden states.
    - SpeechCueLLM, Q-Former: ``speech_layers=[-1]``, ``classifier_proj_size=None``, ``num_query_tokens=64`` and a
      ``qformer_config`` of 5 layers.
    - SpeechCueLLM, linear: ``projector="linear_stack"``, ``speech_layers=[-1]``, ``classifier_proj_size=None``.

    Args:
        speech_config: Speech encoder: WavLM by default; wav2vec 2.0, HuBERT, data2vec-audio or Whisper.
        qformer_config: Q-Former. Its ``encoder_hidden_size`` follows from the other settings and is set here;
            ``use_qformer_text_input`` adds what reads text in stage 1 (word embeddings, feed-forward for text).
        text_config: Language model, any kind that ``AutoModelForCausalLM`` knows; Llama by default.
        projector: ``qformer``, or ``linear_stack`` for frames stacked and put through a two-layer perceptron.
        speech_layers: Hidden states of the encoder that enter the learned sum, 0 being the input of its first layer and
            -1 its output; all of them when ``None``. With ``[-1]`` alone there is nothing to learn: no layer sum.
        classifier_proj_size: Width of the linear layer (then dropout and LayerNorm) between encoder and projector;
            ``None`` leaves all three out.
        projection_dropout: Dropout after that linear layer.
        num_query_tokens: Learned queries of the Q-Former, and so speech tokens of a clip in the language model.
        stack_size: Frames per speech token of ``linear_stack``.
        stack_hidden_size: Width of the hidden layer of ``linear_stack``.
        audio_token_id: Token that stands for speech in ``input_ids``; it must lie within the vocabulary.
        sampling_rate: Samples per second that the encoder reads, in Hz.
        train_seconds: Longest clip in training, in s.
        inference_seconds: Longest clip in inference, in s.
        freeze_language_model: Whether the language model is left as it is, as in stage 2. The encoder always is.
        initializer_range: Standard deviation of new parameters.

    Raises:
        ValueError: If the settings do not fit together.

    Example:
        >>> SEmoLLMConfig(num_query_tokens=8).qformer_config.encoder_hidden_size
        256
    """

    model_type = "semollm"
    sub_configs = {"speech_config": AutoConfig, "qformer_config": Blip2QFormerConfig, "text_config": AutoConfig}  # noqa: RUF012

    speech_config: Any = None
    qformer_config: Any = None
    text_config: Any = None
    projector: Literal["qformer", "linear_stack"] = "qformer"
    speech_layers: list[int] | None = None
    classifier_proj_size: int | None = 256
    projection_dropout: float = 0.1
    num_query_tokens: int = 32
    stack_size: int = 5
    stack_hidden_size: int = 2048
    audio_token_id: int = 0
    sampling_rate: int = 16_000
    train_seconds: float = 6.0
    inference_seconds: float = 12.0
    freeze_language_model: bool = False
    initializer_range: float = 0.02

    def __post_init__(self, **kwargs: Any) -> None:
        """Complete the sub-configurations and check that all settings fit together."""
        self.speech_config = _sub_config(self.speech_config, "wavlm")
        self.text_config = _sub_config(self.text_config, "llama")
        self.qformer_config = _sub_config(self.qformer_config, "blip_2_qformer")
        self.qformer_config.encoder_hidden_size = self.projection_input_size
        kwargs["tie_word_embeddings"] = bool(getattr(self.text_config, "tie_word_embeddings", False))
        super().__post_init__(**kwargs)
        self._check()

    @property
    def reads_samples(self) -> bool:
        """Whether the speech encoder reads samples, not a mel spectrogram."""
        return bool(self.speech_config.model_type != "whisper")

    @property
    def num_speech_states(self) -> int:
        """Hidden states of the speech encoder: the input of its first layer, and the output of each."""
        return int(self.speech_config.num_hidden_layers) + 1

    @property
    def num_speech_layers(self) -> int:
        """Hidden states that enter the learned sum."""
        return self.num_speech_states if self.speech_layers is None else len(self.speech_layers)

    @property
    def projection_input_size(self) -> int:
        """Width of what the projector reads."""
        return int(self.classifier_proj_size or self.speech_config.hidden_size)

    @property
    def conv_layers(self) -> list[list[int]]:
        """Convolutions that make frames of the encoder's input, as ``[kernel, stride, padding]`` each."""
        if not self.reads_samples:
            return [[3, 1, 1], [3, 2, 1]]
        return [[k, s, 0] for k, s in zip(self.speech_config.conv_kernel, self.speech_config.conv_stride, strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """All settings; without the folders that the parts were loaded from, which are those of one machine."""
        settings: dict[str, Any] = super().to_dict()
        for name in self.sub_configs:
            settings[name].pop("_name_or_path", None)
        return settings

    def _check(self) -> None:
        if self.speech_config.model_type not in SPEECH_ENCODERS:
            raise ValueError(f"speech encoder must be one of {SPEECH_ENCODERS}, got {self.speech_config.model_type!r}")
        if getattr(self.speech_config, "add_adapter", False):
            raise ValueError("speech_config.add_adapter must be False: the projector takes the adapter's place")
        if self.projector not in ("qformer", "linear_stack"):
            raise ValueError(f"projector must be 'qformer' or 'linear_stack', got {self.projector!r}")
        scaled = [name for name in LOGIT_SETTINGS if getattr(self.text_config, name, None) not in (None, 1.0)]
        if scaled:
            raise ValueError(
                f"a language model that changes the logits behind its head ({', '.join(scaled)}) would lose that here: "
                "take one without, such as Llama, Qwen, Mistral, Phi, OPT or GPT-2"
            )
        states = self.num_speech_states
        wrong = [layer for layer in self.speech_layers or [] if not -states <= layer < states]
        if wrong or self.speech_layers == []:
            raise ValueError(f"speech_layers must name some of {states} hidden states, got {self.speech_layers}")


def _sub_config(config: dict[str, Any] | PretrainedConfig | None, kind: str) -> Any:
    """The configuration as an object; ``kind`` says which when it does not tell itself."""
    if isinstance(config, PretrainedConfig):
        return config
    settings = dict(config or {})
    return CONFIG_MAPPING[settings.pop("model_type", kind)](**settings)


def count_frames(lengths: Lengths, conv_layers: Iterable[Iterable[int]]) -> Lengths:
    """Frames, 0 or more, that convolutions make of an input.

    Args:
        lengths: Samples (or mel frames for Whisper) of a clip, or a tensor of them.
        conv_layers: As :attr:`SEmoLLMConfig.conv_layers` gives them.

    Example:
        >>> count_frames(16_000, SEmoLLMConfig().conv_layers)
        49
    """
    for kernel, stride, padding in conv_layers:
        lengths = (lengths + 2 * padding - kernel) // stride + 1
    return max(lengths, 0) if isinstance(lengths, int) else lengths.clamp(min=0)


def shortest_input(conv_layers: Iterable[Iterable[int]]) -> int:
    """Least samples (or mel frames for Whisper) of which these convolutions make a frame.

    Example:
        >>> shortest_input(SEmoLLMConfig().conv_layers)
        400
    """
    length = 1
    for kernel, stride, padding in reversed([list(layer) for layer in conv_layers]):
        length = max((length - 1) * stride + kernel - 2 * padding, 1)
    return length


SEmoLLMConfig.register_for_auto_class()

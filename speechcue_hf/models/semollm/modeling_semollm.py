"""SEmoLLM: speech into a language model through a frozen speech encoder and a projector."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.cache_utils import Cache
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from .configuration_semollm import SEmoLLMConfig
from .qformer_semollm import SEmoLLMQFormer
from .speech_semollm import FrozenSpeechEncoder, SpeechAdapter

SPEECH_INPUTS = ("input_features", "input_features_mask", "speech_states", "speech_states_mask", "clip_windows")
"""Names of the model's inputs that hold speech: a row for each clip (or window), not for each prompt."""


class SEmoLLMPreTrainedModel(PreTrainedModel):
    """Base of all SEmoLLM models: new parameters, and freezing that survives ``from_pretrained``."""

    config: SEmoLLMConfig
    config_class = SEmoLLMConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    input_modalities = ["audio", "text"]  # noqa: RUF012
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_attention_backend = True
    _skip_keys_device_placement = ["past_key_values"]  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, SEmoLLMQFormer):
            init.normal_(module.query_tokens, std=self.config.initializer_range)
        elif isinstance(module, SpeechAdapter):
            init.zeros_(module.layer_weights)

    def freeze(self) -> None:
        """Take the speech encoder, and the language model where the configuration says so, out of training."""
        frozen = {"speech_encoder"} | ({"language_model", "lm_head"} if self.config.freeze_language_model else set())
        for name, module in self.named_modules():
            if name.rpartition(".")[2] in frozen:
                module.requires_grad_(False)

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """Load as any model of transformers, and freeze again what loading thawed."""
        loaded = super().from_pretrained(*args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        model.freeze()
        return loaded


class SEmoLLMModel(SEmoLLMPreTrainedModel):
    """Speech encoder, adapter and language model, without the language model's head."""

    def __init__(self, config: SEmoLLMConfig) -> None:
        super().__init__(config)
        self.speech_encoder = FrozenSpeechEncoder(config)
        self.speech_adapter = SpeechAdapter(config)
        self.language_model = AutoModel.from_config(config.text_config)
        self.post_init()
        self.freeze()

    def embed_speech(
        self,
        input_features: Tensor | None = None,
        input_features_mask: Tensor | None = None,
        speech_states: Tensor | None = None,
        speech_states_mask: Tensor | None = None,
        clip_windows: Tensor | None = None,
    ) -> Tensor:
        """Make speech tokens of clips; arguments as for :meth:`forward`.

        Returns:
            The speech tokens of all clips, one after the other, shape ``(tokens, hidden_size)``.

        Raises:
            ValueError: If windows are to be averaged that have different numbers of tokens.
        """
        if speech_states is None:
            speech_states, speech_states_mask = self.speech_encoder(input_features, input_features_mask)
        elif speech_states_mask is None:
            speech_states_mask = torch.ones(
                len(speech_states), speech_states.shape[-2], dtype=torch.bool, device=speech_states.device
            )
        tokens, mask = self.speech_adapter(speech_states, speech_states_mask)
        if clip_windows is not None:
            if not bool(mask.all()):
                raise ValueError(
                    "windows can only be averaged with projector='qformer', whose tokens are always as many"
                )
            tokens = torch.stack([windows.mean(dim=0) for windows in tokens.split(clip_windows.tolist())])
            mask = mask[: len(tokens)]
        embedded: Tensor = tokens[mask]
        return embedded

    def embed(self, input_ids: Tensor | None, **speech: Tensor | None) -> Tensor:
        """Embed prompts: tokens by the language model's embeddings, placeholders by speech.

        Args:
            input_ids: Shape ``(batch, tokens)``.
            **speech: Arguments of :meth:`embed_speech`; none for prompts without speech.

        Returns:
            Shape ``(batch, tokens, hidden_size)``.

        Raises:
            ValueError: If there are more or fewer placeholders than speech tokens, or no prompts.
        """
        if input_ids is None:
            raise ValueError("give input_ids or inputs_embeds")
        placeholders = input_ids == self.config.audio_token_id
        embedded: Tensor = self.get_input_embeddings()(input_ids)
        given = any(speech.get(name) is not None for name in ("input_features", "speech_states"))
        tokens = self.embed_speech(**speech) if given else embedded.new_zeros(0, embedded.shape[-1])
        if int(placeholders.sum()) != len(tokens):
            raise ValueError(
                f"The prompts hold {int(placeholders.sum())} placeholder tokens (id {self.config.audio_token_id}), but "
                f"the clips make {len(tokens)} speech tokens: let the processor make both, and give as many clips "
                "as the prompts have audio parts"
            )
        return embedded.masked_scatter(placeholders[..., None], tokens.to(embedded.dtype))

    def forward(
        self,
        input_ids: Tensor | None = None,
        input_features: Tensor | None = None,
        input_features_mask: Tensor | None = None,
        speech_states: Tensor | None = None,
        speech_states_mask: Tensor | None = None,
        clip_windows: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """Run the language model on prompts with speech.

        Args:
            input_ids: Prompts, a placeholder where a speech token goes, shape ``(batch, tokens)``. Any number of clips
                in each, none included.
            input_features: Raw speech of all clips of all prompts in their order: samples, shape ``(clips, samples)``,
                or mel spectrograms for Whisper, shape ``(clips, bins, frames)``.
            input_features_mask: 1 for the clip and 0 for padding, shape ``(clips, samples or frames)``.
            speech_states: States that the encoder gave before, instead of ``input_features``: as
                :class:`FrozenSpeechEncoder` returns them, shape ``(clips, layers, frames, hidden)``, or their weighted
                sum, shape ``(clips, frames, hidden)``; any floating type.
            speech_states_mask: 1 for the clip and 0 for padding, shape ``(clips, frames)``.
            clip_windows: How many rows of the speech inputs belong to each clip, shape ``(clips,)``; their speech
                tokens are averaged. One each by default.
            attention_mask: 1 for tokens and 0 for padding, shape ``(batch, tokens)``.
            position_ids: Positions; counted without the padding by default, shape ``(batch, tokens)``.
            past_key_values: Cache of earlier tokens.
            inputs_embeds: Embeddings in place of ``input_ids`` and speech.
            **kwargs: To the language model.

        Returns:
            Its output.

        Raises:
            ValueError: If placeholders and clips do not match.
        """
        if inputs_embeds is None:
            inputs_embeds = self.embed(
                input_ids,
                input_features=input_features,
                input_features_mask=input_features_mask,
                speech_states=speech_states,
                speech_states_mask=speech_states_mask,
                clip_windows=clip_windows,
            )
        if (
            position_ids is None
            and past_key_values is None
            and attention_mask is not None
            and attention_mask.dim() == 2
        ):
            position_ids = (attention_mask.long().cumsum(dim=-1) - 1).clamp(min=0)
        outputs: BaseModelOutputWithPast = self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            **kwargs,
        )
        return outputs


class SEmoLLMForConditionalGeneration(SEmoLLMPreTrainedModel, GenerationMixin):
    """SEmoLLM with the language model's head: answers prompts about speech."""

    def __init__(self, config: SEmoLLMConfig) -> None:
        super().__init__(config)
        text: Any = config.text_config
        self.model = SEmoLLMModel(config)
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=_head_has_bias(text))
        embeddings = self.model.get_input_embeddings()
        name = next(name for name, module in self.model.language_model.named_modules() if module is embeddings)
        self._tied_weights_keys = {"lm_head.weight": f"model.language_model.{name}.weight"}
        if config.tie_word_embeddings:
            # No file holds it, and the trainer is not to warn of that when it loads a checkpoint.
            self._keys_to_ignore_on_save = list(self._tied_weights_keys)
        # Speech cannot be answered: a placeholder among new tokens would have no clip to stand for.
        self.generation_config.suppress_tokens = [config.audio_token_id]
        self.post_init()
        self.freeze()

    def forward(
        self,
        input_ids: Tensor | None = None,
        input_features: Tensor | None = None,
        input_features_mask: Tensor | None = None,
        speech_states: Tensor | None = None,
        speech_states_mask: Tensor | None = None,
        clip_windows: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Score or train on prompts with speech; arguments as for :meth:`SEmoLLMModel.forward`, and two more.

        ``labels`` are the tokens of the answer, -100 everywhere else, shape ``(batch, tokens)``. ``logits_to_keep``
        asks for the logits of the last so many tokens only (0: of all), or of these positions.

        Returns:
            ``logits`` of shape ``(batch, tokens kept, vocabulary)``; with labels, the mean cross-entropy in nats as
            ``loss``.
        """
        outputs = self.model(
            input_ids=input_ids,
            input_features=input_features,
            input_features_mask=input_features_mask,
            speech_states=speech_states,
            speech_states_mask=speech_states_mask,
            clip_windows=clip_windows,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(outputs.last_hidden_state[:, kept])
        loss = None
        if labels is not None:
            loss = self.loss_function(
                logits=logits, labels=labels, vocab_size=self.config.text_config.vocab_size, **kwargs
            )
        rest = {name: outputs.get(name) for name in ("past_key_values", "hidden_states", "attentions")}
        return CausalLMOutputWithPast(loss=loss, logits=logits, **rest)

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        """Save the model with its code, so that each matching Auto class loads it without this package."""
        module = type(self).__module__.rpartition(".")[2]
        own = f"{module}.{type(self).__name__}"
        self.config.auto_map = {"AutoModel": f"{module}.{SEmoLLMModel.__name__}", "AutoModelForCausalLM": own}
        super().save_pretrained(*args, **kwargs)

    def _expand_inputs_for_generation(
        self, expand_size: int = 1, is_encoder_decoder: bool = False, input_ids: Any = None, **model_kwargs: Any
    ) -> Any:
        """Put speech into the prompts once, before beams are made: clips are not as many as prompts."""
        speech = {name: model_kwargs.pop(name, None) for name in SPEECH_INPUTS}
        if model_kwargs.get("inputs_embeds") is None:
            model_kwargs["inputs_embeds"] = self.model.embed(input_ids, **speech)
        inherited: Any = super()
        return inherited._expand_inputs_for_generation(expand_size, is_encoder_decoder, input_ids, **model_kwargs)

    def prepare_inputs_for_generation(  # type: ignore[override]
        self, input_ids: Any, inputs_embeds: Any = None, is_first_iteration: bool | None = False, **kwargs: Any
    ) -> dict[str, Any]:
        """Prepare a step of generation; without a cache each step reads the prompt's speech again."""
        inherited: Any = super()
        inputs: dict[str, Any] = inherited.prepare_inputs_for_generation(
            input_ids, inputs_embeds=inputs_embeds, is_first_iteration=is_first_iteration, **kwargs
        )
        if inputs_embeds is None or is_first_iteration or kwargs.get("use_cache"):
            return inputs
        new = inputs["attention_mask"].shape[1] - inputs_embeds.shape[1]
        embedded = self.get_input_embeddings()(input_ids[:, -new:]).to(inputs_embeds.dtype)
        return inputs | {"input_ids": None, "inputs_embeds": torch.cat([inputs_embeds, embedded], dim=1)}


def _head_has_bias(text_config: Any) -> bool:
    with torch.device("meta"):
        head = AutoModelForCausalLM.from_config(text_config).get_output_embeddings()
    return head.bias is not None


SEmoLLMForConditionalGeneration.register_for_auto_class("AutoModelForMultimodalLM")

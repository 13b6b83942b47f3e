"""Processor of SEmoLLM: clips to what the speech encoder reads, prompts to tokens with room for the speech."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import BatchFeature, ProcessorMixin
from transformers.utils import logging

from .clips_semollm import Samples, prepare_clip
from .configuration_semollm import SEmoLLMConfig, count_frames, shortest_input

logger = logging.get_logger(__name__)

AUDIO_TOKEN = "<|audio|>"
"""Stands for a clip in a prompt, and for each of its speech tokens once the processor has expanded it."""

CUT_WARNING = (
    "A clip was longer than {:g} s and was cut; return_clip_notes=True tells which, max_seconds= sets another limit "
    "and long_audio='window' hears all of it"
)
"""Said once by a processor whose caller sets no limit and does not ask for notes."""

FLATTEN_PARTS = (
    "{%- set flat = namespace(messages=[]) -%}"
    "{%- for message in messages -%}"
    "{%- set content = namespace(text='') -%}"
    "{%- if message['content'] is string -%}{%- set content.text = message['content'] -%}{%- else -%}"
    "{%- for part in message['content'] -%}"
    "{%- set content.text = content.text + ('AUDIO_TOKEN' if part['type'] == 'audio' else part['text']) -%}"
    "{%- endfor -%}{%- endif -%}"
    "{%- set flat.messages = flat.messages + [{'role': message['role'], 'content': content.text}] -%}"
    "{%- endfor -%}"
    "{%- set messages = flat.messages -%}"
)
"""Goes before a tokenizer's own template, which knows text only: audio parts become placeholders."""

PAPER_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'assistant' -%}"
    "{{ bos_token or '' }}{% generation %}{{ message['content'] }}{{ eos_token }}{% endgeneration %}"
    "{%- else -%}{{ message['content'] }}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ bos_token or '' }}{%- endif -%}"
)
"""The paper's order for a language model without a chat template: speech, prompt, BOS, answer, EOS."""


class SEmoLLMProcessor(ProcessorMixin):
    """Feature extractor and tokenizer of a SEmoLLM; expands each clip's placeholder to its speech tokens.

    Args:
        feature_extractor: Of the speech encoder.
        tokenizer: Of the language model; it must know ``audio_token``.
        chat_template: Jinja template; by default the tokenizer's own with audio parts, or the paper's order (speech,
            prompt, BOS, answer) when it has none.
        audio_token: Placeholder for a clip.
        num_query_tokens: Speech tokens of any clip (Q-Former); ``None`` for one per ``stack_size`` frames.
        stack_size: Frames per speech token, for ``projector="linear_stack"``.
        conv_layers: As :attr:`SEmoLLMConfig.conv_layers` gives them.
        max_seconds: Longest clip in s.

    Raises:
        ValueError: If the tokenizer does not know the placeholder.
    """

    skip_tensor_conversion = ["clip_notes"]  # noqa: RUF012

    def __init__(
        self,
        feature_extractor: Any,
        tokenizer: Any,
        chat_template: str | None = None,
        audio_token: str = AUDIO_TOKEN,
        num_query_tokens: int | None = 32,
        stack_size: int = 5,
        conv_layers: Sequence[Sequence[int]] = (),
        max_seconds: float = 12.0,
    ) -> None:
        if tokenizer.convert_tokens_to_ids(audio_token) in (None, tokenizer.unk_token_id):
            raise ValueError(
                f"The tokenizer has no token {audio_token}: add it with add_audio_token(tokenizer) and make room with "
                "model.resize_token_embeddings(len(tokenizer)), or name one that it has with audio_token="
            )
        self.audio_token = audio_token
        self.audio_token_id = tokenizer.convert_tokens_to_ids(audio_token)
        self.num_query_tokens = num_query_tokens
        self.stack_size = stack_size
        self.conv_layers = [list(layer) for layer in conv_layers]
        self.max_seconds = max_seconds
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        if hasattr(tokenizer, "legacy"):
            # Transformers 5 leaves it out of what a Llama's tokenizer saves, which then reads prompts differently.
            tokenizer.init_kwargs["legacy"] = tokenizer.legacy
        if chat_template is None:
            chat_template = with_audio_parts(tokenizer.chat_template or PAPER_TEMPLATE, audio_token)
        super().__init__(feature_extractor, tokenizer, chat_template=chat_template)

    @classmethod
    def from_config(
        cls, config: SEmoLLMConfig, feature_extractor: Any, tokenizer: Any, chat_template: str | None = None
    ) -> SEmoLLMProcessor:
        """Build the processor that fits a model; clips are limited to ``config.inference_seconds``.

        Raises:
            ValueError: If the tokenizer does not know the placeholder, or the feature extractor wants another rate than
                the encoder.
        """
        if feature_extractor.sampling_rate != config.sampling_rate:
            raise ValueError(
                f"The feature extractor is for {feature_extractor.sampling_rate} Hz, the speech encoder for "
                f"{config.sampling_rate} Hz: take the feature extractor of this encoder"
            )
        return cls(
            feature_extractor,
            tokenizer,
            chat_template=chat_template,
            audio_token=tokenizer.convert_ids_to_tokens(config.audio_token_id),
            num_query_tokens=config.num_query_tokens if config.projector == "qformer" else None,
            stack_size=config.stack_size,
            conv_layers=config.conv_layers,
            max_seconds=config.inference_seconds,
        )

    def __call__(
        self,
        text: str | Sequence[str],
        audio: Any = None,
        *,
        sampling_rate: int | Sequence[int] | None = None,
        max_seconds: float | None = None,
        long_audio: str = "cut",
        speech_frames: Sequence[int] | None = None,
        return_clip_notes: bool = False,
        return_tensors: str = "pt",
        images: None = None,
        videos: None = None,
        **tokenizer_settings: Any,
    ) -> BatchFeature:
        """Prepare prompts with any number of clips each.

        Args:
            text: Prompts, with one placeholder for each clip. Special tokens are those they hold already, as the chat
                template writes them.
            audio: The clips of all prompts in their order, or a list of them for each prompt; ``None`` for none. A clip
                is an array of shape ``(samples,)``, or of two dimensions of which the shorter one counts channels,
                which are averaged. Integer samples are scaled to -1 … 1.
            sampling_rate: Rate of the clips in Hz, one for all or one each; clips at another rate than the encoder's
                are resampled. The encoder's when ``None``.
            max_seconds: Longest clip in s; the processor's own limit when ``None``. It holds at least one frame.
            long_audio: What is done with a longer clip: ``cut`` keeps its beginning, ``window`` divides it evenly into
                windows whose speech tokens the model averages.
            speech_frames: Frames of each clip, in place of ``audio``, when the model is given ``speech_states``.
            return_clip_notes: Whether to return ``clip_notes`` as well: for each clip what was done to it (cut, padded,
                windowed), or an empty string. Take it out before the rest goes to the model. Otherwise a clip that is
                cut to the processor's own limit is warned of, once.
            return_tensors: Kind of the tensors.
            images: Not used.
            videos: Not used.
            **tokenizer_settings: To the tokenizer.

        Returns:
            ``input_ids`` and ``attention_mask``, padded on the left, shape ``(batch, tokens)``; with audio
            ``input_features`` and ``input_features_mask``; with windows ``clip_windows``.

        Raises:
            ValueError: If there are more or fewer clips than placeholders, or a clip is empty, not finite or not an
                array of samples.
        """
        if images is not None or videos is not None:
            raise ValueError("SEmoLLM reads text and audio only")
        prompts = [text] if isinstance(text, str) else list(text)
        if _is_nested(audio):
            self._match_each(prompts, audio)
        clips = _flatten(audio)
        speech: dict[str, Any] = {}
        notes: list[str] = []
        if clips:
            limit = self.max_seconds if max_seconds is None else max_seconds
            speech, speech_frames, notes = self._read(clips, sampling_rate, limit, long_audio)
        expanded = self.expand(prompts, speech_frames or [])
        if max_seconds is None and not return_clip_notes and any(note.startswith("cut") for note in notes):
            logger.warning_once(CUT_WARNING.format(self.max_seconds))
        defaults = {"padding": True, "padding_side": "left", "add_special_tokens": False}
        tokens = self.tokenizer(expanded, **defaults | tokenizer_settings)
        given = {"clip_notes": notes} if return_clip_notes else {}
        return BatchFeature(
            {**tokens, **speech, **given},
            tensor_type=return_tensors,
            skip_tensor_conversion=self.skip_tensor_conversion,
        )

    def expand(self, prompts: Sequence[str], speech_frames: Sequence[int]) -> list[str]:
        """Make room for the speech tokens of clips.

        Args:
            prompts: Prompts, with one placeholder for each clip.
            speech_frames: Frames of each clip.

        Returns:
            The prompts, each placeholder repeated as often as its clip has speech tokens.

        Raises:
            ValueError: If there are more or fewer clips than placeholders.

        Example:
            >>> processor.expand(["<|audio|>Who?"], [49])  # doctest: +SKIP
            ['<|audio|><|audio|><|audio|><|audio|>Who?']
        """
        placeholders = [prompt.count(self.audio_token) for prompt in prompts]
        if sum(placeholders) != len(speech_frames):
            raise ValueError(
                f"{len(speech_frames)} clips were given, but the prompts hold {sum(placeholders)} placeholders "
                f"{self.audio_token} ({placeholders} in each): give one clip for each audio part"
            )
        counts = iter([self.num_query_tokens or -(-frames // self.stack_size) for frames in speech_frames])
        return [re.sub(re.escape(self.audio_token), lambda _: self.audio_token * next(counts), p) for p in prompts]

    @property
    def model_input_names(self) -> list[str]:
        """Names of what the model takes from a call."""
        return ["input_ids", "attention_mask", "input_features", "input_features_mask", "clip_windows"]

    def _match_each(self, prompts: Sequence[str], audio: Sequence[Sequence[Any]]) -> None:
        """Clips given for each prompt must be as many as this prompt asks for, lest one hears those of another."""
        if len(audio) != len(prompts):
            raise ValueError(f"clips of {len(audio)} prompts were given, but there are {len(prompts)} prompts")
        for number, (prompt, clips) in enumerate(zip(prompts, audio, strict=True)):
            if prompt.count(self.audio_token) != len(clips):
                raise ValueError(
                    f"prompt {number} holds {prompt.count(self.audio_token)} placeholders {self.audio_token}, but "
                    f"{len(clips)} clips were given for it: give one clip for each audio part"
                )

    def _read(
        self, clips: Sequence[Any], sampling_rate: int | Sequence[int] | None, max_seconds: float, long_audio: str
    ) -> tuple[dict[str, Any], list[int], list[str]]:
        """Inputs of the speech encoder, frames of each clip (of its first window), and notes."""
        target = int(self.feature_extractor.sampling_rate)
        given = target if sampling_rate is None else sampling_rate
        rates = [int(rate) for rate in np.atleast_1d(given)] * (len(clips) if np.ndim(given) == 0 else 1)
        if len(rates) != len(clips):
            raise ValueError(f"{len(rates)} sampling rates were given for {len(clips)} clips")
        if long_audio == "window" and self.num_query_tokens is None:
            raise ValueError("windows can only be averaged with projector='qformer': use long_audio='cut'")
        # Whisper reads mel frames, of 160 samples each, the others the samples.
        hop = self.feature_extractor.hop_length if self._reads_mel else 1
        limits: dict[str, Any] = {"max_seconds": max_seconds, "shortest": shortest_input(self.conv_layers) * hop}
        prepared = [
            prepare_clip(clip, f"clip {i}", rate=rate, target_rate=target, long_audio=long_audio, **limits)
            for i, (clip, rate) in enumerate(zip(clips, rates, strict=True))
        ]
        windows, notes = zip(*prepared, strict=True)
        speech = self._extract([window for parts in windows for window in parts])
        lengths = speech["input_features_mask"].sum(axis=-1).tolist()
        counts = [len(parts) for parts in windows]
        firsts = np.cumsum([0, *counts[:-1]])
        if max(counts) > 1:
            speech["clip_windows"] = np.array(counts)
        return speech, [count_frames(int(lengths[first]), self.conv_layers) for first in firsts], list(notes)

    @property
    def _reads_mel(self) -> bool:
        return bool(self.feature_extractor.model_input_names[0] == "input_features")

    def _extract(self, windows: list[Samples]) -> dict[str, Any]:
        extracted = self.feature_extractor(
            windows,
            sampling_rate=self.feature_extractor.sampling_rate,
            padding="max_length" if self._reads_mel else "longest",
            return_attention_mask=True,
            return_tensors="np",
        )
        return {
            "input_features": np.asarray(extracted[self.feature_extractor.model_input_names[0]]),
            "input_features_mask": np.asarray(extracted["attention_mask"]),
        }


def with_audio_parts(chat_template: str, audio_token: str = AUDIO_TOKEN) -> str:
    """Teach a chat template for text to take audio parts.

    Args:
        chat_template: Jinja template that takes each message's content as a string.
        audio_token: Placeholder for a clip.

    Returns:
        A template that takes a list of ``{"type": "audio"}`` and ``{"type": "text", "text": ...}`` as well.
    """
    return FLATTEN_PARTS.replace("AUDIO_TOKEN", audio_token) + chat_template


def add_audio_token(tokenizer: Any, audio_token: str = AUDIO_TOKEN) -> int:
    """Add the placeholder for a clip to a tokenizer, if it is not there.

    Args:
        tokenizer: Of the language model; changed in place.
        audio_token: The placeholder.

    Returns:
        Its id, for ``SEmoLLMConfig.audio_token_id``. It may be one more than the language model has embeddings:
        ``model.resize_token_embeddings(len(tokenizer))`` makes room.
    """
    tokenizer.add_special_tokens({"additional_special_tokens": [audio_token]}, replace_extra_special_tokens=False)
    return int(tokenizer.convert_tokens_to_ids(audio_token))


def _is_nested(audio: Any) -> bool:
    return isinstance(audio, (list, tuple)) and any(isinstance(clips, (list, tuple)) for clips in audio)


def _flatten(audio: Any) -> list[Any]:
    """Clips one by one, from none, a clip, a list of them, or lists of them for each prompt."""
    if audio is None:
        return []
    if not isinstance(audio, (list, tuple)):
        return [audio]
    groups = [part if isinstance(part, (list, tuple)) else [part] for part in audio]
    return [clip for group in groups for clip in group]


SEmoLLMProcessor.register_for_auto_class()

"""From clips to speech tokens: the frozen speech encoder, and the adapter between it and the language model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from .configuration_semollm import SEmoLLMConfig, count_frames
from .qformer_semollm import SEmoLLMQFormer


class FrozenSpeechEncoder(nn.Module):
    """A speech encoder that is never trained: no gradient, and evaluation mode whatever ``train()`` says."""

    def __init__(self, config: SEmoLLMConfig) -> None:
        super().__init__()
        speech: Any = config.speech_config
        self.encoder = AutoModel.from_config(speech) if config.reads_samples else WhisperEncoder(speech)
        self.layers = config.speech_layers or list(range(config.num_speech_states))
        self.conv_layers = config.conv_layers
        self.reads_samples = config.reads_samples
        # What the others compute for a clip changes with the padding beside it: group norm is taken over time, and
        # data2vec's and batch-normed HuBERT's convolutions carry what they make of the padding into the clip.
        self.padding_changes_nothing = not config.reads_samples or (
            speech.model_type != "data2vec-audio"
            and speech.feat_extract_norm == "layer"
            and not getattr(speech, "conv_pos_batch_norm", False)
        )
        self.eval()

    def train(self, mode: bool = True) -> FrozenSpeechEncoder:
        """Stay in evaluation mode: dropout and masked frames would make the frozen states noisy."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, input_features: Tensor, input_features_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode clips; each gets the states that it gets alone.

        Args:
            input_features: Samples, shape ``(clips, samples)``, or mel spectrograms, shape ``(clips, bins, frames)``,
                padded at the end.
            input_features_mask: 1 for the clip and 0 for padding, shape ``(clips, samples or frames)``; all 1 by
                default.

        Returns:
            The chosen hidden states, shape ``(clips, layers, frames, hidden)``, 0 in the padding, and their mask
            (boolean), shape ``(clips, frames)``.
        """
        if input_features_mask is None:
            input_features_mask = torch.ones_like(input_features[:, 0] if input_features.dim() == 3 else input_features)
        input_features = input_features.to(next(self.encoder.parameters()).dtype)
        lengths = input_features_mask.long().sum(dim=-1)
        frames = count_frames(lengths, self.conv_layers)
        mask = torch.arange(int(frames.max()), device=frames.device) < frames[:, None]
        states = input_features.new_zeros(len(frames), len(self.layers), mask.shape[1], self.encoder.config.hidden_size)
        for rows in self._groups(lengths):
            length = int(lengths[rows].max())
            encoded = self._encode(input_features[rows], input_features_mask[rows], length)
            kept = min(encoded.shape[2], mask.shape[1])
            states[rows, :, :kept] = encoded[:, :, :kept].to(states.dtype)  # Autocast gives another.
        return states * mask[:, None, :, None], mask

    def _groups(self, lengths: Tensor) -> list[Tensor]:
        """Clips that may be encoded together."""
        if self.padding_changes_nothing:
            return [torch.arange(len(lengths), device=lengths.device)]
        return [(lengths == length).nonzero()[:, 0] for length in lengths.unique()]

    def _encode(self, features: Tensor, mask: Tensor, length: int) -> Tensor:
        """The chosen hidden states of some clips, shape ``(clips, layers, frames, hidden)``."""
        settings: dict[str, Any] = {"output_hidden_states": True}
        if self.reads_samples:
            features, settings["attention_mask"] = features[:, :length], mask[:, :length].long()
        # Transformers 5.10 draws a number for each layer even in evaluation: training on states that were kept must
        # draw the same numbers as training on speech.
        with torch.random.fork_rng(devices=[]):
            output = self.encoder(features, **settings)
        # The last one from here: transformers 5.23 leaves the final LayerNorm out of the last of `hidden_states`.
        states = (*output.hidden_states[:-1], output.last_hidden_state)
        return torch.stack([states[layer] for layer in self.layers], dim=1)


class LinearStackProjector(nn.Module):
    """Frames stacked by k, then a two-layer perceptron (SpeechCueLLM's linear projection)."""

    def __init__(self, config: SEmoLLMConfig) -> None:
        super().__init__()
        text: Any = config.text_config
        self.stack_size = config.stack_size
        self.hidden = nn.Linear(config.projection_input_size * config.stack_size, config.stack_hidden_size)
        self.output = nn.Linear(config.stack_hidden_size, text.hidden_size)

    def forward(self, speech: Tensor, speech_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Make speech tokens of projected frames, and their mask; the last stack is filled with zeros."""
        missing = -speech.shape[1] % self.stack_size
        speech = functional.pad(speech * speech_mask[..., None], (0, 0, 0, missing))
        mask = functional.pad(speech_mask, (0, missing)).unflatten(1, (-1, self.stack_size)).any(dim=-1)
        stacked = speech.unflatten(1, (-1, self.stack_size)).flatten(2)
        return self.output(functional.relu(self.hidden(stacked))), mask


class QFormerProjector(nn.Module):
    """Q-Former, then a linear layer to the width of the language model."""

    def __init__(self, config: SEmoLLMConfig) -> None:
        super().__init__()
        text: Any = config.text_config
        self.qformer = SEmoLLMQFormer(config)
        self.output = nn.Linear(self.qformer.query_tokens.shape[-1], text.hidden_size)

    def forward(self, speech: Tensor, speech_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Make speech tokens of projected frames, one for each query, and their mask: all true."""
        tokens = self.output(self.qformer(speech, speech_mask))
        return tokens, torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)


class SpeechAdapter(nn.Module):
    """All between speech encoder and language model: layer weights, projection, projector. All that stage 2 trains."""

    def __init__(self, config: SEmoLLMConfig) -> None:
        super().__init__()
        speech: Any = config.speech_config
        self.layer_weights = nn.Parameter(torch.zeros(config.num_speech_layers))
        if config.classifier_proj_size is None:
            self.projection: nn.Module = nn.Identity()
        else:
            self.projection = nn.Sequential(
                nn.Linear(speech.hidden_size, config.classifier_proj_size),
                nn.Dropout(config.projection_dropout),
                nn.LayerNorm(config.classifier_proj_size),
            )
        self.projector = QFormerProjector(config) if config.projector == "qformer" else LinearStackProjector(config)

    def project(self, speech_states: Tensor) -> Tensor:
        """Sum the layers by their learned weights, and project: what the Q-Former reads.

        Args:
            speech_states: Hidden states of the encoder, shape ``(clips, layers, frames, hidden)``, or their weighted
                sum already, shape ``(clips, frames, hidden)``, which leaves the layer weights without gradient.

        Returns:
            Shape ``(clips, frames, classifier_proj_size)``.
        """
        speech_states = speech_states.to(self.layer_weights.dtype)
        if speech_states.dim() == 4:
            speech_states = torch.einsum("l,clfh->cfh", self.layer_weights.softmax(dim=0), speech_states)
        projected: Tensor = self.projection(speech_states)
        return projected

    def forward(self, speech_states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Make speech tokens of encoder states.

        Args:
            speech_states: As for :meth:`project`.
            mask: 1 for the clip and 0 for padding, shape ``(clips, frames)``.

        Returns:
            Speech tokens, shape ``(clips, tokens, hidden_size of the language model)``, and their mask (boolean), shape
            ``(clips, tokens)``.
        """
        tokens: tuple[Tensor, Tensor] = self.projector(self.project(speech_states), mask.bool())
        return tokens

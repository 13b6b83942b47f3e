"""The first training stage of SEmoLLM: the Q-Former learns which captions fit which clips, without a language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.utils.generic import ModelOutput

from .configuration_semollm import SEmoLLMConfig
from .losses_semollm import (
    IGNORED,
    clip_caption_similarity,
    contrastive_loss,
    draw_hard_negatives,
    generation_losses,
    matching_losses,
    query_similarity,
    same_caption,
)
from .modeling_semollm import SEmoLLMPreTrainedModel
from .processes_semollm import from_first_process, gather_padded, gather_rows, mean_over_processes, own_rows
from .qformer_semollm import SEmoLLMQFormer
from .speech_semollm import FrozenSpeechEncoder, SpeechAdapter

CONTRAST_WIDTH = 256
"""Width in which clips and captions are compared (SEmoLLM, BLIP-2)."""

FIRST_TEMPERATURE = 0.07
TEMPERATURES = (0.001, 0.5)
"""The learned temperature is held between these, as in BLIP."""


@dataclass
class SEmoLLMPretrainingOutput(ModelOutput):
    """What :class:`SEmoLLMForPretraining` returns: the weighted sum of its three losses and each of them, in nats.

    ``query_similarity`` is the mean cosine between the queries of a clip; all have shape ``()``.
    """

    loss: Tensor | None = None
    matching_loss: Tensor | None = None
    contrastive_loss: Tensor | None = None
    generation_loss: Tensor | None = None
    query_similarity: Tensor | None = None


@dataclass(frozen=True)
class LossWeights:
    """How much each loss of stage 1 counts: SCM, SCC and SCG."""

    matching: float = 1.0
    contrastive: float = 1.0
    generation: float = 1.0


class SEmoLLMForPretraining(SEmoLLMPreTrainedModel):
    """Frozen speech encoder and adapter with the heads of stage 1.

    The three objectives are those of BLIP-2 (Li et al. 2023), as SEmoLLM uses them: speech–caption matching (SCM),
    contrast (SCC) and generation (SCG). Negatives come from the batches of all processes.

    Args:
        config: Its configuration; ``qformer_config.use_qformer_text_input`` must be set.
        weights: How much each loss counts.

    Raises:
        ValueError: If the Q-Former reads no text.
    """

    def __init__(self, config: SEmoLLMConfig, weights: LossWeights | None = None) -> None:
        super().__init__(config)
        settings: Any = config.qformer_config
        if config.projector != "qformer" or not settings.use_qformer_text_input:
            raise ValueError("stage 1 needs projector='qformer' and qformer_config.use_qformer_text_input=True")
        width = settings.hidden_size
        self.weights = weights or LossWeights()
        self.speech_encoder = FrozenSpeechEncoder(config)
        self.speech_adapter = SpeechAdapter(config)
        self.matching_head = nn.Linear(width, 2)
        self.speech_projection = nn.Linear(width, CONTRAST_WIDTH)
        self.text_projection = nn.Linear(width, CONTRAST_WIDTH)
        self.generation_head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.generation_bias = nn.Parameter(torch.zeros(settings.vocab_size))
        self.temperature = nn.Parameter(torch.tensor(FIRST_TEMPERATURE))
        self.post_init()
        self.freeze()

    def freeze(self) -> None:
        """Take the speech encoder out of training, and the layer that leads to the language model."""
        super().freeze()
        self.speech_adapter.projector.output.requires_grad_(False)

    @property
    def qformer(self) -> SEmoLLMQFormer:
        """The Q-Former."""
        projector: Any = self.speech_adapter.projector
        return cast(SEmoLLMQFormer, projector.qformer)

    def forward(
        self,
        caption_ids: Tensor,
        caption_mask: Tensor,
        decoder_ids: Tensor,
        input_features: Tensor | None = None,
        input_features_mask: Tensor | None = None,
        speech_states: Tensor | None = None,
        speech_states_mask: Tensor | None = None,
    ) -> SEmoLLMPretrainingOutput:
        """The three losses on clips and their captions.

        Args:
            caption_ids: Captions in tokens of the Q-Former, the first being ``[CLS]``, shape ``(clips, tokens)``.
            caption_mask: 1 for the caption and 0 for padding, shape ``(clips, tokens)``.
            decoder_ids: The same captions with ``[DEC]`` as the first token, shape ``(clips, tokens)``.
            input_features: Raw speech, as for ``SEmoLLMModel``: a row for each clip.
            input_features_mask: Its mask.
            speech_states: States computed before, instead of raw speech.
            speech_states_mask: Their mask, shape ``(clips, frames)``.

        Returns:
            The losses. They are means over the clips of all processes; every process holds equally many.
        """
        if speech_states is None:
            speech_states, speech_states_mask = self.speech_encoder(input_features, input_features_mask)
        speech = self.speech_adapter.project(speech_states)
        mask = torch.ones(speech.shape[:2]) if speech_states_mask is None else speech_states_mask
        mask = mask.to(speech.device, torch.bool)
        queries = self.qformer(speech, mask)
        # Padded and gathered alike, so that equal captions have equal rows.
        all_ids, all_masks = gather_padded(caption_ids, 0), gather_padded(caption_mask, 0)
        same = same_caption(all_ids * all_masks)
        similarity = self._similarity(queries, caption_ids, caption_mask)
        self._hold_temperature()
        contrastive = contrastive_loss(similarity, same, self.temperature)
        captions, usable = draw_hard_negatives(similarity, same, self.temperature)
        clips, _ = draw_hard_negatives(similarity.T, same, self.temperature)
        wrong = (from_first_process(captions), from_first_process(clips), usable)
        matching = self._matching(speech, mask, all_ids, all_masks, wrong)
        generation = self._generation(speech, mask, caption_ids, caption_mask, decoder_ids)
        weights = self.weights
        return SEmoLLMPretrainingOutput(
            loss=weights.matching * matching + weights.contrastive * contrastive + weights.generation * generation,
            matching_loss=matching.detach(),
            contrastive_loss=contrastive.detach(),
            generation_loss=generation.detach(),
            query_similarity=query_similarity(queries.detach()),
        )

    @torch.no_grad()
    def _hold_temperature(self) -> None:
        """Hold the parameter itself: no gradient would bring it back once it had left the bounds of a clamped copy."""
        self.temperature.clamp_(*TEMPERATURES)

    def _similarity(self, queries: Tensor, caption_ids: Tensor, caption_mask: Tensor) -> Tensor:
        """Of all clips to all captions, shape ``(rows, rows)`` with the rows of all processes."""
        text = self.qformer(input_ids=caption_ids, attention_mask=caption_mask)[:, 0]
        clips = functional.normalize(self.speech_projection(queries), dim=-1)
        captions = functional.normalize(self.text_projection(text), dim=-1)
        return clip_caption_similarity(gather_rows(clips), gather_rows(captions))

    def _matching(
        self, speech: Tensor, mask: Tensor, all_ids: Tensor, all_masks: Tensor, wrong: tuple[Tensor, Tensor, Tensor]
    ) -> Tensor:
        """SCM on the own pairs, on own captions with wrong clips, and on own clips with wrong captions."""
        rows = own_rows(len(speech))
        all_speech, all_speech_masks = gather_padded(speech, 0.0), gather_padded(mask.long(), 0).bool()
        captions, clips, usable = (drawn[rows] for drawn in wrong)
        own = torch.arange(rows.start, rows.stop, device=speech.device)
        of_clip = torch.cat([own, clips[usable], own[usable]])
        of_caption = torch.cat([own, own[usable], captions[usable]])
        fits = (torch.arange(len(of_clip), device=speech.device) < len(own)).long()
        states = self.qformer(
            all_speech[of_clip], all_speech_masks[of_clip], all_ids[of_caption], all_masks[of_caption]
        )
        logits = self.matching_head(states[:, : self.config.num_query_tokens])
        return mean_over_processes(matching_losses(logits, fits))

    def _generation(
        self, speech: Tensor, mask: Tensor, caption_ids: Tensor, caption_mask: Tensor, decoder_ids: Tensor
    ) -> Tensor:
        """SCG: the caption, each token from the queries and from the tokens before it."""
        logits = self.caption_logits(speech, mask, decoder_ids, caption_mask)
        labels = caption_ids.masked_fill(caption_mask == 0, IGNORED)
        return mean_over_processes(generation_losses(logits, labels))

    def caption_logits(self, speech: Tensor, mask: Tensor, decoder_ids: Tensor, caption_mask: Tensor) -> Tensor:
        """What the Q-Former expects after each token of a caption.

        Args:
            speech: What the queries read, from ``speech_adapter.project``, shape ``(clips, frames, width)``.
            mask: True for frames of the clip, shape ``(clips, frames)``.
            decoder_ids: Captions that begin with ``[DEC]``, shape ``(clips, tokens)``.
            caption_mask: 1 for the caption and 0 for padding, shape ``(clips, tokens)``.

        Returns:
            Logits, shape ``(clips, tokens, vocabulary)``.
        """
        states = self.qformer(speech, mask, decoder_ids, caption_mask, causal=True)
        text = states[:, self.config.num_query_tokens :]
        return functional.linear(self.generation_head(text), self.qformer.word_embeddings.weight, self.generation_bias)


SEmoLLMForPretraining.register_for_auto_class("AutoModelForPreTraining")

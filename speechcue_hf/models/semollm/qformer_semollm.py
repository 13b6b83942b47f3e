"""The Q-Former of BLIP-2: learned queries that read speech, beside text that shares their self-attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel

from .configuration_semollm import SEmoLLMConfig


class SEmoLLMQFormer(nn.Module):
    """Queries that read speech through cross-attention in every second layer (Li et al. 2023, BLIP-2).

    The layers are those of ``transformers.Blip2QFormerModel``: queries and text share the self-attention, each has its
    own feed-forward. This module adds the queries, the word embeddings (with ``use_qformer_text_input`` only) and the
    masks of the four ways to use it:

    =================  ==========================================================  ============================
    given              who attends to what                                         for
    =================  ==========================================================  ============================
    speech             queries to queries and speech                               the language model, contrast
    text               text to text, in both directions                            contrast (SCC)
    speech, text       queries and text to each other                              matching (SCM)
    the same, causal   queries to queries, text to queries and earlier text        caption generation (SCG)
    =================  ==========================================================  ============================

    The causal way equals BLIP-2's text decoding over the queries' cached keys, in one pass.
    """

    def __init__(self, config: SEmoLLMConfig) -> None:
        super().__init__()
        settings: Any = config.qformer_config
        self.query_tokens = nn.Parameter(torch.empty(1, config.num_query_tokens, settings.hidden_size))
        self.layers = AutoModel.from_config(settings)
        self.reads_text = bool(settings.use_qformer_text_input)
        if self.reads_text:
            self.word_embeddings = nn.Embedding(settings.vocab_size, settings.hidden_size, settings.pad_token_id)
            self.position_embeddings = nn.Embedding(settings.max_position_embeddings, settings.hidden_size)

    def forward(
        self,
        speech: Tensor | None = None,
        speech_mask: Tensor | None = None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """Run queries, text, or both.

        Args:
            speech: What the queries read, shape ``(clips, frames, encoder_hidden_size)``.
            speech_mask: 1 for frames of the clip and 0 for padding, shape ``(clips, frames)``; all 1 by default.
            input_ids: Text in tokens of the Q-Former's own vocabulary, shape ``(clips, text)``.
            attention_mask: 1 for text and 0 for padding, shape ``(clips, text)``; all 1 by default.
            causal: Whether text sees only what comes before it, as for caption generation.

        Returns:
            Last hidden states, the queries' first, then the text's: shape ``(clips, queries + text, hidden_size)``,
            with ``queries`` 0 when no speech is given.

        Raises:
            ValueError: If neither speech nor text is given, or text to a Q-Former without text input.
        """
        parts = []
        if speech is not None:
            parts.append(self.query_tokens.expand(len(speech), -1, -1))
        if input_ids is not None:
            parts.append(self._embed(input_ids))
        if not parts:
            raise ValueError("give the Q-Former speech, text or both")
        embeddings = torch.cat(parts, dim=1)
        queries = 0 if speech is None else self.query_tokens.shape[1]
        visible = _visible(embeddings, queries, attention_mask, causal)
        states: Tensor = self.layers(
            query_embeds=embeddings,
            query_length=queries,
            attention_mask=_additive(visible[:, None], self.query_tokens.dtype),
            encoder_hidden_states=speech,
            encoder_attention_mask=None
            if speech_mask is None
            else _additive(speech_mask.bool()[:, None, None], self.query_tokens.dtype),
        ).last_hidden_state
        return states

    def _embed(self, input_ids: Tensor) -> Tensor:
        if not self.reads_text:
            raise ValueError("this Q-Former reads no text: set qformer_config.use_qformer_text_input for stage 1")
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        embedded: Tensor = self.word_embeddings(input_ids) + self.position_embeddings(positions)
        return embedded


def _visible(embeddings: Tensor, queries: int, text_mask: Tensor | None, causal: bool) -> Tensor:
    """Who may attend to whom, queries before text: boolean, shape ``(clips, length, length)``."""
    keys = torch.ones(embeddings.shape[:2], dtype=torch.bool, device=embeddings.device)
    if text_mask is not None:
        keys[:, queries:] = text_mask.bool()
    visible = keys[:, None].expand(-1, keys.shape[1], -1)
    if not causal:
        return visible
    earlier = torch.ones_like(visible[0]).tril()
    earlier[:queries, :queries] = True
    return visible & earlier


def _additive(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """The mask as what is added to attention scores: 0, or the least number there is."""
    return torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill(~visible, torch.finfo(dtype).min)

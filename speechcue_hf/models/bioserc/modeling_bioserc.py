"""BiosERC's encoder classifier: every utterance of a dialogue gets its emotion, from itself and the turns around it.

After Xue et al., "BiosERC: Integrating Biography Speakers Supported by LLMs for ERC Tasks" (ICANN 2024), with masks
that hold for any number of dialogues in a batch and, by default, hide later turns; as released where the design is
``"paper"``. Also loaded from the Hub as remote code, so it imports nothing of this package but its configuration.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel, PreTrainedModel
from transformers.modeling_outputs import TokenClassifierOutput

from .configuration_bioserc import BiosErcConfig

ROWS_PER_PASS = 32
"""Texts that go through the encoder together, sorted by length first, so that few of their tokens are padding."""


FARTHEST = 8.0
"""Standardised inputs are clipped here: a single odd value of an encoder would outweigh all others."""

SMALLEST = 1e-6
"""Share of the largest deviation below which a column does not vary: MiniLM's vectors have one that deviates by 1e-32,
and a gradient that is divided by that leaves nothing of all others when they are clipped."""

POSITIONS = 0.3
"""Scale of the positions beside the utterances, in the standardised design."""


class Standardisation(nn.Module):
    """Inputs less their mean over the training rows, in standard deviations of those; 0 where there is no value."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def fit(self, rows: Tensor) -> None:
        """Take mean and standard deviation of each column of rows, NaN where there is no value.

        Args:
            rows: Shape ``(rows, width)``. A column that does not vary is only centred.
        """
        rows = rows.double()
        mean = rows.nanmean(0).nan_to_num(0.0)
        deviation = (rows - mean).square().nanmean(0).sqrt()
        self.mean.copy_(mean)
        self.deviation.copy_(torch.where(deviation > SMALLEST * deviation.max(), deviation, 1.0))

    def forward(self, values: Tensor) -> Tensor:
        """Standardise values of shape ``(..., width)``."""
        standardised = (values - self.mean) / self.deviation
        return standardised.clamp(-FARTHEST, FARTHEST).nan_to_num(0.0)


_SPEAKERS = ("same_speaker", "other_speakers")


class MaskedAttention(nn.Module):
    """Multi-head attention that each query limits to the keys it may see; a query that may see none gets zeros."""

    def __init__(
        self, query_width: int, key_width: int, width: int, *, heads: int, dropout: float, mixes: bool = True
    ) -> None:
        super().__init__()
        self.query = nn.Linear(query_width, width)
        self.key = nn.Linear(key_width, width)
        self.value = nn.Linear(key_width, width)
        self.output = nn.Linear(width, width) if mixes else nn.Identity()
        self.heads = heads
        self.dropout = dropout

    def forward(self, queries: Tensor, keys: Tensor, visible: Tensor) -> Tensor:
        """Attend to keys, which are the values too, where ``visible``, shape ``(batch, queries, keys)``, is True."""
        sees_any = visible.any(-1, keepdim=True)
        mixed = functional.scaled_dot_product_attention(
            self._split(self.query(queries)),
            self._split(self.key(keys)),
            self._split(self.value(keys)),
            # A softmax over nothing would be NaN, in the gradient too: it sees all here, and counts for nothing below.
            attn_mask=(visible | ~sees_any).unsqueeze(1),
            dropout_p=self.dropout if self.training else 0.0,
        )
        joined: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return joined * sees_any

    def _split(self, vectors: Tensor) -> Tensor:
        """From ``(batch, rows, width)`` to ``(batch, heads, rows, width / heads)``."""
        by_head: Tensor = vectors.unflatten(-1, (self.heads, -1))
        return by_head.transpose(1, 2)


class BiosErcForUtteranceClassification(PreTrainedModel):
    """Encoder, layers over the dialogue, and one linear head for each view of an utterance; the logits are their sum.

    The views: the utterance itself, the utterance after a transformer layer over the dialogue, attention of that to the
    turns of the same speaker, attention to those of the others, and, if asked for, biographies.

    Where this package is imported, ``AutoModel`` and ``AutoModelForSequenceClassification`` load a saved one. Without
    the package ``AutoModelForSequenceClassification.from_pretrained(..., trust_remote_code=True)`` does.
    """

    config: BiosErcConfig
    config_class = BiosErcConfig
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _supports_sdpa = True

    def __init__(self, config: BiosErcConfig) -> None:
        super().__init__(config)
        paper, width = config.design == "paper", config.layer_width
        read, half, labels = config.encoder_config.hidden_size, width // 2, len(config.label_names)
        shape: dict[str, Any] = {"heads": config.num_attention_heads, "dropout": config.dropout, "mixes": not paper}
        inputs, views = {"utterance": read}, {"utterance": width, "dialogue": width} | dict.fromkeys(_SPEAKERS, half)
        self.encoder = _set_pooler(AutoModel.from_config(config.encoder_config), config)
        self.utterance = nn.Linear(read, width)
        if config.cues != "none":
            inputs["cues"] = len(config.cue_names) if config.cues == "z_scores" else read
            # Beside each z-score stands whether it was measured.
            self.cues = nn.Linear(2 * inputs["cues"] if config.cues == "z_scores" else read, width, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self.dialogue = _dialogue_layer(config)
        spoken = half if paper else width
        self.same_speaker = MaskedAttention(spoken, spoken, half, **shape)
        self.other_speakers = MaskedAttention(spoken, spoken, half, **shape)
        if config.biographies != "none":
            inputs["biography"] = views["biography"] = read
        if config.biographies == "attention":
            views["biography"] = width if paper else half
            self.biographies = MaskedAttention(width + read, read, views["biography"], **shape)
        if config.design == "standardised":
            self.inputs = nn.ModuleDict({name: Standardisation(size) for name, size in inputs.items()})
            self.input_dropout = nn.Dropout(config.input_dropout)
            self.speaker_change = nn.Embedding(3, width)
            self.norm = nn.LayerNorm(width)
        if paper:
            self.narrowed = nn.ModuleDict({name: nn.Linear(width, half) for name in _SPEAKERS})
        self.heads = nn.ModuleDict({name: nn.Linear(size, labels) for name, size in views.items()})
        self.post_init()
        self.freeze()

    def _init_weights(self, module: nn.Module) -> None:
        """Start as PyTorch's layers do, by what they read: starts of 0.02 would leave the narrower views near zero."""
        if self.config.design == "plain":
            super()._init_weights(module)
        else:
            starts: Any = getattr(module, "reset_parameters", getattr(module, "_reset_parameters", lambda: None))
            starts()

    @classmethod
    def from_encoder(
        cls, source: str, *, revision: str = "main", design: str = "plain", **settings: Any
    ) -> BiosErcForUtteranceClassification:
        """Put a new classifier on a pretrained encoder.

        In the standardised design, :meth:`fit_inputs` is to be called before training.

        Args:
            source: Hub id or folder of the encoder, or of a classifier of this class, whose encoder is taken.
            revision: Branch, tag or commit on the Hub.
            design: Of the layers over it, as :class:`BiosErcConfig` has it.
            **settings: The others of :class:`BiosErcConfig`, but ``encoder_config``.

        Returns:
            The model, in single precision, its heads random.

        Raises:
            ValueError: If a setting does not fit the encoder, or it cannot read whole dialogues and is to.
            OSError: If there is no such encoder, or no access to it.
        """
        pretrained = AutoModel.from_pretrained(source, revision=revision, dtype=torch.float32)
        # One that was trained before may have had lower layers frozen; this one says itself which it freezes.
        encoder = (pretrained.encoder if isinstance(pretrained, cls) else pretrained).requires_grad_(True)
        # Otherwise the saved config would tell where the encoder lay on this machine.
        encoder.config._name_or_path = ""
        model = cls(BiosErcConfig(encoder_config=encoder.config, design=design, **settings))
        model.encoder = _set_pooler(encoder, model.config)
        model.freeze()
        if model.config.reading == "dialogue" and not _hides_tokens(model.encoder):
            raise ValueError(
                f"a {encoder.config.model_type!r} encoder takes no mask over pairs of tokens, so it cannot read "
                "dialogues at once without seeing later turns: use reading='windows'"
            )
        return model

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """Load as any model of transformers, with the encoder's lower layers frozen again.

        Raises:
            ValueError: If it is a checkpoint that leaves out the frozen encoder.
        """
        wants_report = kwargs.pop("output_loading_info", False)
        loaded: Any = super().from_pretrained(*args, output_loading_info=True, **kwargs)
        model, report = loaded
        if any(name.startswith("encoder.") for name in report["missing_keys"]):
            raise ValueError(
                "this is a checkpoint, which leaves out the frozen encoder: load the folder of the finished run, or "
                "go on with the run"
            )
        model.freeze()
        return (model, report) if wants_report else model

    def freeze(self) -> None:
        """Take the encoder's embeddings and lowest layers out of training, as ``config.frozen_layers`` says."""
        frozen, layers = self.config.frozen_layers, self.config.encoder_config.num_hidden_layers
        if frozen:
            self.encoder.requires_grad_(False)
        if 0 < frozen < layers:
            stacks = [it for it in self.encoder.modules() if isinstance(it, nn.ModuleList) and len(it) == layers]
            if not stacks:
                raise ValueError(f"the encoder's layers share weights: freeze 0 or {layers} of them, not {frozen}")
            stacks[0][frozen:].requires_grad_(True)
            if self.config.pools_biographies:
                self.encoder.pooler.requires_grad_(True)

    def fit_inputs(self, **rows: Tensor) -> None:
        """Standardise what the layers read by training rows; nothing to do in the designs that take it as it is.

        Args:
            **rows: ``utterance`` and, as the model reads them, ``cues`` (z-scores, or vectors of descriptions) and
                ``biography``, each of shape ``(rows, width)``.
        """
        if self.config.design == "standardised":
            for name in self.inputs:
                self._standardisation(name).fit(_absent_as_nan(rows[name]))

    def train(self, mode: bool = True) -> BiosErcForUtteranceClassification:
        """Switch between training and evaluation; a wholly frozen encoder stays in evaluation."""
        super().train(mode)
        if self.config.encoder_is_frozen:
            self.encoder.eval()
        return self

    @property
    def token_limit(self) -> int:
        """Most tokens of one text: ``config.max_tokens``, or what the encoder has positions for if that is less."""
        tables = [it for name, it in self.encoder.named_modules() if name.endswith("position_embeddings")]
        positions: int = self.config.encoder_config.max_position_embeddings
        if tables and tables[0].padding_idx is not None:
            # RoBERTa and its kin count positions from after the one of the padding.
            positions = tables[0].num_embeddings - tables[0].padding_idx - 1
        return min(positions, self.config.max_tokens or positions)

    def encode(self, input_ids: Tensor, attention_mask: Tensor, span_mask: Tensor | None) -> Tensor:
        """Read texts with the encoder, each with the mean over its span.

        Args:
            input_ids: Token ids, shape ``(dialogues, texts, tokens)``.
            attention_mask: 0 on padding; all 0 for a text that is not there, shape ``(dialogues, texts, tokens)``.
            span_mask: 1 on the tokens that are averaged, shape ``(dialogues, texts, tokens)``; None: the output of the
                encoder's layer over the first token, in place of a mean.

        Returns:
            Shape ``(dialogues, texts, encoder width)``; zeros for a text that is not there.
        """
        lengths = attention_mask.sum(-1).flatten()
        order = lengths.argsort(stable=True)[int((lengths == 0).sum()) :]
        ids, exists = input_ids.flatten(0, 1), attention_mask.flatten(0, 1)
        averaged = None if span_mask is None else span_mask.flatten(0, 1)
        parts = []
        for rows in order.split(ROWS_PER_PASS):
            longest = int(lengths[rows].max())
            spans = None if averaged is None else averaged[rows, :longest]
            parts.append(self._vectors(ids[rows, :longest], exists[rows, :longest], spans))
        means = torch.cat(parts) if len(order) else self.utterance.weight.new_zeros(0, self.utterance.in_features)
        empty = means.new_zeros(len(lengths), means.shape[-1])
        return empty.index_copy(0, order, means).view(*input_ids.shape[:2], -1)

    def encode_utterances(
        self,
        speakers: Tensor,
        input_ids: Tensor,
        attention_mask: Tensor,
        span_mask: Tensor,
        token_turns: Tensor | None = None,
    ) -> Tensor:
        """Read the utterances of some dialogues, in the way that ``config.reading`` says.

        Arguments are as for :meth:`forward`; of the speakers only the shape counts.

        Returns:
            Shape ``(dialogues, utterances, encoder width)``.
        """
        if token_turns is None:
            return self.encode(input_ids, attention_mask, span_mask)
        rows = attention_mask.flatten(0, 1).any(-1)
        ids, exists, averaged, turns = (
            tensor.flatten(0, 1)[rows] for tensor in (input_ids, attention_mask.bool(), span_mask.bool(), token_turns)
        )
        back = turns.unsqueeze(2) - turns.unsqueeze(1)
        visible = (back <= self.config.context_before) & (back >= -self.config.context_after) & exists.unsqueeze(1)
        states = self.encoder(input_ids=ids, attention_mask=_pair_mask(visible, self.encoder.dtype)).last_hidden_state
        dialogue = torch.arange(len(speakers), device=ids.device).repeat_interleave(input_ids.shape[1])[rows]
        utterance = dialogue.unsqueeze(1) * speakers.shape[1] + turns
        means = _group_means(states[averaged], utterance[averaged], speakers.numel())
        return means.view(*speakers.shape, -1)

    def forward(
        self,
        speakers: Tensor,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        span_mask: Tensor | None = None,
        token_turns: Tensor | None = None,
        utterance_vectors: Tensor | None = None,
        cues: Tensor | None = None,
        description_ids: Tensor | None = None,
        description_mask: Tensor | None = None,
        description_vectors: Tensor | None = None,
        own_biography: Tensor | None = None,
        visible_biographies: Tensor | None = None,
        biography_ids: Tensor | None = None,
        biography_mask: Tensor | None = None,
        biography_vectors: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> TokenClassifierOutput:
        """Judge every utterance of some dialogues. Texts come as tokens, or as the vectors that :meth:`encode` made.

        Args:
            speakers: Number of each utterance's speaker, one number per person in a dialogue, −1 where a shorter
                dialogue is padded, shape ``(dialogues, utterances)``.
            input_ids: Each utterance between its marks, with its context, shape ``(dialogues, utterances, tokens)``.
            attention_mask: 0 on padding, same shape.
            span_mask: 1 on the tokens of the utterance itself, same shape.
            token_turns: The turn that each token belongs to, same shape; if given, a text holds turns of a whole
                dialogue, and each sees those that the settings let it see.
            utterance_vectors: In place of these three, shape ``(dialogues, utterances, encoder width)``.
            cues: z-scores, NaN where not measured, shape ``(dialogues, utterances, cues)``.
            description_ids: Descriptions of the voice, shape ``(dialogues, utterances, tokens)``.
            description_mask: 0 on padding, same shape.
            description_vectors: In place of these two, shape ``(dialogues, utterances, encoder width)``.
            own_biography: Which of the dialogue's biographies is the speaker's, −1 for none, shape
                ``(dialogues, utterances)``.
            visible_biographies: Which an utterance may attend to, boolean, shape
                ``(dialogues, utterances, biographies)``.
            biography_ids: Shape ``(dialogues, biographies, tokens)``.
            biography_mask: 0 on padding, same shape.
            biography_vectors: In place of these two, shape ``(dialogues, biographies, encoder width)``.
            labels: Class ids, −100 where there is no loss, shape ``(dialogues, utterances)``.

        Returns:
            ``logits``, shape ``(dialogues, utterances, labels)``, and with ``labels`` the mean cross-entropy as
            ``loss``, 0 where nothing is labelled.

        Raises:
            ValueError: If something is not given that the model's settings say it reads.
        """
        if utterance_vectors is None:
            utterance_vectors = self.encode_utterances(
                speakers,
                _needed("input_ids", input_ids),
                _needed("attention_mask", attention_mask),
                _needed("span_mask", span_mask),
                token_turns,
            )
        hidden = self.utterance(self._standardised("utterance", utterance_vectors))
        if self.config.cues != "none":
            hidden = hidden + self._voice(cues, description_ids, description_mask, description_vectors)
        paper = self.config.design == "paper"
        utterances = torch.tanh(hidden) if paper else self.dropout(torch.tanh(hidden))
        views = self._views(utterances, speakers)
        if self.config.biographies != "none":
            texts = self.encode_texts("biography", biography_ids, biography_mask, biography_vectors)
            views["biography"] = self._biography_view(
                utterances,
                self._standardised("biography", _absent_as_nan(texts)),
                _needed("own_biography", own_biography),
                _needed("visible_biographies", visible_biographies),
            )
        logits = sum(self.heads[name](self.dropout(view) if paper else view) for name, view in views.items())
        loss = None if labels is None else _mean_cross_entropy(logits, labels)
        return TokenClassifierOutput(loss=loss, logits=logits)

    def encode_texts(self, name: str, ids: Tensor | None, mask: Tensor | None, vectors: Tensor | None) -> Tensor:
        """Vectors of whole texts, unless they are given: the mean over their tokens, or pooled biographies.

        Args:
            name: ``"description"`` or ``"biography"``.
            ids: Shape ``(dialogues, texts, tokens)``.
            mask: 0 on padding, same shape.
            vectors: In place of these two.

        Returns:
            Shape ``(dialogues, texts, encoder width)``; zeros for a text that is not there.

        Raises:
            ValueError: If neither is given.
        """
        if vectors is not None:
            return vectors
        known = _needed(f"{name}_mask", mask)
        pooled = name == "biography" and self.config.pools_biographies
        return self.encode(_needed(f"{name}_ids", ids), known, None if pooled else known)

    def _standardisation(self, name: str) -> Standardisation:
        """That of one input."""
        inputs: Any = self.inputs
        standardisation: Standardisation = inputs[name]
        return standardisation

    def _standardised(self, name: str, values: Tensor) -> Tensor:
        """Inputs as the layers read them, 0 where there is no value."""
        if self.config.design != "standardised":
            return values.nan_to_num(0.0)
        kept: Tensor = self.input_dropout(self._standardisation(name)(values))
        return kept

    def _voice(self, cues: Tensor | None, ids: Tensor | None, mask: Tensor | None, vectors: Tensor | None) -> Tensor:
        """What the speech cues of each utterance add to it."""
        if self.config.cues == "z_scores":
            measured = _needed("cues", cues)
            read = torch.cat([self._standardised("cues", measured), measured.isfinite().to(measured.dtype)], dim=-1)
        else:
            texts = self.encode_texts("description", ids, mask, vectors)
            read = self._standardised("cues", _absent_as_nan(texts))
        added: Tensor = self.cues(read)
        return added

    def _views(self, utterances: Tensor, speakers: Tensor) -> dict[str, Tensor]:
        """What the dialogue makes of each utterance, by head."""
        exists = speakers >= 0
        turns = torch.arange(speakers.shape[1], device=speakers.device)
        visible = exists.unsqueeze(1) & exists.unsqueeze(2)
        if self.config.causal:
            visible = visible & (turns <= turns.unsqueeze(1))
        same = speakers.unsqueeze(1) == speakers.unsqueeze(2)
        # Padding sees itself, since a softmax over nothing would be NaN.
        hidden = ~(visible | torch.eye(len(turns), dtype=torch.bool, device=speakers.device))
        places = sinusoidal_positions(turns, utterances.shape[-1]).to(utterances.dtype)
        if self.config.design == "standardised":
            places = POSITIONS * places + self.speaker_change(_speaker_changes(speakers))
        masks = hidden.repeat_interleave(self.config.num_attention_heads, dim=0)
        dialogue = self.dialogue(utterances + places, src_mask=masks)
        if self.config.design == "standardised":
            dialogue = self.norm(dialogue)
        views = {"utterance": utterances, "dialogue": dialogue}
        for name, sees in zip(_SPEAKERS, (visible & same, visible & ~same), strict=True):
            read = self.narrowed[name](utterances) if self.config.design == "paper" else dialogue
            views[name] = getattr(self, name)(read, read, sees)
        return views

    def _biography_view(self, utterances: Tensor, biographies: Tensor, own: Tensor, visible: Tensor) -> Tensor:
        """The speaker's own biography, or what utterance and own biography attend to among all."""
        index = own.clamp(min=0).unsqueeze(-1).expand(-1, -1, biographies.shape[-1])
        mine = biographies.gather(1, index) * (own >= 0).unsqueeze(-1)
        if self.config.biographies == "static":
            return mine
        attended: Tensor = self.biographies(torch.cat([utterances, mine], dim=-1), biographies, visible)
        return attended

    def _vectors(self, input_ids: Tensor, attention_mask: Tensor, span_mask: Tensor | None) -> Tensor:
        """One vector for each text."""
        output = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
        if span_mask is None:
            pooled: Tensor = output.pooler_output
            return pooled
        weights = span_mask.to(output.last_hidden_state.dtype).unsqueeze(-1)
        means: Tensor = (output.last_hidden_state * weights).sum(1) / weights.sum(1)
        return means


def _needed(name: str, tensor: Tensor | None) -> Tensor:
    if tensor is None:
        raise ValueError(f"the model's settings say that it reads {name}, which is not given")
    return tensor


def _mean_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the labelled utterances; 0 where there is none, which would be NaN."""
    total = functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), reduction="sum")
    return total / (labels != -100).sum().clamp(min=1)


def sinusoidal_positions(turns: Tensor, width: int) -> Tensor:
    """Positions as sines and cosines of falling frequency, for dialogues of any length (Vaswani et al. 2017).

    Args:
        turns: Positions, shape ``(turns,)``.
        width: Even number of values.

    Returns:
        Shape ``(turns, width)``: sines in the even columns, cosines in the odd ones.
    """
    rates = torch.exp(torch.arange(0, width, 2, device=turns.device) * (-math.log(10000.0) / width))
    angles = turns.unsqueeze(1) * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def _pair_mask(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to each query's scores so that it sees these keys only, shape ``(texts, 1, tokens, tokens)``."""
    # Padding sees itself, since a softmax over nothing would be NaN.
    hidden = ~(visible | torch.eye(visible.shape[-1], dtype=torch.bool, device=visible.device))
    return torch.zeros_like(hidden, dtype=dtype).masked_fill(hidden, torch.finfo(dtype).min).unsqueeze(1)


def _group_means(states: Tensor, group: Tensor, groups: int) -> Tensor:
    """Mean of the states of each group, shape ``(groups, width)``; zeros for one without any."""
    sums = states.new_zeros(groups, states.shape[-1]).index_add(0, group, states)
    counts = states.new_zeros(groups, 1).index_add(0, group, states.new_ones(len(group), 1))
    return sums / counts.clamp(min=1)


def _hides_tokens(encoder: Any) -> bool:
    """Whether a mask over pairs of tokens keeps what comes second from what comes first."""
    ids = torch.tensor([[0, 0], [0, 1]], device=encoder.device)
    visible = torch.ones(2, 2, 2, dtype=torch.bool, device=encoder.device).tril()
    try:
        with torch.inference_mode():
            states = encoder(input_ids=ids, attention_mask=_pair_mask(visible, encoder.dtype)).last_hidden_state
    except (IndexError, RuntimeError, ValueError):
        return False
    return torch.allclose(states[0, 0], states[1, 0], atol=1e-5)


def _set_pooler(encoder: Any, config: BiosErcConfig) -> Any:
    """Drop the layer over the first token that some encoders bring, unless the model reads biographies by it."""
    has_pooler = dict(encoder.named_children()).get("pooler") is not None
    if config.pools_biographies and not has_pooler:
        raise ValueError(
            f"a {encoder.config.model_type!r} encoder has no layer over its first token, by which design 'paper' reads "
            "biographies: take BERT or RoBERTa, or another design"
        )
    if has_pooler and not config.pools_biographies:
        encoder.pooler = None
    return encoder


def _dialogue_layer(config: BiosErcConfig) -> nn.TransformerEncoderLayer:
    """The layer in which the turns of a dialogue see each other."""
    width, heads = config.layer_width, config.num_attention_heads
    if config.design == "paper":
        # What PyTorch makes unless it is told otherwise: BiosERC does not tell it.
        return nn.TransformerEncoderLayer(width, heads, batch_first=True)
    better: dict[str, Any] = {"norm_first": True, "activation": "gelu"} if config.design == "standardised" else {}
    return nn.TransformerEncoderLayer(width, heads, 4 * width, config.dropout, batch_first=True, **better)


def _absent_as_nan(vectors: Tensor) -> Tensor:
    """Vectors of texts, NaN in place of the zeros of one that is not there."""
    return vectors.masked_fill((vectors == 0).all(-1, keepdim=True), torch.nan)


def _speaker_changes(speakers: Tensor) -> Tensor:
    """0 for a dialogue's first turn, 1 where another speaks than before, 2 where the same goes on."""
    goes_on = 1 + (speakers[:, 1:] == speakers[:, :-1]).long()
    return functional.pad(goes_on, (1, 0))


BiosErcForUtteranceClassification.register_for_auto_class("AutoModelForSequenceClassification")

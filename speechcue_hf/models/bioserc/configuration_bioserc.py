"""Settings of BiosERC's encoder classifier; loaded from the Hub as remote code too, so it imports transformers only."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, PreTrainedConfig

ROBERTA_LARGE = {
    "model_type": "roberta",
    "vocab_size": 50265,
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
}

CHOICES = {
    "design": ("standardised", "paper", "plain"),
    "reading": ("windows", "dialogue"),
    "biographies": ("none", "static", "attention"),
    "biography_scope": (None, "history", "dialogue"),
    "cues": ("none", "z_scores", "description"),
}
FEWEST_TOKENS = 8


class BiosErcConfig(PreTrainedConfig):
    """Settings of :class:`BiosErcForUtteranceClassification`; ``id2label`` or ``num_labels`` set the labels.

    Args:
        encoder_config: Of the text encoder, any that ``AutoModel`` builds; RoBERTa-large by default.
        design: Of the layers over the encoder. ``"plain"``: they read its vectors as they are. ``"standardised"``: what
            they read is standardised by the training rows, so they learn whatever the scale of its vectors.
            ``"paper"``: those of BiosERC's released model, which reads names and marks as that does.
        width: Of the layers over the encoder; None: the encoder's.
        reading: ``"windows"``: the encoder reads each utterance by itself, in its context, as BiosERC does.
            ``"dialogue"``: it reads a dialogue once, at the cost of windows of one turn. In each of its layers a turn
            sees what its window would hold, so through several layers it sees turns that those saw. The encoder must
            take a mask over pairs of tokens, as BERT and RoBERTa do.
        speaker_names: Whether the encoder reads ``Ross: `` before what Ross says; in the paper's design BiosERC's own
            names, ``MARY: `` on IEMOCAP and ``SPEAKER_0: `` elsewhere.
        context_before: Turns before the target that the encoder reads with it.
        context_after: Turns after the target that it reads; more than 0 sees the future.
        max_tokens: Most tokens of target and context, marks among them; None: as many as the encoder has positions for.
        causal: Whether the layers over the dialogue see the turns up to the target only; false sees the future.
        num_attention_heads: Of every attention over the dialogue; divides half the width of its layers.
        dropout: Share of values dropped in training, in all layers over the encoder.
        input_dropout: Share of the standardised inputs dropped in training.
        frozen_layers: How many of the encoder's layers, counted from below, are not trained; with the first of them its
            embeddings, with the last the whole encoder.
        biographies: ``"none"``; ``"static"`` adds a head on the speaker's own; ``"attention"`` attends from utterance
            and own biography to those of the dialogue.
        biography_scope: What they were written from: ``"history"``, or ``"dialogue"``, which sees the future.
        cues: ``"none"``; ``"z_scores"`` of the measurements ``cue_names``; ``"description"``, their sentence, read by
            the same encoder.
        cue_names: Columns of the z-scores, in order.

    Raises:
        ValueError: If a setting is not one of those.
    """

    model_type = "bioserc"
    sub_configs = {"encoder_config": AutoConfig}  # noqa: RUF012, transformers reads it from the class

    encoder_config: Any = None
    design: str = "plain"
    width: int | None = None
    reading: str = "windows"
    speaker_names: bool = False
    context_before: int = 2
    context_after: int = 0
    max_tokens: int | None = None
    causal: bool = True
    num_attention_heads: int = 8
    dropout: float | int = 0.2
    input_dropout: float | int = 0.0
    frozen_layers: int = 0
    biographies: str = "none"
    biography_scope: str | None = None
    cues: str = "none"
    cue_names: list[str] | tuple[str, ...] = ()

    def __post_init__(self, **kwargs: Any) -> None:
        if not isinstance(self.encoder_config, PreTrainedConfig):
            settings = dict(self.encoder_config or ROBERTA_LARGE)
            self.encoder_config = AutoConfig.for_model(settings.pop("model_type"), **settings)
        super().__post_init__(**kwargs)
        self._check()

    @property
    def sees_future(self) -> bool:
        """Whether an utterance's logits depend on what is said after it."""
        whole = self.biographies != "none" and self.biography_scope == "dialogue"
        return self.context_after > 0 or not self.causal or whole

    @property
    def layer_width(self) -> int:
        """Width of the layers over the encoder."""
        return int(self.width or self.encoder_config.hidden_size)

    @property
    def pools_biographies(self) -> bool:
        """Whether the encoder's layer over the first token reads biographies, as BiosERC's released model has it."""
        return self.design == "paper" and self.biographies != "none"

    @property
    def encoder_is_frozen(self) -> bool:
        """Whether no part of the encoder is trained."""
        return bool(self.frozen_layers == self.encoder_config.num_hidden_layers)

    @property
    def label_names(self) -> list[str]:
        """The labels, in the order of their class ids."""
        names: Any = self.id2label
        return [names[number] for number in range(len(names))]

    def future_record(self) -> dict[str, Any]:
        """Say what the model has of later turns, for the records of training and evaluation.

        Returns:
            ``sees_future``; ``future_turns``, how many are read at most, None for all of the dialogue; and
            ``biography_scope``.
        """
        # Read at once, a turn sees in each layer what the turns after it saw in the layer below.
        steps = self.encoder_config.num_hidden_layers if self.reading == "dialogue" else 1
        turns = self.context_after * steps if self.causal else None
        return {"sees_future": self.sees_future, "future_turns": turns, "biography_scope": self.biography_scope}

    def _check(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                options = ", ".join(map(repr, allowed))
                raise ValueError(f"{name} must be one of {options}, got {getattr(self, name)!r}")
        layers, width = self.encoder_config.num_hidden_layers, self.layer_width
        if not 0 <= self.frozen_layers <= layers:
            raise ValueError(f"frozen_layers must be 0 to {layers}, the encoder's layers, got {self.frozen_layers}")
        if width % (2 * self.num_attention_heads):
            heads = self.num_attention_heads
            raise ValueError(f"num_attention_heads must divide half the layers' width, {width // 2}, got {heads}")
        if min(self.context_before, self.context_after) < 0:
            raise ValueError("context_before and context_after are numbers of turns, they cannot be negative")
        if self.max_tokens is not None and self.max_tokens < FEWEST_TOKENS:
            raise ValueError(f"max_tokens must be at least {FEWEST_TOKENS}, marks among them, got {self.max_tokens}")
        if (self.biographies != "none") != (self.biography_scope is not None):
            raise ValueError("biographies and biography_scope go together: give both or neither")
        if (self.cues == "z_scores") != bool(self.cue_names):
            raise ValueError("cue_names name the columns of z-scores: give them with cues='z_scores', and only then")
        if self.design != "standardised" and self.input_dropout:
            raise ValueError(f"input_dropout is of standardised inputs, design {self.design!r} has none: make it 0")
        if self.design == "paper" and (self.cues != "none" or self.reading != "windows" or self.width is not None):
            raise ValueError(
                "design 'paper' is BiosERC's own: without cues, reading windows, width left to the encoder"
            )


BiosErcConfig.register_for_auto_class()

"""How models are asked, the same settings for every kind; each kind takes those that mean something to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

TokenNormalisation = Literal["sum", "mean"]
Normalisation = Literal["sum", "mean", "contextual", "prior"]


@dataclass(frozen=True)
class InferenceSettings:
    """How answers are read from a model.

    Args:
        decode: ``"score"`` scores every label, ``"generate"`` lets a chat model write.
        normalisation: For scoring: ``"sum"`` or ``"mean"`` over the tokens of a label and its end token;
            ``"contextual"`` divides by what the model makes of the same prompt with its content left blank
            (:mod:`speechcue_hf.inference.calibration`), for chat models; ``"prior"`` then multiplies by the label
            shares of the training split.
        sharing: For scoring: ``"prefix"`` runs common beginnings of prompts once, ``"none"`` each prompt by itself.
        matching: For generation: ``"strict"``, or ``"instructerc"`` for the published repair of outputs.
        batch_size: Prompts, dialogues or clips in one pass.
        tokens_per_pass: Tokens in one pass, where beginnings are shared.
        explain: Let a model that hears explain each clip.
        long_audio: What is done with a clip beyond what a model hears at once: ``"cut"`` hears its beginning,
            ``"window"`` all of it, in windows whose speech tokens are averaged (Q-Former only).
        new_tokens: Most tokens of an explanation (the paper takes 80).
        beams: Width of the beam search for explanations; 1 is greedy (the paper takes 5).

    Raises:
        ValueError: If ``batch_size`` is not positive.
    """

    decode: Literal["score", "generate"] = "score"
    normalisation: Normalisation = "sum"
    sharing: Literal["prefix", "none"] = "prefix"
    matching: str = "strict"
    batch_size: int = 8
    tokens_per_pass: int = 256
    explain: bool = False
    long_audio: Literal["cut", "window"] = "cut"
    new_tokens: int = 80
    beams: int = 1

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")

    @property
    def calibrated(self) -> bool:
        """Whether likelihoods are divided by those of a blank prompt."""
        return self.normalisation in ("contextual", "prior")

    def protocol(self, *names: str) -> dict[str, Any]:
        """Those of the settings that can change a result, for its record; the others change speed and memory only."""
        return {name: getattr(self, name) for name in names}


CLOSED_SET = InferenceSettings()
"""Every label scored, common beginnings of prompts run once."""

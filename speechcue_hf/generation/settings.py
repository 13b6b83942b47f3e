"""How a model chooses its words, the same for every kind of text generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class GenerationSettings:
    """How tokens are chosen, and how many.

    Args:
        max_new_tokens: Most tokens of a text; a text that has as many was probably cut.
        temperature: 0 takes the likeliest token each time (greedy); higher values sample.
        top_p: Samples are drawn from the likeliest tokens that together have this probability.
        seed: Of the samples.

    Raises:
        ValueError: If a value is out of range.
    """

    max_new_tokens: int = 300
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, got {self.max_new_tokens}")
        if self.temperature < 0:
            raise ValueError(f"temperature must not be negative, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p}")

    @property
    def samples(self) -> bool:
        """Whether chance has a part in it."""
        return self.temperature > 0

    @property
    def identity(self) -> dict[str, Any]:
        """The settings that have an effect: greedy decoding knows neither ``top_p`` nor a seed."""
        settings: dict[str, Any] = {"max_new_tokens": self.max_new_tokens, "temperature": self.temperature}
        return settings | ({"top_p": self.top_p, "seed": self.seed} if self.samples else {})


GREEDY = GenerationSettings()
"""The default: greedy, 300 new tokens as in BiosERC."""

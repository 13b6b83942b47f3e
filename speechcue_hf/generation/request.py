"""What a text generator is asked and by which settings, what it answers, and the protocol that every one follows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from speechcue_hf.prompts.encoding import encode_prompts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


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


@dataclass(frozen=True)
class GenerationRequest:
    """One text to be written.

    Args:
        key: What is asked, as :func:`request_key` hashes it; requests of one key are one request.
        messages: The conversation to be continued, each message with ``role`` and ``content``.
        group: Requests of one group begin alike, as those on one dialogue do, and are best asked together.
    """

    key: str
    messages: tuple[dict[str, str], ...]
    group: str


@dataclass(frozen=True)
class GeneratedText:
    """What became of one request.

    Args:
        key: The request's key.
        text: What the model wrote, as it gave it and without the prompt; None if there is none. One of white space only
            counts as none when it is kept (:func:`speechcue_hf.generation.store.generate_missing`).
        reason: Why there is no text; None if there is one.
        prompt_tokens: Tokens of the prompt, where the generator knows them.
        completion_tokens: Tokens of the text, where the generator knows them.
        finish_reason: Why the text ends, as chat servers say it: ``stop`` at its own end, ``length`` where its tokens
            ran out; None where nobody says.
        cached_tokens: Tokens of the prompt that the server had computed before, where it says so.
    """

    key: str
    text: str | None
    reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str | None = None
    cached_tokens: int | None = None


class TextGenerator(Protocol):
    """A chat model that writes."""

    @property
    def identity(self) -> dict[str, Any]:
        """What would change the text: model, revision and decoding settings. JSON, without paths and tokens."""
        ...

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedText]:
        """Write.

        Args:
            requests: What is asked, each key once.

        Yields:
            Exactly one answer to each request, as soon as it is there, in any order; without text and with the reason
            where the model cannot answer.

        Raises:
            GenerationError: If no further request can be answered.
        """
        ...


def request_key(messages: Sequence[Mapping[str, str]]) -> str:
    """Hash what is asked.

    Args:
        messages: The conversation to be continued.

    Returns:
        SHA-256 of its roles and contents, 64 hexadecimal digits.

    Example:
        >>> request_key([{"role": "user", "content": "Who is Ann?"}])[:8]
        '4ffffd5f'
    """
    turns = [[message["role"], message["content"]] for message in messages]
    return hashlib.sha256(json.dumps(turns).encode()).hexdigest()


def encode_requests(
    requests: Sequence[GenerationRequest],
    tokenizer: PreTrainedTokenizerBase,
    decoding: GenerationSettings,
    positions: int,
) -> tuple[list[tuple[GenerationRequest, list[int]]], list[GeneratedText]]:
    """Put requests into tokens, and refuse those whose prompt leaves no room for a text.

    Args:
        requests: What is asked.
        tokenizer: The model's, with a chat template.
        decoding: Says how many tokens a text may have.
        positions: Tokens that the model takes, prompt and text together.

    Returns:
        The requests that fit, with the tokens of their prompts; answers without text to the others.
    """
    fitting, refused = [], []
    for request in requests:
        [ids] = encode_prompts(tokenizer, [request.messages])
        if len(ids) + decoding.max_new_tokens <= positions:
            fitting.append((request, ids))
        else:
            reason = (
                f"the prompt has {len(ids)} tokens, with {decoding.max_new_tokens} new ones more than the {positions} "
                "the model takes"
            )
            refused.append(GeneratedText(request.key, None, reason, prompt_tokens=len(ids)))
    return fitting, refused

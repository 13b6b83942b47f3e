"""What requests to a chat model will take: how many, how many tokens, how long, for what price."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from speechcue_hf.generation.request import GenerationRequest
from speechcue_hf.prompts.encoding import encode_prompts
from speechcue_hf.words import words

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TOKENS_PER_WORD = 1.4
"""A guess for English dialogue where no tokenizer counts."""


@dataclass(frozen=True)
class RequestEstimate:
    """What requests need.

    Args:
        requests: All of them.
        missing: Those that must be made: what the store has is left out, and equal requests count once.
        prompt_tokens: Tokens of the missing ones' prompts; without tokenizer words times :data:`TOKENS_PER_WORD`.
        completion_tokens: Tokens that are written for them at most.
    """

    requests: int
    missing: int
    prompt_tokens: int
    completion_tokens: int

    def hours(self, tokens_per_second: float) -> float:
        """Hours it takes at most, by the tokens that are written per second, all requests in flight together.

        Raises:
            ValueError: If the rate is not positive.
        """
        if tokens_per_second <= 0:
            raise ValueError(f"tokens_per_second must be positive, got {tokens_per_second}")
        return self.completion_tokens / tokens_per_second / 3600

    def price(self, per_million_prompt_tokens: float, per_million_completion_tokens: float) -> float:
        """What it costs at most, in the currency of the prices."""
        prompts = self.prompt_tokens * per_million_prompt_tokens
        return (prompts + self.completion_tokens * per_million_completion_tokens) / 1e6


def estimate_requests(
    requests: Sequence[GenerationRequest],
    *,
    max_new_tokens: int,
    tokenizer: PreTrainedTokenizerBase | None = None,
    stored: Collection[str] = (),
) -> RequestEstimate:
    """Count what requests will take.

    Args:
        requests: What is to be asked.
        max_new_tokens: Most tokens of a text.
        tokenizer: The model's, with a chat template; without one tokens are guessed from words.
        stored: Keys of what is answered already.

    Returns:
        Requests and tokens.

    Example:
        >>> estimate_requests([request, request], max_new_tokens=8).missing
        1
    """
    missing = {request.key: request for request in requests if request.key not in stored}
    return RequestEstimate(
        requests=len(requests),
        missing=len(missing),
        prompt_tokens=_prompt_tokens(list(missing.values()), tokenizer),
        completion_tokens=len(missing) * max_new_tokens,
    )


def _prompt_tokens(missing: Sequence[GenerationRequest], tokenizer: PreTrainedTokenizerBase | None) -> int:
    if tokenizer is not None:
        return sum(len(encode_prompts(tokenizer, [request.messages])[0]) for request in missing)
    prompts = (message["content"] for request in missing for message in request.messages)
    return ceil(sum(len(words(prompt)) for prompt in prompts) * TOKENS_PER_WORD)

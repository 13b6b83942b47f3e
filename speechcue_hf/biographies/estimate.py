"""What biographies will cost, counted from the data before anything is written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from datasets import Dataset, DatasetDict

from speechcue_hf.biographies.requests import dialogues_of, plan_biographies
from speechcue_hf.biographies.settings import BiographySettings
from speechcue_hf.biographies.write import needed_batch
from speechcue_hf.generation.encoding import encode_messages
from speechcue_hf.generation.request import GenerationRequest
from speechcue_hf.generation.settings import GREEDY

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TOKENS_PER_WORD = 1.4
"""A guess for English dialogue where no tokenizer counts."""


@dataclass(frozen=True)
class BiographyEstimate:
    """What biographies need.

    Args:
        requests: Biographies of all dialogues: one for each speaker, or for each speaker and stage of the dialogue.
        missing: Those that must be written: what the store has is left out, and equal requests count once.
        prompt_tokens: Tokens of the missing ones' prompts.
        completion_tokens: Tokens that are written for them at most.
        by_tokenizer: Whether a tokenizer counted the prompts; else it is words times :data:`TOKENS_PER_WORD`.
    """

    requests: int
    missing: int
    prompt_tokens: int
    completion_tokens: int
    by_tokenizer: bool

    def hours(self, tokens_per_second: float) -> float:
        """How long it takes at most.

        Args:
            tokens_per_second: Tokens written per second, all requests in flight together.

        Returns:
            Hours.

        Raises:
            ValueError: If the rate is not positive.
        """
        if tokens_per_second <= 0:
            raise ValueError(f"tokens_per_second must be positive, got {tokens_per_second}")
        return self.completion_tokens / tokens_per_second / 3600

    def price(self, per_million_prompt_tokens: float, per_million_completion_tokens: float) -> float:
        """What it costs at most.

        Args:
            per_million_prompt_tokens: Price of a million tokens of prompts.
            per_million_completion_tokens: Price of a million tokens written.

        Returns:
            The price, in the same currency.
        """
        prompts = self.prompt_tokens * per_million_prompt_tokens
        return (prompts + self.completion_tokens * per_million_completion_tokens) / 1e6


def estimate_biographies(
    dataset: DatasetDict | Dataset,
    settings: BiographySettings,
    *,
    max_new_tokens: int = GREEDY.max_new_tokens,
    tokenizer: PreTrainedTokenizerBase | None = None,
    stored: Collection[str] = (),
) -> BiographyEstimate:
    """Count what biographies will need.

    Args:
        dataset: The rows that are to have biographies.
        settings: What they are made from.
        max_new_tokens: Most tokens of a text, as the generator's settings have it.
        tokenizer: The model's, with a chat template; without one tokens are guessed from words.
        stored: Keys of what is written already.

    Returns:
        Requests and tokens.

    Raises:
        CorpusError: If a column is missing, or a dialogue does not begin with its first turn.
    """
    splits = list(dataset.values()) if isinstance(dataset, DatasetDict) else [dataset]
    requests = [request for rows in splits for request in _requests(rows, settings)]
    missing = {request.key: request for request in requests if request.key not in stored}
    return BiographyEstimate(
        requests=len(requests),
        missing=len(missing),
        prompt_tokens=_prompt_tokens(missing, tokenizer),
        completion_tokens=len(missing) * max_new_tokens,
        by_tokenizer=tokenizer is not None,
    )


def _requests(rows: Dataset, settings: BiographySettings) -> Iterator[GenerationRequest]:
    """The requests of each dialogue, each once."""
    for dialogue in dialogues_of(needed_batch(rows)):
        plans = plan_biographies(dialogue, settings)
        yield from {plan.request.key: plan.request for plan in plans if plan.request}.values()


def _prompt_tokens(missing: Mapping[str, GenerationRequest], tokenizer: PreTrainedTokenizerBase | None) -> int:
    if tokenizer is not None:
        return sum(len(encode_messages(tokenizer, request.messages)) for request in missing.values())
    prompts = (message["content"] for request in missing.values() for message in request.messages)
    return ceil(sum(len(prompt.split()) for prompt in prompts) * TOKENS_PER_WORD)

"""A token budget: prompts that exceed it lose turns, the oldest first, never the question or the answer.

A prompt that shows later turns loses these after all past ones, the last first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speechcue_hf.errors import PromptError
from speechcue_hf.prompts.dialogue import PromptParts
from speechcue_hf.prompts.encoding import Message, encode_completion, encode_prompts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class TokenBudget:
    """How many tokens a prompt and its answer may have.

    Room is kept for the longest label, whatever the row's own is: how much history a prompt shows tells nothing of it.

    Args:
        tokenizer: The model's tokenizer, with a chat template.
        limit: Most tokens of prompt and answer together.
    """

    tokenizer: PreTrainedTokenizerBase
    limit: int

    def excess(
        self,
        rows: Sequence[Mapping[str, Any]],
        prompts: Sequence[PromptParts],
        shown: Sequence[Sequence[Message]],
        labels: Sequence[str],
    ) -> list[int]:
        """Count the turns that each prompt must lose.

        Args:
            rows: The rows, for errors.
            prompts: Their prompts.
            shown: The messages before each prompt: its demonstrations.
            labels: The label words.

        Returns:
            How many of its expendable turns each prompt must lose; 0 for those that fit.

        Raises:
            PromptError: If a prompt exceeds the budget with the turn that is asked about alone.
        """
        limit = self.limit - self._longest_answer(labels)
        lengths = self._lengths(prompts, shown)
        return [
            self._excess_of(row, parts, before, length, limit)
            for row, parts, before, length in zip(rows, prompts, shown, lengths, strict=True)
        ]

    def _excess_of(
        self, row: Mapping[str, Any], parts: PromptParts, before: Sequence[Message], length: int, limit: int
    ) -> int:
        """Turns to drop, guessed from the tokens of each by itself and then made sure of on the whole prompt."""
        expendable = parts.expendable
        dropped, excess = 0, length - limit
        while excess > 0:
            if dropped == len(expendable):
                raise PromptError(
                    f"the prompt of {row['utterance_id']!r} exceeds the budget of {self.limit} tokens by {excess} "
                    "with that turn alone: raise the budget" + (", or show fewer demonstrations" if before else "")
                )
            while excess > 0 and dropped < len(expendable):
                excess -= len(self.tokenizer(expendable[dropped], add_special_tokens=False)["input_ids"])
                dropped += 1
            excess = self._lengths([parts.without(dropped)], [before])[0] - limit
        return dropped

    def _lengths(self, prompts: Sequence[PromptParts], shown: Sequence[Sequence[Message]]) -> list[int]:
        messages = [[*before, *parts.messages] for parts, before in zip(prompts, shown, strict=True)]
        return [len(ids) for ids in encode_prompts(self.tokenizer, messages)]

    def _longest_answer(self, labels: Sequence[str]) -> int:
        prompt = [{"role": "user", "content": ""}]
        answers = [[{"role": "assistant", "content": label}] for label in labels]
        return max(len(encode_completion(self.tokenizer, prompt, answer)[1]) for answer in answers)

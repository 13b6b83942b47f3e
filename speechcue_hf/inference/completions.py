"""Prompts, and the labels as their completions, token for token as training sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from speechcue_hf.errors import EvaluationError
from speechcue_hf.progress import progress
from speechcue_hf.prompts.encoding import Message, answer_message, encode_completion, encode_prompts

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PROMPTS_PER_BATCH = 256
ENDING = 4
"""Tokens at the end of a prompt that can change how the answer behind it is cut into tokens."""


@dataclass(frozen=True)
class EncodedPrompts:
    """Prompts and labels as tokens.

    Attributes:
        prompts: Token ids of each rendered prompt, up to where the answer begins.
        completions: For each label the token ids that follow any of the prompts, end token included.
    """

    prompts: list[list[int]]
    completions: list[list[int]]

    @property
    def longest_completion(self) -> int:
        """Tokens of the longest label, end token included."""
        return max(map(len, self.completions))


def encode_for_scoring(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[Message]],
    labels: Sequence[str],
) -> EncodedPrompts:
    """Tokenise prompts and labels, and check that they fit the model before any time is spent.

    A prompt's tokens are a prefix of those of prompt and answer, and chat templates end every prompt alike, so the
    labels are tokenised once for each way in which prompts end.

    Args:
        model: The language model.
        tokenizer: Its tokenizer, with a chat template.
        prompts: One list of messages for each row.
        labels: The closed set of answers.

    Returns:
        The tokens.

    Raises:
        EvaluationError: If the tokenizer has no chat template, labels get other tokens behind another prompt, or a
            prompt with its longest label has more tokens than the model has positions.
        PromptError: If the chat template does not let an answer be told from its prompt.
        ValueError: If there are no prompts.
    """
    if tokenizer.chat_template is None:
        raise EvaluationError(
            "The tokenizer has no chat template, so a prompt cannot be rendered. "
            "Set tokenizer.chat_template to the one the model was trained with."
        )
    if not prompts:
        raise ValueError("there are no prompts to score")
    starts = progress(range(0, len(prompts), PROMPTS_PER_BATCH), "Tokenising prompts", "batches")
    batches = (encode_prompts(tokenizer, prompts[start : start + PROMPTS_PER_BATCH]) for start in starts)
    prompt_ids = [prompt for batch in batches for prompt in batch]
    encoded = EncodedPrompts(prompt_ids, _encode_labels(tokenizer, prompts, prompt_ids, labels))
    _check_context(model, encoded)
    return encoded


def _encode_labels(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[Message]],
    prompt_ids: Sequence[Sequence[int]],
    labels: Sequence[str],
) -> list[list[int]]:
    """Token ids of each label behind any of the prompts."""
    row_of_ending: dict[tuple[int, ...], int] = {}
    for row, ids in enumerate(prompt_ids):
        row_of_ending.setdefault(tuple(ids[-ENDING:]), row)
    answers = [[answer_message(label)] for label in labels]
    completions = [
        [encode_completion(tokenizer, prompts[row], answer)[1] for answer in answers] for row in row_of_ending.values()
    ]
    for row, found in zip(row_of_ending.values(), completions, strict=True):
        if found != completions[0]:
            raise EvaluationError(
                f"The tokenizer cuts the labels into other tokens behind prompt {row} than behind prompt 0. "
                "Let the chat template end every prompt alike, with a generation prompt."
            )
    return completions[0]


def _check_context(model: PreTrainedModel, encoded: EncodedPrompts) -> None:
    limit = model.config.get_text_config().max_position_embeddings
    for row, prompt in enumerate(encoded.prompts):
        length = len(prompt) + encoded.longest_completion
        if length > limit:
            raise EvaluationError(
                f"Prompt {row} has {length} tokens with its label, the model takes {limit}. "
                "Use a prompt with a shorter history, a token budget, or a model with a longer context."
            )

"""The labels as completions of a prompt, token for token as TRL trains on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speechcue_hf.errors import EvaluationError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Message = dict[str, str]


@dataclass(frozen=True)
class EncodedPrompt:
    """One prompt and every label as its completion.

    Attributes:
        prompt: Token ids of the rendered prompt, generation prompt included.
        completions: For each label the token ids that follow the prompt, up to and including the end token.
    """

    prompt: list[int]
    completions: list[list[int]]


def encode_prompt(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], labels: Sequence[str]
) -> EncodedPrompt:
    """Tokenise a prompt and each label as its completion, as TRL does for prompt–completion rows.

    The completion is what the chat template of prompt and answer adds to the prompt. It ends with the tokenizer's end
    token; what a template writes after it (the newline of ChatML) is never generated and is left out.

    Args:
        tokenizer: A tokenizer with a chat template.
        messages: The prompt, a list of ``{"role", "content"}`` messages.
        labels: The closed set of answers.

    Returns:
        The prompt's tokens and those of each label.

    Raises:
        EvaluationError: If the tokenizer has no chat template.
    """
    if tokenizer.chat_template is None:
        raise EvaluationError(
            "The tokenizer has no chat template, so a prompt cannot be rendered. "
            "Set tokenizer.chat_template to the one the model was trained with."
        )
    prompt = list(messages)
    prompt_ids = _render(tokenizer, [prompt], add_generation_prompt=True)[0]
    answers = [[*prompt, {"role": "assistant", "content": label}] for label in labels]
    sequences = _render(tokenizer, answers, add_generation_prompt=False)
    shared = min(common_prefix_length(prompt_ids, sequence) for sequence in sequences)
    return EncodedPrompt(
        prompt_ids[:shared], [_cut_after_end(sequence[shared:], tokenizer.eos_token_id) for sequence in sequences]
    )


def check_context(model: PreTrainedModel, encoded: Sequence[EncodedPrompt]) -> None:
    """Refuse prompts that do not fit the model, before any time is spent.

    Args:
        model: The language model.
        encoded: The prompts with their completions.

    Raises:
        EvaluationError: If a prompt with its longest label has more tokens than the model has positions.
    """
    limit = model.config.get_text_config().max_position_embeddings
    for row, item in enumerate(encoded):
        length = len(item.prompt) + max(map(len, item.completions))
        if length > limit:
            raise EvaluationError(
                f"Prompt {row} has {length} tokens with its label, the model takes {limit}. "
                "Use a prompt with a smaller window, or a model with a longer context."
            )


def common_prefix_length(first: Sequence[int], second: Sequence[int]) -> int:
    """Count the leading tokens that two sequences share.

    Example:
        >>> common_prefix_length([1, 2, 3], [1, 2, 4, 5])
        2
    """
    differences = (index for index, (left, right) in enumerate(zip(first, second, strict=False)) if left != right)
    return next(differences, min(len(first), len(second)))


def _render(
    tokenizer: PreTrainedTokenizerBase, conversations: list[list[Message]], *, add_generation_prompt: bool
) -> list[list[int]]:
    encoding: Any = tokenizer.apply_chat_template(
        conversations, add_generation_prompt=add_generation_prompt, tokenize=True, return_dict=True
    )
    rendered: list[list[int]] = encoding["input_ids"]
    return rendered


def _cut_after_end(completion: list[int], end_token: int | None) -> list[int]:
    if end_token not in completion:
        return completion
    return completion[: completion.index(end_token) + 1]

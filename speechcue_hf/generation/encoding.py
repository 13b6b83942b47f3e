"""A writing request as tokens, and when a model has no room for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from speechcue_hf.generation.request import GeneratedText

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode_messages(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """Tokens of a conversation, up to where the answer begins.

    Args:
        tokenizer: A tokenizer with a chat template.
        messages: Each with ``role`` and ``content``.

    Returns:
        Token ids.
    """
    # Templates of reasoning models then leave the reasoning out; other templates ignore the setting.
    encoding: Any = tokenizer.apply_chat_template(
        [dict(message) for message in messages],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        enable_thinking=False,
    )
    ids: list[int] = encoding["input_ids"]
    return ids


def refuse_long_prompt(key: str, prompt_tokens: int, new_tokens: int, positions: int) -> GeneratedText | None:
    """Say why there will be no text, if a prompt leaves no room for one.

    Args:
        key: The request's key.
        prompt_tokens: Tokens of the prompt.
        new_tokens: Most tokens of the text.
        positions: Tokens that the model takes in all.

    Returns:
        The answer without text; None if there is room.
    """
    if prompt_tokens + new_tokens <= positions:
        return None
    reason = (
        f"the prompt has {prompt_tokens} tokens, with {new_tokens} new ones more than the {positions} the model takes"
    )
    return GeneratedText(key, text=None, reason=reason, prompt_tokens=prompt_tokens, completion_tokens=None)

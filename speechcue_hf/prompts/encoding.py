"""Prompt and answer as tokens: what is trained on, counted against a budget, and scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from speechcue_hf.errors import PromptError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = dict[str, str]


def encode_prompts(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Sequence[Message]]) -> list[list[int]]:
    """Token ids of prompts, one list of messages each, up to where the answer begins."""
    return _render(tokenizer, prompts, add_generation_prompt=True)


def encode_completion(
    tokenizer: PreTrainedTokenizerBase, prompt: Sequence[Message], completion: Sequence[Message]
) -> tuple[list[int], list[int]]:
    """Tokens of a prompt and of its answer, which is the answer's text and the end token and nothing else.

    What a chat template writes after the end token (the newline of ChatML) is never generated, so it is left out.

    Args:
        tokenizer: A tokenizer with a chat template and an end token.
        prompt: The messages before the answer.
        completion: The answer, one assistant message.

    Returns:
        Token ids of the prompt and of the answer; together they are what the chat template makes of both.

    Raises:
        PromptError: If the chat template renders the prompt differently when an answer follows, or closes the answer
            without the end token.
    """
    prompt_ids = encode_prompts(tokenizer, [prompt])[0]
    whole = _render(tokenizer, [[*prompt, *completion]], add_generation_prompt=False)[0]
    answer = whole[len(prompt_ids) :]
    if whole[: len(prompt_ids)] != prompt_ids:
        raise PromptError(
            "the chat template renders a prompt differently when an answer follows, so the answer cannot be told from "
            f"it: change the chat template. Prompt: {tokenizer.decode(prompt_ids)[-80:]!r}, "
            f"with answer: {tokenizer.decode(whole)[-80:]!r}"
        )
    if tokenizer.eos_token_id not in answer:
        raise PromptError(
            f"the chat template closes an answer with {tokenizer.decode(answer)[-20:]!r}, but the tokenizer's end "
            f"token is {tokenizer.eos_token!r}: set tokenizer.eos_token to the token that ends an answer"
        )
    return prompt_ids, answer[: answer.index(tokenizer.eos_token_id) + 1]


@contextmanager
def chat_template_named(model: str) -> Iterator[None]:
    """Let an error in a chat template, which came with a model, say whose it is.

    Raises:
        PromptError: If the template is not valid, or fails on the messages.
    """
    try:
        yield
    except (TemplateError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise PromptError(
            f"the chat template of {model or 'the tokenizer'} fails ({type(error).__name__}: {error}): take another "
            "copy of the model, or correct its chat_template.jinja"
        ) from error


def _render(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Sequence[Message]], *, add_generation_prompt: bool
) -> list[list[int]]:
    # Templates of reasoning models then put their empty reasoning into the prompt, which leaves the label alone as the
    # answer; other templates ignore the setting.
    with chat_template_named(tokenizer.name_or_path):
        encoding: Any = tokenizer.apply_chat_template(
            [list(conversation) for conversation in conversations],
            add_generation_prompt=add_generation_prompt,
            tokenize=True,
            return_dict=True,
            enable_thinking=False,
        )
    ids: list[list[int]] = encoding["input_ids"]
    return ids

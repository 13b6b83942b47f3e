"""Prompt and answer as tokens: what is trained on, counted against a budget, and scored."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import TYPE_CHECKING, Any

from speechcue_hf.errors import PromptError
from speechcue_hf.prompts.chat_template import MARK, ChatTemplate
from speechcue_hf.prompts.chat_template import Message as Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode_prompts(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Sequence[Message]]) -> list[list[int]]:
    """Token ids of prompts, one list of messages each, up to where the answer begins.

    What a content says that would be a control token of the model is put into tokens as text.

    Raises:
        PromptError: If the chat template garbles or refuses conversations.
    """
    template = ChatTemplate.of(tokenizer)
    return _tokens(tokenizer, [template.cut(template.prompt(messages)) for messages in prompts])


def encode_completion(
    tokenizer: PreTrainedTokenizerBase, prompt: Sequence[Message], completion: Sequence[Message]
) -> tuple[list[int], list[int]]:
    """Tokens of a prompt and of its answer, which is the answer's text and the end token and nothing else.

    The end token is the tokenizer's own, or the control token that the template closes an answer with. What a chat
    template writes after it (the newline of ChatML) is never generated, so it is left out.

    Args:
        tokenizer: A tokenizer with a chat template.
        prompt: The messages before the answer.
        completion: The answer, one assistant message.

    Returns:
        Token ids of the prompt and of the answer; together they are what the chat template makes of both.

    Raises:
        PromptError: If the chat template renders the prompt differently when an answer follows, leaves the answer out,
            or closes it without an end token.
    """
    template = ChatTemplate.of(tokenizer)
    rendered, after = template.answered([*prompt, *completion])
    prompt_ids, whole, rest = _tokens(
        tokenizer, [template.cut(it) for it in (template.prompt(prompt), rendered, after)]
    )
    answer = whole[len(prompt_ids) :]
    if whole[: len(prompt_ids)] != prompt_ids:
        raise PromptError(
            f"{template.named} renders a prompt differently when an answer follows, so the answer cannot be told from "
            f"it: change the chat template. Prompt: {tokenizer.decode(prompt_ids)[-80:]!r}, "
            f"with answer: {tokenizer.decode(whole)[-80:]!r}"
        )
    if tokenizer.eos_token_id in answer:
        return prompt_ids, answer[: answer.index(tokenizer.eos_token_id) + 1]
    end = next((place for place, token in enumerate(rest) if template.is_control(token)), None)
    if end is None:
        raise PromptError(
            f"{template.named} closes an answer with {tokenizer.decode(answer)[-20:]!r}, where no end token is (the "
            f"tokenizer's is {tokenizer.eos_token!r}): set tokenizer.eos_token to the token that ends an answer, or "
            "write {{ eos_token }} behind it in the chat template"
        )
    return prompt_ids, answer[: len(answer) - (len(rest) - end - 1)]


def completions_as_text(
    tokenizer: PreTrainedTokenizerBase, prompt: Sequence[Message], words: Sequence[str]
) -> tuple[str, list[str]]:
    """A prompt and each label behind it, end token included, as text for whoever puts text into tokens by itself.

    What a content says that would be a control token gets a blank behind its first character, since a text cannot say
    otherwise that it is none.

    Args:
        tokenizer: A tokenizer with a chat template.
        prompt: The messages before the answer.
        words: The label words.

    Returns:
        The rendered prompt, and for each word what follows it.

    Raises:
        PromptError: As for :func:`encode_completion`.
    """
    template = ChatTemplate.of(tokenizer)
    begin, answers = template.prompt(prompt), []
    for word in words:
        end = tokenizer.convert_ids_to_tokens(encode_completion(tokenizer, prompt, [_answer(word)])[1][-1])
        whole, after = template.answered([*prompt, _answer(word)])
        answers.append(whole[len(begin) : len(whole) - len(after) + after.index(str(end)) + len(str(end))])
    return begin.replace(MARK, " "), [answer.replace(MARK, " ") for answer in answers]


def check_words(words: Sequence[str]) -> None:
    """Check a label set by itself.

    Raises:
        PromptError: If there are fewer than two labels, or two are the same, or one is empty.

    Example:
        >>> check_words(["happy", "sad"])
    """
    if len(set(words)) < 2 or len(set(words)) < len(words) or not all(word.strip() for word in words):
        raise PromptError(
            f"a model is asked to choose between two different labels or more, got {list(words)}: check the column "
            "emotion, and label_words of the prompt"
        )


def check_chat(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> dict[str, Any]:
    """Check a chat template and a label set before a run: a prompt that is garbled would be scored without complaint.

    Args:
        tokenizer: The model's.
        words: The label words.

    Returns:
        How the template is met: its SHA-256, and what became of system messages, contents, dates and reasoning.

    Raises:
        PromptError: If the template leaves out a question, an answer or a label, refuses the roles, or does not let an
            answer be told from its prompt; if there are fewer than two labels, or two that become the same tokens or
            of which one begins the other. The message names template and fix.

    Example:
        >>> check_chat(tokenizer, ["happy", "sad"])["system"]
        'as it is'
    """
    template = ChatTemplate.of(tokenizer)
    check_words(words)
    question = [{"role": "user", "content": "How do they feel?"}]
    answers = {word: encode_completion(tokenizer, question, [_answer(word)])[1] for word in words}
    for one, other in permutations(words, 2):
        if answers[other][: len(answers[one])] == answers[one]:
            what = "the same tokens" if answers[one] == answers[other] else "tokens that begin alike to the end"
            raise PromptError(
                f"{template.named} makes {what} of the labels {one!r} and {other!r}: give them other words with "
                "label_words in the prompt, or take another chat_template"
            )
    return template.record


def _answer(word: str) -> Message:
    return {"role": "assistant", "content": word}


def _tokens(tokenizer: PreTrainedTokenizerBase, texts: Sequence[Sequence[str]]) -> list[list[int]]:
    """Token ids of texts, each put together from those of its pieces."""
    pieces = [piece for text in texts for piece in text]
    if not pieces:
        return []
    encoded: Any = tokenizer(pieces, add_special_tokens=False)["input_ids"]
    ids = iter(encoded)
    return [[token for _ in text for token in next(ids)] for text in texts]

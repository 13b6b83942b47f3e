"""What a chat server's answer says: a text, why there is none, or an error under a status of success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from speechcue_hf.generation.cleaning import STILL_REASONING
from speechcue_hf.generation.request import GeneratedText
from speechcue_hf.retries import MASK, quoted

ONLY_REASONING = "the model reasoned and gave no answer"

_NO_TEXT = {
    "length": STILL_REASONING,
    "content_filter": "the server's content filter withheld the text",
    "tool_calls": "the model asked for a tool instead of answering",
}
"""Reason for which a text ended → why there is none."""

_REASONING = ("reasoning_content", "reasoning", "thinking")
_KINDS = {dict: "a table", list: "a list", str: "a text", bool: "a truth value", int: "a number", float: "a number"}
_MOST_TOKENS = 2**31


class AnswerError(Exception):
    """An error in the place of an answer: what the server ``said``, its ``code`` and the ``parameter`` it is about."""

    def __init__(self, said: str, code: int | str | None, parameter: str | None = None) -> None:
        super().__init__(said)
        self.said, self.code, self.parameter = said, code, parameter


def read_error(body: Any) -> AnswerError | None:
    """The error that a body holds, in one of the forms that servers use; None if it holds none.

    Example:
        >>> read_error({"error": {"message": "model is overloaded", "code": 503}}).code
        503
    """
    if not isinstance(body, dict):
        return None
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    for holder in (body, first):
        if isinstance(holder, dict) and (error := holder.get("error")):
            return _error(error)
    if body.get("object") == "error" or (choices is None and ("message" in body or "detail" in body)):
        return _error(body)
    return None


def read_answer(key: str, body: Any, secret: str | None = None) -> GeneratedText:
    """The answer to a request in what a server sent, whatever fields it leaves out or fills with something else.

    Args:
        key: The request's key.
        body: The values of the answer.
        secret: The server's token, which is masked should the server repeat it.

    Returns:
        The text, or why there is none.

    Raises:
        AnswerError: If an error stands in the place of an answer.

    Example:
        >>> read_answer("k", {"choices": []}).reason
        'the answer has no choices'
    """
    if error := read_error(body):
        raise error
    choice = _first_choice(body)
    if isinstance(choice, str):
        return GeneratedText(key, None, choice)
    message, finish = choice["message"], choice.get("finish_reason")
    text, reasoning, refusal = _contents(message)
    reason = None
    if finish == "content_filter" or not text.strip():
        reason = _why_no_text(message, finish, reasoning, quoted(refusal, secret))
    given = None if reason else text.replace(secret, MASK) if secret else text
    return GeneratedText(
        key, given, reason, **read_usage(body), finish_reason=finish if isinstance(finish, str) else None
    )


def read_usage(body: Any) -> dict[str, Any]:
    """How many tokens an answer took, as far as the server says it.

    Example:
        >>> read_usage({"usage": {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 8}}})
        {'prompt_tokens': 9, 'completion_tokens': None, 'cached_tokens': 8}
    """
    usage = body.get("usage") if isinstance(body, dict) else None
    details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
    return {
        "prompt_tokens": _count(usage, "prompt_tokens"),
        "completion_tokens": _count(usage, "completion_tokens"),
        "cached_tokens": _count(details, "cached_tokens"),
    }


def _first_choice(body: Any) -> dict[str, Any] | str:
    """The first choice, with a message; or what is wrong with the answer."""
    if not isinstance(body, dict):
        return f"the answer is {_kind(body)} and no table of keys"
    choices = body.get("choices")
    if choices is None or choices == []:
        return "the answer has no choices"
    if not isinstance(choices, list):
        return f"the answer's choices are {_kind(choices)} and no list"
    if not isinstance(choices[0], dict):
        return f"the answer's first choice is {_kind(choices[0])} and no table of keys"
    if not isinstance(choices[0].get("message"), dict):
        return "the answer's first choice has no message"
    return choices[0]


def _contents(message: Mapping[str, Any]) -> tuple[str, bool, str]:
    """Text of a message, whether it holds reasoning, and its refusal; the content may come in parts."""
    content, refusal = message.get("content"), message.get("refusal")
    reasoning = any(bool(message.get(name)) for name in _REASONING)
    parts: Sequence[Any] = content if isinstance(content, list) else [{"type": "text", "text": content}]
    texts: list[str] = []
    refusals = [refusal] if isinstance(refusal, str) else []
    for part in parts:
        part = {"type": "text", "text": part} if isinstance(part, str) else part
        if not isinstance(part, dict):
            continue
        kind = part.get("type", "text")
        reasoning = reasoning or kind in ("thinking", "reasoning")
        if kind in ("text", "output_text") and isinstance(part.get("text"), str):
            texts.append(part["text"])
        if kind == "refusal" and isinstance(part.get("refusal"), str):
            refusals.append(part["refusal"])
    return "".join(texts), reasoning, " ".join(refusals)


def _why_no_text(message: Mapping[str, Any], finish: Any, reasoning: bool, refusal: str) -> str | None:
    """Why there is no text; None where it is just empty."""
    if refusal:
        return f"the model refused: {refusal}"
    if isinstance(finish, str) and finish in _NO_TEXT:
        return _NO_TEXT[finish]
    if reasoning:
        return ONLY_REASONING
    if message.get("tool_calls"):
        return _NO_TEXT["tool_calls"]
    content = message.get("content")
    return None if content is None or isinstance(content, str | list) else f"the answer's content is {_kind(content)}"


def _error(error: Any) -> AnswerError:
    if not isinstance(error, dict):
        return AnswerError(error if isinstance(error, str) else "", None)
    said = next((error[name] for name in ("message", "detail", "error") if isinstance(error.get(name), str)), "")
    code = next((error[name] for name in ("code", "status", "type") if isinstance(error.get(name), int | str)), None)
    parameter = error.get("param")
    return AnswerError(said, code, parameter if isinstance(parameter, str) else None)


def _kind(value: Any) -> str:
    return "null" if value is None else _KINDS[type(value)]


def _count(usage: Any, name: str) -> int | None:
    """A number of tokens, where it is one."""
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if type(count) is int and 0 <= count < _MOST_TOKENS else None

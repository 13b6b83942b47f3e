"""What a server has been found not to take, and how requests are made so that it takes them."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from speechcue_hf.generation.answer import AnswerError

logger = logging.getLogger(__name__)

MALFORMED = (400, 422)
"""Answers to a request with something in it that the server does not take."""

_SYSTEM = re.compile(r"system.{0,20}(role|message|prompt)|roles? must (alternate|be)", re.IGNORECASE)
"""How chat templates refuse a system message."""


class Adaptions:
    """Changes that a server's refusals ask for, learnt once and made in every further request.

    ``max_tokens`` becomes ``max_completion_tokens``; a temperature and ``chat_template_kwargs`` are left out; a system
    message is told at the head of the first user message. Each is logged once.

    Example:
        >>> adaptions = Adaptions()
        >>> refusal = AnswerError("Unsupported value", "unsupported_value", "temperature")
        >>> adaptions.learn(400, refusal, {"temperature": 0.0}), adaptions.applied({"temperature": 0.0})
        (True, {})
    """

    def __init__(self, made: Sequence[str] = ()) -> None:
        self._made = list(made)
        self._lock = threading.Lock()

    @property
    def made(self) -> list[str]:
        """Which ones, in words, for records."""
        return list(self._made)

    def applied(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A request with all of them."""
        for name in self.made:
            body = _CHANGES[name](dict(body))
        return dict(body)

    def learn(self, status: int, error: AnswerError | None, body: Mapping[str, Any]) -> bool:
        """Find in a refusal what to change in the request that it refuses.

        Args:
            status: Of the answer.
            error: What it says.
            body: The request, with the changes so far.

        Returns:
            Whether the request is to be made again, changed.
        """
        if error is None or status not in MALFORMED:
            return False
        name = _asked_for(error, body)
        if name is None:
            return False
        with self._lock:
            if name not in self._made:
                logger.warning("The server refuses a request as it is: %s.", name)
                self._made.append(name)
        return True


def _asked_for(error: AnswerError, body: Mapping[str, Any]) -> str | None:
    """The change that a refusal asks for."""
    said, about = error.said, error.parameter
    unsupported = "unsupported" in str(error.code) or re.search("(?i)unsupported|not support|unexpected|unrec", said)
    if "max_tokens" in body and "max_completion_tokens" in said:
        return MAX_COMPLETION_TOKENS
    for name, change in (("temperature", NO_TEMPERATURE), ("chat_template_kwargs", NO_TEMPLATE_SETTINGS)):
        if name in body and unsupported and (about == name or (about is None and name in said)):
            return change
    has_system = any(message["role"] == "system" for message in body.get("messages", ()))
    return SYSTEM_FOLDED if has_system and _SYSTEM.search(said) else None


def folded(messages: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    r"""A conversation whose system message stands at the head of the first user message.

    Example:
        >>> folded([{"role": "system", "content": "Be short."}, {"role": "user", "content": "Who?"}])
        [{'role': 'user', 'content': 'Be short.\n\nWho?'}]
    """
    told = [message["content"] for message in messages if message["role"] == "system"]
    others = [dict(message) for message in messages if message["role"] != "system"]
    first = next(place for place, message in enumerate(others) if message["role"] == "user")
    others[first]["content"] = "\n\n".join([*told, others[first]["content"]])
    return others


def _renamed(body: dict[str, Any]) -> dict[str, Any]:
    limit = {"max_completion_tokens": body.pop("max_tokens")} if "max_tokens" in body else {}
    return {**body, **limit}


def _without(name: str, body: dict[str, Any]) -> dict[str, Any]:
    return {other: value for other, value in body.items() if other != name}


MAX_COMPLETION_TOKENS = "max_completion_tokens instead of max_tokens"
NO_TEMPERATURE = "no temperature"
NO_TEMPLATE_SETTINGS = "no chat_template_kwargs"
SYSTEM_FOLDED = "system message folded into the user's"

_CHANGES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    MAX_COMPLETION_TOKENS: _renamed,
    NO_TEMPERATURE: lambda body: _without("temperature", body),
    NO_TEMPLATE_SETTINGS: lambda body: _without("chat_template_kwargs", body),
    SYSTEM_FOLDED: lambda body: {**body, "messages": folded(body["messages"])} if "messages" in body else body,
}

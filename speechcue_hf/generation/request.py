"""What a generator is asked, what it answers, and the protocol that every generator follows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class GenerationRequest:
    """One text to be written.

    Args:
        key: What is asked, as :func:`request_key` hashes it; requests of one key are one request.
        messages: The conversation to be continued, each message with ``role`` and ``content``.
        group: Requests of one group begin alike, as those on one dialogue do, and are best asked together.
    """

    key: str
    messages: tuple[dict[str, str], ...]
    group: str


@dataclass(frozen=True)
class GeneratedText:
    """What became of one request.

    Args:
        key: The request's key.
        text: What the model wrote, as it gave it and without the prompt; None if there is none. One of white space only
            counts as none when it is kept (:func:`speechcue_hf.generation.run.generate_missing`).
        reason: Why there is no text; None if there is one.
        prompt_tokens: Tokens of the prompt, where the generator knows them.
        completion_tokens: Tokens of the text, where the generator knows them.
    """

    key: str
    text: str | None
    reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None


class TextGenerator(Protocol):
    """A chat model that writes."""

    @property
    def identity(self) -> dict[str, Any]:
        """What would change the text: model, revision and decoding settings. JSON, without paths and tokens."""
        ...

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedText]:
        """Write.

        Args:
            requests: What is asked, each key once.

        Yields:
            Exactly one answer to each request, as soon as it is there, in any order.
        """
        ...


def request_key(messages: Sequence[Mapping[str, str]]) -> str:
    """Hash what is asked.

    Args:
        messages: The conversation to be continued.

    Returns:
        SHA-256 of its roles and contents, 64 hexadecimal digits.

    Example:
        >>> request_key([{"role": "user", "content": "Who is Ann?"}])[:8]
        '4ffffd5f'
    """
    turns = [[message["role"], message["content"]] for message in messages]
    return hashlib.sha256(json.dumps(turns).encode()).hexdigest()

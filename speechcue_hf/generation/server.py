"""A chat model on a server that writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from speechcue_hf.generation.answer import read_answer
from speechcue_hf.generation.client import ServerCall, ServerClient
from speechcue_hf.generation.request import GREEDY, GeneratedText, GenerationRequest, GenerationSettings
from speechcue_hf.prompts.chat_template import plain_messages


class ServerGenerator:
    """Writes with a model behind an OpenAI-compatible server, or with a provider of Hugging Face's.

    Args:
        model: Name of the model, as the server or the Hub knows it.
        decoding: How tokens are chosen, and how many.
        **client: The other arguments of :class:`speechcue_hf.generation.client.ServerClient`, whose errors these are.

    Example:
        >>> generator = ServerGenerator("Qwen/Qwen3-0.6B", base_url="http://localhost:8000/v1")
        >>> [answer.text for answer in generator.generate([request])]  # doctest: +SKIP
        ['Ann is warm and quick to laugh.']
    """

    def __init__(self, model: str, *, decoding: GenerationSettings = GREEDY, **client: Any) -> None:
        self._client = ServerClient(model, **client)
        self._decoding = decoding

    @property
    def identity(self) -> dict[str, Any]:
        """Model, provider and decoding settings; not where the server stands, nor the folder it may have a model in."""
        return {**self._client.identity, "decoding": self._decoding.identity}

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedText]:
        """Write, and hand out the answers as they come in."""
        calls = [
            ServerCall(request.key, "chat/completions", chat_body(request.messages, self._decoding), self._read)
            for request in requests
        ]
        yield from self._client.ask(calls)

    def _read(self, key: str, values: Any) -> GeneratedText:
        return read_answer(key, values, self._client.secret)


def chat_body(messages: Sequence[Mapping[str, str]], decoding: GenerationSettings) -> dict[str, Any]:
    """What a chat server is sent to continue a conversation, in which no transcript can say a control token.

    Example:
        >>> chat_body([{"role": "user", "content": "Hi"}], GenerationSettings(max_new_tokens=8))["max_tokens"]
        8
    """
    body: dict[str, Any] = {
        "messages": plain_messages(messages),
        "max_tokens": decoding.max_new_tokens,
        "temperature": decoding.temperature,
    }
    return body | ({"top_p": decoding.top_p, "seed": decoding.seed} if decoding.samples else {})

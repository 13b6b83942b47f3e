"""A generator for tests: it answers what a function says, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from speechcue_hf.generation.request import GeneratedText, GenerationRequest, request_key


class ScriptedGenerator:
    def __init__(
        self, answer: Callable[[GenerationRequest], str | None] = lambda request: "Somebody.", **identity: Any
    ):
        self.identity = {"model": "scripted", "temperature": 0.0, **identity}
        self.asked: list[GenerationRequest] = []
        self._answer = answer

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedText]:
        for request in reversed(requests):
            self.asked.append(request)
            text = self._answer(request)
            yield GeneratedText(request.key, text, None if text is not None else "busy", 7, 3)


def request(content: str, group: str = "dialogue") -> GenerationRequest:
    messages = ({"role": "user", "content": content},)
    return GenerationRequest(request_key(messages), messages, group)

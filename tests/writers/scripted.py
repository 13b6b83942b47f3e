"""A writer for tests: it answers what a function says, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from speechcue_hf.writers.request import WritingRequest, Written, request_key


class ScriptedWriter:
    def __init__(self, answer: Callable[[WritingRequest], str | None] = lambda request: "Somebody.", **identity: Any):
        self.identity = {"model": "scripted", "temperature": 0.0, **identity}
        self.asked: list[WritingRequest] = []
        self._answer = answer

    def write(self, requests: Sequence[WritingRequest]) -> Iterator[Written]:
        for request in reversed(requests):
            self.asked.append(request)
            text = self._answer(request)
            yield Written(request.key, text, None if text is not None else "busy", 7, 3)


def request(content: str, group: str = "dialogue") -> WritingRequest:
    messages = ({"role": "user", "content": content},)
    return WritingRequest(request_key(messages), messages, group)

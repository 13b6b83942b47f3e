"""A small OpenAI-shaped chat server on loopback that misbehaves as it is told. Standard library only.

    python tests/generation/openai_server.py plan.json

serves until it is killed and prints its port. ``plan.json`` holds the arguments of :class:`ChatServer`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DRIP = 0.1
"""Seconds between two bytes: an answer takes half a minute."""
LONG = 300


def text_for(question: str) -> str:
    """What the server writes when nothing is wrong."""
    return f"Somebody with number {hashlib.sha256(question.encode()).hexdigest()[:8]}."


class ChatServer(ThreadingHTTPServer):
    """The server.

    Args:
        faults: For a question (the last message) what happens the first times it is asked: a status such as ``"429"``
            (with ``Retry-After``), ``"cut"`` in the middle of the body, ``"drop"`` before any answer, ``"html"``,
            ``"empty"`` text, ``"drip"`` the body or ``"drip-headers"`` a byte at a time, ``"endless"`` bodies,
            ``"redirect ADDRESS"``, ``"status BODY"`` such as ``"400 {...}"``, or the body of an answer.
        retry_after: Value of that header.
        delay: Seconds before each answer.
        log: File that each question answered in full is appended to.
        die_after: Full answers after which the process kills itself; None never.
        port: 0 takes a free one.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        *,
        faults: Mapping[str, Sequence[str]] | None = None,
        retry_after: str = "0",
        delay: float = 0.0,
        log: str | None = None,
        die_after: int | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.faults = {question: list(kinds) for question, kinds in (faults or {}).items()}
        self.retry_after = retry_after
        self.delay = delay
        self.log = log
        self.die_after = die_after
        self.lock = threading.Lock()
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answered = 0
        self.meet: threading.Barrier | None = None
        """If set, answers wait until so many requests are there."""

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about clients that went away."""

    def note_answer(self, question: str) -> None:
        with self.lock:
            self.answered += 1
            if self.log is not None:
                with Path(self.log).open("a") as file:
                    file.write(json.dumps(question) + "\n")
            if self.answered == self.die_after:
                os.kill(os.getpid(), signal.SIGKILL)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ChatServer

    def log_message(self, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = body["messages"][-1]["content"]
        with self.server.lock:
            self.server.asked[question] += 1
            self.server.bodies.append(body)
            self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
            kinds = self.server.faults.get(question, [])
            fault = kinds.pop(0) if kinds else ""
        if self.server.meet is not None:
            self.server.meet.wait(timeout=10)
        time.sleep(self.server.delay)
        self.answer(fault if self.path == "/v1/chat/completions" else "404", question)

    def answer(self, fault: str, question: str) -> None:
        if fault == "drop":
            self.close_connection = True
        elif re.fullmatch("[1-5][0-9][0-9]", fault):
            self.send(int(fault), json.dumps({"error": "out of luck"}).encode())
        elif re.match("[1-5][0-9][0-9] ", fault):
            self.send(int(fault[:3]), fault[4:].encode())
        elif fault.startswith("redirect "):
            self.send(308, b"", location=fault.removeprefix("redirect "))
        elif fault == "drip":
            self.send(200, completion(text_for(question)), pause=DRIP)
        elif fault == "drip-headers":
            self.drip(b"HTTP/1.1 200 OK\r\nX-Patience: " + b"1" * LONG)
        elif fault == "endless":
            self.endless()
        elif fault == "html":
            self.send(200, b"<html>Please wait</html>")
        elif fault.startswith(("{", "[", '"', "null", "body ")):
            self.send(200, fault.removeprefix("body ").encode())
        elif fault == "cut":
            self.send(200, completion(text_for(question)), part=0.5)
        else:
            self.send(200, completion(" \n" if fault == "empty" else text_for(question)))
            self.server.note_answer(question)

    def send(self, status: int, content: bytes, part: float = 1.0, pause: float = 0.0, location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if location:
            self.send_header("Location", location)
        if status >= 400:
            self.send_header("Retry-After", self.server.retry_after)
        self.end_headers()
        if pause:
            self.drip(content, pause)
        else:
            self.wfile.write(content[: int(len(content) * part)])
        self.close_connection = part < 1

    def drip(self, content: bytes, pause: float = DRIP) -> None:
        """Send a byte at a time, until the other side goes away."""
        for byte in content:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(pause)

    def endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b" " * 1_000_000)


def completion(text: str | None) -> bytes:
    return json.dumps(
        {
            "object": "chat.completion",
            "id": "1",
            "created": 1,
            "model": "tiny",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": "stop",
                    "logprobs": None,
                }
            ],
            "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
        }
    ).encode()


if __name__ == "__main__":
    with ChatServer(**json.loads(Path(sys.argv[1]).read_text())) as server:
        print(server.server_port, flush=True)
        server.serve_forever()

"""Faults of a chat server, by chance: every row is there with a text or a reason, and what was written is kept."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from datasets import DatasetDict

from speechcue_hf import retries
from speechcue_hf.corpora.parquet import read_dataset, write_dataset
from speechcue_hf.generation import server as generation_server
from tests.biographies.dialogues import dataset_of, random_dialogue
from tests.campaign.commands import expect, speechcue
from tests.campaign.fault import Fault
from tests.campaign.surroundings import LISTENER
from tests.generation.openai_server import ChatServer, completion

Attempt = Callable[[Random, Path], Iterator[str]]

TOKEN = "sk-" + "campaignToken" * 3
IMPATIENT = retries.RetryPolicy(retries=2, first_wait=0.0, longest_wait=0.01, longest_asked_wait=0.01)
PATIENCE = 1.5
"""Seconds for an answer: what drips takes longer."""
BODIES = (
    "null",
    "[]",
    '"x"',
    "body 3",
    "body ",
    "[" * 50_000,
    '{"choices": {}}',
    '{"choices": []}',
    '{"choices": [null]}',
)
BODIES += (
    '{"choices": [{"message": null}]}',
    '{"choices": [{"message": {"content": 3}}]}',
    '{"choices": [{"text": "x"}]}',
)
BODIES += ('{"choices": [{"message": {"content": [{"type": "text"}]}}]}', '{"error": {"message": "a", "code": []}}')
BODIES += ('{"error": null}', '{"choices": [{"message": {"content": "x"}, "finish_reason": {}}]}', '{"detail": [[[]]]}')
BODIES += (
    f'{{"error": {{"message": "the key {TOKEN} is wrong", "type": "invalid_request_error"}}}}',
    "{" * 3,
    "body \xff",
)
STATUSES = (
    "400",
    "401",
    "403",
    "404",
    "408",
    "409",
    "413",
    "422",
    "429",
    "500",
    "501",
    "502",
    "503",
    "504",
    "529",
    "599",
)
STATUSES += ("301", "302", "204", "206", "418", "100")
RETRY_AFTER = (
    "0",
    "86400",
    "-1",
    "1e9",
    "x",
    "",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Fri, 32 Foo 2026",
    "9" * 400,
    "nan",
)


class Faults(dict[str, list[str]]):
    """What goes wrong with any question, drawn when it is asked."""

    def __init__(self, random: Random, share: float) -> None:
        super().__init__()
        self._random, self._share, self._lock = random, share, threading.Lock()

    def get(self, question: str, default: object = None) -> list[str]:  # type: ignore[override]
        with self._lock:
            return [fault(self._random)] if self._random.random() < self._share else []


def fault(random: Random) -> str:
    return random.choice(
        [
            lambda: random.choice(["drop", "html", "empty", "cut", "drip", "drip-headers", "endless"]),
            lambda: random.choice(BODIES),
            lambda: random.choice(STATUSES),
            lambda: f"{random.choice(STATUSES[:16])} {random.choice(BODIES).removeprefix('body ')}",
            lambda: f"redirect {LISTENER.address}/v1/chat/completions",
            lambda: mutated_answer(random),
        ]
    )()


def mutated_answer(random: Random) -> str:
    """A whole answer with some characters changed."""
    text = list(completion("Somebody who is asked.").decode())
    for _ in range(random.randrange(1, 6)):
        text[random.randrange(1, len(text))] = random.choice('{}[]",:0x\\ ')
    return "".join(text)


def ready(folder: Path) -> Attempt:
    """Requests are given up soon, so that a case takes seconds."""
    patch = pytest.MonkeyPatch()
    made = generation_server.ServerGenerator.__init__

    def impatient(self: object, *arguments: object, **options: object) -> None:
        made(self, *arguments, **{**options, "retries": IMPATIENT, "timeout": PATIENCE})  # type: ignore[misc]

    patch.setattr(generation_server.ServerGenerator, "__init__", impatient)
    os.environ["CAMPAIGN_TOKEN"] = TOKEN
    return attempt


def attempt(random: Random, folder: Path) -> Iterator[str]:
    """Biographies are asked for, with faults and then without."""
    rows = DatasetDict(train=dataset_of(*(random_dialogue(random.randrange(10**6)) for _ in range(2))))
    write_dataset(rows, folder / "described")
    share, wait = random.choice([0.05, 0.3, 0.9]), random.choice(RETRY_AFTER)
    yield f"{share:.0%} faults, Retry-After {wait[:40]!r}"
    line = ["biographies", folder / "described", "-o", folder / "out", "--model", "m", "--token-from", "CAMPAIGN_TOKEN"]
    line += ["--refresh", "3", "--concurrency", random.choice([1, 4])]
    with serving(ChatServer(faults={}, retry_after=wait)) as server:
        server.faults = Faults(random, share)
        said = speechcue(*line, "--server", server.base_url)
        check(folder, said.code, said.text, len(rows["train"]))
        before = texts(folder)
        server.faults = {}
        server.asked.clear()
        expect(*line, "--server", server.base_url)
    after = texts(folder)
    if lost := {key for key, text in before.items() if text is not None and after.get(key) != text}:
        raise Fault("lost row", f"{len(lost)} texts that were written are gone or were written again")
    answered = sum(text is not None for text in before.values())
    if server.asked.total() > len(after) - answered:
        raise Fault("lost row", f"{server.asked.total()} questions for {len(after) - answered} texts that were missing")
    told = read_dataset(folder / "out")["train"]
    if any(
        turns is not None and text is None
        for turns, text in zip(told["biography_turns"], told["biography"], strict=True)
    ):
        raise Fault("lost row", "a server without faults left a row without its text")


def check(folder: Path, code: int, said: str, rows: int) -> None:
    """What a run with faults left.

    Raises:
        Fault: If rows are missing, a gap has no reason, or the token is told.
    """
    kept = [path for path in folder.rglob("*") if path.is_file()]
    if TOKEN in said or any(TOKEN.encode() in path.read_bytes() for path in kept):
        raise Fault("leak", "the token is told")
    if code:
        return
    told = read_dataset(folder / "out")["train"]
    if len(told) != rows:
        raise Fault("lost row", f"{rows} rows became {len(told)}")


def texts(folder: Path) -> dict[str, str | None]:
    """Key of a question → its text in the store; of several the last counts."""
    store = folder / "out" / "biographies-store.jsonl"
    lines = store.read_text(encoding="utf-8").splitlines()[1:] if store.exists() else []
    return {entry["key"]: entry["text"] for entry in map(json.loads, lines)}


class serving:
    """A server that answers while the block runs."""

    def __init__(self, server: ChatServer) -> None:
        self._server = server

    def __enter__(self) -> ChatServer:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self._server

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

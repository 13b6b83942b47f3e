"""What a failed request to a server means: whether to ask again, when, or whether to stop altogether."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib import import_module
from typing import Any

from huggingface_hub.errors import HfHubHTTPError, InferenceTimeoutError

httpx: Any = import_module(HfHubHTTPError.__mro__[1].__module__)
"""What huggingface_hub speaks HTTP with: httpx, or httpx2 from its version 2 on."""

FAILURES: tuple[type[Exception], ...] = (httpx.HTTPError, ValueError)
"""What huggingface_hub raises when a server does not answer as it should, or a provider does not have the model."""

LARGEST_EXPONENT = 100
"""Past any longest wait, and small enough for a float however often a request is asked."""

HEALING = {408, 409, 425, 429}
"""Answers, beside all from 500 on, that say nothing against asking again."""

REFUSALS = {
    401: "it wants a token: log in with `hf auth login`, set HF_TOKEN, or give the token of this server",
    402: "the account has no credit left",
    403: "the token may not use this model: if it is gated, accept its terms on its page on the Hub while logged in, "
    "and give the token the right to call inference",
    404: "it has no such model, or no /chat/completions below its address: look at both names",
    405: "it has no /chat/completions below its address: the address of most servers ends in /v1",
}
"""Answers that every other request would get as well, with the cure."""

LONGEST_QUOTE = 200
"""Characters of a server's own words in a reason."""


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for.

    Args:
        timeout: Seconds for one answer.
        retries: How often a request is asked again.
        first_wait: Seconds before the first retry; doubled before each further one.
        longest_wait: Most seconds between two tries, unless the server names more (``Retry-After``).

    Raises:
        ValueError: If a value is out of range.
    """

    timeout: float = 600.0
    retries: int = 8
    first_wait: float = 1.0
    longest_wait: float = 60.0

    def __post_init__(self) -> None:
        if self.timeout <= 0 or self.retries < 0 or self.first_wait < 0 or self.longest_wait < 0:
            raise ValueError(f"timeout must be positive, retries and waits not negative, got {self}")

    def wait(self, failures: int, asked_for: float | None) -> float:
        """Seconds to wait after so many failures in a row, the half of it by chance so that requests spread."""
        backoff = min(self.longest_wait, self.first_wait * 2.0 ** min(failures - 1, LARGEST_EXPONENT))
        return max(backoff * random.uniform(0.5, 1.0), asked_for or 0.0)


PATIENT = Patience()
"""The default: a few minutes, long enough for a server to start again."""


@dataclass(frozen=True)
class Failure:
    """What a failed request means.

    Args:
        reason: Why there is no answer; it goes into datasets and names no host.
        heals: Whether asking again may help.
        stops: Whether every other request would fail alike.
        asked_wait: Seconds that the server wants to be left alone for, if it says so.
    """

    reason: str
    heals: bool
    stops: bool = False
    asked_wait: float | None = None


def judge(error: Exception) -> Failure:
    """Tell what a failed request means.

    Args:
        error: One of :data:`FAILURES`.

    Returns:
        What it means.
    """
    if isinstance(error, HfHubHTTPError):
        return _judge_status(error)
    if isinstance(error, httpx.ConnectError):
        return Failure("nothing answers at its address: start it, or look at the address", heals=True, stops=True)
    if isinstance(error, (InferenceTimeoutError, httpx.TimeoutException)):
        return Failure("the server did not answer in time", heals=True)
    if isinstance(error, (httpx.HTTPError, json.JSONDecodeError, UnicodeDecodeError)):
        return Failure("the server's answer was cut or is not JSON", heals=True)
    return Failure(str(error)[:LONGEST_QUOTE], heals=False, stops=True)


def _judge_status(error: HfHubHTTPError) -> Failure:
    status = error.response.status_code
    if status in REFUSALS:
        return Failure(f"it answers {status}, {REFUSALS[status]}", heals=False, stops=True)
    said = " ".join((error.server_message or "").split())[:LONGEST_QUOTE]
    reason = f"the server answered {status}" + (f": {said}" if said else "")
    return Failure(reason, heals=status >= 500 or status in HEALING, asked_wait=_retry_after(error.response.headers))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to be left alone for, given in seconds or as a date."""
    value = headers.get("Retry-After")
    if value is None:
        return None
    try:
        return max(
            0.0, float(value) if value.strip().isdigit() else parsedate_to_datetime(value).timestamp() - time.time()
        )
    except ValueError:
        return None

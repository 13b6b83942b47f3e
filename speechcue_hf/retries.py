"""Requests that are made again where that can help: how often, and how long is waited before."""

from __future__ import annotations

import logging
import math
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import count
from typing import TypeVar

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True)
class RetryPolicy:
    """How often a request is made again, and when.

    Args:
        retries: How often, after the first time.
        first_wait: Seconds before the first retry; doubled before each further one.
        longest_wait: Most seconds between two tries, unless the server names more (``Retry-After``).
        longest_asked_wait: Most seconds between two tries, whatever the server names.

    Raises:
        ValueError: If a value is negative.
    """

    retries: int = 8
    first_wait: float = 1.0
    longest_wait: float = 60.0
    longest_asked_wait: float = 300.0

    def __post_init__(self) -> None:
        if min(self.retries, self.first_wait, self.longest_wait, self.longest_asked_wait) < 0:
            raise ValueError(f"retries and waits must not be negative, got {self}")

    def wait(self, failures: int, asked_for: float | None) -> float:
        """Seconds to wait after so many failures in a row, the half of it by chance so that requests spread."""
        # An exponent past any longest wait, and small enough for a float however often a request is made.
        backoff = min(self.longest_wait, self.first_wait * 2.0 ** min(failures - 1, 100))
        return max(backoff * random.uniform(0.5, 1.0), min(asked_for or 0.0, self.longest_asked_wait))


DEFAULT_RETRIES = RetryPolicy()
"""A few minutes, long enough for a server to start again."""

TOLD_WAIT = 10.0
"""Seconds from which on a wait is told: whoever watches would think that nothing happens."""

LONGEST_QUOTE = 200
"""Characters of a server's own words in a reason."""

MASK = "***"

_LOOKS_SECRET = re.compile(
    r"(?i:\bbearer\s+)[^\s\"',;]+"
    r"|\b(?:hf_|sk-|sk_|gsk_|ghp_|github_pat_|xai-|glpat-|AKIA|AIza|eyJ)[\w.*…-]{4,}"
    r"|(?<=://)[^\s/@]+(?=@)"
)
_WORDS = re.compile(r"([^\s\"'`,;:()<>…]+)")
_SHORTEST_PART = 8
"""Characters of a secret from which on its beginning or end alone is masked too."""


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


class RetriesEnded(Exception):
    """A request that failed for good: its ``failure``, after so many ``tries``."""

    def __init__(self, failure: Failure, tries: int) -> None:
        super().__init__(failure.reason)
        self.failure, self.tries = failure, tries


def persist(
    request: Callable[[], Result],
    explain: Callable[[Exception], Failure],
    policy: RetryPolicy = DEFAULT_RETRIES,
    pause: Callable[[float], object] = time.sleep,
) -> Result | None:
    """Make a request, again where that can help.

    Args:
        request: What is asked; it may be asked more than once.
        explain: Says what an error means, or raises it where it is no failure of the request.
        policy: How often, and when.
        pause: Waits so many seconds; if it returns something true, the request is given up.

    Returns:
        What the request returns; None if it was given up while waiting.

    Raises:
        RetriesEnded: If the request cannot succeed, or has not after all tries; its cause is the last error.
    """
    for tries in count(1):
        try:
            return request()
        except Exception as error:
            failure = explain(error)
            if not failure.heals or tries > policy.retries:
                raise RetriesEnded(failure, tries) from error
        wait = policy.wait(tries, failure.asked_wait)
        _tell(failure, wait)
        if pause(wait):
            break
    return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to be left alone for, given in seconds or as a date.

    Args:
        headers: Of its answer.

    Returns:
        The time in s, 0 or more; None if it says nothing that can be understood.

    Example:
        >>> retry_after({"Retry-After": "20"})
        20.0
    """
    value = headers.get("Retry-After")
    if value is None:
        return None
    try:
        seconds = float(value) if re.fullmatch(r"\s*[\d.]+\s*", value) else _seconds_until(value)
    # A date may lie beyond what this machine's clock can count.
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def quoted(text: str, *secrets: str | None) -> str:
    r"""A server's own words, as a reason may hold them: one short line, in which what looks like a secret is masked.

    Args:
        text: What it says.
        secrets: Tokens that it was sent; they are masked whatever they look like, and so are their beginnings and ends.

    Returns:
        At most 200 characters.

    Example:
        >>> quoted("Invalid\ntoken my-own-token", "my-own-token")
        'Invalid token ***'
    """
    for secret in filter(None, secrets):
        text = text.replace(secret, MASK)
        text = "".join(_masked_part(word, secret) for word in _WORDS.split(text))
    return " ".join(_LOOKS_SECRET.sub(MASK, text).split())[:LONGEST_QUOTE]


def _masked_part(word: str, secret: str) -> str:
    """The mask where a word is the beginning or the end of a secret, stars and dots for the rest of it aside."""
    shown = [part for part in re.split(r"\*+|\.{2,}|\.$", word) if len(part) >= _SHORTEST_PART]
    return MASK if any(secret.startswith(part) or secret.endswith(part) for part in shown) else word


def _seconds_until(date: str) -> float:
    return parsedate_to_datetime(date).timestamp() - time.time()


def _tell(failure: Failure, wait: float) -> None:
    """Say that a request is made again, aloud where the wait is long or shorter than what the server wants."""
    if failure.asked_wait is not None and failure.asked_wait > wait:
        logger.warning(
            "%s; it asks for %.0f s of rest, trying again in %.0f s, the most that is waited",
            failure.reason,
            failure.asked_wait,
            wait,
        )
    else:
        level = logging.INFO if wait >= TOLD_WAIT else logging.DEBUG
        logger.log(level, "%s; trying again in %.0f s", failure.reason, wait)

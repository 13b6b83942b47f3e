"""What a failed request to a chat model's server means: to ask again, to go on without, or to stop altogether."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

from huggingface_hub.errors import HfHubHTTPError, InferenceTimeoutError

from speechcue_hf.retries import Failure, retry_after

httpx: Any = import_module(HfHubHTTPError.__mro__[1].__module__)
"""What huggingface_hub speaks HTTP with: httpx, or httpx2 from its version 2 on."""

FAILURES: tuple[type[Exception], ...] = (httpx.HTTPError, ValueError)
"""What huggingface_hub raises when a server does not answer as it should, or a provider does not have the model."""

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
"""Answers that every other request would get as well, with the fix."""

LONGEST_QUOTE = 200
"""Characters of a server's own words in a reason."""


def explain_failure(error: Exception) -> Failure:
    """Tell what a failed request means.

    Args:
        error: One of :data:`FAILURES`; any other is raised.

    Returns:
        What it means.
    """
    if not isinstance(error, FAILURES):
        raise error
    if isinstance(error, HfHubHTTPError):
        return _explain_status(error)
    if isinstance(error, httpx.ConnectError):
        return Failure("nothing answers at its address: start it, or look at the address", heals=True, stops=True)
    if isinstance(error, (InferenceTimeoutError, httpx.TimeoutException)):
        return Failure("the server did not answer in time", heals=True)
    if isinstance(error, (httpx.HTTPError, json.JSONDecodeError, UnicodeDecodeError)):
        return Failure("the server's answer was cut or is not JSON", heals=True)
    return Failure(str(error)[:LONGEST_QUOTE], heals=False, stops=True)


def _explain_status(error: HfHubHTTPError) -> Failure:
    status = error.response.status_code
    if status in REFUSALS:
        return Failure(f"it answers {status}, {REFUSALS[status]}", heals=False, stops=True)
    said = " ".join((error.server_message or "").split())[:LONGEST_QUOTE]
    reason = f"the server answered {status}" + (f": {said}" if said else "")
    return Failure(reason, heals=status >= 500 or status in HEALING, asked_wait=retry_after(error.response.headers))

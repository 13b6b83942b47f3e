"""A chat model on a server that writes: many requests in flight, and what can heal is asked again."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib import import_module
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from huggingface_hub import InferenceClient, get_token
from huggingface_hub.errors import HfHubHTTPError, InferenceTimeoutError

from speechcue_hf.errors import GenerationError
from speechcue_hf.generation.request import GREEDY, GeneratedText, GenerationRequest, GenerationSettings
from speechcue_hf.retries import DEFAULT_RETRIES, Failure, RetriesEnded, RetryPolicy, persist, retry_after

if TYPE_CHECKING:
    from huggingface_hub import ChatCompletionOutput

MOST_CONNECTIONS = 100
"""What huggingface_hub's connection pool holds."""

HUGGING_FACE = (".huggingface.co", ".huggingface.cloud", ".hf.space")
"""Hosts that the saved Hugging Face token is meant for."""

httpx: Any = import_module(HfHubHTTPError.__mro__[1].__module__)
"""What huggingface_hub speaks HTTP with: httpx, or httpx2 from its version 2 on."""

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


class ServerGenerator:
    """Writes with a model behind an OpenAI-compatible server, or with a provider of Hugging Face's.

    Rate limits, server errors, cut connections and time-outs are tried again. A request that still fails, or that the
    server cannot answer, gets its reason and the others go on. What would befall every request (no token, no such
    model, nobody at the address) stops the run; what is written by then is handed out first.

    Args:
        model: Name of the model, as the server or the Hub knows it.
        base_url: Address of a server of your own (vLLM, ``transformers serve``), such as ``http://localhost:8000/v1``;
            None asks Hugging Face's Inference Providers.
        provider: One of the Inference Providers; None leaves the choice to Hugging Face.
        token: What the server wants to see. None sends the token of ``hf auth login`` to Hugging Face, and no token
            to any other server.
        decoding: How tokens are chosen, and how many.
        concurrency: Requests in flight, 1 to 100.
        timeout: Seconds for one answer.
        retries: How often a request is made again, and when.

    Raises:
        ValueError: If ``concurrency`` or ``timeout`` is out of range, or both a server and a provider are given.
        GenerationError: If Hugging Face is to be asked and there is no token.

    Example:
        >>> generator = ServerGenerator("Qwen/Qwen3-0.6B", base_url="http://localhost:8000/v1")
        >>> [answer.text for answer in generator.generate([request])]  # doctest: +SKIP
        ['Ann is warm and quick to laugh.']
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        provider: str | None = None,
        token: str | None = None,
        decoding: GenerationSettings = GREEDY,
        concurrency: int = 16,
        timeout: float = 600.0,
        retries: RetryPolicy = DEFAULT_RETRIES,
    ) -> None:
        if not 1 <= concurrency <= MOST_CONNECTIONS:
            raise ValueError(f"concurrency must be 1 to {MOST_CONNECTIONS}, got {concurrency}")
        if timeout <= 0:
            raise ValueError(f"timeout must be positive, got {timeout}")
        if base_url is not None and provider is not None:
            raise ValueError(f"give a server's address or a provider, not both, got provider {provider!r}")
        if base_url is None and token is None and get_token() is None:
            raise GenerationError(
                f"There is no token to ask Hugging Face's Inference Providers for {model}: log in with "
                "`hf auth login` or set HF_TOKEN. A server of your own needs its address (base_url)."
            )
        self._model = model
        self._provider = provider
        self._place = "Hugging Face's Inference Providers" if base_url is None else f"the server at {_host(base_url)}"
        self._decoding = decoding
        self._concurrency = concurrency
        self._retries = retries
        client: Any = InferenceClient
        self._client: InferenceClient = client(
            base_url=base_url, provider=provider, token=token, timeout=timeout, headers=_headers(base_url, token)
        )

    @property
    def identity(self) -> dict[str, Any]:
        """Model, provider and decoding settings; not where the server stands, nor the folder it may have a model in."""
        model = PurePath(self._model)
        return {
            "writer": "server",
            "model": model.name if model.is_absolute() else self._model,
            "revision": None,
            "provider": self._provider,
            "decoding": self._decoding.identity,
        }

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedText]:
        """Write, and hand out the answers as they come in."""
        stop = threading.Event()
        refusal: BaseException | None = None
        pool = ThreadPoolExecutor(self._concurrency)
        try:
            running = [pool.submit(self._write_one, request, stop) for request in requests]
            for done in as_completed(running):
                if (error := done.exception()) is not None:
                    stop.set()
                    refusal = refusal or error
                elif (answer := done.result()) is not None:
                    yield answer
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
        if refusal is not None:
            raise refusal

    def _write_one(self, request: GenerationRequest, stop: threading.Event) -> GeneratedText | None:
        """Ask until there is an answer or the retries end; None if the run stops before that."""
        if stop.is_set():
            return None
        try:
            output = persist(lambda: self._ask(request), _explain, self._retries, stop.wait)
        except RetriesEnded as end:
            reason = end.failure.reason
            if end.failure.stops:
                stop.set()
                raise GenerationError(
                    f"{self._place} cannot be used for {self._model}: {reason}. What was written so far is kept; "
                    "run again to go on."
                ) from end
            return GeneratedText(request.key, None, reason if end.tries == 1 else f"{reason} (asked {end.tries} times)")
        return None if output is None else _read(request.key, output)

    def _ask(self, request: GenerationRequest) -> ChatCompletionOutput:
        return self._client.chat_completion(
            list(request.messages),
            model=self._model,
            max_tokens=self._decoding.max_new_tokens,
            temperature=self._decoding.temperature,
            top_p=self._decoding.top_p if self._decoding.samples else None,
            seed=self._decoding.seed if self._decoding.samples else None,
        )


def _read(key: str, output: ChatCompletionOutput) -> GeneratedText:
    """The answer in what a server sends, whatever fields it leaves out or fills with something else."""
    choice = output.choices[0] if output.choices else None
    text = getattr(getattr(choice, "message", None), "content", None)
    return GeneratedText(
        key,
        text=text if isinstance(text, str) else "",
        prompt_tokens=getattr(output.usage, "prompt_tokens", None),
        completion_tokens=getattr(output.usage, "completion_tokens", None),
    )


def _host(base_url: str) -> str:
    """Host and port of a server; a name or password in the address stays out of messages."""
    address = urlsplit(base_url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ValueError("base_url must look like http://localhost:8000/v1, the address given has no scheme or no host")
    return address.hostname if address.port is None else f"{address.hostname}:{address.port}"


def _headers(base_url: str | None, token: str | None) -> dict[str, Any] | None:
    """Hold back the saved Hugging Face token, which huggingface_hub would send to any server."""
    if base_url is None or token is not None or f".{urlsplit(base_url).hostname}".endswith(HUGGING_FACE):
        return None
    return {"authorization": None}


def _explain(error: Exception) -> Failure:
    """What a failed request means: to ask again, to go on without, or to stop altogether."""
    # What huggingface_hub raises when a server does not answer as it should, or a provider does not have the model.
    if not isinstance(error, (httpx.HTTPError, ValueError)):
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
    heals = status >= 500 or status in (408, 409, 425, 429)
    return Failure(reason, heals, asked_wait=retry_after(error.response.headers))

"""Requests to a chat server: many in flight, and what can heal is asked again.

A request is one POST with the HTTP client that huggingface_hub brings. The ``openai`` client would add a second one and
take away what matters here: one deadline for a whole answer, waits that end with the run, no redirect to another host,
and answers whose shape is checked before it is believed.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import get_token, is_offline_mode
from huggingface_hub.errors import HfHubHTTPError

from speechcue_hf.errors import GenerationError
from speechcue_hf.generation.adaptions import Adaptions
from speechcue_hf.generation.answer import AnswerError, read_error
from speechcue_hf.generation.request import GeneratedText
from speechcue_hf.retries import DEFAULT_RETRIES, Failure, RetriesEnded, RetryPolicy, persist, quoted, retry_after

MOST_CONNECTIONS = 100
"""Requests in flight, each of which a thread waits for."""

MOST_BYTES = 16_000_000
"""Of an answer; a text of a thousand tokens has some thousands."""

LONGEST_CONNECT = 30.0
"""Seconds in which a connection is made, or it never will be."""

ROUTER = "https://router.huggingface.co/v1"
"""Hugging Face's Inference Providers, as an OpenAI-compatible server; ``model:provider`` chooses one of them."""

HUGGING_FACE = (".huggingface.co", ".huggingface.cloud", ".hf.space")
"""Hosts that the saved Hugging Face token is meant for."""

OWN_FIELDS = ("model", "messages", "prompt", "stream", "n")
"""What a request must say as it does: ``fields`` cannot change it."""

NOT_UNDERSTOOD = (400, 404, 405, 415, 422, 500, 501)
"""Answers of a server to a request of a kind that it does not know."""

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

_CANNOT_HEAL = ("invalid", "unsupported", "badrequest", "context_length", "content_filter", "not_found")
"""In the name of an error that came under a status of success: asking again would bring it again."""


@dataclass(frozen=True)
class _Response:
    status: int
    headers: Mapping[str, str]
    content: bytes


class _Unanswered(Exception):
    """A response that is no answer, and what that means."""

    def __init__(self, failure: Failure, status: int | None = None) -> None:
        super().__init__(failure.reason)
        self.failure, self.status = failure, status


@dataclass(frozen=True)
class ServerCall:
    """One request.

    Args:
        key: Of what is asked.
        path: Below the server's address, such as ``chat/completions``.
        body: What is sent, beside the model and the client's further fields.
        read: Makes the answer of the key and the values that came; AnswerError where an error stands in its place.
    """

    key: str
    path: str
    body: Mapping[str, Any]
    read: Callable[[str, Any], GeneratedText]


class ServerClient:
    """Asks an OpenAI-compatible server, or a provider of Hugging Face's.

    Rate limits, server errors, cut connections and time-outs are tried again. A request that still fails, or that the
    server cannot answer, gets its reason and the others go on. What would befall every request (no token, no such
    model, nobody at the address) stops the run; what is answered by then is handed out first. What a server is known to
    refuse is left out, as :class:`speechcue_hf.generation.adaptions.Adaptions` says.

    Args:
        model: Name of the model, as the server or the Hub knows it.
        base_url: Address of a server (vLLM, Ollama, ``transformers serve``, a provider's own), such as
            ``http://localhost:8000/v1``; None asks Hugging Face's Inference Providers. It is asked whatever
            ``HF_HUB_OFFLINE`` says, which closes the Hub alone.
        provider: One of the Inference Providers; None leaves the choice to Hugging Face.
        token: What the server wants to see. None sends the token of ``hf auth login`` to Hugging Face, and no token
            to any other server.
        fields: Further fields of each request, such as ``{"reasoning_effort": "none"}``; None as a value leaves a field
            out: ``{"max_tokens": None, "max_completion_tokens": 300}``.
        concurrency: Requests in flight, 1 to 100.
        timeout: Seconds for one answer, from the connection to its last byte.
        retries: How often a request is made again, and when.

    Raises:
        ValueError: If ``concurrency`` or ``timeout`` is out of range, both a server and a provider are given, or
            ``fields`` holds what a request must say itself.
        GenerationError: If Hugging Face is to be asked and there is no token, or ``HF_HUB_OFFLINE`` is set.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        provider: str | None = None,
        token: str | None = None,
        fields: Mapping[str, Any] | None = None,
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
        if own := sorted(set(fields or {}) & set(OWN_FIELDS)):
            raise ValueError(f"a request says {own[0]!r} itself: leave it out of the further fields")
        self._model = model
        self._provider = provider
        self._place = "Hugging Face's Inference Providers" if base_url is None else f"the server at {_host(base_url)}"
        self._token = _token(model, base_url, token)
        self._address, self._login = _without_login(ROUTER if base_url is None else base_url)
        self._fields = dict(fields or {})
        self._concurrency = concurrency
        self._timeout = timeout
        self._retries = retries
        self._tls: ssl.SSLContext = httpx.create_ssl_context()
        self.adaptions = Adaptions()

    @property
    def identity(self) -> dict[str, Any]:
        """Model, provider and further fields; not where the server stands, nor the folder it may have a model in."""
        model = PurePath(self._model)
        return {
            "writer": "server",
            "model": model.name if model.is_absolute() else self._model,
            "revision": None,
            "provider": self._provider,
            **({"fields": self._fields} if self._fields else {}),
        }

    @property
    def secret(self) -> str | None:
        """The token, which must be masked wherever a server repeats it."""
        return self._token

    def ask(self, calls: Sequence[ServerCall]) -> Iterator[GeneratedText]:
        """Make requests, begun in their order, and hand out the answers as they come in.

        Raises:
            GenerationError: If no further request can be answered.
        """
        stop = threading.Event()
        refusal: BaseException | None = None
        pool = ThreadPoolExecutor(self._concurrency)
        try:
            running = [pool.submit(self._ask_one, call, stop) for call in calls]
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

    def try_out(self, call: ServerCall) -> GeneratedText:
        """Make one request of a kind that the server may not understand.

        Returns:
            Its answer; without text and with the reason where the server does not understand it.

        Raises:
            GenerationError: If the server cannot be asked at all.
        """
        answer = self._ask_one(call, threading.Event(), self._explain_trial)
        assert answer is not None  # nobody stops it
        return answer

    def _ask_one(
        self, call: ServerCall, stop: threading.Event, explain: Callable[[Exception], Failure] | None = None
    ) -> GeneratedText | None:
        """Ask until there is an answer or the retries end; None if the run stops before that."""
        if stop.is_set():
            return None
        try:
            return persist(lambda: self._answer(call), explain or self._explain, self._retries, stop.wait)
        except RetriesEnded as end:
            reason = end.failure.reason
            if end.failure.stops:
                stop.set()
                raise GenerationError(
                    f"{self._place} cannot be used for {self._model}: {reason}. What was written so far is kept; "
                    "run again to go on."
                ) from end
            return GeneratedText(call.key, None, reason if end.tries == 1 else f"{reason} (asked {end.tries} times)")

    def _answer(self, call: ServerCall) -> GeneratedText:
        """Make one request within its deadline, in a loop of this thread's own; again where the server says how."""
        while True:
            body = self.adaptions.applied(self._body(call))
            response = _finished(asyncio.wait_for(self._post(call.path, body), self._timeout))
            values, problem = _parsed(response.content)
            if 200 <= response.status < 300:
                break
            error = read_error(values)
            if not self.adaptions.learn(response.status, error, body):
                raise _Unanswered(self._failure_of_status(response.status, error, response.headers), response.status)
        if problem is not None:
            raise _Unanswered(problem)
        return call.read(call.key, values)

    def _body(self, call: ServerCall) -> dict[str, Any]:
        model = self._model if self._provider is None else f"{self._model}:{self._provider}"
        # What a user adds is meant for the model's answer: other requests do not know these fields.
        fields = self._fields if call.path == "chat/completions" else {}
        body = {"model": model, **call.body, "stream": False, **fields}
        return {name: value for name, value in body.items() if value is not None}

    async def _post(self, path: str, body: Mapping[str, Any]) -> _Response:
        headers = {"accept-encoding": "identity"}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token}"
        # The deadline of the whole request is the caller's; redirects are not followed unless one says so.
        patience = httpx.Timeout(None, connect=min(LONGEST_CONNECT, self._timeout))
        login = self._login if self._token is None else None
        async with (
            httpx.AsyncClient(verify=self._tls, timeout=patience, headers=headers, auth=login) as client,
            client.stream("POST", f"{self._address}/{path}", json=body) as response,
        ):
            content = bytearray()
            async for part in response.aiter_bytes():
                content += part
                if len(content) > MOST_BYTES:
                    reason = f"the server's answer is larger than {MOST_BYTES / 1e6:.0f} MB"
                    raise _Unanswered(Failure(reason, heals=False))
            return _Response(response.status_code, response.headers, bytes(content))

    def _explain(self, error: Exception) -> Failure:
        """What a failed request means: to ask again, to go on without, or to stop altogether."""
        if isinstance(error, _Unanswered):
            return error.failure
        if isinstance(error, AnswerError):
            return self._failure_of_error(error)
        if isinstance(error, asyncio.TimeoutError):
            return Failure("the server did not answer in time", heals=True)
        if not isinstance(error, httpx.HTTPError):
            raise error
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return _failure_to_connect(error)
        return Failure("the server's answer was cut", heals=True)

    def _explain_trial(self, error: Exception) -> Failure:
        """What a failed trial means: a kind of request that is not understood is neither repeated nor an end."""
        failure = self._explain(error)
        if isinstance(error, _Unanswered) and error.status in NOT_UNDERSTOOD:
            return Failure(failure.reason, heals=False)
        return failure

    def _failure_of_error(self, error: AnswerError) -> Failure:
        """What an error means that came under a status of success."""
        code = str(error.code)
        if code.isdecimal() and 400 <= int(code) < 600:
            return self._failure_of_status(int(code), error, {})
        said = quoted(error.said, self._token)
        name = code.replace("_", "").lower()
        heals = not any(part.replace("_", "") in name for part in _CANNOT_HEAL)
        return Failure("the server answered with an error" + (f": {said}" if said else ""), heals)

    def _failure_of_status(self, status: int, error: AnswerError | None, headers: Mapping[str, str]) -> Failure:
        """What a status means, with the server's words if it has any."""
        said = "" if error is None else quoted(error.said, self._token)
        if 300 <= status < 400:
            return Failure(_redirect(status, headers), heals=False, stops=True)
        if status in REFUSALS:
            return Failure(f"it answers {status}, {REFUSALS[status]}", heals=False, stops=True)
        if error is not None and error.parameter in self._settings and "unsupported" in str(error.code):
            fix = f"leave it out with --request-fields '{{\"{error.parameter}\": null}}', or name what it takes instead"
            return Failure(f"it does not take {error.parameter!r} ({said}): {fix}", heals=False, stops=True)
        reason = f"the server answered {status}" + (f": {said}" if said else "")
        heals = status >= 500 or status in (408, 409, 425, 429)
        return Failure(reason, heals, asked_wait=retry_after(headers))

    @property
    def _settings(self) -> set[str]:
        """The fields of a request that can be left out."""
        return {"max_tokens", "temperature", "top_p", "seed", *self._fields}


def _finished(work: Coroutine[Any, Any, _Response]) -> _Response:
    """Run a request to its end, in another thread where this one's loop runs already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def _parsed(content: bytes) -> tuple[Any, Failure | None]:
    """The values of a body, or what it means that there are none."""
    try:
        return json.loads(content), None
    except ValueError:
        return None, Failure("the server's answer was cut or is not JSON", heals=True)
    except RecursionError:
        return None, Failure("the server's answer is nested too deeply to be read", heals=False)


def _failure_to_connect(error: Exception) -> Failure:
    """Nobody is there, or whoever is cannot show who it is."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return Failure("nothing answers at its address: start it, or look at the address", heals=True, stops=True)
    if isinstance(cause, ssl.SSLCertVerificationError):
        fix = "give the name that its certificate is for, or the file of its authority in SSL_CERT_FILE"
        return Failure(f"its TLS certificate is not valid ({cause.verify_message}): {fix}", heals=False, stops=True)
    said = (cause.reason or "no reason given").replace("_", " ").lower()
    fix = "a server without TLS has an address that begins with http://"
    return Failure(f"TLS fails ({said}): {fix}", heals=False, stops=True)


def _redirect(status: int, headers: Mapping[str, str]) -> str:
    """Where a server sends one to, by its host alone."""
    place = urlsplit(headers.get("location", ""))
    where = f"{place.scheme}://{place.hostname}" if place.scheme and place.hostname else "elsewhere on itself"
    return f"it answers {status} and sends requests on ({where}), which is not followed: give the address it means"


def _token(model: str, base_url: str | None, token: str | None) -> str | None:
    """The token that is sent: the saved one of Hugging Face goes to Hugging Face only."""
    if base_url is None and is_offline_mode():
        raise GenerationError(
            "HF_HUB_OFFLINE is set, and Hugging Face's Inference Providers are asked over the net: unset it, or give "
            "the address of a server of your own (base_url)"
        )
    if token is None and (base_url is None or f".{urlsplit(base_url).hostname}".endswith(HUGGING_FACE)):
        token = get_token()
    if base_url is None and token is None:
        raise GenerationError(
            f"There is no token to ask Hugging Face's Inference Providers for {model}: log in with "
            "`hf auth login` or set HF_TOKEN. A server of your own needs its address (base_url)."
        )
    if base_url is None and token is not None and not token.startswith("hf_"):
        raise GenerationError(
            "the token given is none of Hugging Face's, which begin with hf_: a provider's own key goes to the "
            "provider, whose address is to be given (base_url)"
        )
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token.strip()):
        raise GenerationError("the token given holds blanks or characters that no token has: copy it again")
    return None if token is None else token.strip()


def _without_login(base_url: str) -> tuple[str, tuple[str, str] | None]:
    """An address, and the name and password that stood in it: addresses are logged, these must not be."""
    address = httpx.URL(base_url)
    login = (address.username, address.password) if address.username or address.password else None
    return str(address.copy_with(username=None, password=None)).rstrip("/"), login


def _host(base_url: str) -> str:
    """Host and port of a server; a name or password in the address stays out of messages."""
    address = urlsplit(base_url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ValueError("base_url must look like http://localhost:8000/v1, the address given has no scheme or no host")
    return address.hostname if address.port is None else f"{address.hostname}:{address.port}"

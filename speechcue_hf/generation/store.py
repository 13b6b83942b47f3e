"""The store of what a generator wrote: one JSON line for each answer, added at once, so that a killed run loses none.

The first line says which model, decoding settings and prompt wrote it; a run with others is refused. The answers follow
in the order in which they came, failed ones with their reason; of several lines with one key the last holds. Each has
the SHA-256 of what it says, but for those that 0.1.0 wrote.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, get_type_hints

from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

from speechcue_hf.errors import GenerationError
from speechcue_hf.generation.request import GeneratedText, GenerationRequest, TextGenerator
from speechcue_hf.progress import counting
from speechcue_hf.values import fitted

FORMAT_VERSION = 1

EMPTY = "the model answered with an empty text"


class TextStore:
    """Answers by key, in a file that begins with a header; :func:`open_store` makes one."""

    def __init__(self, path: Path, answers: Mapping[str, GeneratedText]) -> None:
        self._path = path
        self._answers = dict(answers)

    def __len__(self) -> int:
        """Number of texts; failed requests do not count."""
        return sum(answer.text is not None for answer in self._answers.values())

    def __contains__(self, key: str) -> bool:
        """Whether there is a text, so that the request need not be asked again."""
        return key in self._answers and self._answers[key].text is not None

    def __getitem__(self, key: str) -> GeneratedText:
        """The last answer to a request, be it a text or a reason."""
        return self._answers[key]

    def append(self, answer: GeneratedText) -> None:
        """Add an answer to the file, whole and on the disk before this returns."""
        with self._path.open("ab") as file:
            entry = asdict(answer)
            # Nothing is said of a cache where nothing is known of it, as in the stores of earlier releases.
            if answer.cached_tokens is None:
                del entry["cached_tokens"]
            file.write(_line({**entry, "sha256": _checksum(entry)}))
            file.flush()
            os.fsync(file.fileno())
        self._answers[answer.key] = answer


@contextmanager
def open_store(path: Path, *, generator: Mapping[str, Any], prompt: Mapping[str, str]) -> Iterator[TextStore]:
    """Open a store for one run; nobody else can open it meanwhile.

    What a killed run left of its last line is removed. A file that is no store, or another one's, stays as it is.

    Args:
        path: The file; it and its folder are made if need be.
        generator: Identity of the text generator.
        prompt: Name and hash of what all requests are rendered with, ``{"name", "sha256"}``.

    Yields:
        The store.

    Raises:
        GenerationError: If another run has it open, it was written by another model, decoding or prompt, it is no
            store, or a line of it is damaged.

    Example:
        >>> prompt = {"name": "mine", "sha256": "0" * 64}
        >>> with open_store(Path("mine.jsonl"), generator=generator.identity, prompt=prompt) as store:
        ...     generate_missing([request], generator, store)
        ...     store[request.key].text
        'Somebody who is asked about.'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # As it is read again: tuples become lists.
    header = json.loads(_line({"format_version": FORMAT_VERSION, "writer": dict(generator), "prompt": dict(prompt)}))
    with ExitStack() as stack:
        try:
            # The system gives the lock back when a run is killed.
            stack.enter_context(WeakFileLock(path.with_name(f".{path.name}.lock"), timeout=0.1))
        except TimeoutError as error:
            raise GenerationError(f"another run writes to {path}: wait for it, or give another store") from error
        path.touch()
        # Nothing yet, or what a killed run had written of the header.
        if _line(header).startswith(path.read_bytes()):
            path.write_bytes(_line(header))
        found, answers = _read(path)
        _check_header(path, found, header)
        # What follows the last end of a line: a run was killed while it wrote it.
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
        yield TextStore(path, answers)


def stored_keys(path: Path) -> set[str]:
    """Keys of the texts in a store, whoever wrote it, without opening it.

    Args:
        path: The file; it need not exist.

    Returns:
        The keys.

    Raises:
        GenerationError: If it is no store, or a line of it is damaged.
    """
    if not path.exists():
        return set()
    return {key for key, answer in _read(path)[1].items() if answer.text is not None}


def stored_writer(path: Path) -> dict[str, Any]:
    """Identity of the generator that a store is of; empty where there is none yet.

    Raises:
        GenerationError: If the file is no store.
    """
    header = _read(path)[0] if path.exists() else {}
    writer: dict[str, Any] = header.get("writer", {})
    return writer


def generate_missing(
    requests: Sequence[GenerationRequest], generator: TextGenerator, store: TextStore, what: str = "Writing"
) -> None:
    """Ask a generator for the texts that a store lacks.

    A run that was killed goes on where it stood. A request that failed has its reason in the store and is asked again
    by the next run; so is one that was answered with an empty text.

    Args:
        requests: What is wanted; requests of one key are asked once.
        generator: Who writes.
        store: Where each answer goes as soon as it is there.
        what: What the work is called where its progress is shown.

    Raises:
        GenerationError: If the generator answers what was not asked, or leaves a request without an answer.
    """
    distinct = {request.key: request for request in requests}
    missing = [request for key, request in distinct.items() if key not in store]
    open_keys = {request.key for request in missing}
    with counting(what, len(distinct), "texts", done=len(distinct) - len(missing)) as count:
        for answer in generator.generate(missing) if missing else ():
            if answer.key not in open_keys:
                raise GenerationError(f"the generator answered {answer.key}: not asked, or answered already")
            open_keys.remove(answer.key)
            store.append(_settled(answer))
            count(1)
    if open_keys:
        raise GenerationError(
            f"the generator left {len(open_keys)} of {len(missing)} requests without an answer: run again"
        )


def _settled(answer: GeneratedText) -> GeneratedText:
    """The answer as it is kept: white space is no text, and half a character, which no file can hold, becomes "?"."""
    text, reason = (part and part.encode(errors="replace").decode() for part in (answer.text, answer.reason))
    if text is not None and not text.strip():
        text, reason = None, EMPTY
    return replace(answer, text=text, reason=reason)


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode() + b"\n"


def _read(path: Path) -> tuple[dict[str, Any], dict[str, GeneratedText]]:
    """Header and answers; the last line may be torn, and where that is the header there is nothing yet."""
    *lines, _ = path.read_bytes().split(b"\n")
    header, *entries = [_parsed(path, number, line) for number, line in enumerate(lines, start=1)] or [{}]
    answers = [_answer(path, number, entry) for number, entry in enumerate(entries, start=2)]
    return header, {answer.key: answer for answer in answers}


def _answer(path: Path, number: int, entry: dict[str, Any]) -> GeneratedText:
    """The answer of a line, which must be the one that was written there."""
    checksum = entry.pop("sha256", None)
    try:
        answer = GeneratedText(**entry)
        hints = get_type_hints(GeneratedText)
        for name, value in entry.items():
            fitted(name, value, hints[name])
    except TypeError as error:
        raise _no_store(path) from error
    # A text that changed must not be taken for what a model wrote.
    if checksum is not None and checksum != _checksum(entry):
        raise _damaged(path, number, "it is not what was written there")
    return answer


def _checksum(entry: Mapping[str, Any]) -> str:
    return sha256(json.dumps(dict(entry), sort_keys=True).encode()).hexdigest()


def _parsed(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        entry: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        if number == 1:
            raise _no_store(path) from error
        raise _damaged(path, number, str(error)) from error
    if not isinstance(entry, dict):
        raise _no_store(path)
    return entry


def _damaged(path: Path, number: int, what: str) -> GenerationError:
    return GenerationError(f"{path}, line {number} is damaged ({what}): remove it, or give another store")


def _no_store(path: Path) -> GenerationError:
    return GenerationError(f"{path} is no store of texts: give another store")


def _check_header(path: Path, found: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    """Refuse texts of another model, decoding or prompt: they must not mix."""
    if "format_version" not in found:
        raise _no_store(path)
    stored, wanted = _flat(found), _flat(header)
    differing = [name for name in {**stored, **wanted} if stored.get(name) != wanted.get(name)]
    if differing:
        what = ", ".join(f"{name} {stored.get(name)!r} and not {wanted.get(name)!r}" for name in differing)
        raise GenerationError(
            f"{path} was written with {what}: give another store, or the model, settings and prompt it was written with"
        )


def _flat(header: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """``{"writer": {"model": "tiny"}}`` → ``{"writer model": "tiny"}``."""
    flat: dict[str, Any] = {}
    for name, value in header.items():
        flat |= _flat(value, f"{before}{name} ") if isinstance(value, dict) else {f"{before}{name}": value}
    return flat

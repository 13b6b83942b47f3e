"""The store of what a generator wrote: one JSON line for each answer, added at once, so that a killed run loses none.

The first line says which model, decoding settings and prompt wrote it; a run with others is refused. The answers follow
in the order in which they came, failed ones with their reason; of several lines with one key the last holds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

from speechcue_hf.errors import GenerationError
from speechcue_hf.generation.request import GeneratedText

FORMAT_VERSION = 1


class TextStore:
    """Answers by key, in a file; make one with :func:`open_store`.

    Args:
        path: The file, which begins with a header.
        answers: What it holds.
    """

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
        """The last answer to a request, be it a text or a reason.

        Raises:
            KeyError: If it was never answered.
        """
        return self._answers[key]

    def append(self, answer: GeneratedText) -> None:
        """Add an answer to the file, whole and on the disk before this returns.

        Args:
            answer: What came.
        """
        _append_line(self._path, asdict(answer))
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
    header = _as_read({"format_version": FORMAT_VERSION, "writer": dict(generator), "prompt": dict(prompt)})
    with _alone(path):
        _begin(path, header)
        found, answers = _read(path)
        _check_header(path, found, header)
        _drop_torn_line(path)
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


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock beside the store, which the system gives back when a run is killed."""
    with ExitStack() as stack:
        try:
            stack.enter_context(WeakFileLock(path.with_name(f".{path.name}.lock"), timeout=0.1))
        except TimeoutError as error:
            raise GenerationError(f"another run writes to {path}: wait for it, or give another store") from error
        yield


def _begin(path: Path, header: Mapping[str, Any]) -> None:
    """Write the header if there is none, or only what a killed run had written of it."""
    path.touch()
    if _line(header).startswith(path.read_bytes()):
        path.write_bytes(b"")
        _append_line(path, header)


def _drop_torn_line(path: Path) -> None:
    """Cut off what follows the last end of a line: a run was killed while it wrote it."""
    with path.open("ab+") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def _append_line(path: Path, content: Mapping[str, Any]) -> None:
    with path.open("ab") as file:
        file.write(_line(content))
        file.flush()
        os.fsync(file.fileno())


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode() + b"\n"


def _read(path: Path) -> tuple[dict[str, Any], dict[str, GeneratedText]]:
    """Header and answers; the last line may be torn, and where that is the header there is nothing yet."""
    *lines, _ = path.read_bytes().split(b"\n")
    header, *entries = [_parsed(path, number, line) for number, line in enumerate(lines, start=1)] or [{}]
    try:
        answers = [GeneratedText(**entry) for entry in entries]
    except TypeError as error:
        raise _no_store(path) from error
    return header, {answer.key: answer for answer in answers}


def _parsed(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        entry: Any = json.loads(line)
    except ValueError as error:
        if number == 1:
            raise _no_store(path) from error
        raise GenerationError(
            f"{path}, line {number} is damaged ({error}): remove it, or give another store"
        ) from error
    if not isinstance(entry, dict):
        raise _no_store(path)
    return entry


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


def _as_read(content: dict[str, Any]) -> dict[str, Any]:
    """What reading it back from JSON gives: tuples become lists."""
    read: dict[str, Any] = json.loads(json.dumps(content))
    return read

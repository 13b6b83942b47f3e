"""One commit to a repository on the Hub: all of it or nothing, tried again where that can help."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token, hf_hub_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

# Of httpx or of httpx2, whichever this release of huggingface_hub is built on.
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # isort: skip
from huggingface_hub.hf_api import RepoFile

from speechcue_hf.errors import PublishingError
from speechcue_hf.retries import DEFAULT_RETRIES, Failure, RetriesEnded, RetryPolicy, persist, quoted, retry_after

logger = logging.getLogger(__name__)

Kind = Literal["dataset", "model", "space"]
Result = TypeVar("Result")

_CAN_HEAL = frozenset({408, 409, 412, 425, 429, 500, 502, 503, 504})
_FIXES = {
    401: "log in with `hf auth login`, with a token that may write",
    403: "the token may not write there: take one with the right to write, or a namespace that is yours",
}


def own_file(folder: Path, name: str) -> Path | None:
    """A file of a folder by its exact name; None where there is none.

    Raises:
        PublishingError: If the name, or a folder on the way to it, is a link: what it leads to may be anybody's.
    """
    path = folder / name
    steps = [path, *(step for step in path.parents if step.is_relative_to(folder) and step != folder)]
    if any(step.is_symlink() for step in steps):
        raise PublishingError(f"{path} is a link, and links are not followed: put the file itself there")
    return path if path.is_file() else None


def repository(repo_id: str, kind: Kind, *, private: bool, retries: RetryPolicy = DEFAULT_RETRIES) -> bool:
    """Make a repository if there is none.

    Args:
        repo_id: ``user/name``.
        kind: Of repository.
        private: Whether a new one is private; one that exists stays as it is, and is refused if all can read it.
        retries: How often a request is tried again, and when.

    Returns:
        Whether only some can read it, because it is private, or gated with each request looked at. Where everybody who
        asks gets access at once, all can read it.

    Raises:
        PublishingError: If that is not allowed, a private one is asked for and there is a public one of that name, or
            the Hub does not answer.
    """
    api = HfApi()
    sdk = "gradio" if kind == "space" else None
    made = _persist(
        lambda: api.create_repo(repo_id, repo_type=kind, private=private, exist_ok=True, space_sdk=sdk),
        repo_id,
        retries,
    )
    info = _persist(lambda: api.repo_info(made.repo_id, repo_type=kind), repo_id, retries)
    restricted = _is_restricted(info)
    if private and not restricted:
        raise PublishingError(
            f"{repo_id} is a public repository, and what is to be private would be there for all: make it private in "
            "its settings first, or take another name"
        )
    return restricted


def commit_files(
    repo_id: str,
    kind: Kind,
    files: Mapping[str, Path | bytes],
    message: str,
    *,
    replaces: Sequence[str] = (),
    restricted: bool = False,
    retries: RetryPolicy = DEFAULT_RETRIES,
) -> str:
    """Upload files as one commit.

    Large files go first and are kept by the Hub, so that a second try does not send them again; they appear in the
    repository with the commit and not before.

    Args:
        repo_id: ``user/name``; the repository exists.
        kind: Of repository.
        files: Path in the repository → file here, or its content.
        message: Of the commit.
        replaces: Beginnings of paths (``cues/``) whose other files go with this commit.
        restricted: Whether the files may lie in a repository only that is not public.
        retries: How often a request is tried again, and when.

    Returns:
        The commit, 40 hexadecimal digits; the one before where the repository holds these files already.

    Raises:
        PublishingError: If it is not allowed, the Hub does not take it, or the repository has become public meanwhile;
            it is then as it was before.
    """
    api = HfApi()
    additions = [CommitOperationAdd(path, content) for path, content in sorted(files.items())]

    def attempt() -> str:
        info = api.repo_info(repo_id, repo_type=kind)
        if restricted and not _is_restricted(info):
            raise PublishingError(f"{repo_id} has become public: make it private in its settings first")
        head = info.sha
        listed = api.list_repo_tree(repo_id, repo_type=kind, recursive=True)
        there = {entry.path: entry for entry in listed if isinstance(entry, RepoFile)}
        stale = [path for path in there if path.startswith(tuple(replaces)) and path not in files]
        # A try before this one may have been done without our hearing of it.
        if not stale and all(path in there and _is_same(there[path], content) for path, content in files.items()):
            return str(head)
        operations: list[CommitOperationAdd | CommitOperationDelete] = [*additions, *map(CommitOperationDelete, stale)]
        made = api.create_commit(repo_id, operations, commit_message=message, repo_type=kind, parent_commit=head)
        return str(made.oid)

    return _persist(attempt, repo_id, retries)


def read_remote(repo_id: str, kind: Kind, path: str) -> bytes | None:
    """Read a file of a repository as it is now; None where there is no such file."""

    def attempt() -> bytes | None:
        if not HfApi().file_exists(repo_id, path, repo_type=kind):
            return None
        return Path(hf_hub_download(repo_id, path, repo_type=kind)).read_bytes()

    return _persist(attempt, repo_id, DEFAULT_RETRIES)


def _is_restricted(info: Any) -> bool:
    """Whether not everybody can read a repository, by what the Hub says of it."""
    return bool(info.private or getattr(info, "gated", None) == "manual")


def _persist(request: Callable[[], Result], repo_id: str, retries: RetryPolicy) -> Result:
    """Make a request, again where that can help, or say why it failed."""
    try:
        return cast(Result, persist(request, _explain, retries, _pause))
    except RetriesEnded as end:
        raise PublishingError(f"{repo_id}: {end.failure.reason}") from end.__cause__


def _pause(seconds: float) -> None:
    logger.warning("the Hub does not take it yet, trying again in %.0f s", seconds)
    time.sleep(seconds)


def _explain(error: Exception) -> Failure:
    if isinstance(error, (LocalTokenNotFoundError, OfflineModeIsEnabled)):
        return Failure(f"nothing can be uploaded: {error}", heals=False)
    # What fails in a large file's upload reaches us wrapped.
    cause = error.__cause__ if isinstance(error, RuntimeError) else error
    if not isinstance(cause, HTTPError):
        if not isinstance(cause, (ValueError, LookupError, TypeError, AttributeError)):
            raise error
        said = f"{type(cause).__name__}: {quoted(str(cause), get_token())}"
        return Failure(f"the Hub does not take it, or its answer is not understood ({said})", heals=False)
    status = cause.response.status_code if isinstance(cause, HfHubHTTPError) else None
    missing = isinstance(cause, RepositoryNotFoundError)
    fix = _FIXES[401] if missing else _FIXES.get(status or 0, "run the command again: what was uploaded is kept")
    reason = f"{_short(cause, status)}. Nothing was published; {fix}"
    asked_wait = retry_after(cause.response.headers) if isinstance(cause, HfHubHTTPError) else None
    return Failure(reason, heals=status is None or status in _CAN_HEAL, asked_wait=asked_wait)


def _short(error: Exception, status: int | None) -> str:
    """The error in one line, without the address of the request, which may hold a signature."""
    if status is None:
        return f"no answer from the Hub ({type(error).__name__})"
    said = getattr(error, "server_message", None)
    return f"the Hub answered {status}" + (f" ({quoted(said, get_token())})" if said else "")


def _is_same(there: RepoFile, content: Path | bytes) -> bool:
    data = content if isinstance(content, bytes) else content.read_bytes()
    if there.lfs is not None:
        return bool(there.lfs.sha256 == hashlib.sha256(data).hexdigest())
    return bool(there.blob_id == hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest())

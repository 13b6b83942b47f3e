"""One commit to a repository on the Hub: all of it or nothing, tried again where that can help."""

from __future__ import annotations

import hashlib
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, hf_hub_download
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

logger = logging.getLogger(__name__)

Kind = Literal["dataset", "model"]
Result = TypeVar("Result")

_CAN_HEAL = frozenset({408, 409, 412, 425, 429, 500, 502, 503, 504})
_CURES = {
    401: "log in with `hf auth login`, with a token that may write",
    403: "the token may not write there: take one with the right to write, or a namespace that is yours",
}


@dataclass(frozen=True)
class RetryPolicy:
    """How often a request is tried again, and how long is waited before.

    Args:
        attempts: Tries in all.
        first_wait: Before the second try, in s; it doubles each time, unless the server says how long to wait.
        longest_wait: In s.
    """

    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 60.0

    def wait(self, attempt: int, asked: float | None) -> float:
        """Time before the next try, in s; a share of it is left to chance, lest many clients come back together."""
        doubled = self.first_wait * 2**attempt * (0.5 + random.random() / 2)
        return min(self.longest_wait, doubled if asked is None else asked)


DEFAULT_RETRIES = RetryPolicy()


def repository(repo_id: str, kind: Kind, *, private: bool, retries: RetryPolicy = DEFAULT_RETRIES) -> bool:
    """Make a repository if there is none.

    Args:
        repo_id: ``user/name``.
        kind: Of repository.
        private: Whether a new one is private; one that exists stays as it is, and is refused if all can read it.
        retries: How often a request is tried again, and when.

    Returns:
        Whether only some can read it, because it is private or gated.

    Raises:
        PublishingError: If that is not allowed, a private one is asked for and there is a public one of that name, or
            the Hub does not answer.
    """
    api = HfApi()
    made = persist(lambda: api.create_repo(repo_id, repo_type=kind, private=private, exist_ok=True), repo_id, retries)
    info = persist(lambda: api.repo_info(made.repo_id, repo_type=kind), repo_id, retries)
    restricted = bool(info.private or info.gated)
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
        replaces: Folders of the repository (``cues/``) whose other files go with this commit.
        retries: How often a request is tried again, and when.

    Returns:
        The commit, 40 hexadecimal digits; the one before where the repository holds these files already.

    Raises:
        PublishingError: If it is not allowed, or the Hub does not take it; the repository is then as it was before.
    """
    api = HfApi()
    additions = [CommitOperationAdd(path, content) for path, content in sorted(files.items())]

    def attempt() -> str:
        head = api.repo_info(repo_id, repo_type=kind).sha
        listed = api.list_repo_tree(repo_id, repo_type=kind, recursive=True)
        there = {entry.path: entry for entry in listed if isinstance(entry, RepoFile)}
        stale = [path for path in there if path.startswith(tuple(replaces)) and path not in files]
        # A try before this one may have been done without our hearing of it.
        if not stale and all(path in there and _is_same(there[path], content) for path, content in files.items()):
            return str(head)
        api.preupload_lfs_files(repo_id, additions, repo_type=kind, free_memory=False)
        operations: list[CommitOperationAdd | CommitOperationDelete] = [*additions, *map(CommitOperationDelete, stale)]
        made = api.create_commit(repo_id, operations, commit_message=message, repo_type=kind, parent_commit=head)
        return str(made.oid)

    return persist(attempt, repo_id, retries)


def read_remote(repo_id: str, kind: Kind, path: str, *, retries: RetryPolicy = DEFAULT_RETRIES) -> bytes | None:
    """Read a file of a repository as it is now.

    Args:
        repo_id: ``user/name``; the repository exists.
        kind: Of repository.
        path: Of the file in the repository.
        retries: How often a request is tried again, and when.

    Returns:
        Its content; None where there is no such file.

    Raises:
        PublishingError: If the Hub does not answer.
    """

    def attempt() -> bytes | None:
        if not HfApi().file_exists(repo_id, path, repo_type=kind):
            return None
        return Path(hf_hub_download(repo_id, path, repo_type=kind)).read_bytes()

    return persist(attempt, repo_id, retries)


def persist(request: Callable[[], Result], repo_id: str, retries: RetryPolicy) -> Result:
    """Make a request, again where that can help.

    Args:
        request: What is asked; it may be asked more than once.
        repo_id: For the message.
        retries: How often a request is tried again, and when.

    Returns:
        What the request returns.

    Raises:
        PublishingError: If it cannot succeed, or has not after all tries.
    """
    for attempt in range(retries.attempts):
        try:
            return request()
        except (LocalTokenNotFoundError, OfflineModeIsEnabled) as error:
            raise PublishingError(f"nothing can be uploaded: {error}") from error
        except (HTTPError, RuntimeError) as error:
            # What fails in a large file's upload reaches us wrapped.
            failure = error if isinstance(error, HTTPError) else error.__cause__
            if not isinstance(failure, HTTPError):
                raise
            status = failure.response.status_code if isinstance(failure, HfHubHTTPError) else None
            if (status is not None and status not in _CAN_HEAL) or attempt + 1 == retries.attempts:
                raise _refusal(failure, status, repo_id) from error
            wait = retries.wait(attempt, _asked_wait(failure))
            logger.warning("%s: %s; trying again in %.0f s", repo_id, _short(failure, status), wait)
            time.sleep(wait)
    raise ValueError(f"patience must have 1 attempt or more, got {retries.attempts}")


def _refusal(error: Exception, status: int | None, repo_id: str) -> PublishingError:
    missing = isinstance(error, RepositoryNotFoundError)
    fix = _CURES[401] if missing else _CURES.get(status or 0, "run the command again: what was uploaded is kept")
    return PublishingError(f"{repo_id}: {_short(error, status)}. Nothing was published; {fix}")


def _short(error: Exception, status: int | None) -> str:
    """The error in one line, without the address of the request, which may hold a signature."""
    if status is None:
        return f"no answer from the Hub ({type(error).__name__})"
    said = getattr(error, "server_message", None)
    return f"the Hub answered {status}" + (f" ({said})" if said else "")


def _asked_wait(error: Exception) -> float | None:
    """Seconds that the server asks to wait, if it does."""
    asked = error.response.headers.get("Retry-After", "") if isinstance(error, HfHubHTTPError) else ""
    return float(asked) if asked.isdigit() else None


def _is_same(there: RepoFile, content: Path | bytes) -> bool:
    data = content if isinstance(content, bytes) else content.read_bytes()
    if there.lfs is not None:
        return bool(there.lfs.sha256 == hashlib.sha256(data).hexdigest())
    return bool(there.blob_id == hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest())

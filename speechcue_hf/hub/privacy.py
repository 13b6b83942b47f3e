"""``private.json``: why a repository must stay private, told to whoever publishes into it later."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from speechcue_hf.errors import LicenceError, RecordError
from speechcue_hf.hub.upload import Kind, read_remote
from speechcue_hf.records import Record, parse_record

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PrivateRecord(Record):
    """What lies in a repository, or in its history, that may not be public.

    Args:
        reasons: One sentence for each kind of it.
    """

    reasons: tuple[str, ...]

    FILE: ClassVar[str] = "private.json"


def private_record(repo_id: str, kind: Kind, reasons: Iterable[str], *, restricted: bool) -> PrivateRecord | None:
    """The mark of a repository after a publication; None for one that could be public.

    Args:
        repo_id: ``user/name``; the repository exists.
        kind: Of repository.
        reasons: Why what is published now may not be public; none where it may.
        restricted: Whether the repository is private or gated.

    Raises:
        LicenceError: If it has been marked and is public by now.
    """
    reasons, before = list(reasons), _marked(repo_id, kind)
    if before and not restricted:
        raise LicenceError(
            f"{repo_id} is public, although it is marked as one that must be private ({before[0]}): make it private "
            "again in its settings, or delete it; its history holds what was taken out, too"
        )
    if before and not reasons:
        logger.warning(
            "%s must stay private (%s): what is published now could be public, in a repository of its own",
            repo_id,
            before[0],
        )
    together = tuple(dict.fromkeys([*before, *reasons]))
    return PrivateRecord(together) if together else None


def _marked(repo_id: str, kind: Kind) -> tuple[str, ...]:
    """The reasons in the repository; a damaged mark is still one."""
    content = read_remote(repo_id, kind, PrivateRecord.FILE)
    if content is None:
        return ()
    try:
        values: Mapping[str, Any] = json.loads(content)
        return parse_record(PrivateRecord, values, PrivateRecord.FILE).reasons or ("it does not say why",)
    except (RecordError, ValueError, TypeError, RecursionError):
        return (f"its {PrivateRecord.FILE} is damaged",)

"""Long work shows how far it is: a bar on a terminal or in a notebook, now and then a line in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

SECONDS_BETWEEN_LINES = 60.0


@contextmanager
def counting(what: str, total: int, unit: str, done: int = 0) -> Iterator[Callable[[int], object]]:
    """Show how much of a work is done.

    Args:
        what: The work, such as ``Writing``.
        total: How much it is.
        unit: Of what, in the plural.
        done: How much was done before.

    Yields:
        A function to call with how much more has been done.
    """
    from datasets.utils import are_progress_bars_disabled, tqdm

    if not are_progress_bars_disabled() and (sys.stderr.isatty() or "ipykernel" in sys.modules):
        with tqdm(desc=what, total=total, initial=done, unit=f" {unit}") as bar:
            yield bar.update
        return
    spoken = time.monotonic()

    def count(more: int) -> None:
        nonlocal done, spoken
        done += more
        if time.monotonic() - spoken > SECONDS_BETWEEN_LINES:
            spoken = time.monotonic()
            logger.info("%s: %s of %s %s", what, f"{done:,}", f"{total:,}", unit)

    yield count


def progress(items: Sequence[Item], what: str, unit: str) -> Iterator[Item]:
    """Go through items and show how far one is, of more than one; the rest is as for :func:`counting`."""
    if len(items) < 2:
        yield from items
        return
    with counting(what, len(items), unit) as count:
        for item in items:
            yield item
            count(1)

"""The state of a clip on disk, and what is known of bad clips in the releases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from speechcue_hf.audio import probe
from speechcue_hf.errors import AudioError

SHORTEST_CLIP = 0.3
"""Seconds. Below this a clip is marked ``too_short``: it holds no syllable that could be judged."""


@dataclass(frozen=True)
class KnownClip:
    """A clip that the release is known to have wrong.

    Args:
        status: ``corrupt``, ``missing`` or ``miscut``.
        duration: Of a miscut clip: its length in s, which tells it from a repaired copy.
        note: What is wrong.
        source: Where this is known from.
    """

    status: str
    note: str
    source: str
    duration: float | None = None


@cache
def known_clips(corpus: str) -> dict[str, KnownClip]:
    """Bad clips of a release: utterance id → what is known; empty when nothing is.

    Args:
        corpus: Its name, such as ``meld``.
    """
    listed = json.loads(files("speechcue_hf.corpora").joinpath("known_clips.json").read_text(encoding="utf-8"))
    return {name: KnownClip(**entry) for name, entry in listed.get(corpus, {}).items()}


def clip_status(clip: Path | bytes | None, known: KnownClip | None) -> str:
    """Say what can be done with a clip, by going through its file without decoding it, and by what is known of it.

    Args:
        clip: Its path, or the bytes of its file; None when the release has none.
        known: What is known of it in the release, if anything is.

    Returns:
        One of :data:`speechcue_hf.corpora.schema.AUDIO_STATUSES`.
    """
    if clip is None:
        return "none"
    if isinstance(clip, Path) and not clip.is_file():
        return "missing"
    try:
        found = probe(clip if isinstance(clip, Path) else {"path": None, "bytes": clip})
    except AudioError:
        return "corrupt"
    if known is not None and known.duration is not None and abs(found.duration - known.duration) < 1.0:
        return known.status
    if found.ends_early:
        return "truncated"
    return "too_short" if found.duration < SHORTEST_CLIP else "ok"

"""Compares utterances as read with their release, and looks for what the splits of a corpus share."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import combinations

from speechcue_hf.corpora.clips import clip_status, known_clips
from speechcue_hf.corpora.schema import Utterance, dialogues_of
from speechcue_hf.progress import progress

Splits = Mapping[str, Sequence[Utterance]]
Counts = dict[str, int]
"""``dialogues``, ``utterances``, each emotion's name and, where some have none, ``no label``."""

ALL = "all splits"


def count_splits(splits: Splits) -> dict[str, Counts]:
    """Count dialogues, utterances and labels.

    Args:
        splits: Split name → utterances, in any order.

    Returns:
        Split name, and ``all splits`` last → dialogues, utterances, then the labels from the most frequent on.
    """
    everything = [utterance for utterances in splits.values() for utterance in utterances]
    return {split: _count(utterances) for split, utterances in {**splits, ALL: everything}.items()}


def _count(utterances: Sequence[Utterance]) -> Counts:
    emotions = Counter(utterance.emotion or "no label" for utterance in utterances)
    dialogues = len({utterance.dialogue_id for utterance in utterances})
    return {"dialogues": dialogues, "utterances": len(utterances), **dict(emotions.most_common())}


def release_counts(corpus: str, config: str, found: Mapping[str, Counts]) -> Mapping[str, Counts]:
    """What the release counts, of the edition that comes closest where there are several.

    Args:
        corpus: Name of the corpus, such as ``meld``.
        config: Name of its config.
        found: From :func:`count_splits`.

    Returns:
        Split name or ``all splits`` → counts, as far as they are known; empty where there is nothing to compare with.
    """
    listed = json.loads(files("speechcue_hf.corpora").joinpath("releases.json").read_text(encoding="utf-8"))
    editions: list[Mapping[str, Counts]] = [entry["counts"] for entry in listed.get(corpus, {}).get(config, [])]
    return min(editions, key=lambda edition: len(differences(found, edition)), default={})


def differences(found: Mapping[str, Counts], expected: Mapping[str, Counts]) -> list[str]:
    """Counts that differ.

    Args:
        found: From :func:`count_splits`.
        expected: From :func:`release_counts`; what it does not count is not compared.

    Returns:
        One line per count, such as ``train: 9,988 utterances, the release has 9,989``.
    """
    return [
        f"{split}: {found.get(split, {}).get(what, 0):,} {what}, the release has {number:,}"
        for split, counts in expected.items()
        for what, number in counts.items()
        if found.get(split, {}).get(what, 0) != number
    ]


def clip_statuses(corpus: str, utterances: Sequence[Utterance]) -> dict[str, str]:
    """The state of each clip on disk.

    Args:
        corpus: Name of the corpus, for what is known of its clips.
        utterances: Of any splits.

    Returns:
        Utterance id → one of :data:`speechcue_hf.corpora.schema.AUDIO_STATUSES`.
    """
    known = known_clips(corpus)
    return {
        utterance.utterance_id: clip_status(utterance.clip, known.get(utterance.utterance_id))
        for utterance in progress(utterances, "Looking at clips", "clips")
    }


def unexpected_clips(corpus: str, statuses: Mapping[str, str]) -> list[str]:
    """Clips that cannot be used although the release has them whole.

    Args:
        corpus: Name of the corpus.
        statuses: From :func:`clip_statuses`.

    Returns:
        One line per clip. Where no clip is there at all, the corpus is used as text only and none is expected.
    """
    if not {"ok", "too_short"} & set(statuses.values()):
        return []
    return [
        f"clip of {name} is {status}"
        for name, status in statuses.items()
        if status in ("missing", "corrupt", "truncated") and name not in known_clips(corpus)
    ]


@dataclass(frozen=True)
class Leak:
    """What two splits share.

    Attributes:
        what: ``speakers``, ``dialogues`` (of the same words) or ``texts``.
        first: Name of one split.
        second: Name of the other.
        shared: Each thing that occurs in both, the longest first.
        rows: How many speakers, dialogues or utterances of ``first`` are concerned.
    """

    what: str
    first: str
    second: str
    shared: tuple[str, ...]
    rows: int


def leaks(splits: Splits) -> list[Leak]:
    """Speakers, whole dialogues and texts that occur in two splits.

    Args:
        splits: Split name → utterances.

    Returns:
        For each pair of splits and each kind that is shared at all, what is shared.
    """
    found = []
    for what, things in {"speakers": _speakers, "dialogues": _dialogues, "texts": _texts}.items():
        of = {split: things(utterances) for split, utterances in splits.items()}
        for first, second in combinations(splits, 2):
            shared = set(of[first]) & set(of[second])
            if shared:
                rows = sum(thing in shared for thing in of[first])
                found.append(Leak(what, first, second, tuple(sorted(shared, key=lambda x: (-len(x), x))), rows))
    return found


def _speakers(utterances: Sequence[Utterance]) -> list[str]:
    return sorted({utterance.speaker for utterance in utterances if utterance.speaker is not None})


def _dialogues(utterances: Sequence[Utterance]) -> list[str]:
    return [" / ".join(utterance.text for utterance in dialogue) for dialogue in dialogues_of(utterances)]


def _texts(utterances: Sequence[Utterance]) -> list[str]:
    return [utterance.text for utterance in utterances]

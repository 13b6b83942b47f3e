"""Faithfulness: do captions state what Praat measures in the same clips?

An explanation can sound right and be false. Each level that a caption states is compared with the level that the
describer gives the clip's measurement; gender and emotion are judged elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speechcue_hf.captions.check import Measured
from speechcue_hf.captions.parts import CUE_WORDS
from speechcue_hf.captions.reading import Claim, read_claims


def caption_faithfulness(captions: Sequence[str | None], measured: Sequence[Measured]) -> dict[str, Any]:
    """Share of the stated levels that agree with the measurements. A denied level is none that is stated.

    Args:
        captions: Of each clip; None or empty where there is none.
        measured: Levels of each clip, in the same order.

    Returns:
        ``captions`` (how many there are); for each of ``pitch``, ``speed``, ``volume``, and ``all`` together:
        ``claims`` (levels stated), ``unmeasured`` (of those, levels of clips where the cue was not measured),
        ``agree``, ``faithfulness`` (``agree`` of those that can be judged; None without any) and ``stated`` (share of
        the captions that state the cue; of ``all``, of the captions and cues together).

    Raises:
        ValueError: If there is another number of captions than of clips.

    Example:
        >>> scores = caption_faithfulness(["High pitch, quickly."], [{"pitch": "high", "speed": "slow"}])
        >>> scores["pitch"]["faithfulness"], scores["speed"]["faithfulness"], scores["all"]["faithfulness"]
        (1.0, 0.0, 0.5)
    """
    if len(captions) != len(measured):
        raise ValueError(f"need the measurements of each caption's clip, got {len(captions)} and {len(measured)}")
    read = [(read_claims(caption or ""), levels) for caption, levels in zip(captions, measured, strict=True)]
    by_cue = {cue: [_counts(claims, levels, cue) for claims, levels in read] for cue in CUE_WORDS}
    scores = {
        cue: _scores([sum(column) for column in zip(*rows, strict=True)], len(read)) for cue, rows in by_cue.items()
    }
    everything = [counts for rows in by_cue.values() for counts in rows]
    scores["all"] = _scores([sum(column) for column in zip(*everything, strict=True)], len(everything))
    return {"captions": sum(bool(caption) for caption in captions), **scores}


def _counts(claims: Sequence[Claim], measured: Measured, cue: str) -> tuple[int, int, int, int]:
    """Of one caption and cue: whether it is stated, claims, unmeasured claims, claims that agree."""
    own = [claim for claim in claims if claim.cue == cue]
    unmeasured = len(own) if measured.get(cue) is None else 0
    agree = sum(claim.word == measured.get(cue) for claim in own)
    return bool(own), len(own), unmeasured, agree


def _scores(counts: Sequence[int], captions: int) -> dict[str, Any]:
    stated, claims, unmeasured, agree = counts or (0, 0, 0, 0)
    judged = claims - unmeasured
    return {
        "claims": claims,
        "unmeasured": unmeasured,
        "agree": agree,
        "faithfulness": agree / judged if judged else None,
        "stated": stated / captions if captions else None,
    }

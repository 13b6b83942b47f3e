"""What a caption may state of an utterance: its parts, and how a describer's levels become three words for each cue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from speechcue_hf.cues.levels import DEGREES, LEVEL_NAMES

PARTS = ("gender", "pitch", "speed", "volume", "transcript", "emotion")
"""What captions are made of, in the order in which they are named."""

CUE_WORDS: dict[str, tuple[str, str, str]] = {
    "pitch": ("low", "normal", "high"),
    "speed": ("slow", "normal", "fast"),
    "volume": ("quiet", "normal", "loud"),
}
"""Cue → its words, lowest first (SEmoLLM's captions)."""

CUE_COLUMNS: dict[str, tuple[str, ...]] = {
    "pitch": ("f0_median_hz", "f0_mean_hz"),
    "speed": ("articulation_rate_per_s",),
    "volume": ("intensity_mean_db",),
}
"""Cue → the measurements that tell it; the first that has a level counts, as in the describer's own sentences."""

NORMAL = 1
"""Position of the middle word in ``CUE_WORDS``."""


def cue_word(cue: str, row: Mapping[str, Any], level_count: int) -> str | None:
    """The word for a cue of a described row. Levels outside the middle half of the training values are not normal.

    Args:
        cue: ``"pitch"``, ``"speed"`` or ``"volume"``.
        row: With the describer's ``<measurement>_level``.
        level_count: The describer's number of levels, 3 to 6.

    Returns:
        One of ``CUE_WORDS[cue]``, or None where nothing was measured.

    Example:
        >>> cue_word("speed", {"articulation_rate_per_s_level": "very_high"}, 5)
        'fast'
    """
    levels = (row.get(f"{column}_level") for column in CUE_COLUMNS[cue])
    level = next((level for level in levels if level is not None), None)
    if level is None:
        return None
    # One name means another share of the training values with another number of levels.
    degree = DEGREES[level_count][LEVEL_NAMES[level_count].index(level)]
    return CUE_WORDS[cue][NORMAL + int(np.sign(degree))]

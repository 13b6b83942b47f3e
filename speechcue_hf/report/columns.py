"""Columns of a table as compact JSON: what repeats is written once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def packed(values: Sequence[Any]) -> dict[str, Any]:
    """Write each value once where that is shorter; numbers keep four significant digits.

    Args:
        values: Of a column: texts, numbers, None.

    Returns:
        ``values`` and, where they repeat, ``codes``: the place of each row's value among them.

    Example:
        >>> packed(["sad", "sad", "sad", "happy"])
        {'values': ['sad', 'happy'], 'codes': [0, 0, 0, 1]}
        >>> packed([1.23456, None, float("nan")])
        {'values': [1.235, None, None]}
    """
    rounded = [_rounded(value) for value in values]
    places = {value: place for place, value in enumerate(dict.fromkeys(rounded))}
    if 2 * len(places) > len(rounded):
        return {"values": rounded}
    return {"values": list(places), "codes": [places[value] for value in rounded]}


def _rounded(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return float(f"{value:.4g}") if math.isfinite(value) else None

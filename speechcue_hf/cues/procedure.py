"""Run the measurements of a preset over one clip, so that what fails stays in its group and says why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

Values: TypeAlias = dict[str, float | None]
Measured: TypeAlias = tuple[Values, str | None]
"""Values by column, and the reason where one of them is missing."""

Subject = TypeVar("Subject")


def measure_groups(
    measures: Mapping[str, Callable[[Subject], Measured]], subject: Subject, groups: tuple[str, ...]
) -> tuple[Values, list[str]]:
    """Measure each group on its own; where Praat refuses, its reason stands for the values.

    Args:
        measures: For each group, the function that measures it.
        subject: What these functions take.
        groups: The groups wanted; those without a function here are passed over.

    Returns:
        The values of all groups, and the reasons of those that lack some.
    """
    import parselmouth

    values: Values = {}
    reasons = []
    for group in groups:
        if group not in measures:
            continue
        try:
            measured, reason = measures[group](subject)
        except parselmouth.PraatError as error:
            # The first line says what was wrong, the others what to click.
            measured, reason = {}, str(error).splitlines()[0].rstrip(".")
        values.update(measured)
        if reason:
            reasons.append(f"{group}: {reason}")
    return values, reasons

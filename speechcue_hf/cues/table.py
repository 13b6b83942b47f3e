"""The cues: one row for each measurement, and how programs add theirs.

Settings, columns, levels, wording, axis labels and what a licence lets out follow from these rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from speechcue_hf.cues.analysis import Speech


@dataclass(frozen=True)
class Cue:
    """A measurement of speech.

    Args:
        column: Its column, with the unit in the name.
        unit: The unit as on an axis, such as ``dB``.
        group: What is measured, or left out, together.
        label: What it is called on an axis.
        judged: How far it can be trusted: ``measured`` wherever it was measured, ``voiced`` only where enough of a clip
            is voiced, ``never`` for what says itself how far the others can be trusted and gets no level.
        words: What the wording ``speechcue`` says of a clip in which it is higher, and lower, than in what the clip is
            compared with; ``{much}`` stands where the degree goes: ``the voice sounds {much}breathier``. None where the
            templates have sentences of their own, or nothing is said.
        measure: Measures it in a clip, None where that is not possible. The cues of this package are measured a group
            at a time, in :mod:`speechcue_hf.cues.analysis` and :mod:`speechcue_hf.cues.turns`.

    Example:
        >>> Cue("peak_ratio", "share of full scale", "recording", "Peak", measure=lambda speech: 0.5).judged
        'measured'
    """

    column: str
    unit: str
    group: str
    label: str
    judged: Literal["measured", "voiced", "never"] = "measured"
    words: tuple[str, str] | None = None
    measure: Callable[[Speech], float | None] | None = None


ALWAYS = "always"
"""Group of what is there whatever groups are chosen."""

PAPER_CUES = (
    Cue("duration_s", "s", ALWAYS, "Duration"),
    Cue("intensity_mean_db", "dB", "loudness", "Loudness"),
    Cue("intensity_sd_db", "dB", "loudness", "Loudness variation"),
    Cue("f0_mean_hz", "Hz", "pitch", "Mean pitch", judged="voiced"),
    Cue("f0_sd_hz", "Hz", "pitch", "Pitch variation", judged="voiced"),
    Cue("f0_range_hz", "Hz", "pitch", "Pitch range", judged="voiced"),
    Cue("articulation_rate_per_s", "syllables/s", "rhythm", "Articulation rate"),
    Cue("hnr_mean_db", "dB", "hnr", "Harmonics-to-noise ratio", judged="voiced"),
)
"""The eight of SpeechCueLLM, in the order of its published files."""

CUES = (
    *PAPER_CUES,
    Cue("f0_median_hz", "Hz", "pitch", "Median pitch", judged="voiced"),
    Cue("f0_q10_semitones", "semitones re 100 Hz", "pitch", "Pitch, 10 % quantile", judged="voiced"),
    Cue("f0_q50_semitones", "semitones re 100 Hz", "pitch", "Pitch, median", judged="voiced"),
    Cue("f0_q90_semitones", "semitones re 100 Hz", "pitch", "Pitch, 90 % quantile", judged="voiced"),
    Cue("f0_sd_semitones", "semitones", "pitch", "Pitch variation", judged="voiced"),
    Cue("final_contour_semitones_per_s", "semitones/s", "pitch", "Final contour", judged="voiced"),
    Cue("voiced_s", "s", "pitch", "Voiced time", judged="never"),
    Cue("pause_ratio", "share of the turn", "rhythm", "Pauses"),
    Cue("longest_pause_s", "s", "rhythm", "Longest pause"),
    Cue("jitter_local_ratio", "ratio", "voice_quality", "Jitter", judged="voiced"),
    Cue("shimmer_local_ratio", "ratio", "voice_quality", "Shimmer", judged="voiced"),
    Cue("spectral_tilt_db_per_octave", "dB/octave", "voice_quality", "Spectral tilt"),
    Cue("snr_db", "dB", "recording", "Signal-to-noise ratio", judged="never"),
    Cue("clipped_ratio", "share of the samples", "recording", "Clipped samples", judged="never"),
    Cue("turn_latency_s", "s", "turn_taking", "Turn latency"),
    Cue("overlap_s", "s", "turn_taking", "Overlap"),
)
"""Those of this package."""

_added: dict[str, Cue] = {}


def register_cue(cue: Cue) -> None:
    """Add a cue of your own: it is measured, gets levels, z-scores and words, and may leave a licensed corpus.

    Register it in every program that measures, describes, or loads a describer that was fitted with it.

    Args:
        cue: The cue, with a function that measures it.

    Raises:
        ValueError: If it has no such function, or there is another cue of that column.

    Example:
        >>> def largest_sample(speech):
        ...     return float(abs(speech.clip.samples).max())
        >>> register_cue(Cue("peak_ratio", "ratio", "peaks", "Peak", measure=largest_sample))
        >>> row = {"audio": {"path": "clip.wav", "bytes": None}}
        >>> round(measure_speech(row, MeasurementSettings(groups=("loudness", "peaks")))["peak_ratio"], 1)
        0.3
    """
    if cue.measure is None:
        raise ValueError(f"the cue {cue.column!r} has no measure=: give it the function that measures it in a clip")
    there = {other.column: other for other in cues()}
    if there.get(cue.column, cue) != cue:
        raise ValueError(f"there is a cue {cue.column!r} already: give yours another column")
    _added[cue.column] = cue


def cues() -> tuple[Cue, ...]:
    """All cues, those of this package first."""
    return (*CUES, *_added.values())


def added_cues() -> tuple[Cue, ...]:
    """The cues that programs have added."""
    return tuple(_added.values())


def measurement_columns() -> tuple[str, ...]:
    """The columns of all cues, the paper's eight first."""
    return tuple(cue.column for cue in cues())


def groups() -> dict[str, tuple[str, ...]]:
    """Group → its columns: what is measured, or left out, together; what is always there belongs to none."""
    found: dict[str, tuple[str, ...]] = {}
    for cue in cues():
        if cue.group != ALWAYS:
            found[cue.group] = (*found.get(cue.group, ()), cue.column)
    return found


def columns_of(**wanted: Any) -> tuple[str, ...]:
    """The columns of the cues that have these values, such as ``judged="never"``."""
    return tuple(cue.column for cue in cues() if all(getattr(cue, name) == value for name, value in wanted.items()))

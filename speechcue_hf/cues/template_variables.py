"""From levels to template variables: what there is to say about each clip, for the templates of each wording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from speechcue_hf.cues.levels import DEGREES, LEVEL_NAMES, MISSING, FloatArray, IntArray, named
from speechcue_hf.cues.settings import PAPER_COLUMNS
from speechcue_hf.cues.table import added_cues, cues

BoolArray = npt.NDArray[np.bool_]

WORDINGS = ("speechcuellm", "speechcue")

SHORTEST_JUDGED_S = 0.5
"""Shorter clips are not described; the paper gives the model no audio features for them either."""

SHORTEST_VOICED_S = 0.1
"""With less voiced speech, ten frames, pitch is not described."""

LOWEST_SNR_DB = 10.0
"""Below it a clip is called noisy: pitch and syllable detection fail more and more often there."""

HIGHEST_CLIPPED_RATIO = 0.005
"""Above it a clip is called clipped: peaks are cut in most voiced periods."""

AUDIBLE_GLIDE_SEMITONES_PER_S = 0.32 / 0.3**2
"""Glissando threshold of running speech, 0.32 / T², for the last 0.3 s ('t Hart, Collier & Cohen 1990)."""

SOME_ANIMATION, CLEAR_ANIMATION = 0.3, 0.6
"""Mean degree of loudness, pitch, intonation and pace, as a part of the greatest, from which speech sounds animated."""

WORDED_PAUSE_S = 0.5
WORDED_OVERLAP_S = 0.2
WORDED_LATENCY_S = (1.0, 10.0)
"""From, to: a longer gap is a change of scene rather than a hesitation."""


def levelled_columns(wording: str) -> tuple[str, ...]:
    """The cues that get a level and a z-score with a wording.

    Args:
        wording: One of ``WORDINGS``.

    Returns:
        Their columns.
    """
    if wording == "speechcuellm":
        return PAPER_COLUMNS
    return tuple(cue.column for cue in cues() if cue.judged != "never")


class TemplateVariables(NamedTuple):
    """What the two templates of a wording are given: name → one value per row."""

    description: Mapping[str, Sequence[Any]]
    impression: Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class CueFeatures:
    """A batch of clips, measured and compared, before wording.

    Args:
        values: Measurement column → values in the column's unit, shape ``(rows,)``; NaN where not measured.
        levels: Cue → level indices, shape ``(rows,)``; -1 where there is none.
        usual: Cue → the value to compare with (usual for the speaker, the gender ...), shape ``(rows,)``.
        level_count: Number of levels, 3 to 6.
        references: What each row is compared with: ``"speaker"``, ``"past"``, ``"gender"`` or ``"overall"``.
        genders: ``"female"``, ``"male"`` or None, per row.
        notes: ``measurement_note``, per row.
        statuses: ``audio_status``, per row.
    """

    values: Mapping[str, FloatArray]
    levels: Mapping[str, IntArray]
    usual: Mapping[str, FloatArray]
    level_count: int
    references: Sequence[str]
    genders: Sequence[str | None]
    notes: Sequence[str | None]
    statuses: Sequence[str | None]

    @property
    def rows(self) -> int:
        """Number of clips."""
        return len(self.references)

    def level(self, *cues: str) -> IntArray:
        """Level of the first of these cues that has one, shape ``(rows,)``."""
        indices = np.full(self.rows, -1)
        for cue in reversed(cues):
            found = self.levels.get(cue, indices)
            indices = np.where(found >= 0, found, indices)
        return indices

    def value(self, column: str) -> FloatArray:
        """Values of a measurement column, shape ``(rows,)``; all NaN where the dataset has no such column."""
        return self.values.get(column, np.full(self.rows, np.nan))


def speechcuellm_variables(features: CueFeatures) -> TemplateVariables:
    """What the templates of ``speechcuellm`` are given: level names, None without a level.

    Args:
        features: The clips.

    Returns:
        The same for both templates; the variation of pitch is its standard deviation's level, else its range's.
    """
    names = LEVEL_NAMES[features.level_count]
    variables = {
        "loudness": named(features.level("intensity_mean_db"), names),
        "loudness_variation": named(features.level("intensity_sd_db"), names),
        "pitch": named(features.level("f0_mean_hz"), names),
        "pitch_variation": named(features.level("f0_sd_hz", "f0_range_hz"), names),
        "rate": named(features.level("articulation_rate_per_s"), names),
    }
    return TemplateVariables(variables, variables)


def speechcue_variables(features: CueFeatures) -> TemplateVariables:
    """What the templates of ``speechcue`` are given: degrees (-2 to 2, 0 ordinary), distances, durations and doubts.

    Args:
        features: The clips.

    Returns:
        Values that are None, 0 or False where nothing was measured or nothing stands out. The impression is given fewer
        and coarser ones, so that fewer of its sentences are distinct.
    """
    doubts = _doubts(features)
    judged = ~doubts["unmeasured"] & ~doubts["short"]
    variables: dict[str, list[Any]] = {
        "reference": list(features.references),
        "gender": list(features.genders),
        "graded": [max(DEGREES[features.level_count]) == 2] * features.rows,
        **_manner(features, judged, judged & ~doubts["voiceless"]),
        **_voice(features, judged, judged & ~doubts["voiceless"]),
        **_timing(features, judged),
    }
    description = {
        **variables,
        **{name: found.tolist() for name, found in doubts.items()},
        "short": _seconds(features.value("duration_s"), doubts["short"], digits=2),
        "note": [note if said else None for note, said in zip(features.notes, doubts["unmeasured"], strict=True)],
    }
    del description["tone"]
    impression = {name: variables[name] for name in ("reference", "tone", "intonation", "ending", "roughness")}
    impression |= {name: [said is not None for said in variables[name]] for name in ("pause", "overlap", "delay")}
    return TemplateVariables(description, impression)


def added_variables(features: CueFeatures) -> dict[str, Sequence[Any]]:
    """What the template for cues of other people is given.

    Args:
        features: The clips.

    Returns:
        ``reference`` and ``graded`` as for the others, and ``said``: of each cue that stands out, what is said of it
        and its degree, -2 to 2.
    """
    doubts = _doubts(features)
    trusted = {"measured": ~doubts["unmeasured"] & ~doubts["short"]}
    trusted["voiced"] = trusted["measured"] & ~doubts["voiceless"]
    worded = [cue for cue in added_cues() if cue.words and cue.column in features.levels]
    degrees = [np.where(trusted[cue.judged], _degrees(features, cue.column), 0).tolist() for cue in worded]
    said = [
        tuple((cue.words[degree < 0], degree) for cue, degree in zip(worded, row, strict=True) if cue.words and degree)
        for row in zip(*degrees, strict=True)
    ]
    graded = [max(DEGREES[features.level_count]) == 2] * features.rows
    return {"reference": list(features.references), "graded": graded, "said": said or [()] * features.rows}


def _manner(features: CueFeatures, judged: BoolArray, pitched: BoolArray) -> dict[str, list[Any]]:
    """Loudness, pitch and rate, with None where they have no level, and what they come to together."""
    loudness = np.where(judged, features.level("intensity_mean_db"), MISSING)
    pitch = np.where(pitched, features.level("f0_median_hz", "f0_mean_hz"), MISSING)
    rate = np.where(judged, features.level("articulation_rate_per_s"), MISSING)
    intonation = np.where(pitched, _degrees(features, "f0_sd_semitones", "f0_sd_hz", "f0_range_hz"), 0)
    scale = DEGREES[features.level_count]
    return {
        "loudness": named(loudness, scale),
        "pitch": named(pitch, scale),
        "semitones": np.where(pitch >= 0, _semitones(features), 0).tolist(),
        "rate": named(rate, scale),
        "intonation": intonation.tolist(),
        "tone": _tones(loudness, pitch, rate, intonation, features.level_count),
    }


def _voice(features: CueFeatures, judged: BoolArray, pitched: BoolArray) -> dict[str, list[Any]]:
    """Degrees of what the voice does beside that, 0 where it has no level."""
    return {
        "loudness_variation": np.where(judged, _degrees(features, "intensity_sd_db"), 0).tolist(),
        "ending": np.where(pitched, _ending(features), 0).tolist(),
        "roughness": np.where(pitched, _roughness(features), 0).tolist(),
        "brightness": np.where(judged, _degrees(features, "spectral_tilt_db_per_octave"), 0).tolist(),
    }


def _timing(features: CueFeatures, judged: BoolArray) -> dict[str, list[Any]]:
    """Pauses, overlaps and delays that are long enough to be heard as such, in s as text."""
    return {
        "pause": _seconds(features.value("longest_pause_s"), judged, WORDED_PAUSE_S),
        "overlap": _seconds(features.value("overlap_s"), judged, WORDED_OVERLAP_S),
        "delay": _seconds(features.value("turn_latency_s"), judged, *WORDED_LATENCY_S),
    }


def _doubts(features: CueFeatures) -> dict[str, BoolArray]:
    """Reasons not to trust a clip; a comparison with NaN is false, so what was not measured raises no doubt."""
    acoustic = ("intensity_mean_db", "f0_mean_hz", "f0_median_hz", "articulation_rate_per_s")
    measured = np.asarray(np.isfinite([features.value(column) for column in acoustic]).any(axis=0))
    return {
        "unmeasured": ~measured,
        "short": measured & (features.value("duration_s") < SHORTEST_JUDGED_S),
        "voiceless": features.value("voiced_s") < SHORTEST_VOICED_S,
        "noisy": features.value("snr_db") < LOWEST_SNR_DB,
        "clipped": features.value("clipped_ratio") > HIGHEST_CLIPPED_RATIO,
        "miscut": np.array([status == "miscut" for status in features.statuses], dtype=bool),
    }


def _degrees(features: CueFeatures, *cues: str) -> IntArray:
    """How far the first of these cues lies from ordinary, -2 to 2; 0 where it has no level."""
    scale = np.array([*DEGREES[features.level_count], 0])
    degrees: IntArray = scale[features.level(*cues)]
    return degrees


def _semitones(features: CueFeatures) -> IntArray:
    """Distance of the pitch from the usual pitch, in whole semitones; 0 where either is missing."""
    distance = np.full(features.rows, np.nan)
    for cue in ("f0_mean_hz", "f0_median_hz"):
        known = features.level(cue) >= 0
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = features.value(cue) / features.usual.get(cue, distance)
            distance = np.where(known, 12 * np.log2(ratio), distance)
    return np.rint(np.where(np.isfinite(distance), distance, 0)).astype(np.int64)


def _ending(features: CueFeatures) -> IntArray:
    """1 where the pitch rises at the end audibly and more than is usual, -1 where it falls so, else 0."""
    slope = features.value("final_contour_semitones_per_s")
    direction = np.sign(_degrees(features, "final_contour_semitones_per_s"))
    return np.where(direction * slope >= AUDIBLE_GLIDE_SEMITONES_PER_S, direction, 0)


def _roughness(features: CueFeatures) -> IntArray:
    """Degree on which two of jitter, shimmer and lack of harmonics agree, -2 to 2."""
    signs = [
        _degrees(features, "jitter_local_ratio"),
        _degrees(features, "shimmer_local_ratio"),
        -_degrees(features, "hnr_mean_db"),
    ]
    agreed: IntArray = np.median(signs, axis=0).astype(np.int64)
    return agreed


def _seconds(
    values: FloatArray, rows: BoolArray, least: float = 0.0, most: float = np.inf, digits: int = 1
) -> list[str | None]:
    """Durations worth wording, as text."""
    worded = rows & (values >= least) & (values <= most)
    return [
        f"{value:.{digits}f}" if said else None for value, said in zip(values.tolist(), worded.tolist(), strict=True)
    ]


def _tones(loudness: IntArray, pitch: IntArray, rate: IntArray, intonation: IntArray, levels: int) -> list[str | None]:
    """One word for the whole; None where fewer than two of loudness, pitch and rate have a level."""
    scale = np.array([*DEGREES[levels], 0])
    known = np.array([loudness, pitch, rate]) >= 0
    loud, high, fast = scale[loudness], scale[pitch], scale[rate]
    degrees = np.array([loud, high, fast, intonation]) / max(scale)
    animation = degrees.sum(axis=0) / np.maximum(known.sum(axis=0) + known[1], 1)
    tones = np.select(
        [
            known.sum(axis=0) < 2,
            animation >= CLEAR_ANIMATION,
            animation <= -CLEAR_ANIMATION,
            (loud > 0) & (high < 0),
            (loud < 0) & (high > 0),
            (loud > 0) & (fast < 0),
            (loud < 0) & (fast > 0),
            animation >= SOME_ANIMATION,
            animation <= -SOME_ANIMATION,
            (degrees > 0).any(axis=0) & (degrees < 0).any(axis=0),
        ],
        ["", "very animated", "very subdued", "firm", "tender", "weighty", "hurried", "animated", "subdued", "mixed"],
        default="even",
    )
    return [tone or None for tone in tones.tolist()]

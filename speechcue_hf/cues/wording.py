"""From levels to words: the facts of each clip are worked out here, the sentences are the templates in ``wording/``.

Clips with the same facts get the same sentences, so each distinct set of facts is rendered once per batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, StrictUndefined, Template

from speechcue_hf.cues.levels import DEGREES, LEVEL_NAMES, FloatArray, IntArray, named
from speechcue_hf.cues.settings import MEASUREMENT_COLUMNS, PAPER_COLUMNS


class Facts(NamedTuple):
    """What the two templates of a wording are given: name → one value per row."""

    description: Mapping[str, Sequence[Any]]
    impression: Mapping[str, Sequence[Any]]


RELIABILITY = ("voiced_s", "snr_db", "clipped_ratio")
"""Measurements that say how far the cues can be trusted; worded, but without levels."""

CUES = {
    "speechcuellm": PAPER_COLUMNS,
    "speechcue": tuple(column for column in MEASUREMENT_COLUMNS if column not in RELIABILITY),
}
"""Wording → the cues that get a level and a z-score with it."""

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


@dataclass(frozen=True)
class Readings:
    """A batch of clips, measured and compared, before wording.

    Args:
        values: Measurement column → values in the column's unit, shape ``(rows,)``; NaN where not measured.
        levels: Cue → level indices, shape ``(rows,)``; -1 where there is none.
        habits: Cue → the value to compare with (usual for the speaker, the gender ...), shape ``(rows,)``.
        level_count: Number of levels, 3 to 6.
        references: Whose habit each row is compared with: ``"speaker"``, ``"past"``, ``"gender"`` or ``"overall"``.
        genders: ``"female"``, ``"male"`` or None, per row.
        notes: ``measurement_note``, per row.
        statuses: ``audio_status``, per row.
    """

    values: Mapping[str, FloatArray]
    levels: Mapping[str, IntArray]
    habits: Mapping[str, FloatArray]
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


def put_in_words(wording: str, readings: Readings) -> tuple[list[str], list[str]]:
    """Describe a batch of clips.

    Args:
        wording: ``"speechcue"`` or ``"speechcuellm"``.
        readings: The clips.

    Returns:
        One description and one impression per row.
    """
    facts = _FACTS[wording](readings)
    return _render(f"{wording}_description", facts.description), _render(f"{wording}_impression", facts.impression)


def wording_sha256(wording: str) -> str:
    """Hash of a wording's templates, so that a description can be traced to the words it was made with.

    Args:
        wording: ``"speechcue"`` or ``"speechcuellm"``.

    Returns:
        64 hexadecimal digits.
    """
    sources = [_source(f"{wording}_{kind}") for kind in ("description", "impression")]
    return sha256("\0".join(sources).encode()).hexdigest()


def _speechcuellm_facts(readings: Readings) -> Facts:
    """Raw level names; the variation of pitch is its standard deviation's level, else its range's."""
    names = LEVEL_NAMES[readings.level_count]
    facts = {
        "loudness": named(readings.level("intensity_mean_db"), names),
        "loudness_variation": named(readings.level("intensity_sd_db"), names),
        "pitch": named(readings.level("f0_mean_hz"), names),
        "pitch_variation": named(readings.level("f0_sd_hz", "f0_range_hz"), names),
        "rate": named(readings.level("articulation_rate_per_s"), names),
    }
    return Facts(facts, facts)


def _speechcue_facts(readings: Readings) -> Facts:
    """Degrees (-2 to 2, 0 ordinary), distances and doubts; None or 0 where nothing was measured or stands out."""
    doubts = _doubts(readings)
    judged = ~doubts["unmeasured"] & ~doubts["short"]
    pitched = judged & ~doubts["voiceless"]
    pitch = np.where(pitched, readings.level("f0_median_hz", "f0_mean_hz"), -1)
    loudness = np.where(judged, readings.level("intensity_mean_db"), -1)
    rate = np.where(judged, readings.level("articulation_rate_per_s"), -1)
    scale = DEGREES[readings.level_count]
    intonation = np.where(pitched, _degrees(readings, "f0_sd_semitones", "f0_sd_hz", "f0_range_hz"), 0)
    ending = np.where(pitched, _ending(readings), 0).tolist()
    roughness = np.where(pitched, _roughness(readings), 0).tolist()
    pause = _seconds(readings.value("longest_pause_s"), judged, WORDED_PAUSE_S)
    overlap = _seconds(readings.value("overlap_s"), judged, WORDED_OVERLAP_S)
    delay = _seconds(readings.value("turn_latency_s"), judged, *WORDED_LATENCY_S)
    shared = {
        "reference": list(readings.references),
        "ending": ending,
        "intonation": intonation.tolist(),
        "roughness": roughness,
    }
    description = {
        **shared,
        "gender": list(readings.genders),
        "graded": [max(scale) == 2] * readings.rows,
        "loudness": named(loudness, scale),
        "loudness_variation": np.where(judged, _degrees(readings, "intensity_sd_db"), 0).tolist(),
        "pitch": named(pitch, scale),
        "semitones": np.where(pitch >= 0, _semitones(readings), 0).tolist(),
        "rate": named(rate, scale),
        "brightness": np.where(judged, _degrees(readings, "spectral_tilt_db_per_octave"), 0).tolist(),
        "pause": pause,
        "overlap": overlap,
        "delay": delay,
        "note": _notes(readings, doubts["unmeasured"]),
        **{name: found.tolist() for name, found in doubts.items()},
        "short": _seconds(readings.value("duration_s"), doubts["short"], digits=2),
    }
    impression = {
        **shared,
        "tone": _tones(loudness, pitch, rate, intonation, readings.level_count),
        "pause": [seconds is not None for seconds in pause],
        "overlap": [seconds is not None for seconds in overlap],
        "delay": [seconds is not None for seconds in delay],
    }
    return Facts(description, impression)


_FACTS = {"speechcuellm": _speechcuellm_facts, "speechcue": _speechcue_facts}


def _doubts(readings: Readings) -> dict[str, npt.NDArray[np.bool_]]:
    """Reasons not to trust a clip; a comparison with NaN is false, so what was not measured raises no doubt."""
    acoustic = ("intensity_mean_db", "f0_mean_hz", "f0_median_hz", "articulation_rate_per_s")
    measured = np.asarray(np.isfinite([readings.value(column) for column in acoustic]).any(axis=0))
    return {
        "unmeasured": ~measured,
        "short": measured & (readings.value("duration_s") < SHORTEST_JUDGED_S),
        "voiceless": readings.value("voiced_s") < SHORTEST_VOICED_S,
        "noisy": readings.value("snr_db") < LOWEST_SNR_DB,
        "clipped": readings.value("clipped_ratio") > HIGHEST_CLIPPED_RATIO,
        "miscut": np.array([status == "miscut" for status in readings.statuses], dtype=bool),
    }


def _degrees(readings: Readings, *cues: str) -> IntArray:
    """How far the first of these cues lies from ordinary, -2 to 2; 0 where it has no level."""
    scale = np.array([*DEGREES[readings.level_count], 0])
    degrees: IntArray = scale[readings.level(*cues)]
    return degrees


def _semitones(readings: Readings) -> IntArray:
    """Distance of the pitch from the habitual pitch, in whole semitones; 0 where either is missing."""
    distance = np.full(readings.rows, np.nan)
    for cue in ("f0_mean_hz", "f0_median_hz"):
        known = readings.level(cue) >= 0
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = readings.value(cue) / readings.habits.get(cue, distance)
            distance = np.where(known, 12 * np.log2(ratio), distance)
    return np.rint(np.where(np.isfinite(distance), distance, 0)).astype(np.int64)


def _ending(readings: Readings) -> IntArray:
    """1 where the pitch rises at the end audibly and more than is habitual, -1 where it falls so, else 0."""
    slope = readings.value("final_contour_semitones_per_s")
    direction = np.sign(_degrees(readings, "final_contour_semitones_per_s"))
    return np.where(direction * slope >= AUDIBLE_GLIDE_SEMITONES_PER_S, direction, 0)


def _roughness(readings: Readings) -> IntArray:
    """Degree on which two of jitter, shimmer and lack of harmonics agree, -2 to 2."""
    signs = [
        _degrees(readings, "jitter_local_ratio"),
        _degrees(readings, "shimmer_local_ratio"),
        -_degrees(readings, "hnr_mean_db"),
    ]
    agreed: IntArray = np.median(signs, axis=0).astype(np.int64)
    return agreed


def _seconds(
    values: FloatArray, rows: npt.NDArray[np.bool_], least: float = 0.0, most: float = np.inf, digits: int = 1
) -> list[str | None]:
    """Durations worth wording, as text."""
    worded = rows & (values >= least) & (values <= most)
    return [
        f"{value:.{digits}f}" if said else None for value, said in zip(values.tolist(), worded.tolist(), strict=True)
    ]


def _notes(readings: Readings, unmeasured: npt.NDArray[np.bool_]) -> list[str | None]:
    """Why nothing was measured, for the rows where nothing was."""
    return [note if said else None for note, said in zip(readings.notes, unmeasured.tolist(), strict=True)]


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


def _render(name: str, facts: Mapping[str, Sequence[Any]]) -> list[str]:
    """Render a template once per distinct set of facts."""
    template, names = _template(name), tuple(facts)
    texts: dict[tuple[Any, ...], str] = {}
    for row in (rows := list(zip(*facts.values(), strict=True))):
        if row not in texts:
            texts[row] = template.render(zip(names, row, strict=True)).strip()
    return [texts[row] for row in rows]


@cache
def _template(name: str) -> Template:
    environment = Environment(undefined=StrictUndefined, autoescape=False)
    environment.filters.update(series=_series, sentences=_sentences, sign=_sign)
    environment.globals["numbers"] = _NUMBERS
    return environment.from_string(_source(name))


_NUMBERS = (
    "slightly",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "an octave",
)


def _source(name: str) -> str:
    return (files("speechcue_hf.cues") / "wording" / f"{name}.jinja").read_text(encoding="utf-8")


def _sign(degree: int | None) -> int:
    return int(np.sign(degree or 0))


def _series(items: Sequence[str]) -> str:
    """``["a", "", "b", "c"]`` → ``"a, b and c"``."""
    said = [item for item in items if item]
    return " and ".join([", ".join(said[:-1]), said[-1]] if said[1:] else said)


def _sentences(items: Sequence[str]) -> str:
    """``["it rains", ""]`` → ``"It rains."``."""
    return " ".join(f"{item[0].upper()}{item[1:]}." for item in items if item)

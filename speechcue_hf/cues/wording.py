"""From cue features to words: the sentences are the templates in ``wording/``, two for each wording.

Clips with the same template variables get the same sentences, so each distinct set is rendered once per batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from speechcue_hf.audio import DAMAGED, ENDS_EARLY
from speechcue_hf.cues.levels import DEGREES, LEVEL_NAMES, MISSING, BoolArray, FloatArray, IntArray, named
from speechcue_hf.cues.loudness import MAINS_HUM
from speechcue_hf.cues.settings import PAPER_COLUMNS
from speechcue_hf.cues.table import added_cues, cues
from speechcue_hf.templates import own_templates, template_source

if TYPE_CHECKING:
    from jinja2 import Template

WORDINGS = ("speechcuellm", "speechcue")

_TEMPLATES = "cues/wording"

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

_EARLIER = {"speechcue": ("5dc541d466c09e068ad594312b6f1e033a0fcc1ea3257151a6058db56d6cf0ce",)}
"""SHA-256 of earlier templates that differ in marks only: 0.1.0 had none of truncated, damaged and humming clips."""

_NUMBERS = ("slightly", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven")
"""Distances in semitones, in words; from twelve on they are octaves."""


def levelled_columns(wording: str) -> tuple[str, ...]:
    """The columns of the cues that get a level and a z-score with a wording, one of ``WORDINGS``."""
    if wording == "speechcuellm":
        return PAPER_COLUMNS
    return tuple(cue.column for cue in cues() if cue.judged != "never")


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


def put_in_words(wording: str, features: CueFeatures) -> tuple[list[str], list[str]]:
    """Describe a batch of clips in one of ``WORDINGS``: one description and one impression per row."""
    if wording == "speechcuellm":
        description = impression = _speechcuellm_variables(features)
    else:
        description, impression = _speechcue_variables(features)
    descriptions = _render(f"{wording}_description.jinja", description)
    if wording == "speechcue" and added_cues():
        more = _render("speechcue_added.jinja", _added_variables(features))
        descriptions = [f"{text} {added}".strip() for text, added in zip(descriptions, more, strict=True)]
    return descriptions, _render(f"{wording}_impression.jinja", impression)


def words_alike(wording: str, sha256_of_templates: str) -> bool:
    """Whether templates of that SHA-256 say of a clip what those of this release say, marks of later releases aside."""
    return sha256_of_templates in (wording_sha256(wording), *_EARLIER.get(wording, ()))


def wording_sha256(wording: str) -> str:
    """SHA-256 of a wording's templates, so that a description can be traced to the words it was made with."""
    sources = [template_source(_TEMPLATES, f"{wording}_{kind}.jinja") for kind in ("description", "impression")]
    return sha256("\0".join(sources).encode()).hexdigest()


def _speechcuellm_variables(features: CueFeatures) -> dict[str, list[Any]]:
    """Level names, None without a level; the variation of pitch is its standard deviation's level, else its range's."""
    columns = {
        "loudness": ("intensity_mean_db",),
        "loudness_variation": ("intensity_sd_db",),
        "pitch": ("f0_mean_hz",),
        "pitch_variation": ("f0_sd_hz", "f0_range_hz"),
        "rate": ("articulation_rate_per_s",),
    }
    names = LEVEL_NAMES[features.level_count]
    return {name: named(features.level(*cues), names) for name, cues in columns.items()}


def _speechcue_variables(features: CueFeatures) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """For description and impression: degrees (-2 to 2), distances, durations, doubts; None, 0 or False is not said."""
    doubts = _doubts(features)
    trusted = _trusted(doubts)
    judged, pitched = trusted["measured"], trusted["voiced"]
    variables: dict[str, list[Any]] = {
        **_common(features),
        "gender": list(features.genders),
        **_manner(features, judged, pitched),
        "loudness_variation": _degrees(features, judged, "intensity_sd_db").tolist(),
        "ending": _ending(features, pitched).tolist(),
        "roughness": _roughness(features, pitched).tolist(),
        "brightness": _degrees(features, judged, "spectral_tilt_db_per_octave").tolist(),
        "pause": _seconds(features.value("longest_pause_s"), judged, WORDED_PAUSE_S),
        "overlap": _seconds(features.value("overlap_s"), judged, WORDED_OVERLAP_S),
        "delay": _seconds(features.value("turn_latency_s"), judged, *WORDED_LATENCY_S),
    }
    description = {
        **variables,
        **{name: found.tolist() for name, found in doubts.items()},
        "short": _seconds(features.value("duration_s"), doubts["short"], digits=2),
        "note": [note if said else None for note, said in zip(features.notes, doubts["unmeasured"], strict=True)],
    }
    del description["tone"]
    # Fewer and coarser ones, so that fewer impressions are distinct.
    impression = {name: variables[name] for name in ("reference", "tone", "intonation", "ending", "roughness")}
    impression |= {name: [said is not None for said in variables[name]] for name in ("pause", "overlap", "delay")}
    return description, impression


def _added_variables(features: CueFeatures) -> dict[str, list[Any]]:
    """For cues of other people: ``said``, of each that stands out what is said of it and its degree, -2 to 2."""
    trusted = _trusted(_doubts(features))
    worded = [cue for cue in added_cues() if cue.words and cue.column in features.levels]
    degrees = [_degrees(features, trusted[cue.judged], cue.column).tolist() for cue in worded]
    said = [
        tuple((cue.words[degree < 0], degree) for cue, degree in zip(worded, row, strict=True) if cue.words and degree)
        for row in zip(*degrees, strict=True)
    ]
    return {**_common(features), "said": said or [()] * features.rows}


def _common(features: CueFeatures) -> dict[str, list[Any]]:
    """What each row is compared with, and whether its levels tell more from much more."""
    graded = max(DEGREES[features.level_count]) == 2
    return {"reference": list(features.references), "graded": [graded] * features.rows}


def _manner(features: CueFeatures, judged: BoolArray, pitched: BoolArray) -> dict[str, list[Any]]:
    """Loudness, pitch and rate, with None where they have no level, and what they come to together."""
    loudness = np.where(judged, features.level("intensity_mean_db"), MISSING)
    pitch = np.where(pitched, features.level("f0_median_hz", "f0_mean_hz"), MISSING)
    rate = np.where(judged, features.level("articulation_rate_per_s"), MISSING)
    intonation = _degrees(features, pitched, "f0_sd_semitones", "f0_sd_hz", "f0_range_hz")
    scale = DEGREES[features.level_count]
    return {
        "loudness": named(loudness, scale),
        "pitch": named(pitch, scale),
        "semitones": np.where(pitch >= 0, _semitones(features), 0).tolist(),
        "rate": named(rate, scale),
        "intonation": intonation.tolist(),
        "tone": _tones(loudness, pitch, rate, intonation, features.level_count),
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
        "truncated": _noted(features, ENDS_EARLY)
        | np.array([it == "truncated" for it in features.statuses], dtype=bool),
        "damaged": _noted(features, DAMAGED),
        "humming": _noted(features, MAINS_HUM),
    }


def _noted(features: CueFeatures, what: str) -> BoolArray:
    """Whether ``measurement_note`` says this of a clip."""
    return np.array([what in (note or "") for note in features.notes], dtype=bool)


def _trusted(doubts: Mapping[str, BoolArray]) -> dict[str, BoolArray]:
    """Clips to judge, by what :class:`Cue` says of how far a cue can be trusted."""
    judged = ~doubts["unmeasured"] & ~doubts["short"]
    return {"measured": judged, "voiced": judged & ~doubts["voiceless"]}


def _degrees(features: CueFeatures, trusted: BoolArray, *cues: str) -> IntArray:
    """How far the first of these cues lies from ordinary, -2 to 2; 0 where it has no level or is not to be trusted."""
    scale = np.array([*DEGREES[features.level_count], 0])
    degrees: IntArray = scale[np.where(trusted, features.level(*cues), MISSING)]
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


def _ending(features: CueFeatures, pitched: BoolArray) -> IntArray:
    """1 where the pitch rises at the end audibly and more than is usual, -1 where it falls so, else 0."""
    slope = features.value("final_contour_semitones_per_s")
    direction = np.sign(_degrees(features, pitched, "final_contour_semitones_per_s"))
    return np.where(direction * slope >= AUDIBLE_GLIDE_SEMITONES_PER_S, direction, 0)


def _roughness(features: CueFeatures, pitched: BoolArray) -> IntArray:
    """Degree on which two of jitter, shimmer and lack of harmonics agree, -2 to 2."""
    columns = ("jitter_local_ratio", "shimmer_local_ratio", "hnr_mean_db")
    jitter, shimmer, harmonics = (_degrees(features, pitched, column) for column in columns)
    agreed: IntArray = np.median([jitter, shimmer, -harmonics], axis=0).astype(np.int64)
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


def _render(name: str, variables: Mapping[str, Sequence[Any]]) -> list[str]:
    """Render a template once per distinct set of variables."""
    template, names = _template(name), tuple(variables)
    texts: dict[tuple[Any, ...], str] = {}
    for row in (rows := list(zip(*variables.values(), strict=True))):
        if row not in texts:
            texts[row] = template.render(zip(names, row, strict=True)).strip()
    return [texts[row] for row in rows]


@cache
def _template(name: str) -> Template:
    environment = own_templates(_TEMPLATES)
    environment.filters.update(series=_series, sentences=_sentences, sign=_sign)
    environment.globals["numbers"] = _NUMBERS
    return environment.get_template(name)


def _sign(degree: int | None) -> int:
    return int(np.sign(degree or 0))


def _series(items: Sequence[str]) -> str:
    """``["a", "", "b", "c"]`` → ``"a, b and c"``."""
    said = [item for item in items if item]
    return " and ".join([", ".join(said[:-1]), said[-1]] if said[1:] else said)


def _sentences(items: Sequence[str]) -> str:
    """``["it rains", ""]`` → ``"It rains."``."""
    return " ".join(f"{item[0].upper()}{item[1:]}." for item in items if item)

"""Our own procedure: each clip at 16 kHz in one channel, one pitch and one intensity analysis shared by all cues.

From the same analyses come the curves that pictures show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from scipy.signal import resample_poly

from speechcue_hf.audio import Clip, decode
from speechcue_hf.channels import at_full_scale, one_channel
from speechcue_hf.cues.contours import Contour
from speechcue_hf.cues.engines import Engine, load_engine
from speechcue_hf.cues.levels import FloatArray
from speechcue_hf.cues.loudness import (
    MAINS_HUM,
    clipped_ratio,
    digital_silence,
    energy_mean,
    has_mains_hum,
    signal_to_noise,
)
from speechcue_hf.cues.syllables import MINIMUM_PITCH, SHORTEST_RHYTHM, Rhythm, find_rhythm, inside
from speechcue_hf.cues.table import Cue, added_cues
from speechcue_hf.cues.voice import (
    pitch_statistics,
    spectral_tilt,
    two_pass_pitch,
)
from speechcue_hf.errors import AudioError

if TYPE_CHECKING:
    from speechcue_hf import praat

Values: TypeAlias = dict[str, float | None]
Measured: TypeAlias = tuple[Values, str | None]
"""Values by column, and the reason where one of them is missing."""

Subject = TypeVar("Subject")

RATE = 16000
"""In Hz. More costs three times as much at 48 kHz and changes harmonicity; what the cues need lies below 4 kHz."""
LONGEST = 120.0
"""In s. No utterance is longer; a file that is (a whole session, a bad cut) must not stall or swamp a run."""
_PITCH_RATE = 8000
"""In Hz: the voice's periodicity lies far below 4 kHz, and the search costs two thirds of that at 16 kHz."""
_LEVEL_PITCH = 100.0
"""In Hz: the lowest pitch for the levels, Praat's standard."""
_SHORTEST = 0.064
"""In s: one window of the intensity analysis."""
_NONE = np.empty(0)


@dataclass(frozen=True)
class Speech:
    """One clip with the analyses that several measurements share; each is made when first asked for."""

    clip: Clip
    engine: Engine

    @cached_property
    def samples(self) -> FloatArray:
        """One channel at 16 kHz, shape ``(samples,)``."""
        channel: FloatArray = resample_poly(one_channel(self.clip.samples), RATE, self.clip.rate)
        return channel

    @cached_property
    def sound(self) -> praat.Sound:
        """The same as an object of Praat's."""
        from speechcue_hf import praat

        return praat.Sound(self.samples, RATE)

    @property
    def seconds(self) -> float:
        """Length of the samples in s."""
        return len(self.samples) / RATE

    @cached_property
    def silence(self) -> FloatArray:
        """Stretches of digital silence in s, shape ``(stretches, 2)``."""
        return digital_silence(self.clip.samples, self.clip.rate)

    @cached_property
    def levels(self) -> FloatArray:
        """Intensity in dB, digital silence left out, shape ``(frames,)``."""
        intensity = self.engine.intensity(self.samples, RATE, _LEVEL_PITCH)
        levels: FloatArray = intensity.values[~inside(intensity.times, self.silence)]
        return levels

    @cached_property
    def pitch(self) -> Contour | None:
        """F0 in steps of 10 ms; None when no frame is voiced."""
        return two_pass_pitch(resample_poly(self.samples, _PITCH_RATE, RATE), _PITCH_RATE, self.engine)

    def rhythm(self, pitch: Contour) -> Rhythm | None:
        """Syllables and stretches of speech; None when nothing is loud and long enough to be speech."""
        return find_rhythm(self.engine.intensity(self.samples, RATE, MINIMUM_PITCH), pitch)


class Curves(NamedTuple):
    """Curves of one clip; empty where the clip is too short or silent for them.

    Attributes:
        samples: Amplitude, full scale at 1, at 16 kHz, shape ``(samples,)``.
        pitch_times: In s, shape ``(frames,)``.
        pitch: F0 in Hz, NaN where unvoiced, shape ``(frames,)``.
        intensity_times: In s, shape ``(frames,)``.
        intensity: In dB, shape ``(frames,)``.
        nuclei: Times of the syllable nuclei in s, shape ``(syllables,)``.
    """

    samples: FloatArray
    pitch_times: FloatArray = _NONE
    pitch: FloatArray = _NONE
    intensity_times: FloatArray = _NONE
    intensity: FloatArray = _NONE
    nuclei: FloatArray = _NONE

    @property
    def seconds(self) -> float:
        """Length of the clip in s."""
        return len(self.samples) / RATE


def analyse(clip: Clip, groups: tuple[str, ...], engine: Engine) -> tuple[Values, list[str]]:
    """Measure a clip by our own procedure.

    Args:
        clip: All channels, at the file's own sampling rate; decoded up to ``LONGEST``.
        groups: What to measure.
        engine: Who analyses.

    Returns:
        The values, None where there are none, and the reasons for those.
    """
    try:
        speech = Speech(at_full_scale(clip), engine)
    except AudioError as error:
        return {"duration_s": clip.duration}, [str(error)]
    seconds = clip.samples.shape[1] / clip.rate
    values: Values = {"duration_s": clip.duration}
    if seconds < _SHORTEST:
        return values, [f"shorter than one analysis window ({_SHORTEST} s)"]
    if np.diff(speech.silence).sum() >= seconds - 1 / clip.rate:
        return values, ["digital silence"]
    measures = [(group, _MEASURES[group]) for group in groups if group in _MEASURES]
    measures += [(cue.column, partial(_alone, cue)) for cue in added_cues() if cue.group in groups]
    measured, reasons = measure_all(measures, speech)
    reasons = [note for note in speech.clip.notes if note not in clip.notes] + reasons
    if clip.duration > LONGEST:
        reasons.insert(0, f"longer than {LONGEST:g} s: only its start was measured")
    return values | measured, reasons


def clip_curves(audio: str | PathLike[str] | Mapping[str, Any]) -> Curves:
    """Analyse a clip by our own procedure, for a picture.

    Args:
        audio: Path, or a row's ``audio`` value.

    Returns:
        Its curves; of a longer clip those of the first two minutes.

    Raises:
        AudioError: If the clip cannot be decoded.
    """
    speech = Speech(at_full_scale(decode(audio, limit=LONGEST)), load_engine("praat"))
    samples = speech.samples
    if speech.seconds < SHORTEST_RHYTHM:
        return Curves(samples)
    intensity = speech.engine.intensity(samples, RATE, _LEVEL_PITCH)
    curves = Curves(samples, intensity_times=intensity.times, intensity=intensity.values)
    if speech.pitch is None:
        return curves
    frequency = speech.pitch.values
    rhythm = speech.rhythm(speech.pitch)
    return curves._replace(
        pitch_times=speech.pitch.times,
        pitch=np.where(frequency > 0, frequency, np.nan),
        nuclei=_NONE if rhythm is None else rhythm.nuclei,
    )


def measure_all(
    measures: Iterable[tuple[str, Callable[[Subject], Measured]]], subject: Subject
) -> tuple[Values, list[str]]:
    """Measure each group, or added cue, by its function; where Praat refuses, its reason stands for the values.

    Returns:
        All values, and the reasons of those that lack some.
    """
    from speechcue_hf import praat

    values: Values = {}
    reasons = []
    for name, measure in measures:
        try:
            measured, reason = measure(subject)
        except praat.PraatError as error:
            # The first line says what was wrong, the others what to click.
            measured, reason = {}, str(error).splitlines()[0].rstrip(".")
        values.update(measured)
        if reason:
            reasons.append(f"{name}: {reason}")
    return values, reasons


def _alone(cue: Cue, speech: Speech) -> Measured:
    """What somebody's own function measures."""
    value = None if cue.measure is None else cue.measure(speech)
    return {cue.column: value}, "nothing to measure" if value is None else None


def _loudness(speech: Speech) -> Measured:
    if not len(speech.levels):
        return {}, "digital silence"
    return {"intensity_mean_db": energy_mean(speech.levels), "intensity_sd_db": float(speech.levels.std())}, None


def _pitch(speech: Speech) -> Measured:
    if speech.pitch is None:
        return {"voiced_s": 0.0}, "no voiced frames"
    values = pitch_statistics(speech.pitch)
    missing = values["final_contour_semitones_per_s"] is None
    return values, "too few voiced frames at the end for a contour" if missing else None


def _rhythm(speech: Speech) -> Measured:
    if speech.seconds < SHORTEST_RHYTHM:
        return {}, f"shorter than one analysis window ({SHORTEST_RHYTHM:.3f} s)"
    if speech.pitch is None:
        return {}, "no voiced frames"
    rhythm = speech.rhythm(speech.pitch)
    if rhythm is None or rhythm.articulation_rate is None:
        return {}, "no syllable nucleus"
    return {
        "articulation_rate_per_s": rhythm.articulation_rate,
        "pause_ratio": rhythm.pause_ratio,
        "longest_pause_s": rhythm.longest_pause,
    }, None


def _voice_quality(speech: Speech) -> Measured:
    tilt = spectral_tilt(speech.samples, RATE)
    if speech.pitch is None:
        return {"spectral_tilt_db_per_octave": tilt}, "no voiced frames"
    jitter, shimmer = speech.engine.jitter_and_shimmer(speech.samples, RATE, speech.pitch)
    values = {"jitter_local_ratio": jitter, "shimmer_local_ratio": shimmer, "spectral_tilt_db_per_octave": tilt}
    return values, "too few periods in a row" if jitter is None or shimmer is None else None


def _hnr(speech: Speech) -> Measured:
    # Without the costly refinement of Praat's own harmonicity: on speech the mean stays within 0.1 dB of it.
    ratios = speech.engine.harmonicity(speech.samples, RATE, False)
    return ({"hnr_mean_db": float(ratios.mean())}, None) if len(ratios) else ({}, "no periodic frames")


def _recording(speech: Speech) -> Measured:
    clipped = clipped_ratio(speech.clip.samples)
    ratio = signal_to_noise(speech.levels) if len(speech.levels) else None
    hum = MAINS_HUM if has_mains_hum(speech.samples, RATE) else None
    quiet = "no frame is quieter than another" if ratio is None else None
    return {"snr_db": ratio, "clipped_ratio": clipped}, "; ".join(filter(None, (hum, quiet))) or None


_MEASURES: dict[str, Callable[[Speech], Measured]] = {
    "loudness": _loudness,
    "pitch": _pitch,
    "rhythm": _rhythm,
    "voice_quality": _voice_quality,
    "hnr": _hnr,
    "recording": _recording,
}

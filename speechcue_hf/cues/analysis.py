"""Our own procedure: each clip at 16 kHz in one channel, one pitch and one intensity analysis shared by all cues."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from math import gcd
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import resample_poly

from speechcue_hf.audio import Clip
from speechcue_hf.cues.intervals import Floats, inside
from speechcue_hf.cues.loudness import clipped_ratio, digital_silence, energy_mean, signal_to_noise
from speechcue_hf.cues.pitch import pitch_statistics, two_pass_pitch
from speechcue_hf.cues.procedure import Measured, Values, measure_groups
from speechcue_hf.cues.syllables import SHORTEST as SHORTEST_RHYTHM
from speechcue_hf.cues.syllables import find_rhythm
from speechcue_hf.cues.table import Cue, added_cues
from speechcue_hf.cues.voice import harmonics_to_noise, jitter_and_shimmer, spectral_tilt

if TYPE_CHECKING:
    import parselmouth

RATE = 16000
"""In Hz. More costs three times as much at 48 kHz and changes harmonicity; what the cues need lies below 4 kHz."""
LONGEST = 120.0
"""In s. No utterance is longer; a file that is (a whole session, a bad cut) must not stall or swamp a run."""
_PITCH_RATE = 8000
"""In Hz: the voice's periodicity lies far below 4 kHz, and the search costs two thirds of that at 16 kHz."""
_SHORTEST = 0.064
"""In s: one window of the intensity analysis."""
_FAINT = 1e-4
"""Power of a channel, as a share of the strongest one's, below which it holds no speech (40 dB less)."""


@dataclass(frozen=True)
class Speech:
    """One clip with the analyses that several measurements share; each is made when first asked for."""

    clip: Clip

    @cached_property
    def sound(self) -> parselmouth.Sound:
        """One channel at 16 kHz."""
        import parselmouth

        return parselmouth.Sound(resample(_downmix(self.clip.samples), self.clip.rate, RATE), RATE)

    @cached_property
    def silence(self) -> Floats:
        """Stretches of digital silence in s, shape ``(stretches, 2)``."""
        return digital_silence(self.clip.samples, self.clip.rate)

    @cached_property
    def levels(self) -> Floats:
        """Intensity in dB, digital silence left out, shape ``(frames,)``."""
        intensity = self.sound.to_intensity()
        levels: Floats = intensity.values[0][~inside(intensity.xs(), self.silence)]
        return levels

    @cached_property
    def pitch(self) -> parselmouth.Pitch | None:
        """F0 in steps of 10 ms; None when no frame is voiced."""
        import parselmouth

        return two_pass_pitch(parselmouth.Sound(resample(self.sound.values[0], RATE, _PITCH_RATE), _PITCH_RATE))


def analyse(clip: Clip, groups: tuple[str, ...]) -> tuple[Values, list[str]]:
    """Measure a clip by our own procedure.

    Args:
        clip: All channels, at the file's own sampling rate; decoded up to ``LONGEST``.
        groups: What to measure.

    Returns:
        The values, None where there are none, and the reasons for those.
    """
    speech = Speech(clip)
    seconds = clip.samples.shape[1] / clip.rate
    values: Values = {"duration_s": clip.duration}
    if seconds < _SHORTEST:
        return values, [f"shorter than one analysis window ({_SHORTEST} s)"]
    if np.diff(speech.silence).sum() >= seconds - 1 / clip.rate:
        return values, ["digital silence"]
    measured, reasons = measure_groups(_MEASURES, speech, groups)
    added = {cue.column: partial(_alone, cue) for cue in added_cues() if cue.group in groups}
    more, other_reasons = measure_groups(added, speech, tuple(added))
    measured, reasons = measured | more, [*reasons, *other_reasons]
    if clip.duration > LONGEST:
        reasons.insert(0, f"longer than {LONGEST:g} s: only its start was measured")
    return values | measured, reasons


def _downmix(samples: Floats) -> Floats:
    """One channel from several: the mean of those that hold sound, so that one-sided stereo keeps its level."""
    if len(samples) == 1:
        return np.asarray(samples[0])
    power = samples.var(axis=1)
    mono: Floats = samples[power >= _FAINT * power.max()].mean(axis=0)
    return mono


def resample(samples: Floats, rate: int, target: int) -> Floats:
    """Change the sampling rate by a polyphase filter, which keeps what lies below both Nyquist frequencies.

    Args:
        samples: Shape ``(frames,)``.
        rate: Sampling rate of ``samples`` in Hz.
        target: Wanted sampling rate in Hz.

    Returns:
        Shape ``(ceil(frames * target / rate),)``; ``samples`` itself when the rates are equal.
    """
    if rate == target:
        return samples
    common = gcd(rate, target)
    resampled: Floats = resample_poly(samples, target // common, rate // common)
    return resampled


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
    if speech.sound.duration < SHORTEST_RHYTHM:
        return {}, f"shorter than one analysis window ({SHORTEST_RHYTHM:.3f} s)"
    if speech.pitch is None:
        return {}, "no voiced frames"
    rhythm = find_rhythm(speech.sound, speech.pitch)
    if rhythm is None or rhythm.articulation_rate is None:
        return {}, "no syllable nucleus"
    return {
        "articulation_rate_per_s": rhythm.articulation_rate,
        "pause_ratio": rhythm.pause_ratio,
        "longest_pause_s": rhythm.longest_pause,
    }, None


def _voice_quality(speech: Speech) -> Measured:
    tilt = spectral_tilt(speech.sound.values[0], RATE)
    if speech.pitch is None:
        return {"spectral_tilt_db_per_octave": tilt}, "no voiced frames"
    jitter, shimmer = jitter_and_shimmer(speech.sound, speech.pitch)
    values = {"jitter_local_ratio": jitter, "shimmer_local_ratio": shimmer, "spectral_tilt_db_per_octave": tilt}
    return values, "too few periods in a row" if jitter is None or shimmer is None else None


def _hnr(speech: Speech) -> Measured:
    ratio = harmonics_to_noise(speech.sound)
    return {"hnr_mean_db": ratio}, "no periodic frames" if ratio is None else None


def _recording(speech: Speech) -> Measured:
    clipped = clipped_ratio(speech.clip.samples)
    ratio = signal_to_noise(speech.levels) if len(speech.levels) else None
    return {"snr_db": ratio, "clipped_ratio": clipped}, "no frame is quieter than another" if ratio is None else None


_MEASURES: dict[str, Callable[[Speech], Measured]] = {
    "loudness": _loudness,
    "pitch": _pitch,
    "rhythm": _rhythm,
    "voice_quality": _voice_quality,
    "hnr": _hnr,
    "recording": _recording,
}

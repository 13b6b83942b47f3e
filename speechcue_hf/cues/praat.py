"""The analyses by Praat itself; :class:`speechcue_hf.cues.engines.Engine` says what each takes and gives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from speechcue_hf.cues.contours import Contour, PitchSettings
from speechcue_hf.cues.levels import FloatArray
from speechcue_hf.cues.periodicity import decibels_of

if TYPE_CHECKING:
    from speechcue_hf.praat import Pitch, Sound

SHORTEST_PERIOD, LONGEST_PERIOD, PERIOD_FACTOR, AMPLITUDE_FACTOR = 0.0001, 0.02, 1.3, 1.6
"""Praat's standard limits (s, s, ratio, ratio): what lies beyond them is no period of the voice."""


def intensity(samples: FloatArray, rate: float, floor: float) -> Contour:
    """Praat's ``To Intensity``."""
    contour = _sound(samples, rate).to_intensity(floor)
    return Contour(contour.values[0], contour.x1, contour.dx, contour.xmin, contour.xmax)


def pitch(samples: FloatArray, rate: float, settings: PitchSettings) -> Contour:
    """Praat's ``To Pitch (ac)``."""
    contour = _sound(samples, rate).to_pitch_ac(
        settings.step,
        settings.floor,
        settings.candidates,
        False,
        settings.silence,
        settings.voicing,
        settings.octave,
        settings.octave_jump,
        settings.voiced_unvoiced,
        settings.ceiling,
    )
    return Contour(contour.selected_array["frequency"], contour.x1, contour.dx, contour.xmin, contour.xmax)


def harmonicity(samples: FloatArray, rate: float, accurate: bool) -> FloatArray:
    """Praat's ``To Harmonicity (cc)``, or the cross-correlation that it is made of without the costly refinement.

    There the strength r of the best of three candidates is read as ``10 log10(r / (1 - r))``. Source: Boersma (1993),
    IFA Proceedings 17.
    """
    sound = _sound(samples, rate)
    if accurate:
        frames: FloatArray = sound.to_harmonicity_cc().values[0]
        # Praat marks frames without any periodicity by -200 dB.
        return frames[frames > -200]
    contour = sound.to_pitch_cc(0.01, 75, 3, False, 0.1, 0, 0, 0, 0, sound.sampling_frequency / 2)
    return decibels_of(contour.selected_array["strength"])


def maxima(values: FloatArray) -> FloatArray:
    """Praat's ``To PointProcess (extrema)`` with its finer interpolation."""
    from speechcue_hf.praat import run

    if not ((values[1:-1] > values[:-2]) & (values[1:-1] >= values[2:])).any():
        return np.zeros(0)
    (points,) = run(_sound(values, 1.0), 'To PointProcess (extrema): 1, "yes", "no", "Sinc70"\nTo Matrix')
    places: FloatArray = points.values[0] - 0.5
    return places


def jitter_and_shimmer(samples: FloatArray, rate: float, pitch: Contour) -> tuple[float | None, float | None]:
    """Praat's ``To PointProcess (cc)``, ``Get jitter (local)`` and ``Get shimmer (local)``.

    Source: the Praat manual, "Voice 2. Jitter" and "Voice 3. Shimmer"; periods by cross-correlation along the pitch.
    """
    from speechcue_hf.praat import call

    sound = _sound(samples, rate)
    periods = call([sound, _pitch_of(pitch)], "To PointProcess (cc)")
    limits = (0, 0, SHORTEST_PERIOD, LONGEST_PERIOD, PERIOD_FACTOR)
    jitter = call(periods, "Get jitter (local)", *limits)
    shimmer = call([sound, periods], "Get shimmer (local)", *limits, AMPLITUDE_FACTOR)
    return none_if_nan(jitter), none_if_nan(shimmer)


def _sound(samples: FloatArray, rate: float) -> Sound:
    from speechcue_hf.praat import Sound

    return Sound(samples, rate)


def _pitch_of(contour: Contour) -> Pitch:
    """A contour as Praat's object."""
    from speechcue_hf.praat import call

    frames = (contour.start, contour.end, len(contour.values), contour.step, contour.first)
    matrix = call("Create Matrix", "pitch", *frames, 1, 1, 1, 1, 1, "0")
    matrix.values[0, :] = contour.values
    return call(matrix, "To Pitch")


def none_if_nan(value: float) -> float | None:
    """Praat's "undefined" as None."""
    return None if math.isnan(value) else float(value)

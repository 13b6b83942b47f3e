"""Syllable nuclei, stretches of speech, pauses: the rhythm of a clip, from its intensity and voicing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.signal import find_peaks

from speechcue_hf.cues.contours import Contour
from speechcue_hf.cues.levels import BoolArray, FloatArray

DIP = 2.0
"""In dB: how far the intensity must sink beside a peak for the peak to be a syllable of its own."""
BELOW_PEAK = 25.0
"""In dB: how far below the loudest part speech still counts as speech."""
_SHORTEST_SOUNDING = 0.1
_SHORTEST_PAUSE = 0.25
"""In s, after de Jong & Bosker (2013), DiSS: shorter silences belong to articulation."""
MINIMUM_PITCH = 75.0
"""In Hz: the intensity window (43 ms) is short enough for fast syllables, long enough not to follow single periods."""
SHORTEST_RHYTHM = 6.4 / MINIMUM_PITCH
"""In s: a clip must hold one whole window."""


class Rhythm(NamedTuple):
    """Syllables and stretches of speech in a clip.

    Attributes:
        nuclei: Times of the syllable nuclei in s, shape ``(syllables,)``.
        sounding: Start and end of each stretch of speech in s, shape ``(stretches, 2)``.
    """

    nuclei: FloatArray
    sounding: FloatArray

    @property
    def articulation_rate(self) -> float | None:
        """Syllables per second of speech, pauses left out; None without a syllable."""
        return len(self.nuclei) / float(np.diff(self.sounding).sum()) if len(self.nuclei) else None

    @property
    def pause_ratio(self) -> float:
        """Share of pauses in the time from the first to the last speech."""
        return float(self._pauses.sum() / (self.sounding[-1, 1] - self.sounding[0, 0]))

    @property
    def longest_pause(self) -> float:
        """In s; 0 without a pause."""
        return float(self._pauses.max(initial=0.0))

    @property
    def _pauses(self) -> FloatArray:
        pauses: FloatArray = self.sounding[1:, 0] - self.sounding[:-1, 1]
        return pauses


def find_rhythm(intensity: Contour, voicing: Contour) -> Rhythm | None:
    """Find syllable nuclei: peaks of intensity with a dip of 2 dB on both sides, voiced, within speech.

    The criterion of de Jong & Wempe (2009), Behavior Research Methods 41, read as topographic prominence: the level
    sinks by 2 dB on either side before it rises above the peak. A peak is never joined to a lower one beside it, and
    the last syllable counts like any other, so that one-syllable clips have a rate.

    Args:
        intensity: Intensity of a clip of at least ``SHORTEST_RHYTHM``, for ``MINIMUM_PITCH``.
        voicing: Pitch of the same clip.

    Returns:
        The rhythm; None when no stretch is loud and long enough to be speech.
    """
    levels = intensity.values
    threshold = np.quantile(levels, 0.99) - BELOW_PEAK
    # A syllable cut off by an end of the clip has its peak there: beyond the ends it is silent.
    walled = np.concatenate([[-300.0], levels, [-300.0]])
    peaks, _ = find_peaks(walled, height=threshold, prominence=DIP)
    sounding = sounding_stretches(intensity, threshold, _SHORTEST_PAUSE)
    if not len(sounding):
        return None
    return Rhythm(select_nuclei(intensity.times[peaks - 1], sounding, voicing), sounding)


def inside(times: FloatArray, stretches: FloatArray) -> BoolArray:
    """Which times, of shape ``(times,)`` in s, lie in one of the stretches, of shape ``(stretches, 2)`` in order.

    A stretch holds its start and not its end.

    Example:
        >>> inside(np.array([0.1, 0.5]), np.array([[0.0, 0.2]]))
        array([ True, False])
    """
    started = np.searchsorted(stretches[:, 0], times, side="right")
    ended = np.searchsorted(stretches[:, 1], times, side="right")
    return started > ended


def select_nuclei(times: FloatArray, sounding: FloatArray, voicing: Contour) -> FloatArray:
    """The times, of shape ``(times,)`` in s, that lie within speech and next to a voiced frame."""
    voiced = voicing.values > 0
    # Praat's pitch has a value wherever the nearest frame is voiced.
    nearest = np.floor((times - voicing.first) / voicing.step + 0.5).astype(int)
    known = (nearest >= 0) & (nearest < len(voiced))
    is_voiced = known & voiced[np.clip(nearest, 0, len(voiced) - 1)]
    nuclei: FloatArray = times[inside(times, sounding) & is_voiced]
    return nuclei


def sounding_stretches(intensity: Contour, threshold: float, shortest_pause: float) -> FloatArray:
    """Stretches of speech as Praat's ``To TextGrid (silences)`` finds them: short sounds go first, then short pauses.

    In arrays, because the four Praat commands it takes cost half a millisecond per clip.

    Args:
        intensity: The contour; its frames below the threshold are silent.
        threshold: In dB, absolute.
        shortest_pause: In s; shorter silences belong to the speech around them.

    Returns:
        Start and end of each stretch in s, shape ``(stretches, 2)``; none where everything is silent.
    """
    start, end = intensity.start, intensity.end
    loud = np.concatenate([[False], intensity.values >= threshold, [False]])
    # A change of state lies at the first frame of the new one, the ends of the clip where the clip ends.
    edges = np.concatenate([[start], intensity.times[1:], [end]])
    sounding = edges[np.diff(loud)].reshape(-1, 2)
    # A clip that sounds throughout does so however short it is.
    sounding = _at_least(min(_SHORTEST_SOUNDING, end - start), sounding)
    pauses = _at_least(shortest_pause, _between(sounding, start, end))
    return _at_least(np.finfo(float).tiny, _between(pauses, start, end))


def _between(stretches: FloatArray, start: float, end: float) -> FloatArray:
    """What lies between stretches, from ``start`` to ``end``; empty where they touch one of these."""
    return np.concatenate([[start], stretches.ravel(), [end]]).reshape(-1, 2)


def _at_least(seconds: float, stretches: FloatArray) -> FloatArray:
    """The stretches that last so long."""
    return stretches[stretches[:, 1] - stretches[:, 0] >= seconds]

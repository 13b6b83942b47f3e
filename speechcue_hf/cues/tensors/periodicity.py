"""F0 and the harmonics-to-noise ratio: how much a clip resembles itself a period later, in all its frames at once.

Sources: Boersma (1993), IFA Proceedings 17, with its numbers of equations below; the Praat manual, "Sound: To Pitch
(ac)...", "Sound: To Pitch (cc)..." and "Sound: To Harmonicity (cc)...".
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from speechcue_hf.cues.contours import Contour, PitchSettings
from speechcue_hf.cues.levels import FloatArray
from speechcue_hf.cues.periodicity import (
    COARSE,
    FINE,
    FINEST,
    HARMONICITY,
    ROUGHNESS,
    ROUNDING,
    SHORTEST,
    UNEVEN,
    blocks,
    candidate_places,
    decibels_of,
    hanning,
    harmonicity_frames,
    longest_lags,
    pitch_frames,
    unvoiced_strength,
)
from speechcue_hf.cues.tensors.device import BLOCK, array, means_of, stretches, tensor
from speechcue_hf.cues.tensors.interpolation import interpolate, maxima

_DEEPER = 0.1
"""How much a strength may lack of the best one, to be looked at again from all samples: in noise the strengths from 70
on either side were found to be off by 0.03."""


def pitch_contour(samples: FloatArray, rate: float, settings: PitchSettings) -> Contour:
    """F0 by autocorrelation and the cheapest path through the candidates of all frames.

    Args:
        samples: Shape ``(samples,)``, at least ``3 / floor`` long, not silent.
        rate: Sampling rate in Hz.
        settings: What is searched.

    Returns:
        F0 in Hz, 0 where a frame is unvoiced.
    """
    settings = settings._replace(ceiling=min(settings.ceiling, rate / 2))
    frames = pitch_frames(samples, rate, settings)
    clip, right = tensor(samples), tensor(frames.right)
    longest, last = longest_lags(frames.half)
    window = tensor(hanning(2 * frames.half))
    own = _autocorrelation(window.unsqueeze(0), last)
    found = []
    for block in blocks(len(right), 2 * frames.half + last, BLOCK):
        parts = _around_means(clip, right[block], frames.half, frames.period) * window
        near = frames.period // 2 + 1
        peaks = parts[:, max(frames.half - near, 0) : frames.half + near].abs().amax(1)
        # Equation (9): the window's own correlation is divided out.
        correlations = _autocorrelation(parts, last) / own
        candidates = _candidates(correlations / correlations[:, :1], longest, rate, settings)
        found.append([array(values) for values in (*candidates, peaks)])
    frequencies, strengths, amplitudes = (np.concatenate(values) for values in zip(*found, strict=True))
    unvoiced = unvoiced_strength(amplitudes / frames.largest, settings.silence, settings.voicing)
    f0 = _cheapest_path(frequencies, strengths, unvoiced, settings)
    return Contour(f0, float(frames.times[0]), settings.step, 0.0, len(samples) / rate)


def harmonic_ratios(samples: FloatArray, rate: float, accurate: bool) -> FloatArray:
    """Harmonics-to-noise ratio by forward cross-correlation of one period of 75 Hz, in steps of 10 ms.

    No path is searched: transitions cost nothing, so that the best candidate of a frame is its strongest one.

    Args:
        samples: Shape ``(samples,)``, at least ``2 / 75`` s long, not silent.
        rate: Sampling rate in Hz.
        accurate: Interpolate the correlation from all samples, and not from 70 on either side.

    Returns:
        ``10 log10(r / (1 - r))`` in dB of each periodic frame, equation (4), shape ``(periodic frames,)``.
    """
    frames = harmonicity_frames(samples, rate)
    clip, right, starts = tensor(samples), tensor(frames.right), tensor(frames.starts.clip(min=0))
    length = 2 * frames.half
    best = []
    for block in blocks(len(right), 4 * length, BLOCK):
        means = _local_means(clip, right[block], frames.period)
        values, within = stretches(clip, right[block] - frames.half, length)
        amplitudes = array(((values - means).abs() * within).amax(1))
        values, within = stretches(clip, starts[block], 2 * length)
        correlations = _cross_correlation((values - means) * within)
        strengths = array(_strongest(correlations, accurate))
        unvoiced = unvoiced_strength(amplitudes / frames.largest, HARMONICITY.silence, 0.0)
        best.append(np.where(strengths > unvoiced, strengths, 0.0))
    return decibels_of(np.concatenate(best))


def _local_means(clip: Tensor, right: Tensor, period: int) -> Tensor:
    """Of the longest period on either side of each frame's time, shape ``(frames, 1)``."""
    return means_of(*stretches(clip, right - period, 2 * period))


def _around_means(clip: Tensor, right: Tensor, half: int, period: int) -> Tensor:
    """Each frame around its local mean, shape ``(frames, 2 * half)``."""
    values, _ = stretches(clip, right - half, 2 * half)
    return values - _local_means(clip, right, period)


def _autocorrelation(parts: Tensor, last: int) -> Tensor:
    """Up to lag ``last``, shape ``(frames, last + 1)``, by way of the power spectrum."""
    spectrum = torch.fft.rfft(parts, _smooth_length(parts.shape[1] + last))
    correlation: Tensor = torch.fft.irfft(spectrum * spectrum.conj())
    return correlation[:, : last + 1]


def _smooth_length(least: int) -> int:
    """The next power of two, whose transforms are fast anywhere."""
    return 1 << (least - 1).bit_length()


def _candidates(correlations: Tensor, longest: int, rate: float, settings: PitchSettings) -> tuple[Tensor, Tensor]:
    """Frequency and strength of each frame's candidates, shape ``(frames, places)``; the first is the unvoiced one.

    Candidates above the ceiling take a place from others, and are left out in the end: as those that are none, they
    have a frequency of 0.
    """
    here, before, after = correlations[:, 2:longest], correlations[:, 1 : longest - 1], correlations[:, 3 : longest + 1]
    rows, lags = torch.nonzero((here > 0.5 * settings.voicing) & (before < here) & (here >= after), as_tuple=True)
    lags = lags + 2
    curves, last = _mirrored(correlations), correlations.shape[1] - 1
    places = candidate_places(settings, settings.ceiling)
    chosen = _chosen(curves, rows, lags, longest, rate, settings.octave, places - 1)
    chosen &= lags >= 0.7 * rate / settings.ceiling
    rows, lags = rows[chosen], lags[chosen]
    at, heights = maxima(curves, rows, lags + last, FINE)
    found = rate / (at - last)
    low_enough = found < settings.ceiling
    # Each candidate's place is its number among those of its frame, behind the unvoiced one.
    firsts = torch.searchsorted(rows, rows)
    column = torch.arange(1, len(rows) + 1, device=rows.device) - firsts
    frequencies, strengths = correlations.new_zeros(2, len(correlations), places)
    frequencies[rows, column] = found * low_enough
    strengths[rows, column] = _strength(heights)
    return frequencies, strengths


def _mirrored(correlations: Tensor) -> Tensor:
    """Correlations from the last lag before 0 to the last after it."""
    return torch.cat([correlations[:, 1:].flip(1), correlations], 1)


def _strength(heights: Tensor) -> Tensor:
    """What a peak counts: those above 1 are what interpolation made of noise."""
    return heights.where(heights <= 1, 1 / heights)


def _chosen(curves: Tensor, rows: Tensor, lags: Tensor, longest: int, rate: float, octave: float, room: int) -> Tensor:
    """Which peaks are among the strongest of their frame, by equation (24)."""
    middle = curves.shape[1] // 2
    at = _vertices(curves, rows, lags + middle)
    gains = _strength(interpolate(curves, rows, at, COARSE)) - octave * ((at - middle) / rate).log2()
    all_gains = gains.new_full((len(curves), longest), -torch.inf)
    all_gains[rows, lags] = gains
    strongest = all_gains.topk(min(room, longest)).indices
    return torch.zeros_like(all_gains, dtype=torch.bool).scatter(1, strongest, True)[rows, lags]


def _vertices(curves: Tensor, rows: Tensor, peaks: Tensor) -> Tensor:
    """Places of the vertices of parabolas through peaks and their neighbours."""
    before, here, after = (curves[rows, peaks + offset] for offset in (-1, 0, 1))
    return peaks + 0.5 * (after - before) / (2 * here - before - after)


def _cheapest_path(
    frequencies: FloatArray, strengths: FloatArray, unvoiced: FloatArray, settings: PitchSettings
) -> FloatArray:
    """F0 along the path that costs least, equations (25) and (26): by dynamic programming (Viterbi)."""
    voiced = frequencies > 0
    octaves = np.log2(frequencies, out=np.zeros_like(frequencies), where=voiced)
    own = np.where(voiced, strengths - settings.octave * (math.log2(settings.ceiling) - octaves), -np.inf)
    own[:, 0] = unvoiced
    jump, change = (cost * 0.01 / settings.step for cost in (settings.octave_jump, settings.voiced_unvoiced))
    came_from = np.zeros(frequencies.shape, np.int64)
    gains = own[0]
    for i in range(1, len(own)):
        changes, jumps = voiced[i, :, np.newaxis] != voiced[i - 1], np.abs(octaves[i, :, np.newaxis] - octaves[i - 1])
        ways = gains - np.where(changes, change, jump * jumps)
        came_from[i] = ways.argmax(1)
        gains = ways.max(1) + own[i]
    path = [int(gains.argmax())]
    for sources in came_from[:0:-1]:
        path.append(int(sources[path[-1]]))
    f0: FloatArray = frequencies[np.arange(len(path)), path[::-1]]
    return f0


def _cross_correlation(later: Tensor) -> Tensor:
    """Of the first half of each row with those up to as much later, as a share of the root of both energies.

    Args:
        later: Shape ``(frames, 2 * length)``.

    Returns:
        Shape ``(frames, length + 1)``.
    """
    length = later.shape[1] // 2
    now = later[:, :length]
    whole = _smooth_length(2 * length)
    spectra = torch.fft.rfft(now, whole).conj() * torch.fft.rfft(later, whole)
    products: Tensor = torch.fft.irfft(spectra)[:, : length + 1]
    energies = _energies(later, length)
    for row in torch.nonzero(energies.amin(1) < UNEVEN * energies.amax(1)):
        products[row] = later[row].unfold(1, length, 1) @ now[row].squeeze(0)
    scales = energies[:, :1] * energies
    return (products / scales.sqrt()).where(scales > 0, 0.0)


def _energies(later: Tensor, length: int) -> Tensor:
    """Of the windows at all lags, which follow from each other, shape ``(frames, length + 1)``."""
    squares = later.square()
    # One after the other: what rounding leaves of the energy of digital silence is seen in its correlation.
    coming_and_going = torch.stack([squares[:, length:], -squares[:, :length]], 2).flatten(1)
    return torch.cat([squares[:, :length], coming_and_going], 1).cumsum(1)[:, length - 1 :: 2]


def _strongest(correlations: Tensor, accurate: bool) -> Tensor:
    """Strength of each frame's best candidate, 0 where it has none, shape ``(frames,)``."""
    rows, lags = _promising(correlations)
    curves, last = _mirrored(correlations), correlations.shape[1] - 1
    strengths = _peak_strengths(curves, rows, lags, FINE)
    short = 1 / (_vertices(curves, rows, lags + last) - last) > SHORTEST
    strengths[short] = _peak_strengths(curves, rows[short], lags[short], FINEST)
    if accurate:
        hopeful = strengths > _largest_of_rows(strengths, rows, len(curves))[rows] - _DEEPER
        strengths[hopeful] = _peak_strengths(curves, rows[hopeful], lags[hopeful], FINEST)
    return _largest_of_rows(strengths, rows, len(curves))


def _peak_strengths(curves: Tensor, rows: Tensor, lags: Tensor, depth: int) -> Tensor:
    """Of the candidates next to lags; 0 for those that are none."""
    last = curves.shape[1] // 2
    at, heights = maxima(curves, rows, lags + last, depth)
    return _strength(heights) * ((at - last > 2) & (heights > 0))


def _largest_of_rows(values: Tensor, rows: Tensor, count: int) -> Tensor:
    """The largest value of each of so many rows, at least 0."""
    return values.new_zeros(count).scatter_reduce(0, rows, values, "amax")


def _promising(correlations: Tensor) -> tuple[Tensor, Tensor]:
    """Frames and lags of the peaks that may be the strongest of their frame, judged by the samples next to them."""
    here, before, after = correlations[:, 2:-1], correlations[:, 1:-2], correlations[:, 3:]
    padded = torch.cat([correlations, correlations[:, -1:]], 1)
    bends = 2 * padded[:, 1:-1] - padded[:, :-2] - padded[:, 2:]
    rough = here + ROUGHNESS * bends.abs().unfold(1, 3, 1).amax(2)
    peaks = (here > 0) & (here - before > ROUNDING) & (here >= after)
    surely = torch.minimum(here, 1 / rough) * peaks
    # What lies next to a lag of 2 may turn out to be shorter, and then it is none.
    rows, lags = torch.nonzero(peaks & (rough > surely[:, 1:].amax(1, keepdim=True)), as_tuple=True)
    return rows, lags + 2

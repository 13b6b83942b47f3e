"""F0 and the harmonics-to-noise ratio: how much a clip resembles itself a period later.

Sources: Boersma (1993), IFA Proceedings 17, with its numbers of equations below; the Praat manual, "Sound: To Pitch
(ac)...", "Sound: To Pitch (cc)..." and "Sound: To Harmonicity (cc)...".
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.fft import dct, irfft, next_fast_len, rfft

from speechcue_hf.cues.contours import Contour, PitchSettings
from speechcue_hf.cues.fast.interpolation import interpolation_tables, jit, jit_inner, maximum, mean_of, tabulated
from speechcue_hf.cues.levels import BoolArray, FloatArray, IntArray
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

_BLOCK = 1 << 15
"""Samples of all the frames that are transformed together: a block stays in the cache, and the memory flat."""
_DEEPER = 0.01
"""How much higher a maximum may be that is interpolated from all samples, and not from 70 on either side."""


def pitch_contour(samples: FloatArray, rate: float, settings: PitchSettings) -> Contour:
    """F0 by autocorrelation and the cheapest path through the candidates of all frames.

    Args:
        samples: Shape ``(samples,)``, at least ``3 / floor`` long, not silent.
        rate: Sampling rate in Hz.
        settings: What is searched.

    Returns:
        F0 in Hz, 0 where a frame is unvoiced.
    """
    ceiling = min(settings.ceiling, rate / 2)
    frames = pitch_frames(samples, rate, settings)
    window = hanning(2 * frames.half)
    places = candidate_places(settings, ceiling)
    candidates, unvoiced = [], []
    # An unvoiced candidate that beats a perfect one, whatever its neighbours say, needs no rival.
    certain = 1 + 2 * settings.voiced_unvoiced * 0.01 / settings.step
    longest, last = longest_lags(frames.half)
    own = _own_correlation(frames.half, last)
    for block in blocks(len(frames.times), 2 * frames.half + last, _BLOCK):
        parts, peaks = _windowed(samples, frames.right[block], window, frames.period)
        silent = unvoiced_strength(peaks / frames.largest, settings.silence, settings.voicing)
        sounding = silent <= certain
        correlations = _autocorrelation(parts[sounding], last)
        found = _candidates_of(
            correlations,
            own,
            sounding,
            longest,
            float(rate),
            float(ceiling),
            places,
            settings.voicing,
            settings.octave,
            interpolation_tables(),
        )
        candidates.append(found)
        unvoiced.append(silent)
    frequencies, strengths, counts = (np.concatenate(parts) for parts in zip(*candidates, strict=True))
    f0 = _cheapest_path(
        frequencies,
        strengths,
        counts,
        np.concatenate(unvoiced),
        float(ceiling),
        settings.octave,
        settings.octave_jump * 0.01 / settings.step,
        settings.voiced_unvoiced * 0.01 / settings.step,
    )
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
    length = 2 * frames.half
    best = []
    for block in blocks(len(frames.times), 2 * length, _BLOCK):
        means, peaks = _surroundings(samples, frames.right[block], frames.half, frames.period)
        silent = unvoiced_strength(peaks / frames.largest, HARMONICITY.silence, 0.0)
        sounding = silent < 1
        correlations = _cross_correlation(samples, frames.starts[block][sounding], means[sounding], length)
        depth = FINEST if accurate else FINE
        best.append(_strongest_of(correlations, silent[sounding], float(rate), depth, interpolation_tables()))
    return decibels_of(np.concatenate(best))


@jit
def _windowed(samples: FloatArray, right: IntArray, window: FloatArray, period: int) -> tuple[FloatArray, FloatArray]:
    """Each frame around its local mean under the window, and its largest amplitude within half a period."""
    half = len(window) // 2
    near = period // 2 + 1
    parts, peaks = np.empty((len(right), len(window))), np.zeros(len(right))
    for frame in range(len(right)):
        mean = mean_of(samples[max(right[frame] - period, 0) : right[frame] + period])
        part, taken = parts[frame], samples[right[frame] - half : right[frame] + half]
        for i in range(len(window)):
            part[i] = (taken[i] - mean) * window[i]
        peaks[frame] = _largest(part[max(half - near, 0) : half + near], 0.0)
    return parts, peaks


@jit
def _surroundings(samples: FloatArray, right: IntArray, half: int, period: int) -> tuple[FloatArray, FloatArray]:
    """Each frame's local mean, and its largest amplitude within half a window."""
    means, peaks = np.empty(len(right)), np.zeros(len(right))
    for frame in range(len(right)):
        means[frame] = mean_of(samples[max(right[frame] - period, 0) : right[frame] + period])
        peaks[frame] = _largest(samples[max(right[frame] - half, 0) : right[frame] + half], means[frame])
    return means, peaks


@jit_inner
def _largest(values: FloatArray, mean: float) -> float:
    """The largest distance from the mean."""
    lowest, highest = mean, mean
    for value in values:
        lowest, highest = min(lowest, value), max(highest, value)
    return max(highest - mean, mean - lowest)


def _smooth_length(least: int) -> int:
    """The next even length without prime factors above 5, whose transforms are the fastest."""
    length: int = 2 * next_fast_len((least + 1) // 2, real=True)
    return length


@lru_cache(maxsize=16)
def _own_correlation(half: int, last: int) -> FloatArray:
    """The window's autocorrelation up to a lag, 1 at lag 0: the divisor of equation (9)."""
    own = _autocorrelation(hanning(2 * half)[np.newaxis], last)[0]
    return own / own[0]


def _autocorrelation(parts: FloatArray, last: int) -> FloatArray:
    """Up to lag ``last``, shape ``(frames, last + 1)``, by way of the power spectrum."""
    length = _smooth_length(parts.shape[1] + last)
    spectrum = rfft(parts, length, axis=1)
    power: FloatArray = _power(spectrum)
    # The inverse of a real and even spectrum is a cosine transform.
    correlation: FloatArray = dct(power, 1, axis=1, overwrite_x=True)[:, : last + 1]
    return correlation


@jit
def _power(spectrum: npt.NDArray[np.complex128]) -> FloatArray:
    power = np.empty(spectrum.shape)
    for frame in range(len(spectrum)):
        row, out = spectrum[frame], power[frame]
        for i in range(len(row)):
            out[i] = row[i].real ** 2 + row[i].imag ** 2
    return power


def _cross_correlation(samples: FloatArray, starts: IntArray, means: FloatArray, length: int) -> FloatArray:
    """Of the window at each start with those up to a window later, as a share of the root of both energies.

    Returns:
        Shape ``(frames, length + 1)``.
    """
    whole = _smooth_length(2 * length)
    now, later = _two_windows(samples, starts, means, length, whole)
    products = irfft(np.conj(rfft(now, axis=1)) * rfft(later, axis=1), whole, axis=1)
    shares: FloatArray = _normalised(later, products, length)
    return shares


@jit
def _two_windows(
    samples: FloatArray, starts: IntArray, means: FloatArray, length: int, whole: int
) -> tuple[FloatArray, FloatArray]:
    """The window at each start, and the two from there on, around the local mean, with zeros behind."""
    now, later = np.zeros((len(starts), whole)), np.zeros((len(starts), whole))
    for frame in range(len(starts)):
        start = max(starts[frame], 0)
        taken = samples[start : start + 2 * length]
        later[frame, : len(taken)] = taken - means[frame]
        now[frame, :length] = later[frame, :length]
    return now, later


@jit
def _normalised(later: FloatArray, products: FloatArray, length: int) -> FloatArray:
    """Products of windows over the root of their energies, which follow from each other as the window moves on."""
    shares = np.zeros((len(later), length + 1))
    energies = np.empty(length + 1)
    for frame in range(len(later)):
        row = later[frame]
        energies[0] = 0.0
        for i in range(length):
            energies[0] += row[i] ** 2
        for lag in range(1, length + 1):
            energies[lag] = energies[lag - 1] + row[lag + length - 1] ** 2 - row[lag - 1] ** 2
        uneven = energies.min() < UNEVEN * energies.max()
        for lag in range(length + 1):
            energy = energies[0] * energies[lag]
            if energy > 0:
                product = _product(row, lag, length) if uneven else products[frame, lag]
                shares[frame, lag] = product / math.sqrt(energy)
    return shares


@jit_inner
def _product(row: FloatArray, lag: int, length: int) -> float:
    total = 0.0
    for one, other in zip(row[:length], row[lag : lag + length]):  # noqa: B905  numba knows no strict
        total += one * other
    return total


@jit
def _candidates_of(
    correlations: FloatArray,
    own: FloatArray,
    sounding: BoolArray,
    longest: int,
    rate: float,
    ceiling: float,
    places: int,
    voicing: float,
    octave: float,
    tables: FloatArray,
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Frequency and strength of each frame's candidates, and their number; the first is the unvoiced one.

    Candidates above the ceiling take a place from others, and are left out in the end: they count as unvoiced.
    """
    frequencies, strengths = np.zeros((len(sounding), places)), np.zeros((len(sounding), places))
    counts = np.ones(len(sounding), np.int64)
    last = correlations.shape[1] - 1
    values = np.empty(2 * last + 1)
    row = -1
    for frame in range(len(sounding)):
        if not sounding[frame]:
            continue
        row += 1
        for lag in range(last + 1):
            # Equation (9): the window's own correlation is divided out.
            values[last + lag] = values[last - lag] = correlations[row, lag] / (correlations[row, 0] * own[lag])
        chosen = _chosen(values, last, longest, rate, places, voicing, octave, tables)
        for peak in chosen:
            if peak - last < 0.7 * rate / ceiling:
                continue
            place, height = maximum(values, peak, FINE, tables)
            frequency = rate / (place - last)
            if frequency < ceiling:
                frequencies[frame, counts[frame]] = frequency
                strengths[frame, counts[frame]] = height if height <= 1 else 1 / height
                counts[frame] += 1
    return frequencies, strengths, counts


@jit_inner
def _chosen(
    values: FloatArray,
    last: int,
    longest: int,
    rate: float,
    places: int,
    voicing: float,
    octave: float,
    tables: FloatArray,
) -> IntArray:
    """Peaks of a correlation whose lag 0 is at ``last``; of too many the strongest, by equation (24)."""
    peaks = np.empty(longest, np.int64)
    found = 0
    for peak in range(last + 2, last + longest):
        if values[peak] > 0.5 * voicing and values[peak - 1] < values[peak] >= values[peak + 1]:
            peaks[found] = peak
            found += 1
    room = places - 1
    if found <= room:
        return peaks[:found]
    chosen, gains = np.empty(room, np.int64), np.empty(room)
    for i in range(found):
        lag = _vertex(values, peaks[i]) - last
        right = len(values) - 1 - math.floor(lag + last)
        height = tabulated(values, lag + last, min(COARSE, right), tables)
        gain = (height if height <= 1 else 1 / height) - octave * math.log2(lag / rate)
        place = i
        if i >= room:
            place = int(np.argmin(gains))
            if gain <= gains[place]:
                continue
        chosen[place], gains[place] = peaks[i], gain
    return chosen


@jit_inner
def _vertex(values: FloatArray, peak: int) -> float:
    """Place of the vertex of the parabola through a peak and its neighbours."""
    rise = 0.5 * (values[peak + 1] - values[peak - 1])
    return peak + rise / (2 * values[peak] - values[peak - 1] - values[peak + 1])


@jit
def _cheapest_path(
    frequencies: FloatArray,
    strengths: FloatArray,
    counts: IntArray,
    unvoiced: FloatArray,
    ceiling: float,
    octave: float,
    octave_jump: float,
    voiced_unvoiced: float,
) -> FloatArray:
    """F0 along the path that costs least, equations (25) and (26): by dynamic programming (Viterbi)."""
    frames, places = frequencies.shape
    octaves = np.zeros((frames, places))
    gains, here = np.zeros(places), np.zeros(places)
    came_from = np.zeros((frames, places), np.int64)
    for frame in range(frames):
        for i in range(counts[frame]):
            own = unvoiced[frame]
            if i:
                octaves[frame, i] = math.log2(frequencies[frame, i])
                own = strengths[frame, i] - octave * (math.log2(ceiling) - octaves[frame, i])
            best, best_from = own, 0
            for j in range(counts[frame - 1] if frame else 0):
                cost = 0.0
                if i and j:
                    cost = octave_jump * abs(octaves[frame, i] - octaves[frame - 1, j])
                elif i or j:
                    cost = voiced_unvoiced
                if j == 0 or gains[j] - cost + own > best:
                    best, best_from = gains[j] - cost + own, j
            here[i], came_from[frame, i] = best, best_from
        gains[:] = here
    f0 = np.zeros(frames)
    place = int(np.argmax(gains[: counts[-1]]))
    for frame in range(frames - 1, -1, -1):
        f0[frame] = frequencies[frame, place]
        place = came_from[frame, place]
    return f0


@jit
def _strongest_of(
    correlations: FloatArray, unvoiced: FloatArray, rate: float, depth: int, tables: FloatArray
) -> FloatArray:
    """Strength of each frame's best candidate, 0 where the unvoiced one is stronger, shape ``(frames,)``."""
    strongest = np.zeros(len(correlations))
    last = correlations.shape[1] - 1
    values = np.empty(2 * last + 1)
    for frame in range(len(correlations)):
        for lag in range(last + 1):
            values[last + lag] = values[last - lag] = correlations[frame, lag]
        strength = _strongest(values, last, rate, depth, tables)
        if strength > unvoiced[frame]:
            strongest[frame] = strength
    return strongest


@jit_inner
def _strongest(values: FloatArray, last: int, rate: float, depth: int, tables: FloatArray) -> float:
    """The strongest of all peaks; only those are interpolated from more samples that may be it."""
    bounds, rough = np.zeros(last + 1), np.zeros(last + 1)
    surely = 0.0
    for lag in range(2, last):
        here, before, after = values[last + lag], values[last + lag - 1], values[last + lag + 1]
        if here > 0 and here - before > ROUNDING and here >= after:
            further = values[last + lag + 2] if lag + 2 <= last else after
            steepest = max(2 * here - before - after, abs(2 * after - here - further))
            rough[lag] = here + ROUGHNESS * max(steepest, abs(2 * before - here - values[last + lag - 2]))
            # What lies next to a lag of 2 may turn out to be shorter, and then it is none.
            if lag > 2:
                surely = max(surely, min(here, 1 / rough[lag]))
    for lag in range(2, last):
        if rough[lag] > surely:
            _, height = maximum(values, last + lag, FINE, tables)
            bounds[lag] = (height if height <= 1 else 1 / height) + _DEEPER
    strongest = 0.0
    while True:
        lag = int(np.argmax(bounds))
        if bounds[lag] <= strongest:
            return strongest
        bounds[lag] = 0.0
        short = 1 / (_vertex(values, last + lag) - last) > SHORTEST
        place, height = maximum(values, last + lag, FINEST if short else depth, tables)
        if place - last > 2 and height > 0:
            strongest = max(strongest, height if height <= 1 else 1 / height)

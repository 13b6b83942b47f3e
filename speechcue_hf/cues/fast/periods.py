"""Jitter and shimmer: the periods of a voice along its pitch, and how much neighbours differ in length and in level.

Sources: the Praat manual, "Sound & Pitch: To PointProcess (cc)", "PointProcess: Get jitter (local)...", "Sound &
PointProcess: Get shimmer (local)...", "Voice 2. Jitter" and "Voice 3. Shimmer". What these pages leave open was found
by calling Praat on sounds and contours that were made for it, and is said where it counts.
"""

from __future__ import annotations

import math

import numpy as np

from speechcue_hf.cues.contours import Contour
from speechcue_hf.cues.fast.interpolation import jit, jit_inner, jit_sums
from speechcue_hf.cues.levels import FloatArray
from speechcue_hf.cues.praat import AMPLITUDE_FACTOR, LONGEST_PERIOD, PERIOD_FACTOR, SHORTEST_PERIOD

_NEAREST, _FURTHEST = 0.8, 1.25
"""In periods of the pitch: where the next period is searched."""
_ALIKE, _ALIKE_BEYOND = 0.3, 0.7
"""Correlation with the period before, above which a period counts, and so does one more beyond the edge of voicing."""
_LOUD, _LOUD_BEYOND = 0.01, 0.023333
"""The same for its largest sample, as a share of the clip's largest."""
_REACH = 0.2
"""Periods on either side of a point that its amplitude is taken from."""


def jitter_and_shimmer_of(samples: FloatArray, rate: float, pitch: Contour) -> tuple[float, float]:
    """How much neighbouring periods differ in length and in amplitude, as shares of the mean.

    Args:
        samples: Shape ``(samples,)``.
        rate: Sampling rate in Hz.
        pitch: F0 in Hz, at most a tenth of the rate.

    Returns:
        Jitter (local) and shimmer (local), each NaN where too few periods follow each other.
    """
    points = period_points(samples, rate, pitch)
    inside = points[(points >= pitch.start) & (points <= pitch.end)]
    return _jitter(points, pitch.start, pitch.end), _shimmer(samples, rate, inside)


def period_points(samples: FloatArray, rate: float, pitch: Contour) -> FloatArray:
    """Where the periods of a voice begin: one point each, from cross-correlation along the pitch.

    Args:
        samples: Shape ``(samples,)``.
        rate: Sampling rate in Hz.
        pitch: F0 in Hz, at most a tenth of the rate.

    Returns:
        Times in s, in order; one may lie beyond the clip. Shape ``(points,)``.
    """
    points: FloatArray = np.sort(_points(samples, float(rate), pitch.values, pitch.first, pitch.step))
    return points


@jit
def _points(samples: FloatArray, rate: float, f0: FloatArray, first: float, step: float) -> FloatArray:
    """From the middle of each stretch of voicing to its edges, half a frame beyond the outer frames."""
    loudest = _largest(samples, 0, len(samples))
    points = []
    reached = -np.inf
    begin = 0
    for frame in range(len(f0)):
        if f0[frame] > 0 and (frame == 0 or f0[frame - 1] <= 0):
            begin = frame
        if f0[frame] > 0 and (frame == len(f0) - 1 or f0[frame + 1] <= 0):
            left, right = first + (begin - 0.5) * step, first + (frame + 0.5) * step
            middle = (left + right) / 2
            start = _extremum(samples, rate, middle, 1 / _frequency(f0, (middle - first) / step))
            points.append(start)
            before = _followed(samples, rate, f0, first, step, start, -1, left, reached, loudest)
            after = _followed(samples, rate, f0, first, step, start, 1, right, -np.inf, loudest)
            points.extend(before)
            points.extend(after)
            if len(after):
                reached = after[-1]
    return np.array(points)


@jit_inner
def _frequency(f0: FloatArray, place: float) -> float:
    """F0 between frames: on a line where both are voiced, else the nearer frame's; 0 is unvoiced."""
    left = math.floor(place)
    fraction = place - left
    before = f0[left] if 0 <= left < len(f0) else 0.0
    after = f0[left + 1] if 0 <= left + 1 < len(f0) else 0.0
    if before > 0 and after > 0:
        return before + (after - before) * fraction
    return before if fraction < 0.5 else after


@jit_inner
def _extremum(samples: FloatArray, rate: float, middle: float, period: float) -> float:
    """Time of the sample furthest from 0 within half a period, by a parabola unless it lies at the edge.

    Where all samples are the same it is the middle.
    """
    low = max(math.floor((middle - period / 2) * rate - 0.5), 0)
    high = min(math.ceil((middle + period / 2) * rate - 0.5), len(samples) - 1)
    part = samples[low : high + 1]
    peak, trough = low + np.argmax(part), low + np.argmin(part)
    if samples[peak] == samples[trough]:
        return ((low + high) / 2 + 0.5) / rate
    place = peak if abs(samples[peak]) >= abs(samples[trough]) else trough
    if place in (low, high):
        return (place + 0.5) / rate
    before, here, after = samples[place - 1], samples[place], samples[place + 1]
    return (place + 0.5 * (after - before) / (2 * here - before - after) + 0.5) / rate


@jit_inner
def _followed(
    samples: FloatArray,
    rate: float,
    f0: FloatArray,
    first: float,
    step: float,
    start: float,
    direction: int,
    edge: float,
    limit: float,
    loudest: float,
) -> FloatArray:
    """Points from a first one to an edge of voicing, and at most one beyond it.

    Points that count for nothing are left out, but the search goes on from them. To the left it keeps its distance from
    the last point before.
    """
    # numba takes the type of a list from what is in it.
    points = [start]
    time = start
    beyond = False
    while not beyond:
        frequency = _frequency(f0, (time - first) / step)
        if frequency <= 0:
            break
        period = 1 / frequency
        offset, alike, loud = _next_period(samples, rate, time, period, direction)
        time += offset
        beyond = (time - edge) * direction > 0
        least, quietest = (_ALIKE_BEYOND, _LOUD_BEYOND) if beyond else (_ALIKE, _LOUD)
        # Within voicing Praat asks digital silence for no level.
        quiet = loud <= quietest * loudest and (beyond or loud > 0)
        if alike > least and not quiet and time - limit > _NEAREST * period:
            points.append(time)
    return np.array(points[1:])


@jit_inner
def _next_period(
    samples: FloatArray, rate: float, time: float, period: float, direction: int
) -> tuple[float, float, float]:
    """Time to where the samples resemble those around a point most, how much they do, and the largest of them.

    A correlation that starts with a fall has its maximum there: before its first value it counts as 0. One without any
    maximum leads a whole period on, to what resembles nothing.
    """
    place = (time - period / 2) * rate - 0.5
    start = math.floor(place + 0.5)
    length = math.floor((time + period / 2) * rate - 0.5 + 0.5) - start + 1
    near, far = (_NEAREST, _FURTHEST) if direction > 0 else (-_FURTHEST, -_NEAREST)
    offset, alike, loud = direction * period, 0.0, 0.0
    highest = -1.0
    before = here = 0.0
    for other in range(math.floor(place + near * period * rate), math.ceil(place + far * period * rate) + 1):
        after = _correlation(samples, start, other, length)
        if before <= here >= after and here > highest:
            highest = here
            slope, bend = (after - before) / 2, 2 * here - before - after
            vertex = slope / bend if bend > 0 else 0.0
            offset, alike = (other - 1 + vertex - start) / rate, here + slope * vertex / 2
            # Praat looks for the largest sample one sample later than for the resemblance.
            loud = _largest(samples, other, length)
        before, here = here, after
    return offset, alike, loud


@jit_inner
def _largest(samples: FloatArray, start: int, length: int) -> float:
    """The largest amplitude in a stretch, from where it lies within the clip."""
    largest = 0.0
    for i in range(max(start, 0), min(start + length, len(samples))):
        largest = max(largest, abs(samples[i]))
    return largest


@jit_inner
def _correlation(samples: FloatArray, one: int, other: int, length: int) -> float:
    """Of two stretches, from where both lie within the clip."""
    skipped = max(0, -one, -other)
    end = min(length, len(samples) - one, len(samples) - other)
    if end <= skipped:
        return 0.0
    product, energy, other_energy = _sums(samples[one + skipped : one + end], samples[other + skipped : other + end])
    scale = math.sqrt(energy * other_energy)
    return product / scale if scale > 0 else 0.0


@jit_sums
def _sums(one: FloatArray, other: FloatArray) -> tuple[float, float, float]:
    product = energy = other_energy = 0.0
    for i in range(len(one)):
        product += one[i] * other[i]
        energy += one[i] ** 2
        other_energy += other[i] ** 2
    return product, energy, other_energy


@jit_inner
def _is_period(seconds: float) -> bool:
    return SHORTEST_PERIOD <= seconds <= LONGEST_PERIOD


@jit_inner
def _similar(one: float, other: float, factor: float) -> bool:
    return max(one, other) <= factor * min(one, other)


@jit
def _jitter(points: FloatArray, start: float, end: float) -> float:
    """NaN where no two periods follow each other within the clip.

    A period that suits neither neighbour is no part of the mean, even where that neighbour lies beyond the clip.
    """
    periods = np.diff(points)
    apart = total = 0.0
    pairs = count = 0
    last = 0.0
    for i in range(len(periods)):
        if not _is_period(periods[i]) or points[i] < start or points[i + 1] > end:
            last = 0.0
            continue
        before = i == 0 or _similar(periods[i - 1], periods[i], PERIOD_FACTOR)
        if before or i == len(periods) - 1 or _similar(periods[i], periods[i + 1], PERIOD_FACTOR):
            total += periods[i]
            count += 1
        if before and last > 0:
            apart += abs(periods[i] - last)
            pairs += 1
        last = periods[i]
    return (apart / pairs) / (total / count) if pairs else np.nan


@jit
def _shimmer(samples: FloatArray, rate: float, points: FloatArray) -> float:
    """NaN where no two amplitudes follow each other. The last amplitude is no part of the mean."""
    apart = total = 0.0
    pairs = count = 0
    last = last_time = 0.0
    for i in range(1, len(points) - 1):
        before, after = points[i] - points[i - 1], points[i + 1] - points[i]
        if not (_is_period(before) and _is_period(after) and _similar(before, after, PERIOD_FACTOR)):
            continue
        amplitude = _amplitude(samples, rate, points[i], _REACH * before, _REACH * after)
        if amplitude <= 0:
            continue
        if last > 0:
            total += last
            count += 1
            if _is_period(points[i] - last_time) and _similar(last, amplitude, AMPLITUDE_FACTOR):
                apart += abs(amplitude - last)
                pairs += 1
        last, last_time = amplitude, points[i]
    return (apart / pairs) / (total / count) if pairs else np.nan


@jit_inner
def _amplitude(samples: FloatArray, rate: float, time: float, before: float, after: float) -> float:
    """Root mean square under a Hann window from so many seconds before a time to so many after it."""
    low = max(math.ceil((time - before) * rate - 0.5), 0)
    high = min(math.floor((time + after) * rate - 0.5), len(samples) - 1)
    power = weights = 0.0
    for i in range(low, high + 1):
        distance = (i + 0.5) / rate - time
        weight = 0.5 + 0.5 * math.cos(math.pi * distance / (before if distance < 0 else after))
        power += (weight * samples[i]) ** 2
        weights += weight**2
    return math.sqrt(power / weights) if weights > 0 else 0.0

"""A sampled curve between its samples: band-limited interpolation, and the maxima of the curve.

Sources: Boersma (1993), IFA Proceedings 17, equation (22), for the interpolation: sin x / x under a raised cosine; the
Praat manual, "vector value interpolation", for what stands in for it where a curve ends too soon; Brent (1973),
Algorithms for Minimization without Derivatives, chapter 5, for the maximum where the curve is not smooth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numba import njit

from speechcue_hf.cues.levels import FloatArray
from speechcue_hf.cues.maxima import BRENT_STEPS, BRENT_TOLERANCE, EXTREMA, GOLDEN, MACHINE

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def jit(function: Kernel) -> Kernel:
    """Compile a function that Python calls: kept on disk, and run without holding other threads up."""
    # What is kept is as old as its own file: after a change in a file that it calls into, remove __pycache__.
    compiled: Kernel = njit(cache=True, nogil=True)(function)
    return compiled


def jit_inner(function: Kernel) -> Kernel:
    """Compile a function that compiled ones call."""
    compiled: Kernel = njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    return compiled


def jit_sums(function: Kernel) -> Kernel:
    """Compile a function that compiled ones call, whose sums may be taken in any order."""
    inner = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    compiled: Kernel = njit(cache=True, nogil=True, fastmath={"reassoc", "contract"}, **inner)(function)
    return compiled


TABULATED = 256
"""Samples on either side, up to which the curve is tabulated."""
_TERMS = 12
_FEW = 2
"""Samples on either side, up to which the manual has other formulas than the equation."""
_NEAR = 0.05
"""In samples: where the parabola has its vertex further from the peak, a curve that falls there may rise again."""
_KINK = 0.3
"""A slope per half a sample, times the samples on either side: curves that rise more from a sample meet in no corner
there that hides a second maximum; of 63,000 peaks none had slopes further apart than 0.08."""


@jit_sums
def mean_of(values: FloatArray) -> float:
    """The mean of values, of shape ``(samples,)``: exactly their value where they are all the same."""
    total = 0.0
    for value in values:
        total += value - values[0]
    return values[0] + total / len(values)


@jit_inner
def interpolate(values: FloatArray, at: float, depth: int) -> float:
    """The curve at a place between samples, from ``depth`` samples on either side, or as many as there are."""
    left = math.floor(at)
    fraction = at - left
    if fraction == 0.0:
        return values[left]
    reach = min(depth, left + 1, len(values) - 1 - left)
    if reach <= 0:
        return values[min(max(math.floor(at + 0.5), 0), len(values) - 1)]
    if reach == 1:
        return values[left] + fraction * (values[left + 1] - values[left])
    if reach == 2:
        return _cubic(values, left, fraction)
    return _windowed_sinc(values, left, fraction, reach)


@jit_inner
def _cubic(values: FloatArray, left: int, fraction: float) -> float:
    """Through the two nearest samples, with the slopes that their neighbours give them."""
    rise = values[left + 1] - values[left]
    slope_left, slope_right = (values[left + 1] - values[left - 1]) / 2, (values[left + 2] - values[left]) / 2
    bend = (slope_right - slope_left) / 2 + (fraction - 0.5) * (slope_left + slope_right - 2 * rise)
    return values[left] + fraction * rise - fraction * (1 - fraction) * bend


@jit_sums
def _windowed_sinc(values: FloatArray, left: int, fraction: float, reach: int) -> float:
    """Equation (22)."""
    rest = 1 - fraction
    before, after = math.pi / 2 / (fraction + reach), math.pi / 2 / (rest + reach)
    total = 0.0
    following = values[left + 1 : left + 1 + reach]
    for i in range(reach):
        sign = 1.0 - 2.0 * (i & 1)
        one = _squared_cosine(before * (fraction + i)) / (fraction + i)
        other = _squared_cosine(after * (rest + i)) / (rest + i)
        total += sign * (values[left - i] * one + following[i] * other)
    return total * math.sin(math.pi * fraction) / math.pi


@jit_sums
def _squared_cosine(angle: float) -> float:
    """Of an angle from 0 to a right one, by its power series, which compilers turn into vector instructions."""
    x = angle * angle
    cosine = 1 - x * (1 / 240) * (1 - x * (1 / 306) * (1 - x * (1 / 380)))
    cosine = 1 - x * (1 / 90) * (1 - x * (1 / 132) * (1 - x * (1 / 182) * cosine))
    cosine = 1 - x * (1 / 2) * (1 - x * (1 / 12) * (1 - x * (1 / 30) * (1 - x * (1 / 56) * cosine)))
    return cosine * cosine


@cache
def interpolation_tables() -> FloatArray:
    """Equation (22) between two samples as a polynomial, for 1 to ``TABULATED`` samples on either side.

    Between the samples left and right of it the curve is a polynomial of degree 11, to ten digits even where it is
    noise: 12 values at Chebyshev's nodes determine it, so each of its coefficients is a weighted sum of the samples.
    The powers are of a variable that goes from -1 to 1, so that a sample on the right weighs in them what its mirror
    image weighs on the left, but for the sign in odd powers.

    Returns:
        For each ``reach`` in turn 12 rows of ``reach`` weights, from the nearest sample to the furthest.
    """
    nodes = np.cos(np.pi * (np.arange(_TERMS) + 0.5) / _TERMS)
    powers = np.linalg.inv(np.vander(nodes, increasing=True))
    fractions = 0.5 + 0.5 * nodes[:, np.newaxis]
    distances = fractions + np.arange(TABULATED)
    signs = np.where(np.arange(TABULATED) % 2, -1.0, 1.0)
    sines = signs * np.sin(np.pi * fractions) / (np.pi * distances)
    tables = []
    for reach in range(1, TABULATED + 1):
        window = 0.5 + 0.5 * np.cos(np.pi * distances[:, :reach] / (fractions + reach))
        tables.append((powers @ (sines[:, :reach] * window)).ravel())
    return np.concatenate(tables)


@jit_inner
def maximum(values: FloatArray, peak: int, depth: int, tables: FloatArray) -> tuple[float, float]:
    """Place and height of the maximum of the curve next to a sample that is larger than its neighbours.

    Args:
        values: Shape ``(samples,)``.
        peak: Index of that sample, not the first or the last.
        depth: Samples on either side that each value is interpolated from.
        tables: Those of :func:`interpolation_tables`.

    Returns:
        The place, counted in samples, and the height.
    """
    rise = values[peak + 1] - values[peak - 1]
    guess = rise / (2 * (2 * values[peak] - values[peak - 1] - values[peak + 1]))
    # How many samples a value comes from changes at each sample, so the two sides of the peak are two curves.
    left, other = (peak, peak - 1) if guess >= 0 else (peak - 1, peak)
    reach, other_reach = _reach(values, left, depth), _reach(values, other, depth)
    if reach > TABULATED:
        fraction, height, found = _smooth_maximum(values, left, guess % 1.0, reach)
        return (left + fraction, height) if found else brent_maximum(values, peak, depth)
    if min(reach, other_reach) <= _FEW or other_reach > TABULATED:
        return brent_maximum(values, peak, depth)
    terms = _polynomial(values, left, reach, tables)
    slope = _slope_from(terms, left == peak)
    if slope <= 0 and abs(guess) > _NEAR and _turns(terms, left == peak):
        return brent_maximum(values, peak, depth)
    if slope * reach < _KINK:
        # The curves meet in a corner, which may be the maximum itself, or lie between two.
        other_terms = _polynomial(values, other, other_reach, tables)
        here, there = slope > 0, _slope_from(other_terms, other == peak) > 0
        if not (here or there):
            return float(peak), values[peak]
        if here and there:
            return brent_maximum(values, peak, depth)
        if there:
            terms, left = other_terms, other
    fraction, height, found = _polynomial_maximum(terms, min(max(guess % 1.0, 0.01), 0.99))
    return (left + fraction, height) if found else brent_maximum(values, peak, depth)


@jit_inner
def _reach(values: FloatArray, left: int, depth: int) -> int:
    """Samples on either side of a place between a sample and the next that its value is interpolated from."""
    return min(depth, left + 1, len(values) - 1 - left)


@jit_inner
def _slope_from(terms: FloatArray, before: bool) -> float:
    """How steeply the curve rises from the peak, which lies before the curve, or else after it."""
    return _slope_at(terms, -1.0) if before else -_slope_at(terms, 1.0)


@jit_inner
def _turns(terms: FloatArray, before: bool) -> bool:
    """Whether a curve that falls from the peak, which lies before it, or else after it, rises again."""
    away = 1.0 if before else -1.0
    steepest = 0.0
    for i in range(-7, 8):
        steepest = max(steepest, away * _slope_at(terms, i / 8))
    return steepest > 0


@jit_inner
def _slope_at(terms: FloatArray, x: float) -> float:
    slope = 0.0
    for j in range(_TERMS - 1, 0, -1):
        slope = slope * x + j * terms[j]
    return slope


@jit_sums
def _polynomial(values: FloatArray, left: int, reach: int, tables: FloatArray) -> FloatArray:
    """The curve between a sample and the next, lowest power first, shape ``(12,)``."""
    sums, differences = np.empty(reach), np.empty(reach)
    after = values[left + 1 : left + 1 + reach]
    for i in range(reach):
        sums[i] = values[left - i] + after[i]
        differences[i] = values[left - i] - after[i]
    terms = np.empty(_TERMS)
    at = _TERMS // 2 * reach * (reach - 1)
    for j in range(0, _TERMS, 2):
        evens, odds = tables[at : at + reach], tables[at + reach : at + 2 * reach]
        even = odd = 0.0
        for i in range(reach):
            even += sums[i] * evens[i]
            odd += differences[i] * odds[i]
        terms[j], terms[j + 1] = even, odd
        at += 2 * reach
    return terms


@jit_inner
def tabulated(values: FloatArray, at: float, reach: int, tables: FloatArray) -> float:
    """As :func:`interpolate` in less time, where there are so many samples on either side."""
    left = math.floor(at)
    terms = _polynomial(values, left, reach, tables)
    height = 0.0
    for j in range(_TERMS - 1, -1, -1):
        height = height * (2 * (at - left) - 1) + terms[j]
    return height


@jit_inner
def _polynomial_maximum(terms: FloatArray, fraction: float) -> tuple[float, float, bool]:
    """Newton's method on the polynomial, kept between the two samples; whether it has a maximum there."""
    low, high = -1.0, 1.0
    if _slope_at(terms, low) <= 0 or _slope_at(terms, high) >= 0:
        return fraction, 0.0, False
    x = 2 * fraction - 1
    for _ in range(60):
        slope = bend = 0.0
        for j in range(_TERMS - 1, 0, -1):
            bend = bend * x + slope
            slope = slope * x + j * terms[j]
        low, high = (x, high) if slope > 0 else (low, x)
        trial = x - slope / bend if bend < 0 else high
        if not low < trial < high:
            trial = 0.5 * (low + high)
        step, x = trial - x, trial
        if abs(step) < 1e-9:
            break
    height = 0.0
    for j in range(_TERMS - 1, -1, -1):
        height = height * x + terms[j]
    return 0.5 + 0.5 * x, height, True


@jit_inner
def _smooth_maximum(values: FloatArray, left: int, fraction: float, reach: int) -> tuple[float, float, bool]:
    """The vertex of parabolas through ever closer points; whether it settles between the two samples."""
    spread = 0.05
    for _ in range(8):
        middle = min(max(fraction, spread), 1 - spread)
        offset = 0.999 * spread
        lower = _windowed_sinc(values, left, middle - offset, reach)
        here = _windowed_sinc(values, left, middle, reach)
        upper = _windowed_sinc(values, left, middle + offset, reach)
        bend = 2 * here - lower - upper
        if bend <= 0:
            break
        vertex = middle + offset * (upper - lower) / (2 * bend)
        if vertex < 0 or vertex > 1:
            break
        if spread < 0.01 and abs(vertex - middle) < 1e-4:
            return vertex, here + (upper - lower) ** 2 / (8 * bend), True
        fraction = vertex
        spread = 0.002
    return fraction, 0.0, False


@jit_inner
def brent_maximum(values: FloatArray, peak: int, depth: int) -> tuple[float, float]:
    """The maximum between the neighbours of a sample by Brent's method, which ends somewhere on any curve."""
    low, high = peak - 1.0, peak + 1.0
    best = second = third = low + GOLDEN * (high - low)
    at_best = at_second = at_third = -interpolate(values, best, depth)
    step = before = 0.0
    for _ in range(BRENT_STEPS):
        middle = 0.5 * (low + high)
        close = MACHINE * abs(best) + BRENT_TOLERANCE / 3
        if abs(best - middle) <= 2 * close - 0.5 * (high - low):
            break
        parabolic = False
        if abs(before) > close:
            r = (best - second) * (at_best - at_third)
            q = (best - third) * (at_best - at_second)
            p = (best - third) * q - (best - second) * r
            q = 2 * (q - r)
            p, q = (-p, q) if q > 0 else (p, -q)
            earlier, before = before, step
            if abs(p) < abs(0.5 * q * earlier) and q * (low - best) < p < q * (high - best):
                step = p / q
                parabolic = True
                if best + step - low < 2 * close or high - best - step < 2 * close:
                    step = close if best < middle else -close
        if not parabolic:
            before = high - best if best < middle else low - best
            step = GOLDEN * before
        trial = best + (step if abs(step) >= close else math.copysign(close, step))
        at_trial = -interpolate(values, trial, depth)
        if at_trial <= at_best:
            low, high = (low, best) if trial < best else (best, high)
            third, second, best = second, best, trial
            at_third, at_second, at_best = at_second, at_best, at_trial
        else:
            low, high = (trial, high) if trial < best else (low, trial)
            if at_trial <= at_second or second == best:
                third, second, at_third, at_second = second, trial, at_second, at_trial
            elif at_trial <= at_third or third in (best, second):
                third, at_third = trial, at_trial
    # Where the curve has a corner at the sample itself, no step meets it.
    return (best, -at_best) if -at_best > values[peak] else (float(peak), values[peak])


@jit
def maxima_of(values: FloatArray) -> FloatArray:
    """Places of all maxima of a curve, counted in samples, shape ``(maxima,)``."""
    places = np.empty(len(values))
    found = 0
    for i in range(1, len(values) - 1):
        if values[i - 1] < values[i] >= values[i + 1]:
            places[found], _ = brent_maximum(values, i, EXTREMA)
            found += 1
    return places[:found]

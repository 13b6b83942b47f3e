"""Many sampled curves between their samples: band-limited interpolation, and maxima of the curves.

Sources: Boersma (1993), IFA Proceedings 17, equation (22), for the interpolation: sin x / x under a raised cosine; the
Praat manual, "vector value interpolation", for what stands in for it where a curve ends too soon; Brent (1973),
Algorithms for Minimization without Derivatives, chapter 5, for the maxima.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from speechcue_hf.cues.levels import FloatArray
from speechcue_hf.cues.maxima import BRENT_STEPS, BRENT_TOLERANCE, EXTREMA, GOLDEN, MACHINE
from speechcue_hf.cues.tensors.device import BLOCK, array, tensor


def interpolate(curves: Tensor, rows: Tensor, at: Tensor, depth: int) -> Tensor:
    """Curves at places between their samples, from ``depth`` samples on either side, or as many as there are.

    Args:
        curves: Shape ``(curves, samples)``.
        rows: Which curve, shape ``(places,)``.
        at: Where, counted in samples, between the first sample and the last, shape ``(places,)``.
        depth: In samples.

    Returns:
        Shape ``(places,)``.
    """
    last = curves.shape[1] - 1
    left = at.floor().long()
    fraction = at - left
    reach = torch.minimum(left + 1, last - left).clamp(max=depth)
    # At least the two on either side that the manual's formulas for few samples take.
    furthest = max(2, min(depth, (last + 1) // 2))
    offsets = torch.arange(1 - furthest, furthest + 1, device=curves.device)
    values = curves[rows.unsqueeze(1), (left.unsqueeze(1) + offsets).clamp(0, last)]
    weights = _windowed_sinc(offsets, fraction.unsqueeze(1), reach.unsqueeze(1))
    few = _cubic(values[:, furthest - 2 : furthest + 2], fraction, reach)
    return few.where(reach <= 2, (values * weights).sum(1))


def _windowed_sinc(offsets: Tensor, fraction: Tensor, reach: Tensor) -> Tensor:
    """What samples weigh in equation (22), by their offset from the one left of the place."""
    distance = offsets - fraction
    edge = reach + fraction.where(offsets <= 0, 1 - fraction)
    window = 0.5 + 0.5 * (math.pi * distance / edge).cos()
    return torch.sinc(distance) * window * (distance.abs() < edge)


def _cubic(values: Tensor, fraction: Tensor, reach: Tensor) -> Tensor:
    """Through the two middle ones of four samples, with the slopes their neighbours give them; of two, on a line."""
    before, left, right, after = values.unbind(1)
    rise = right - left
    slope_left, slope_right = (right - before) / 2, (after - left) / 2
    bend = (slope_right - slope_left) / 2 + (fraction - 0.5) * (slope_left + slope_right - 2 * rise)
    return left + fraction * rise - fraction * (1 - fraction) * bend * (reach > 1)


def maxima(curves: Tensor, rows: Tensor, peaks: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """Places and heights of the maxima of curves next to samples that are larger than their neighbours.

    Args:
        curves: Shape ``(curves, samples)``.
        rows: Which curve, shape ``(peaks,)``.
        peaks: Indices of those samples, none the first or the last of its curve, shape ``(peaks,)``.
        depth: Samples on either side that each value is interpolated from.

    Returns:
        Places, counted in samples, and heights, both of shape ``(peaks,)``.
    """
    count = max(1, BLOCK // min(2 * depth, curves.shape[1]))
    found = [
        _brent_maxima(curves, some_rows, some_peaks, depth)
        for some_rows, some_peaks in zip(torch.split(rows, count), torch.split(peaks, count), strict=True)
    ]
    places, heights = zip(*found, strict=True)
    return torch.cat(places), torch.cat(heights)


def _brent_maxima(curves: Tensor, rows: Tensor, peaks: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """Brent's method between the neighbours of each sample, for all of them at once until the last has settled."""
    low, high = peaks.double() - 1, peaks.double() + 1
    best = low + GOLDEN * (high - low)
    at_best = -interpolate(curves, rows, best, depth)
    still = torch.zeros_like(best)
    search = torch.stack([low, high, best, best, best, at_best, at_best, at_best, still, still])
    open_ = torch.arange(len(peaks), device=peaks.device)
    for _ in range(BRENT_STEPS):
        low, high, best = search[:3, open_]
        open_ = open_[(best - (low + high) / 2).abs() > 2 * _close(best) - (high - low) / 2]
        if not len(open_):
            break
        trial, step, before = _next_trial(search[:, open_])
        at_trial = -interpolate(curves, rows[open_], trial, depth)
        search[:, open_] = _narrowed(search[:, open_], trial, at_trial, step, before)
    best, at_best = search[2], search[5]
    # Where the curve has a corner at the sample itself, no step meets it.
    samples = curves[rows, peaks]
    return best.where(-at_best > samples, peaks.double()), torch.maximum(-at_best, samples)


def _close(best: Tensor) -> Tensor:
    """How near two places may be."""
    return MACHINE * best.abs() + BRENT_TOLERANCE / 3


def _next_trial(search: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where to look next, how far from the best place that is, and the step before: to a parabola's vertex if it can.

    Args:
        search: The interval's ends, the three best places, the curves upside down there, and the last two steps, shape
            ``(10, peaks)``.
    """
    low, high, best, second, third, at_best, at_second, at_third, step, before = search
    close = _close(best)
    middle = (low + high) / 2
    r = (best - second) * (at_best - at_third)
    q = (best - third) * (at_best - at_second)
    p = (best - third) * q - (best - second) * r
    q = 2 * (q - r)
    p, q = p.where(q <= 0, -p), q.abs()
    parabolic = (before.abs() > close) & (p.abs() < (0.5 * q * before).abs())
    parabolic &= (q * (low - best) < p) & (p < q * (high - best))
    vertex = p / q
    towards_middle = close.where(best < middle, -close)
    at_edge = (best + vertex - low < 2 * close) | (high - best - vertex < 2 * close)
    larger_part = (high - best).where(best < middle, low - best)
    before = step.where(parabolic, larger_part)
    step = towards_middle.where(at_edge, vertex).where(parabolic, GOLDEN * larger_part)
    trial = best + step.where(step.abs() >= close, close.copysign(step))
    return trial, step, before


def _narrowed(search: Tensor, trial: Tensor, at_trial: Tensor, step: Tensor, before: Tensor) -> Tensor:
    """The search after a trial: a smaller interval, and the trial among the three best places if it is one."""
    low, high, best, second, third, at_best, at_second, at_third = search[:8]
    first = at_trial <= at_best
    edge, on_left = best.where(first, trial), (trial < best) != first
    low, high = edge.where(on_left, low), high.where(on_left, edge)
    next_best = ~first & ((at_trial <= at_second) | (second == best))
    last_best = ~first & ~next_best & ((at_trial <= at_third) | (third == best) | (third == second))
    moves = first | next_best
    places, heights = (
        (
            here.where(first, one),
            one.where(first, here.where(next_best, two)),
            two.where(moves, here.where(last_best, three)),
        )
        for here, one, two, three in ((trial, best, second, third), (at_trial, at_best, at_second, at_third))
    )
    return torch.stack([low, high, *places, *heights, step, before])


def maxima_of(values: FloatArray) -> FloatArray:
    """Places of all maxima of a curve, counted in samples, shape ``(maxima,)``."""
    curve = tensor(values)
    (peaks,) = torch.nonzero((curve[1:-1] > curve[:-2]) & (curve[1:-1] >= curve[2:]), as_tuple=True)
    places, _ = maxima(curve.unsqueeze(0), torch.zeros_like(peaks), peaks + 1, EXTREMA)
    return array(places)

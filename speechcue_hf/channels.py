"""One channel of a clip as a listener would hear it, whatever the recorder made of its channels, offset and scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from speechcue_hf.audio import Clip
from speechcue_hf.errors import AudioError

INTEGER_SCALE = "its floating samples are at the scale of 16-bit integers"

LOUDEST = 16.0
"""Floating samples beyond full scale by more than 24 dB are at another scale; no encoder goes that far."""
INTEGERS = 2.0**15
"""Full scale of 16-bit integers."""
_FAINT, _FULL = 1e-4, 0.1
"""Power of a channel as a share of the strongest one's: below the one it holds no speech, from the other on it counts
in full (-40 dB and -10 dB)."""
_OFFSET = 0.05
"""Mean of a channel as a share of its standard deviation, up to which it changes no measurement by a third of a
percent and is left alone."""

Samples = npt.NDArray[np.float64]


def at_full_scale(clip: Clip) -> Clip:
    """The clip with full scale at -1 and 1, where a program has stored integers as floating numbers.

    Args:
        clip: Any clip.

    Returns:
        The clip itself, or its samples divided by 32768 with the note ``INTEGER_SCALE``.

    Raises:
        AudioError: If its samples are at no scale that is known.

    Example:
        >>> at_full_scale(Clip(np.array([[0.0, 16384.0]]), 16000, 0.1)).samples
        array([[0. , 0.5]])
    """
    loudest = np.abs(clip.samples).max(initial=0.0)
    if loudest <= LOUDEST:
        return clip
    if loudest > 2 * INTEGERS:
        raise AudioError(f"its floating samples are at an unknown scale, the largest is {loudest:.3g}")
    return replace(clip, samples=clip.samples / INTEGERS, notes=(*clip.notes, INTEGER_SCALE))


def mixed(clip: Clip) -> Clip:
    """The clip in one channel (``samples`` of shape ``(1, frames)``) at full scale, as models hear it.

    Raises:
        AudioError: As :func:`at_full_scale`.
    """
    whole = at_full_scale(clip)
    return replace(whole, samples=one_channel(whole.samples)[np.newaxis])


def one_channel(samples: Samples) -> Samples:
    """Mix channels: the mean of those that hold speech, in phase and without their offsets.

    Faint channels weigh less and less, so that one-sided stereo keeps its level. Channels in antiphase to the strongest
    one, as a wrongly wired cable or a balanced line makes them, are turned: they would cancel it.

    Args:
        samples: Full scale at -1 and 1, shape ``(channels, frames)``.

    Returns:
        Shape ``(frames,)``.

    Example:
        >>> one_channel(np.array([[0.5, -0.5], [-0.5, 0.5]]))
        array([ 0.5, -0.5])
    """
    centred = _without_offset(samples)
    if len(centred) == 1:
        return np.asarray(centred[0])
    power = centred.var(axis=1)
    strongest = int(power.argmax())
    weights = np.clip((power - _FAINT * power[strongest]) / ((_FULL - _FAINT) * power[strongest] or 1.0), 0.0, 1.0)
    weights[strongest] = 1.0
    weights[_against(centred, strongest)] *= -1.0
    if np.isin(weights, (0.0, 1.0)).all():
        mean: Samples = centred[weights == 1.0].mean(axis=0)
        return mean
    weighted: Samples = weights @ centred / np.abs(weights).sum()
    return weighted


def _against(samples: Samples, strongest: int) -> npt.NDArray[np.bool_]:
    """Which channels go against the strongest one more than with it."""
    reference = samples[strongest] - samples[strongest].mean()
    return np.array([float(channel @ reference) < 0.0 for channel in samples])


def _without_offset(samples: Samples) -> Samples:
    """Channels around zero; one whose offset changes nothing stays as it is, to the last digit."""
    means = samples.mean(axis=1, keepdims=True)
    large = np.abs(means) > _OFFSET * samples.std(axis=1, keepdims=True)
    return np.where(large, samples - means, samples) if large.any() else samples

"""Where tensors live, and the stretches of a clip that the frames of an analysis are."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from speechcue_hf.cues.levels import FloatArray, IntArray

BLOCK = 1 << 20
"""Numbers in a tensor of the frames that are analysed together: enough for a GPU, and the memory flat."""


@cache
def device() -> torch.device:
    """The GPU that torch sees, or else the CPU."""
    # Asked when a first clip is measured and not on import: a process that has asked cannot share a GPU with its forks.
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def tensor(values: FloatArray | IntArray) -> Tensor:
    """An array on the device."""
    return torch.tensor(values, device=device())


def array(values: Tensor) -> FloatArray:
    """A tensor of floats on the host."""
    found: FloatArray = values.cpu().numpy()
    return found


def stretches(samples: Tensor, first: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """So many samples from each first one on, and whether they lie within the clip; beyond it stand its outermost ones.

    Args:
        samples: Shape ``(samples,)``.
        first: Shape ``(frames,)``, below 0 before the clip.
        length: In samples.

    Returns:
        Both of shape ``(frames, length)``.
    """
    places = first.unsqueeze(1) + torch.arange(length, device=samples.device)
    within = places.clamp(0, len(samples) - 1)
    return samples[within], places == within


def means_of(values: Tensor, within: Tensor) -> Tensor:
    """The mean of each row's values within the clip, shape ``(frames, 1)``: exactly their value where all are equal."""
    first = values[:, :1]
    return first + ((values - first) * within).sum(1, keepdim=True) / within.sum(1, keepdim=True)

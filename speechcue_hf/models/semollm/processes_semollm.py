"""Batches spread over several processes: rows of all of them, and means that equal those of one process.

Without ``torch.distributed`` each function leaves its argument as it is. All processes must hold equally many rows.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as distributed
from torch import Tensor
from torch.nn import functional as F


def own_rows(rows: int) -> slice:
    """Where the rows of this process stand among all, if each holds so many."""
    first = distributed.get_rank() * rows if _process_count() > 1 else 0
    return slice(first, first + rows)


def gather_rows(tensor: Tensor) -> Tensor:
    """Rows of all processes, in the order of the processes; gradients flow back to where a row came from.

    Args:
        tensor: Shape ``(rows, ...)``, the same in all processes.

    Returns:
        Shape ``(processes * rows, ...)``.
    """
    if _process_count() == 1:
        return tensor
    gathered: Tensor = _GatherRows.apply(tensor)
    return gathered


def gather_padded(tensor: Tensor, value: float) -> Tensor:
    """As :func:`gather_rows`, for rows that are padded to another length in each process.

    Args:
        tensor: Shape ``(rows, length, ...)``; the length may differ between processes.
        value: What is padded with.

    Returns:
        Shape ``(processes * rows, longest, ...)``.
    """
    if _process_count() == 1:
        return tensor
    longest = torch.tensor(tensor.shape[1], device=tensor.device)
    distributed.all_reduce(longest, distributed.ReduceOp.MAX)
    missing = int(longest) - tensor.shape[1]
    return gather_rows(F.pad(tensor, (0, 0) * (tensor.dim() - 2) + (0, missing), value=value))


def from_first_process(tensor: Tensor) -> Tensor:
    """What the first process holds of a tensor without a gradient, so that all go by one draw."""
    if _process_count() > 1:
        distributed.broadcast(tensor, src=0)
    return tensor


def mean_over_processes(values: Tensor) -> Tensor:
    """Mean of the values of all processes, where each may hold another number of them.

    The result is this process's part, scaled so that the average over processes, which is what data-parallel training
    makes of losses and gradients, is the mean.

    Args:
        values: Shape ``(count,)``; may be empty.

    Returns:
        Shape ``()``; 0 where no process holds a value.
    """
    count = torch.tensor(len(values), device=values.device)
    if _process_count() > 1:
        distributed.all_reduce(count)
    return values.sum() * _process_count() / count.clamp(min=1)


class _GatherRows(torch.autograd.Function):
    """Torch's own ``all_gather`` mixes up gradients that do not lie in one piece of memory, as those of einsum."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        ctx.rows = len(tensor)
        tensor = tensor.contiguous()
        gathered = [torch.empty_like(tensor) for _ in range(distributed.get_world_size())]
        distributed.all_gather(gathered, tensor)
        return torch.cat(gathered)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total[own_rows(ctx.rows)]


def _process_count() -> int:
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1

"""Launched by ``test_semollm.py`` as one of two processes: the stages by their recipe, then a loss and its gradients.

All in one launch, because starting Python costs more than the work.
"""

import runpy
import sys
from pathlib import Path

import torch
import torch.distributed as distributed

from tests.models.semollm.test_pretraining_semollm import batch, build
from tests.recipes.test_semollm import RECIPE, stage_lines


def train_stages(folder: Path) -> None:
    for line in stage_lines(folder, batch=4):
        sys.argv = [RECIPE.name, *line, "--use_cpu", "true"]
        runpy.run_path(str(RECIPE), run_name="__main__")


def save_means(folder: Path) -> None:
    """Losses and gradients of stage 1 on half a batch each, averaged as data-parallel training does."""
    rank = distributed.get_rank()
    # In double precision, so that nothing but a mistake makes a difference.
    model, inputs = build().double(), batch()
    half = {name: value[3 * rank : 3 * rank + 3] for name, value in inputs.items()}
    torch.manual_seed(7 + 100 * rank)
    output = model(**half)
    output.loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    losses = {name: value.detach().clone() for name, value in output.items()}
    for value in (*gradients.values(), *losses.values()):
        distributed.all_reduce(value)
        value /= 2
    if rank == 0:
        torch.save({"losses": losses, "gradients": gradients}, folder / "means.pt")
    distributed.barrier()


if __name__ == "__main__":
    shared = Path(sys.argv[1])
    train_stages(shared)
    save_means(shared)

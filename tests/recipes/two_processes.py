"""Run by ``test_processes_semollm.py``: one of two processes, with half a batch of its own."""

import sys
from pathlib import Path

import torch
import torch.distributed as distributed

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.models.semollm.test_pretraining_semollm import batch, build


def main(rank: int, folder: Path) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    # In double precision, so that nothing but a mistake makes a difference.
    model, inputs = build().double(), batch()
    half = {name: value[3 * rank : 3 * rank + 3] for name, value in inputs.items()}
    torch.manual_seed(7 + 100 * rank)
    output = model(**half)
    output.loss.backward()
    for parameter in model.parameters():
        if parameter.requires_grad:
            distributed.all_reduce(parameter.grad)
            parameter.grad /= 2
    means = {name: value.detach().clone() for name, value in output.items()}
    for value in means.values():
        distributed.all_reduce(value)
        value /= 2
    if rank == 0:
        gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
        torch.save({"means": means, "gradients": gradients}, folder / "two.pt")
    distributed.barrier()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))

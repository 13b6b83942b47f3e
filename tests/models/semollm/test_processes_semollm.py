"""Two processes with half a batch each have the losses and the gradients of one process with all of it."""

import subprocess
import sys
from pathlib import Path

import torch

from speechcue_hf.models.semollm.processes_semollm import gather_padded, gather_rows, mean_over_processes, own_rows
from tests.models.semollm.test_pretraining_semollm import batch, build


def test_two_processes_have_the_losses_and_gradients_of_one(tmp_path: Path) -> None:
    script = Path(__file__).with_name("one_of_two_processes.py")
    started = [subprocess.Popen([sys.executable, str(script), str(rank), str(tmp_path)]) for rank in (0, 1)]
    assert [process.wait(timeout=300) for process in started] == [0, 0]
    two = torch.load(tmp_path / "two.pt", weights_only=True)
    model = build().double()
    torch.manual_seed(7)
    output = model(**batch())
    output.loss.backward()
    for name, value in output.items():
        torch.testing.assert_close(two["means"][name], value.detach(), rtol=1e-5, atol=1e-6, msg=name)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(
                two["gradients"][name],
                parameter.grad,
                rtol=1e-6,
                atol=1e-9,
                msg=lambda text, name=name: f"{name}: {text}",
            )


def test_one_process_is_left_as_it_is() -> None:
    rows = torch.arange(6.0).reshape(3, 2)
    assert gather_rows(rows) is rows and gather_padded(rows, 0.0) is rows
    assert own_rows(3) == slice(0, 3)
    assert mean_over_processes(torch.tensor([1.0, 3.0])) == 2.0
    assert mean_over_processes(torch.tensor([])) == 0.0

"""One process; ``tests/recipes/test_semollm.py`` launches two."""

import torch

from speechcue_hf.models.semollm.processes_semollm import gather_padded, gather_rows, mean_over_processes, own_rows


def test_one_process_is_left_as_it_is() -> None:
    rows = torch.arange(6.0).reshape(3, 2)
    assert gather_rows(rows) is rows and gather_padded(rows, 0.0) is rows
    assert own_rows(3) == slice(0, 3)
    assert mean_over_processes(torch.tensor([1.0, 3.0])) == 2.0
    assert mean_over_processes(torch.tensor([])) == 0.0

"""Checkpoints from strangers: the tensors are read, and nothing else happens."""

import argparse
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from speechcue_hf.errors import CheckpointError
from speechcue_hf.models.checkpoint import read_tensors


class Mischief:
    """Runs when it is unpickled by a loader that trusts it."""

    def __init__(self, call: Any, *arguments: str) -> None:
        self.reduced = call, arguments

    def __reduce__(self) -> Any:
        return self.reduced


STATE = {"weight": torch.ones(2)}


def test_tensors_are_read_from_beside_anything_and_nothing_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=9)
    beside = {"settings": argparse.Namespace(window=2), "schedule": schedule, "other": Mischief(print, "it ran")}
    for content in (beside | {"state_dict": STATE}, STATE, {"module.weight": STATE["weight"]}):
        torch.save(content, tmp_path / "a.ckpt")
        assert [*read_tensors(tmp_path / "a.ckpt", "state_dict")] == ["weight"]
    torch.save({"state_dict": STATE}, tmp_path / "old.ckpt", _use_new_zipfile_serialization=False)
    assert read_tensors(tmp_path / "old.ckpt", "state_dict")["weight"].tolist() == [1.0, 1.0]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [{"state_dict": Mischief(print, "it ran")}, {"epoch": 3}, [STATE], STATE["weight"]])
def test_a_file_without_a_state_dict_is_named(content: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(content, tmp_path / "bad.ckpt")
    with pytest.raises(
        CheckpointError, match=r"^bad\.ckpt: holds no state dict, neither as it is nor under 'state_dict'"
    ):
        read_tensors(tmp_path / "bad.ckpt", "state_dict")
    assert capsys.readouterr().out == ""


def test_what_cannot_be_read_is_named_without_advice_to_trust_it(tmp_path: Path) -> None:
    torch.save(STATE | {"command": Mischief(os.system, f"touch {tmp_path / 'ran'}")}, tmp_path / "bad.ckpt")
    with pytest.raises(CheckpointError, match=r"^bad\.ckpt: cannot be read as tensors") as refused:
        read_tensors(tmp_path / "bad.ckpt", "state_dict")
    assert "weights_only" not in str(refused.value) and not (tmp_path / "ran").exists()
    (tmp_path / "bad.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match=r"^bad\.ckpt: cannot be read as tensors"):
        read_tensors(tmp_path / "bad.ckpt", "state_dict")
    torch.save(STATE, tmp_path / "cut.ckpt")
    (tmp_path / "cut.ckpt").write_bytes((tmp_path / "cut.ckpt").read_bytes()[:300])
    with pytest.raises(CheckpointError, match=r"^cut\.ckpt: cannot be read as tensors"):
        read_tensors(tmp_path / "cut.ckpt", "state_dict")

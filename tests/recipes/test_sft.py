"""The recipe as users start it: by itself, and in two processes that accelerate launches."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "recipes" / "sft.py"


SETTINGS = ["--config", "quickstart", "--disable_tqdm", "true", "--warmup_steps", "0"]
SETTINGS += ["--use_peft", "true", "--lora_target_modules", "all-linear", "--lora_dropout", "0"]


def launch(launcher: list[str], *arguments: str) -> None:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, "-m", *launcher, str(SCRIPT), *SETTINGS, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


ONE, TWO = (
    {
        "none": ("--sharing", "none", "--per_device_train_batch_size", rows),
        "dialogue": ("--sharing", "dialogue", "--tokens_per_batch", "140", "--gradient_accumulation_steps", steps),
    }
    for rows, steps in (("8", "2"), ("4", "1"))
)
"""How one process and two train on as many rows at a step."""


@pytest.mark.parametrize("sharing", ["none", "dialogue"])
def test_two_processes_train_as_one_does(
    sharing: str, described_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two gloo processes with half a batch each; ``--cpu`` in place of ``--multi_gpu`` would silently run one."""
    runs = [tmp_path / "one", tmp_path / "two"]
    overrides = ("--num_train_epochs", "1", "--logging_steps", "1", "--prompt", "speechcue_text")
    shared = ("--dataset", str(described_folder), *overrides)
    one_process = [*shared, "--output_dir", str(runs[0]), *ONE[sharing]]
    monkeypatch.setattr(sys, "argv", ["sft.py", *SETTINGS, *one_process])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    gloo = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--mixed_precision", "no"]
    gloo += ["--num_machines", "1", "--dynamo_backend", "no", "--main_process_port", "0"]
    launch(gloo, *shared, "--output_dir", str(runs[1]), *TWO[sharing], "--use_cpu", "true")

    records = [json.loads((run / "training.json").read_text()) for run in runs]
    assert [record["processes"] for record in records] == [1, 2]
    assert [record["prompt"]["name"] for record in records] == ["speechcue_text"] * 2
    losses = [[line["loss"] for line in record["log"] if "loss" in line] for record in records]
    assert len(losses[0]) == {"none": 3, "dialogue": 5}[sharing]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    one, two = (load_file(run / "adapter_model.safetensors") for run in runs)
    assert one.keys() == two.keys()
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=0, atol=1e-3)

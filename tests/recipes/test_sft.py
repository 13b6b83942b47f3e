"""The recipe as users start it: in processes of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

RECIPES = Path(__file__).parents[2] / "recipes"


def launch(launcher: list[str], *arguments: str) -> None:
    environment = os.environ | {
        "PYTHONPATH": str(RECIPES.parent),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
    }
    script = [str(RECIPES / "sft.py"), "--config", str(RECIPES / "quickstart.yaml"), "--disable_tqdm", "true"]
    command = [sys.executable, "-m", *launcher, *script, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_accelerate_launch_runs_the_recipe_with_overrides(described_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    launch(
        ["accelerate.commands.launch", "--config_file", str(RECIPES / "accelerate_configs" / "cpu.yaml")],
        *(
            "--dataset",
            str(described_folder),
            "--output_dir",
            str(output),
            "--num_train_epochs",
            "1",
            "--prompt",
            "speechcue_text",
        ),
    )
    record = json.loads((output / "training.json").read_text())
    assert record["settings"]["num_train_epochs"] == 1
    assert record["prompt"]["name"] == "speechcue_text"
    assert record["steps"] == 3
    assert (output / "adapter_model.safetensors").is_file()

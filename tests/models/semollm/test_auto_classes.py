import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMultimodalLM,
    AutoModelForPreTraining,
)

from speechcue_hf.models.semollm import (
    SEmoLLMConfig,
    SEmoLLMForConditionalGeneration,
    SEmoLLMForPretraining,
    SEmoLLMModel,
)
from tests.models.semollm import test_pretraining_semollm
from tests.models.semollm.conftest import PROMPTS, Built

pytestmark = pytest.mark.slow

ELSEWHERE = """
import importlib.util, sys
import numpy as np, torch
from transformers import AutoModelForCausalLM, AutoModelForMultimodalLM, AutoModelForPreTraining, AutoProcessor
assert importlib.util.find_spec("speechcue_hf") is None
folder = sys.argv[1]
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
clips = [clip for _, clip in sorted(np.load(f"{folder}/clips.npz").items())]
batch = processor(PROMPTS, audio=clips)
with torch.no_grad():
    for kind in (AutoModelForCausalLM, AutoModelForMultimodalLM):
        logits = kind.from_pretrained(folder, trust_remote_code=True)(**batch).logits
        assert np.array_equal(logits.numpy(), np.load(f"{folder}/logits.npy"))
    stage1 = AutoModelForPreTraining.from_pretrained(sys.argv[2], trust_remote_code=True)
    batch = {name: torch.from_numpy(value) for name, value in np.load(f"{sys.argv[2]}/batch.npz").items()}
    torch.manual_seed(0)
    assert stage1(**batch).loss.item() == float(np.load(f"{sys.argv[2]}/loss.npy"))
"""


def test_auto_classes_know_it(tiny: Built, tmp_path: Path) -> None:
    tiny[0].save_pretrained(tmp_path)
    assert type(AutoConfig.from_pretrained(tmp_path)) is SEmoLLMConfig
    assert type(AutoModel.from_pretrained(tmp_path)) is SEmoLLMModel
    for auto in (AutoModelForCausalLM, AutoModelForMultimodalLM):
        assert type(auto.from_pretrained(tmp_path)) is SEmoLLMForConditionalGeneration
    test_pretraining_semollm.build().save_pretrained(tmp_path / "stage1")
    assert type(AutoModelForPreTraining.from_pretrained(tmp_path / "stage1")) is SEmoLLMForPretraining


@torch.no_grad()
def test_it_loads_where_this_package_is_not_installed(tiny: Built, clips: Any, tmp_path: Path) -> None:
    model, processor = tiny
    folder = tmp_path / "made_here"
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    np.save(folder / "logits.npy", model(**processor(PROMPTS, audio=clips)).logits.numpy())
    np.savez(folder / "clips.npz", **{str(number): clip for number, clip in enumerate(clips)})
    stage1, stage1_batch = test_pretraining_semollm.build().eval(), test_pretraining_semollm.batch()
    stage1.save_pretrained(tmp_path / "stage1_made_here")
    np.savez(tmp_path / "stage1_made_here" / "batch.npz", **{name: x.numpy() for name, x in stage1_batch.items()})
    torch.manual_seed(0)
    np.save(tmp_path / "stage1_made_here" / "loss.npy", stage1(**stage1_batch).loss.item())
    # Without site-packages' .pth files, an editable installation of this package is not found.
    libraries = os.pathsep.join(path for path in sys.path if path.endswith("-packages"))
    environment = {
        "PYTHONPATH": libraries,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    script = f"PROMPTS = {PROMPTS!r}\n{ELSEWHERE}"
    command = [sys.executable, "-S", "-c", script, str(folder), str(tmp_path / "stage1_made_here")]
    done = subprocess.run(command, env=os.environ | environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

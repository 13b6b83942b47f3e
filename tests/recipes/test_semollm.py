"""The recipe of SEmoLLM's stages as users start it: in two processes that accelerate launches, against one."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from speechcue_hf.corpora.parquet import write_dataset
from speechcue_hf.training.recipes import parse_recipe
from tests.models.semollm.test_pretraining_semollm import batch, build
from tests.training.spoken_corpus import spoken_corpus

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "speechcue_hf" / "recipes"
RECIPE = ROOT / "recipes" / "semollm.py"
STAGES = sorted((RECIPES / "semollm").glob("*/stage*.yaml"))


def test_there_is_a_recipe_for_each_size_and_stage() -> None:
    sizes = ("tiny", "wavlm-large_llama-2-7b", "wavlm-large_vicuna-7b")
    found = [path.relative_to(RECIPES / "semollm").as_posix() for path in STAGES]
    assert found == [f"{size}/stage{stage}.yaml" for size in sizes for stage in (1, 2, 3)]


@pytest.mark.parametrize("path", STAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_recipe_parses(path: Path, tmp_path: Path) -> None:
    line = ["--config", str(path), "--output_dir", str(tmp_path), "--bf16", "false"]
    recipe = parse_recipe(line)
    data, model, training = recipe.data, recipe.model, recipe.training
    assert recipe.kind == "speech"
    assert model.stage == int(path.stem[-1])
    assert (data.train_split, data.selection_split) == ("train", "validation")
    assert training.load_best_model_at_end and training.metric_for_best_model == "loss"
    if path.parent.name != "tiny" and model.stage == 1:
        assert (model.speech_encoder, model.qformer) == ("microsoft/wavlm-large", "google-bert/bert-base-uncased")
        assert (model.num_query_tokens, model.classifier_proj_size) == (32, 256)
    if model.stage == 3:
        assert 2 <= model.lora_r <= 8 and 8 <= model.lora_alpha <= 32 and model.lora_dropout == 0.1


def stage_lines(folder: Path, batch: int) -> list[list[str]]:
    """Command lines of the three stages, without dropout, whose draws differ between processes."""
    shared = ["--dataset", str(folder / "clips"), "--captions", str(folder / "captions"), "--num_train_epochs", "1"]
    shared += ["--logging_steps", "1", "--disable_tqdm", "true", "--per_device_train_batch_size", str(batch)]
    runs, lines = folder / f"batch{batch}", []
    for stage in (1, 2, 3):
        start = [] if stage == 1 else ["--start_from", str(runs / f"stage{stage - 1}")]
        dropout = {1: ["--projection_dropout", "0"], 3: ["--lora_dropout", "0"]}.get(stage, [])
        config = ["--config", str(RECIPES / "semollm" / "tiny" / f"stage{stage}.yaml")]
        lines.append([*config, *shared, *start, *dropout, "--output_dir", str(runs / f"stage{stage}")])
    return lines


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two gloo processes wrote that accelerate launched, beside a corpus."""
    folder = tmp_path_factory.mktemp("two_processes")
    clips, captions = spoken_corpus({"train": 33, "validation": 9})
    write_dataset(clips, folder / "clips")
    write_dataset(captions, folder / "captions")
    gloo = ["--multi_gpu", "--num_processes", "2", "--mixed_precision", "no", "--num_machines", "1"]
    gloo += ["--dynamo_backend", "no", "--main_process_port", "0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    script = Path(__file__).with_name("two_processes.py")
    command = [sys.executable, "-m", "accelerate.commands.launch", *gloo, str(script), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_two_processes_train_as_one_does(launched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes with half a batch each log the losses of one: negatives are gathered, and so gradients."""
    for line in stage_lines(launched, batch=8):
        monkeypatch.setattr(sys, "argv", [RECIPE.name, *line])
        runpy.run_path(str(RECIPE), run_name="__main__")
    for stage, parts in ((1, ("matching_loss", "contrastive_loss", "generation_loss")), (2, ()), (3, ())):
        one, two = (
            json.loads((launched / f"batch{batch}" / f"stage{stage}" / "training.json").read_text()) for batch in (8, 4)
        )
        assert (one["processes"], two["processes"]) == (1, 2)
        for name in ("loss", "eval_loss", *parts):
            logged = [[line[name] for line in record["log"] if name in line] for record in (one, two)]
            assert len(logged[0]) == (1 if name.startswith("eval") else 4)
            # What is chosen by chance on the selection split is chosen for another batch of it.
            tolerance = 0.1 if name == "eval_loss" else 1e-3
            assert logged[1] == pytest.approx(logged[0], rel=tolerance), f"stage {stage}, {name}"


def test_two_processes_have_the_losses_and_gradients_of_one(launched: Path) -> None:
    two = torch.load(launched / "means.pt", weights_only=True)
    model = build().double()
    torch.manual_seed(7)
    output = model(**batch())
    output.loss.backward()
    for name, value in output.items():
        torch.testing.assert_close(two["losses"][name], value.detach(), rtol=1e-5, atol=1e-6, msg=name)
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    torch.testing.assert_close(two["gradients"], gradients, rtol=1e-6, atol=1e-9)

"""The recipe of SEmoLLM's stages as users start it: in two processes that accelerate launches, against one."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from speechcue_hf.corpora.parquet import write_dataset
from speechcue_hf.training.semollm_arguments import parse_stage_arguments
from tests.training.spoken_corpus import spoken_corpus

RECIPES = Path(__file__).parents[2] / "recipes"
STAGES = sorted((RECIPES / "semollm").glob("*/stage*.yaml"))


def test_there_is_a_recipe_for_each_size_and_stage() -> None:
    sizes = ("tiny", "wavlm-large_llama-2-7b", "wavlm-large_vicuna-7b")
    found = [path.relative_to(RECIPES / "semollm").as_posix() for path in STAGES]
    assert found == [f"{size}/stage{stage}.yaml" for size in sizes for stage in (1, 2, 3)]


@pytest.mark.parametrize("path", STAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_recipe_parses(path: Path, tmp_path: Path) -> None:
    line = ["--config", str(path), "--output_dir", str(tmp_path), "--bf16", "false"]
    data, model, training = parse_stage_arguments(line)
    assert model.stage == int(path.stem[-1])
    assert (data.train_split, data.selection_split) == ("train", "validation")
    assert training.load_best_model_at_end and training.metric_for_best_model == "loss"
    if path.parent.name != "tiny" and model.stage == 1:
        assert (model.speech_encoder, model.qformer) == ("microsoft/wavlm-large", "google-bert/bert-base-uncased")
        assert (model.num_query_tokens, model.classifier_proj_size) == (32, 256)
    if model.stage == 3:
        assert 2 <= model.lora_r <= 8 and 8 <= model.lora_alpha <= 32 and model.lora_dropout == 0.1


def stage_lines(folder: Path, batch: int) -> list[list[str]]:
    """Command lines of stages 1 and 2, without dropout, whose draws differ between processes."""
    shared = ["--dataset", str(folder / "clips"), "--captions", str(folder / "captions"), "--num_train_epochs", "1"]
    shared += ["--logging_steps", "1", "--disable_tqdm", "true", "--per_device_train_batch_size", str(batch)]
    runs = folder / f"batch{batch}"
    configs = [["--config", str(RECIPES / "semollm" / "tiny" / f"stage{stage}.yaml")] for stage in (1, 2)]
    own = [["--projection_dropout", "0", "--output_dir", str(runs / "stage1")]]
    own += [["--start_from", str(runs / "stage1"), "--output_dir", str(runs / "stage2")]]
    return [config + shared + line for config, line in zip(configs, own, strict=True)]


def test_two_processes_train_as_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two gloo processes with half a batch each have the losses of one: negatives are gathered, and so gradients."""
    clips, captions = spoken_corpus({"train": 33, "validation": 9})
    write_dataset(clips, tmp_path / "clips")
    write_dataset(captions, tmp_path / "captions")
    for line in stage_lines(tmp_path, batch=8):
        monkeypatch.setattr(sys, "argv", ["semollm.py", *line])
        runpy.run_path(str(RECIPES / "semollm.py"), run_name="__main__")
    # Both stages in one launch, because starting Python twice costs more than they do.
    script = tmp_path / "stages.py"
    script.write_text(
        "import runpy, sys\n"
        f"for line in {stage_lines(tmp_path, batch=4)!r}:\n"
        "    sys.argv = ['semollm.py', *line, '--use_cpu', 'true']\n"
        f"    runpy.run_path({str(RECIPES / 'semollm.py')!r}, run_name='__main__')\n"
    )
    gloo = ["--multi_gpu", "--num_processes", "2", "--mixed_precision", "no", "--num_machines", "1"]
    gloo += ["--dynamo_backend", "no", "--main_process_port", "0"]
    environment = os.environ | {"PYTHONPATH": str(RECIPES.parent), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "accelerate.commands.launch", *gloo, str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr

    for stage, parts in ((1, ("matching_loss", "contrastive_loss", "generation_loss")), (2, ())):
        one, two = (
            json.loads((tmp_path / f"batch{batch}" / f"stage{stage}" / "training.json").read_text()) for batch in (8, 4)
        )
        assert (one["processes"], two["processes"]) == (1, 2)
        for name in ("loss", "eval_loss", *parts):
            logged = [[line[name] for line in record["log"] if name in line] for record in (one, two)]
            assert len(logged[0]) == (1 if name.startswith("eval") else 4)
            # What is chosen by chance on the selection split is chosen for another batch of it.
            tolerance = 0.1 if name == "eval_loss" else 1e-3
            assert logged[1] == pytest.approx(logged[0], rel=tolerance), f"stage {stage}, {name}"

"""Every recipe is read by the parser that trains with it, and those of the papers' models have the papers' settings."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from accelerate.commands.config.config_args import ClusterConfig

from speechcue_hf.prompts.specification import load_prompt
from speechcue_hf.training.arguments import ModelSettings, TrainingSettings
from speechcue_hf.training.recipes import packaged_recipes, parse_recipe

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "speechcue_hf" / "recipes"
SPEECHCUELLM = sorted((RECIPES / "speechcuellm").rglob("*.yaml"))
BIOSERC = sorted((RECIPES / "bioserc").glob("*/qlora_*.yaml"))


def settings_of(path: Path, output: Path, *more: str) -> tuple[Any, ModelSettings, TrainingSettings]:
    recipe = parse_recipe(["--config", str(path), "--output_dir", str(output), *more])
    assert recipe.kind == "chat"
    return recipe.data, recipe.model, recipe.training


def test_every_recipe_is_found_by_its_name() -> None:
    folders = (RECIPES / "speechcuellm", RECIPES / "bioserc", RECIPES / "semollm")
    files = [RECIPES / "quickstart.yaml", *(path for folder in folders for path in folder.rglob("*.yaml"))]
    assert set(packaged_recipes().values()) == set(files)
    assert parse_recipe(["--config", "speechcuellm/llama-3.1-8b/lora_meld"]).model.model_name_or_path


def test_there_is_a_recipe_for_each_model_method_and_corpus() -> None:
    found = {path.relative_to(RECIPES / "speechcuellm").as_posix() for path in SPEECHCUELLM}
    models = ("llama-2-7b", "llama-3.1-8b", "qwen3-8b", "smollm2-135m")
    assert found == {
        f"{model}/{method}_{corpus}.yaml"
        for model in models
        for method in ("lora", "qlora", "full")
        for corpus in ("iemocap", "meld")
    }


@pytest.mark.parametrize("path", SPEECHCUELLM, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_recipe_parses(path: Path, tmp_path: Path) -> None:
    # bf16 and 4 bits need a GPU to run, not to be read.
    data, model, training = settings_of(path, tmp_path, "--bf16", "false")
    method, corpus = path.stem.split("_")
    assert load_prompt(data.prompt or "").name == f"speechcuellm_{corpus}"
    assert (model.use_peft, model.load_in_4bit) == {
        "lora": (True, False),
        "qlora": (True, True),
        "full": (False, False),
    }[method]
    assert training.metric_for_best_model == "weighted_f1"
    assert data.seeds == [1, 11, 42]


@pytest.mark.parametrize("corpus", ["iemocap", "meld"])
def test_llama_2_has_the_settings_of_the_paper(corpus: str, tmp_path: Path) -> None:
    def read(method: str) -> tuple[int | None, ModelSettings, TrainingSettings]:
        recipe = RECIPES / "speechcuellm" / "llama-2-7b" / f"{method}_{corpus}.yaml"
        data, model, training = settings_of(recipe, tmp_path)
        return data.token_budget, model, training

    budget, model, training = read("lora")
    assert budget == {"iemocap": 2500, "meld": 1500}[corpus]
    assert (model.lora_r, model.lora_alpha, model.lora_dropout) == (16, 16, 0.05)
    assert model.lora_target_modules == ["q_proj", "k_proj", "v_proj"]
    assert (training.learning_rate, training.lr_scheduler_type, training.warmup_steps) == (3e-4, "linear", 0.1)
    assert (training.num_train_epochs, training.per_device_train_batch_size) == (15, 8)
    assert (training.adam_beta1, training.adam_beta2, training.optim) == (0.9, 0.95, "adamw_torch")
    assert read("full")[2].learning_rate == 2e-5


def test_there_is_a_bioserc_recipe_for_each_model_and_corpus() -> None:
    models = ("llama-2-13b", "llama-2-7b", "llama-3.1-8b", "qwen3-8b", "smollm2-135m")
    assert [path.relative_to(RECIPES / "bioserc").as_posix() for path in BIOSERC] == [
        f"{model}/qlora_{corpus}.yaml" for model in models for corpus in ("emorynlp", "iemocap", "meld")
    ]


@pytest.mark.parametrize("path", BIOSERC, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_bioserc_has_the_settings_of_the_paper(path: Path, tmp_path: Path) -> None:
    data, model, training = settings_of(path, tmp_path)
    assert data.prompt == "bioserc" and data.seeds == [42, 43, 44, 45, 46]
    assert (model.lora_r, model.lora_alpha, model.lora_dropout) == (32, 128, 0.05)
    assert model.lora_target_modules == "all-linear"
    assert (model.load_in_4bit, model.bnb_4bit_quant_type, model.use_bnb_nested_quant) == (True, "nf4", True)
    assert (training.learning_rate, training.lr_scheduler_type, training.warmup_steps) == (3e-4, "linear", 0.03)
    assert (training.per_device_train_batch_size, training.gradient_accumulation_steps) == (4, 4)
    assert (training.num_train_epochs, training.neftune_noise_alpha, training.max_grad_norm) == (3, 5, 0.3)
    assert training.metric_for_best_model == "weighted_f1" and not training.packing
    sizes = {"llama-2-7b": "Llama-2-7b", "llama-2-13b": "Llama-2-13b"}
    assert sizes.get(path.parent.name, "") in str(model.model_name_or_path)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "recipes" / "accelerate_configs").glob("*.yaml")), ids=lambda path: path.stem
)
def test_accelerate_reads_its_configs(path: Path) -> None:
    settings = yaml.safe_load(path.read_text())
    assert ClusterConfig.from_yaml_file(str(path)).num_processes == settings["num_processes"]

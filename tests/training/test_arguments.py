import warnings
from pathlib import Path

import datasets
import huggingface_hub.utils
import pytest

from speechcue_hf.errors import TrainingError
from speechcue_hf.prompts.specification import load_prompt
from speechcue_hf.training.recipes import parse_recipe

RECIPE = "prompt:\n  extends: speechcuellm_meld\n  impression: true\nlearning_rate: 1.0e-4\nseed: 5\n"


@pytest.fixture
def recipe(tmp_path: Path) -> list[str]:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return ["--config", str(tmp_path / "recipe.yaml"), "--output_dir", str(tmp_path / "run")]


def test_recipe_then_command_line(recipe: list[str]) -> None:
    read = parse_recipe([*recipe, "--seed", "7", "--lora-r", "4"])
    data, model, training = read.data, read.model, read.training
    assert data.prompt == {"extends": "speechcuellm_meld", "impression": True}
    assert (training.learning_rate, training.seed, model.lora_r) == (1e-4, 7, 4)


@pytest.mark.parametrize(
    ("given", "read"),
    [("speechcue", None), ('{"extends": "speechcue", "history": 3}', 3)],
)
def test_prompt_on_the_command_line(recipe: list[str], given: str, read: int | None) -> None:
    assert load_prompt(parse_recipe([*recipe, "--prompt", given]).data.prompt or "").history == read


def test_defaults_never_truncate_and_keep_the_best_epoch(recipe: list[str]) -> None:
    training = parse_recipe(recipe).training
    assert training.max_length is None
    assert training.load_best_model_at_end and training.eval_strategy == training.save_strategy == "epoch"


@pytest.mark.parametrize("given", [[], ["--gradient_checkpointing", "true"]])
def test_checkpointing_works_by_its_old_name_without_a_warning(recipe: list[str], given: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        training = parse_recipe([*recipe, *given]).training
    assert training.gradient_checkpointing == bool(given)
    assert getattr(training, "activation_checkpointing", bool(given)) == bool(given)


def test_unknown_settings_are_refused(recipe: list[str]) -> None:
    with pytest.raises(TrainingError, match="'learning_rte' does not exist: did you mean learning_rate"):
        parse_recipe([*recipe, "--learning_rte", "1"])


@pytest.mark.parametrize("library", [datasets, huggingface_hub.utils], ids=["datasets", "hub"])
def test_the_switches_of_the_hub_and_of_datasets_turn_the_bar_off(recipe: list[str], library) -> None:
    assert not parse_recipe(recipe).training.disable_tqdm
    library.disable_progress_bars()
    try:
        assert parse_recipe(recipe).training.disable_tqdm
    finally:
        library.enable_progress_bars()

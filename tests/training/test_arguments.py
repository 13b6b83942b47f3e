import re
import warnings
from pathlib import Path

import datasets
import huggingface_hub.utils
import pytest
import yaml

from speechcue_hf.errors import TrainingError
from speechcue_hf.prompts.specification import load_prompt
from speechcue_hf.training.arguments import DataSettings, EncoderSettings, EncoderTraining
from speechcue_hf.training.encoder import train_encoder
from speechcue_hf.training.recipes import packaged_recipes, parse_recipe, train_recipe

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


KINDS = {
    "chat": "quickstart",
    "encoder": "bioserc/encoder/meld",
    "speech": "semollm/tiny/stage1",
}


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        ("chat", "learning_rate=fast", "learning_rate must be a number, got 'fast'"),
        ("chat", "learning_rate=-1e-4", "learning_rate must be 0 or more"),
        ("chat", "seeds=[1,x]", r"seeds must be a list of whole numbers or null, got '\[1,x\]'"),
        ("chat", "seeds=[1,", r"seeds must be a list of whole numbers or null, got '\[1,'"),
        ("chat", "seeds=[1,1]", "seeds must be different numbers"),
        ("chat", "lr_scheduler_type=lineer", "lr_scheduler_type: 'lineer' does not exist: did you mean linear?"),
        ("chat", "eval_strategy=epochs", "eval_strategy: 'epochs' does not exist: did you mean epoch?"),
        ("chat", "metric_for_best_model=weigthed_f1", "metric_for_best_model must be loss or weighted_f1"),
        ("chat", "dtype=bfloat", "dtype must be auto, float32, bfloat16 or float16"),
        ("chat", "prompt=speechcu", "there is no prompt 'speechcu': did you mean speechcue"),
        (
            "chat",
            "prompt={extends: speechcue, histroy: 3}",
            "setting 'histroy', which does not exist: did you mean history",
        ),
        ("chat", "data_percent=300", "data_percent must be 0 to 100, got 300"),
        ("chat", "warmup_steps=-1", "warmup_steps"),
        ("encoder", "reading=window", "reading must be windows or dialogue, got 'window'"),
        ("encoder", "class_weights=loog", "class_weights must be none or log, got 'loog'"),
        ("encoder", "context_before=-1", "context_before must be 0 or more"),
        ("encoder", "prompt=speechcue", "'prompt' is one of recipes of a chat model.*this one is of an encoder"),
        ("speech", "stage=4", "stage must be 1 to 3, got 4"),
        ("speech", "stage=one", "stage must be a whole number, got 'one'"),
        (
            "speech",
            "augmentation={spede: [0.9]}",
            "augmentation: the setting 'spede' does not exist: did you mean speeds",
        ),
        ("speech", "augmentation={speeds: 1}", "augmentation: speeds must be a list of numbers, got 1"),
        ("speech", "metric_for_best_model=weighted_f1", "metric_for_best_model must be loss, got 'weighted_f1'"),
    ],
)
def test_a_mistyped_value_is_refused_and_its_place_named(kind: str, wrong: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=rf"{message}.* \(on the command line\)$"):
        parse_recipe(["--config", KINDS[kind], wrong])
    name, value = wrong.split("=", 1)
    recipe = tmp_path / "mine.yaml"
    settings = yaml.safe_load(packaged_recipes()[KINDS[kind]].read_text())
    try:
        settings[name] = yaml.safe_load(value)
    except yaml.YAMLError:
        return
    recipe.write_text(yaml.safe_dump(settings))
    with pytest.raises(TrainingError, match=rf" \(in {re.escape(str(recipe))}\)$"):
        parse_recipe(["--config", str(recipe)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", [["--learn", "1e-3"], ["--learn=1e-3"], ["learn=1e-3"]])
def test_no_abbreviation_is_taken_for_a_setting(kind: str, given: list[str]) -> None:
    with pytest.raises(TrainingError, match=r"the setting 'learn' does not exist: did you mean learning_rate\?"):
        parse_recipe(["--config", KINDS[kind], *given])


def test_a_misspelt_setting_that_says_the_kind_is_found(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("encodr: bert\nclass_weights: log\n")
    with pytest.raises(TrainingError, match=r"'encodr' does not exist: did you mean encoder\? \(in .*mine\.yaml\)"):
        parse_recipe(["--config", str(tmp_path / "mine.yaml")])


def test_every_setting_of_a_recipe_fails_before_anything_is_read(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    for kind, recipe in KINDS.items():
        with pytest.raises(TrainingError, match="seed must be a whole number"):
            train_recipe(parse_recipe([nowhere, "--config", recipe, "seed=first"]))
        assert parse_recipe([nowhere, "--config", recipe]).kind == kind
    with pytest.raises(TrainingError, match="name its folder by start_from"):
        train_recipe(parse_recipe([nowhere, "--config", "semollm/tiny/stage2", f"captions={nowhere}"]))


@pytest.mark.parametrize(
    "line", [["--seeds", "1", "2", "--lora_r", "4"], ["seeds=[1,2]"], ["--seeds=1,2"], ["seeds=1,2"]]
)
def test_several_values_are_written_as_people_do(line: list[str]) -> None:
    assert parse_recipe(["--config", "quickstart", *line]).data.seeds == [1, 2]


def test_the_folder_may_stand_after_a_setting() -> None:
    read = parse_recipe(["--config", "quickstart", "--learning_rate", "1e-3", "data/described"])
    assert (read.data.dataset, read.training.learning_rate) == ("data/described", 1e-3)
    with pytest.raises(TrainingError, match="'-seed' is no setting"):
        parse_recipe(["--config", "quickstart", "-seed", "3"])


@pytest.mark.parametrize(
    ("model", "training", "message"),
    [
        (EncoderSettings(cues="z_score"), {}, "cues must be none, z_scores or description, got 'z_score'"),
        (EncoderSettings(dropout=2.0), {}, "dropout must be 0 to 1"),
        (EncoderSettings(), {"class_weights": "loog"}, "class_weights must be none or log"),
    ],
)
def test_a_mistyped_value_in_python_fails_before_a_model_is_looked_for(
    model, training, message, tmp_path: Path
) -> None:
    settings = EncoderTraining(output_dir=str(tmp_path), **training)
    with pytest.raises(ValueError, match=message):
        train_encoder(datasets.DatasetDict(), DataSettings(), model, settings)

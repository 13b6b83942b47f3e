import json
import statistics
from argparse import ArgumentParser
from pathlib import Path

import pytest

from speechcue_hf.cli import main
from speechcue_hf.commands import train
from speechcue_hf.training.recipes import parse_recipe
from tests.models.bioserc.tiny_encoders import save_tiny_encoder

pytestmark = pytest.mark.slow

RECIPE = """
model_name_or_path: tiny
num_train_epochs: 1
disable_tqdm: true
prompt:
  extends: speechcue
  history: 2
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def test_train_says_what_it_made(
    described_folder: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run"
    command = ["train", "--config", str(recipe), "--dataset", str(described_folder), "--output-dir", str(output)]
    assert main([*command, "seed=7", "learning_rate=1e-3"]) == 0
    record = json.loads((output / "training.json").read_text())
    assert (record["seed"], record["settings"]["learning_rate"]) == (7, 1e-3)
    assert record["prompt"]["name"] == "speechcue with changes"
    printed = capsys.readouterr().out
    assert "Trained tiny on 24 rows in 3 steps." in printed
    assert "no row was dropped" in printed


def test_seeds_are_summed_up(
    described_folder: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "runs"
    recipe.write_text(RECIPE + "seeds: [1, 11]\nmetric_for_best_model: weighted_f1\n")
    command = ["train", "--config", str(recipe), "--dataset", str(described_folder), "--output-dir", str(output)]
    assert main(command) == 0
    records = [json.loads((output / f"seed-{seed}" / "training.json").read_text()) for seed in (1, 11)]
    scores = [record["best"]["eval_weighted_f1"] for record in records]
    printed = capsys.readouterr().out
    assert f"weighted_f1 {statistics.mean(scores):.4f} ± {statistics.stdev(scores):.4f}" in printed
    assert "over seeds 1, 11, on the selection split" in printed


def test_failures_are_one_line(
    described_folder: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "train",
        "--config",
        str(recipe),
        "--dataset",
        str(described_folder),
        "--output-dir",
        str(tmp_path / "run"),
    ]
    assert main([*command, "selection_split=test"]) == 1
    assert "speechcue train: the test split must not choose the best epoch" in capsys.readouterr().err
    assert main([*command, "seed"]) == 1
    assert "dataset is given twice, as 'seed' and" in capsys.readouterr().err
    assert main([*command[:3], "data", "seed"]) == 1
    assert "'seed' is not of the form setting=value" in capsys.readouterr().err


def test_a_setting_that_does_not_exist_is_refused(
    described_folder: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe.write_text(RECIPE + "learning_rte: 1\n")
    assert main(["train", "--config", str(recipe), "--dataset", str(described_folder)]) == 1
    assert "'learning_rte' does not exist: did you mean learning_rate?" in capsys.readouterr().err


def test_examples_parse() -> None:
    lines = [line.split()[2:] for line in train.EXAMPLES.splitlines() if line.strip().startswith("speechcue train")]
    assert len(lines) == 5
    parser = ArgumentParser()
    train.add_arguments(parser)
    for line in lines:
        arguments, settings = parser.parse_known_args(line)
        arguments.settings = settings
        assert parse_recipe(train.recipe_words(arguments)).training.output_dir.startswith("runs/")


def test_a_recipe_that_names_an_encoder_trains_a_classifier(
    described_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = save_tiny_encoder("bert", tmp_path / "encoder")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"encoder: {encoder}\nnum_attention_heads: 4\nfrozen_layers: 2\nnum_train_epochs: 1\n")
    line = ["train", "--config", str(recipe), "--dataset", str(described_folder), "--output-dir", str(tmp_path / "run")]
    assert main([*line, "disable_tqdm=true"]) == 0
    said = capsys.readouterr().out
    assert "Trained encoder on 24 rows in 1 steps." in said
    assert "0 utterances were shortened to 48 tokens, no row was dropped." in said

"""The encoder recipes are read by the parser that trains with them, and the paper's have its settings."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from speechcue_hf.models.bioserc import BiosErcConfig
from speechcue_hf.training.recipes import parse_recipe
from tests.models.bioserc.tiny_encoders import save_tiny_encoder

RECIPES = Path(__file__).parents[2] / "recipes"
ENCODER = sorted((RECIPES / "bioserc" / "encoder").glob("*.yaml"))
FUSION = {"": "none", "_static": "static", "_attention": "attention", "_history": "none"}


def test_there_is_a_recipe_for_each_corpus_and_fusion() -> None:
    found = {path.stem for path in ENCODER}
    assert found == {f"{corpus}{kind}" for corpus in ("iemocap", "meld", "emorynlp") for kind in FUSION}


@pytest.mark.parametrize("path", ENCODER, ids=lambda path: path.stem)
def test_recipe_has_the_settings_of_the_paper(path: Path) -> None:
    corpus, underscore, kind = path.stem.partition("_")
    recipe = parse_recipe(["--config", str(path)])
    data, model, training = recipe.data, recipe.model, recipe.training
    assert recipe.kind == "encoder"
    window, rate = (4, 1e-5) if corpus == "iemocap" else (2, 5e-6)
    assert (model.encoder, model.frozen_layers, model.max_tokens) == ("FacebookAI/roberta-large", 10, 512)
    assert (model.context_before, model.num_attention_heads, model.dropout) == (window, 8, 0.2)
    assert model.biographies == FUSION[underscore + kind]
    assert (training.num_train_epochs, training.gradient_accumulation_steps) == (30, 2)
    assert (training.per_device_train_batch_size, training.one_cycle) == (1, True)
    assert (training.label_smoothing_factor, training.class_weights) == (0.1, "log")
    assert (training.optim, training.adam_beta1, training.adam_beta2) == ("adamw_torch", 0.9, 0.98)
    assert training.metric_for_best_model == "weighted_f1"
    config = BiosErcConfig(context_after=model.context_after, causal=model.causal)
    if kind == "history":
        assert (training.encoder_learning_rate, data.seeds) == (rate, [1, 11, 42])
        assert not config.sees_future
    else:
        assert (training.learning_rate, training.encoder_learning_rate, data.seeds) == (rate, None, [*range(10)])
        assert (model.context_after, config.sees_future) == (window, True)


def test_recipe_trains_as_users_start_it(
    described_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = save_tiny_encoder("bert", tmp_path / "encoder")
    line = ["--config", str(RECIPES / "bioserc" / "encoder" / "meld_history.yaml"), "--dataset", str(described_folder)]
    line += ["--output_dir", str(tmp_path / "run"), "--encoder", str(encoder), "--num_attention_heads", "4"]
    line += ["--frozen_layers", "1", "--num_train_epochs", "1", "--seeds", "1", "--disable_tqdm", "true"]
    monkeypatch.setattr(sys, "argv", ["encoder.py", *line])
    runpy.run_path(str(RECIPES / "encoder.py"), run_name="__main__")
    record = json.loads((tmp_path / "run" / "seed-1" / "training.json").read_text())
    assert record["describer_sha256"] is not None
    assert (tmp_path / "run" / "seed-1" / "describer.json").is_file()
    assert len(record["loss"]["class_weights"]) == 3
    assert record["best"]["step"] == 3

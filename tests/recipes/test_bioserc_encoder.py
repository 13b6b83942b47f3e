"""The encoder recipes are read by the parser that trains with them, and the paper's have its settings."""

import json
import runpy
import sys
from pathlib import Path

import datasets
import pytest

from speechcue_hf.cli import main
from speechcue_hf.corpora.parquet import read_dataset, write_dataset
from speechcue_hf.models.bioserc import BiosErcConfig
from speechcue_hf.training.recipes import parse_recipe
from tests.models.bioserc.tiny_encoders import save_tiny_encoder

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "speechcue_hf" / "recipes"
CORPORA = ("iemocap", "meld", "emorynlp")
PAPER = sorted(it for it in (RECIPES / "bioserc" / "encoder").glob("*.yaml") if it.stem.startswith(CORPORA))
FUSION = {"": "none", "_static": "static", "_attention": "attention", "_history": "none"}


def test_there_is_a_recipe_for_each_corpus_and_fusion() -> None:
    found = {path.stem for path in PAPER}
    assert found == {f"{corpus}{kind}" for corpus in CORPORA for kind in FUSION}


@pytest.mark.parametrize("path", PAPER, ids=lambda path: path.stem)
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
    assert training.per_device_train_batch_size == 1
    assert (training.label_smoothing_factor, training.class_weights) == (0.1, "log")
    assert (training.optim, training.adam_beta1, training.adam_beta2) == ("adamw_torch", 0.9, 0.98)
    assert training.metric_for_best_model == "weighted_f1"
    config = BiosErcConfig(context_after=model.context_after, causal=model.causal)
    if kind == "history":
        assert (training.encoder_learning_rate, data.seeds) == (rate, [1, 11, 42])
        assert (model.design, training.one_cycle) == ("plain", True)
        assert not config.sees_future
    else:
        assert (training.learning_rate, training.encoder_learning_rate, data.seeds) == (rate, None, [*range(10)])
        assert (model.context_after, config.sees_future) == (window, True)
        # As released: names are read, and the rate falls linearly from its peak.
        assert (model.design, model.speaker_names) == ("paper", True)
        assert (training.one_cycle, training.lr_scheduler_type, training.warmup_steps) == (False, "linear", 0)
        assert (training.weight_decay, training.adam_epsilon) == (0.001, 1e-6)


@pytest.mark.parametrize("corpus", CORPORA)
def test_small_recipe_is_frozen_and_hears_what_its_corpus_has(corpus: str) -> None:
    recipe = parse_recipe(["--config", f"bioserc/encoder/small_{corpus}"])
    assert recipe.model.frozen_layers == 6 and recipe.data.seeds == [0, 1, 2]
    assert recipe.model.cues == ("none" if corpus == "emorynlp" else "z_scores")
    assert (recipe.model.design, recipe.model.context_after, recipe.model.causal) == ("standardised", 0, True)


def test_recipe_trains_as_users_start_it(
    described_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = save_tiny_encoder("bert", tmp_path / "encoder")
    line = ["--config", str(RECIPES / "bioserc" / "encoder" / "meld_history.yaml"), "--dataset", str(described_folder)]
    line += ["--output_dir", str(tmp_path / "run"), "--encoder", str(encoder), "--num_attention_heads", "4"]
    line += ["--frozen_layers", "1", "--num_train_epochs", "1", "--seeds", "1", "--disable_tqdm", "true"]
    monkeypatch.setattr(sys, "argv", ["encoder.py", *line])
    runpy.run_path(str(ROOT / "recipes" / "encoder.py"), run_name="__main__")
    record = json.loads((tmp_path / "run" / "seed-1" / "training.json").read_text())
    assert record["describer_sha256"] is not None
    assert (tmp_path / "run" / "seed-1" / "describer.json").is_file()
    assert len(record["loss"]["class_weights"]) == 3
    assert record["best"]["step"] == 3


@pytest.mark.parametrize("corpus", CORPORA)
def test_small_recipe_runs_out_of_the_box(
    corpus: str,
    described_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    encoder = save_tiny_encoder("bert", tmp_path / "encoder")
    heard = read_dataset(described_folder).map(lambda row, it: {"f0_mean_hz_z": float(it % 5)}, with_indices=True)
    write_dataset(heard, tmp_path / "data")
    line = ["train", str(tmp_path / "data"), "--config", f"bioserc/encoder/small_{corpus}", "-o", str(tmp_path / "run")]
    assert main([*line, f"encoder={encoder}", "frozen_layers=2", "num_train_epochs=2", "seeds=[0,1]"]) == 0
    assert "weighted_f1" in capsys.readouterr().out
    record = json.loads((tmp_path / "run" / "seed-1" / "training.json").read_text())
    assert record["encoder"]["design"] == "standardised"
    assert bool(record["encoder"]["cue_names"]) is (corpus != "emorynlp")
    assert record["parameters"]["trained"] < record["parameters"]["all"]

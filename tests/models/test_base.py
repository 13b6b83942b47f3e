import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from speechcue_hf.errors import TrainingError
from speechcue_hf.models.base import base_model_name, leads_elsewhere, original_name, place_base_model
from speechcue_hf.models.loading import load_model

TEXTS = ["Ann: hello", "happy"]


def test_hub_id_stays_what_it_is(tmp_path: Path) -> None:
    assert place_base_model("some/model", tmp_path / "run", TEXTS, seed=0) == "some/model"
    assert not (tmp_path / "run").exists()


def test_tiny_model_is_made_once(tmp_path: Path) -> None:
    base = place_base_model("tiny", tmp_path, TEXTS, seed=0)
    before = (Path(base) / "model.safetensors").stat().st_mtime_ns
    assert place_base_model("tiny", tmp_path, iter(()), seed=1) == base
    assert (Path(base) / "model.safetensors").stat().st_mtime_ns == before
    load_model(base)


def test_local_model_is_linked_and_not_mistaken_for_another(tmp_path: Path) -> None:
    models = [place_base_model("tiny", tmp_path / name, TEXTS, seed=0) for name in ("a", "b")]
    linked = place_base_model(models[0], tmp_path / "run", TEXTS, seed=0)
    assert Path(linked).resolve() == Path(models[0])
    assert place_base_model(models[0], tmp_path / "run", TEXTS, seed=0) == linked
    for other in (models[1], "tiny"):
        with pytest.raises(TrainingError, match="run already holds a run on another base model"):
            place_base_model(other, tmp_path / "run", TEXTS, seed=0)


def test_a_link_leads_elsewhere_also_to_what_is_gone(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "model")
    (tmp_path / "broken").symlink_to(tmp_path / "gone")
    assert [leads_elsewhere(tmp_path / name) for name in ("model", "link", "broken")] == [False, True, True]


def test_windows_makes_a_junction_which_needs_no_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "_winapi", SimpleNamespace(CreateJunction=os.symlink))
    monkeypatch.setattr(Path, "symlink_to", None)
    linked = place_base_model(str(tmp_path / "model"), tmp_path / "run", TEXTS, seed=0)
    assert Path(linked).resolve() == tmp_path / "model"


def test_a_model_in_the_cache_of_the_hub_has_its_id(tmp_path):
    folder = tmp_path / "models--FacebookAI--roberta-large" / "snapshots" / ("a" * 40)
    folder.mkdir(parents=True)
    assert base_model_name(str(folder)) == original_name(str(folder)) == "FacebookAI/roberta-large"
    assert base_model_name("FacebookAI/roberta-large") == "FacebookAI/roberta-large"
    assert base_model_name(str(tmp_path)) == tmp_path.name

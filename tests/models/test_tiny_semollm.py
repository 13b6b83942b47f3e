from pathlib import Path

import pytest
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForCausalLM, AutoTokenizer, BertModel

from speechcue_hf.models import tiny_semollm
from speechcue_hf.models.tiny_semollm import build_tiny_parts

TEXTS = ["A high voice.", "Describe the pitch."]


def test_parts_load_as_pretrained_ones_do_and_are_built_once(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "parts"
    build_tiny_parts(folder, TEXTS)
    assert AutoModel.from_pretrained(folder / "speech_encoder").config.model_type == "wavlm"
    # Normalised, clips would lose their loudness.
    assert not AutoFeatureExtractor.from_pretrained(folder / "speech_encoder").do_normalize
    assert isinstance(AutoModel.from_pretrained(folder / "qformer"), BertModel)
    assert AutoModelForCausalLM.from_pretrained(folder / "language_model").config.model_type == "llama"
    assert AutoTokenizer.from_pretrained(folder / "language_model").chat_template
    before = (folder / "qformer" / "model.safetensors").stat().st_mtime_ns
    build_tiny_parts(folder, TEXTS, seed=1)
    assert (folder / "qformer" / "model.safetensors").stat().st_mtime_ns == before


def test_parts_of_a_run_that_was_stopped_are_built_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tiny_semollm, "_save_bert", stopped)
        build_tiny_parts(tmp_path / "parts", TEXTS)
    assert list(tmp_path.iterdir()) == []
    build_tiny_parts(tmp_path / "parts", TEXTS)
    assert len(list((tmp_path / "parts").iterdir())) == 3

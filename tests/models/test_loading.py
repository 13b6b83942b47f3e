import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from speechcue_hf.errors import ModelError, PromptError
from speechcue_hf.models.loading import hub_commit, load_model, load_tokenizer, read_tokenizer
from speechcue_hf.models.tiny import CHAT_TEMPLATE, build_tiny_model
from speechcue_hf.records import BASE_MODEL_FOLDER
from tests.models.sentencepiece_llama import write_sentencepiece_llama


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """An adapter folder as fine-tuning writes it, with an adapter that changes the model."""
    model, tokenizer = build_tiny_model(["Ann: hello", "happy"])
    model.eval()
    folder = tmp_path / "made_here"
    model.save_pretrained(folder / BASE_MODEL_FOLDER)
    tokenizer.save_pretrained(folder / BASE_MODEL_FOLDER)
    model = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    model.save_pretrained(folder)
    settings = json.loads((folder / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = BASE_MODEL_FOLDER
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    tokenizer.save_pretrained(folder)
    return folder


def _logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.tensor([[5, 6, 7]], device=model.device)).logits.float().cpu()


def test_adapter_folder_finds_its_base_wherever_it_is_moved(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _logits(load_model(adapter)[0])
    moved = tmp_path / "moved" / "run"
    shutil.copytree(adapter, moved)
    shutil.rmtree(adapter)
    monkeypatch.chdir(tmp_path)
    model, tokenizer = load_model(moved)
    assert torch.equal(_logits(model), before)
    assert not model.training and model.dtype == (torch.bfloat16 if torch.cuda.is_available() else torch.float32)
    assert tokenizer.chat_template
    assert json.loads((moved / "adapter_config.json").read_text())["base_model_name_or_path"] == BASE_MODEL_FOLDER


def test_adapter_is_applied_and_a_whole_model_loads_too(adapter: Path) -> None:
    base, _ = load_model(adapter / BASE_MODEL_FOLDER)
    assert not torch.allclose(_logits(base), _logits(load_model(adapter)[0]))


def changed(settings: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: changed({"rank_pattern": "x"}, folder / "adapter_config.json"),
        lambda folder: changed({"hidden_size": "<script>"}, folder / BASE_MODEL_FOLDER / "config.json"),
        lambda folder: os.truncate(folder / "adapter_model.safetensors", 100),
        lambda folder: (folder / BASE_MODEL_FOLDER / "model.safetensors").write_bytes(b"no weights"),
    ],
)
def test_a_damaged_file_of_a_model_is_an_error_with_its_name_and_fix(
    damage: Callable[[Path], None], adapter: Path
) -> None:
    damage(adapter)
    with pytest.raises(ModelError, match=r"made_here cannot be loaded .* take another copy of the model"):
        load_model(adapter)


def test_tokenizer_without_chat_template_is_refused(tmp_path: Path) -> None:
    _, tokenizer = build_tiny_model(["hello"])
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path / "plain")
    with pytest.raises(PromptError, match=r"plain has no chat template.*instruct"):
        load_tokenizer(tmp_path / "plain")


def test_tokenizer_without_padding_token_pads_with_its_end_token(tmp_path: Path) -> None:
    _, tokenizer = build_tiny_model(["hello"])
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path).pad_token == "<|im_end|>"


@pytest.mark.parametrize("legacy", [True, False])
def test_a_sentencepiece_tokenizer_makes_the_same_tokens_once_saved(tmp_path: Path, legacy: bool) -> None:
    """Transformers leaves ``legacy`` out: after a special token ``A`` would be another token than before."""
    settings = {"tokenizer_class": "LlamaTokenizer", "legacy": legacy, "chat_template": CHAT_TEMPLATE}
    pieces = write_sentencepiece_llama(tmp_path / "llm", ["Ann: hello", "A"], settings)
    tokenizer = load_tokenizer(tmp_path / "llm")
    tokenizer.save_pretrained(tmp_path / "run")
    again = load_tokenizer(tmp_path / "run")
    again.save_pretrained(tmp_path / "copy")
    third = load_tokenizer(tmp_path / "copy")
    behind = pieces.encode("A") if legacy else [pieces.piece_to_id("A")]
    for loaded in (tokenizer, again, third):
        assert loaded("<s>A", add_special_tokens=False)["input_ids"] == [1, *behind]
        assert loaded("Ann: hello", add_special_tokens=False)["input_ids"] == pieces.encode("Ann: hello")


def test_a_llamas_tokenizer_model_alone_puts_the_first_blank(tmp_path: Path) -> None:
    """AutoTokenizer does not, where no file names the tokenizer's class."""
    pieces = write_sentencepiece_llama(tmp_path, ["Ann: hello"])
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    for loaded in (read_tokenizer(tmp_path), read_tokenizer(tmp_path, legacy=True)):
        assert loaded("hello", add_special_tokens=False)["input_ids"] == pieces.encode("hello")


def test_the_tokenizer_of_another_kind_of_model_keeps_its_class(tmp_path: Path) -> None:
    write_sentencepiece_llama(tmp_path, ["Ann: hello"])
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gemma"}))
    assert type(read_tokenizer(tmp_path, legacy=True)).__name__ == "GemmaTokenizer"


def test_missing_model_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        load_model(tmp_path / "nothing")


def test_without_the_hub_the_commit_is_that_of_the_copy_that_was_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    cached = tmp_path / "models--some--model"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("c" * 40)
    (cached / "snapshots" / ("c" * 40)).mkdir(parents=True)

    assert hub_commit("some/model") == "c" * 40
    with pytest.raises(OSError, match="other/model is neither a folder here nor a model that was fetched before"):
        hub_commit("other/model")

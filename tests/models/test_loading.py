import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from speechcue_hf.errors import PromptError
from speechcue_hf.models.loading import load_model, load_tokenizer
from speechcue_hf.models.tiny import build_tiny_model
from speechcue_hf.records import BASE_MODEL_FOLDER


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


def test_missing_model_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        load_model(tmp_path / "nothing")

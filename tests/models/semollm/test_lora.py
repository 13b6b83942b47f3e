from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file

from speechcue_hf.models.semollm import SEmoLLMForConditionalGeneration
from speechcue_hf.models.semollm.lora import lora_settings
from tests.models.semollm.conftest import PROMPTS, Built


def test_lora_is_on_the_language_model_and_saves_the_speech_adapter(tiny: Built, clips: Any, tmp_path: Path) -> None:
    model, processor = tiny
    model.save_pretrained(tmp_path / "base")
    base = SEmoLLMForConditionalGeneration.from_pretrained(tmp_path / "base")
    batch = processor(PROMPTS, audio=clips)
    adapted = get_peft_model(base, lora_settings(rank=2)).train()
    trained = [name for name, parameter in adapted.named_parameters() if parameter.requires_grad]
    assert all(("language_model" in name and ".lora_" in name) or "speech_adapter" in name for name in trained)
    assert sum(".lora_" in name for name in trained) == 2 * 2 * model.config.text_config.num_hidden_layers
    assert not any(module.training for module in base.model.speech_encoder.modules())
    optimizer = torch.optim.SGD([parameter for parameter in adapted.parameters() if parameter.requires_grad], lr=0.1)
    adapted(**batch, labels=batch["input_ids"]).loss.backward()
    optimizer.step()
    adapted.eval().save_pretrained(tmp_path / "adapter")
    saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    kept = {f"base_model.model.model.speech_adapter.{name}" for name in model.model.speech_adapter.state_dict()}
    assert kept <= set(saved) and not any("speech_encoder" in name for name in saved)
    again = SEmoLLMForConditionalGeneration.from_pretrained(tmp_path / "base")
    loaded = PeftModel.from_pretrained(again, tmp_path / "adapter")
    with torch.no_grad():
        expected = adapted(**batch).logits
        assert torch.equal(loaded(**batch).logits, expected)
        assert not torch.allclose(expected, model(**batch).logits, atol=1e-3)
        assert torch.allclose(loaded.merge_and_unload()(**batch).logits, expected, atol=1e-5)

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import CONFIG_MAPPING, AutoModel, AutoModelForCausalLM, AutoProcessor, BertConfig, BertModel

from speechcue_hf.errors import ModelError
from speechcue_hf.models.semollm import SEmoLLMConfig, SEmoLLMForConditionalGeneration
from speechcue_hf.models.semollm.assembly import (
    assemble_semollm,
    join_parts,
    lora_settings,
    start_stage1,
    start_stage2,
)
from speechcue_hf.models.tiny import CHAT_TEMPLATE, build_tiny_model
from speechcue_hf.models.tiny_semollm import build_tiny_parts
from tests.models.semollm.conftest import PROMPTS, Built
from tests.models.sentencepiece_llama import write_sentencepiece_llama

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
LANGUAGE_MODELS = {
    "qwen2": SIZES | {"num_key_value_heads": 2},
    "phi": SIZES,
    "gemma": SIZES | {"num_key_value_heads": 2, "head_dim": 16},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 128},
    "mpt": {"d_model": 32, "n_layers": 2, "n_heads": 2},
}
"""Rotary, learned and no positions; with a head's bias; tied; without a cache."""


@torch.no_grad()
def test_parts_are_the_pretrained_ones(tiny: Built, clips: Any, tmp_path: Path) -> None:
    model, processor = tiny
    language_model, tokenizer = build_tiny_model(PROMPTS)
    bert = BertModel(BertConfig(vocab_size=40, max_position_embeddings=16, **SIZES))
    for part, name in ((model.model.speech_encoder.encoder, "wavlm"), (language_model, "llm"), (bert, "bert")):
        part.save_pretrained(tmp_path / name)
    processor.feature_extractor.save_pretrained(tmp_path / "wavlm")
    tokenizer.save_pretrained(tmp_path / "llm")
    names = [str(tmp_path / name) for name in ("wavlm", "llm", "bert")]
    joined, its_processor = assemble_semollm(*names, num_query_tokens=3, classifier_proj_size=16)
    text = its_processor(PROMPTS[2])
    expected = language_model.eval()(**text).logits
    assert torch.equal(joined(**text).logits[..., : expected.shape[-1]], expected)
    batch = its_processor(PROMPTS, audio=clips)
    states, _ = joined.model.speech_encoder(batch["input_features"], batch["input_features_mask"])
    alone, _ = model.model.speech_encoder(batch["input_features"], batch["input_features_mask"])
    assert torch.equal(states, alone)
    layers = joined.model.speech_adapter.projector.qformer.layers.encoder.layer
    assert torch.equal(layers[1].output_query.dense.weight, bert.encoder.layer[1].output.dense.weight)
    joined.save_pretrained(tmp_path / "whole")
    its_processor.save_pretrained(tmp_path / "whole")
    saved = [path for path in (tmp_path / "whole").iterdir() if path.is_file()]
    assert not [path.name for path in saved if str(tmp_path).encode() in path.read_bytes()], "no path of the machine"
    loaded = SEmoLLMForConditionalGeneration.from_pretrained(tmp_path / "whole")
    assert torch.equal(loaded(**batch).logits, joined(**batch).logits)
    assert loaded.lm_head.weight is loaded.get_input_embeddings().weight  # Tied, as the tiny language model is.


@torch.no_grad()
@pytest.mark.parametrize("kind", list(LANGUAGE_MODELS))
def test_any_language_model_is_itself_on_text_and_hears_speech(
    tiny: Built, clips: Any, tmp_path: Path, kind: str
) -> None:
    model, processor = tiny
    size = len(processor.tokenizer)
    tokens = {"vocab_size": size, "pad_token_id": 0, "eos_token_id": 2, "bos_token_id": 1}
    language_model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**tokens, **LANGUAGE_MODELS[kind])).eval()
    config = SEmoLLMConfig(**model.config.to_dict() | {"text_config": language_model.config})
    joined = join_parts(config, model.model.speech_encoder.encoder, language_model)
    text = processor(PROMPTS[2])
    assert torch.allclose(joined(**text).logits, language_model(**text).logits, atol=1e-6)
    batch = processor(PROMPTS, audio=clips)
    assert torch.allclose(joined(**batch).logits[2, -text["input_ids"].shape[1] :], joined(**text).logits[0], atol=1e-4)
    other = processor(PROMPTS, audio=[np.flip(clip) for clip in clips])
    assert not torch.equal(joined(**other).logits[0], joined(**batch).logits[0])
    assert joined.generate(**batch, max_new_tokens=3, do_sample=False).shape[0] == 3
    joined.save_pretrained(tmp_path)
    loaded = SEmoLLMForConditionalGeneration.from_pretrained(tmp_path)
    assert torch.equal(loaded(**batch).logits, joined(**batch).logits)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts") / "tiny"
    build_tiny_parts(folder, ["A high voice."], hidden_size=16)
    return folder


def test_stage_1_starts_as_the_speech_encoder_and_the_bert(parts: Path) -> None:
    model, processor = start_stage1(str(parts / "speech_encoder"), str(parts / "qformer"), num_query_tokens=3)
    encoder, bert = (AutoModel.from_pretrained(parts / name) for name in ("speech_encoder", "qformer"))
    for name, value in encoder.state_dict().items():
        assert torch.equal(model.speech_encoder.encoder.state_dict()[name], value)
    ids = torch.tensor([[3, 5, 4]])
    with torch.no_grad():
        expected = bert.eval()(ids).last_hidden_state
        assert torch.allclose(model.eval().qformer(input_ids=ids), expected, atol=1e-5)
    assert model.temperature.item() == pytest.approx(0.07)
    assert model.speech_projection.out_features == model.text_projection.out_features == 256
    assert processor.tokenizer.bos_token == "[DEC]"
    assert len(model.qformer.word_embeddings.weight) >= len(processor.tokenizer)


@pytest.mark.parametrize("chat", [False, True])
def test_stage_2_reads_a_llama_as_the_released_code_unless_it_chats(parts: Path, tmp_path: Path, chat: bool) -> None:
    model, processor = start_stage1(str(parts / "speech_encoder"), str(parts / "qformer"), num_query_tokens=3)
    model.save_pretrained(tmp_path / "stage1")
    processor.save_pretrained(tmp_path / "stage1")
    settings = {"tokenizer_class": "LlamaTokenizer", "legacy": False}
    pieces = write_sentencepiece_llama(
        tmp_path / "llm", PROMPTS, settings | ({"chat_template": CHAT_TEMPLATE} if chat else {})
    )
    sizes = SIZES | {"num_key_value_heads": 2, "vocab_size": pieces.vocab_size()}
    AutoModelForCausalLM.from_config(CONFIG_MAPPING["llama"](**sizes)).save_pretrained(tmp_path / "llm")
    model, processor = start_stage2(str(tmp_path / "stage1"), str(tmp_path / "llm"))
    model.save_pretrained(tmp_path / "stage2")
    processor.save_pretrained(tmp_path / "stage2")
    assert processor.tokenizer.legacy is not chat
    for its in (processor, AutoProcessor.from_pretrained(tmp_path / "stage2")):
        ids = its.tokenizer("<|audio|>How<s>do</s>", add_special_tokens=False)["input_ids"]
        alone = pieces.encode("How"), pieces.encode("do")
        assert (ids == [its.audio_token_id, *alone[0], 1, *alone[1], 2]) is not chat


def test_a_qformer_that_is_to_start_as_no_bert_is_refused(parts: Path) -> None:
    with pytest.raises(ModelError, match=r"the Q-Former starts as a BERT, but .* is a llama"):
        start_stage1(str(parts / "speech_encoder"), str(parts / "language_model"))


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

"""A ``.gguf`` file as a model: written with llama.cpp's own package, and the real one where it is at hand."""

import logging
import os
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from speechcue_hf.cli import main
from speechcue_hf.errors import ModelError, TrainingError
from speechcue_hf.inference.scoring import score_labels
from speechcue_hf.models.base import base_model_name, place_base_model
from speechcue_hf.models.loading import load_model, load_tokenizer
from speechcue_hf.models.tiny import build_tiny_model

gguf = pytest.importorskip("gguf")

PROMPTS = [[{"role": "user", "content": "How does Ann feel?"}], [{"role": "user", "content": "And Bob?"}]]
LABELS = ["happy", "sad", "very sad"]
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def permuted(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of a query or key projection as llama.cpp has them: its rotary embedding pairs neighbours."""
    return weight.reshape(heads, 2, -1, weight.shape[-1]).transpose(1, 2).reshape(weight.shape)


def write_gguf(path: Path, model: LlamaForCausalLM, tokenizer, *, rounded: bool) -> None:
    """Write a Llama as llama.cpp's converter does, its matrices with 8 bits a weight if they are to be rounded."""
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    special = {token.content for token in tokenizer.added_tokens_decoder.values()}
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    kinds = [gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens]
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in _merges(tokenizer)])
    writer.add_bos_token_id(tokenizer.convert_tokens_to_ids("<|im_start|>"))
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template(tokenizer.chat_template)
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        if "q_proj" in name or "k_proj" in name:
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            weight = permuted(weight, heads)
        values = weight.float().numpy()
        if values.ndim == 2 and rounded:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(_name(name), gguf.quants.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(_name(name), values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _merges(tokenizer) -> list[tuple[str, str]]:
    import json

    return json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]


def _name(name: str) -> str:
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, part = name.removesuffix(".weight").split(".", 3)
    return f"blk.{layer}.{NAMES[part]}.weight"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    model, tokenizer = build_tiny_model([PROMPTS[0][0]["content"], *LABELS])
    folder = tmp_path_factory.mktemp("gguf")
    write_gguf(folder / "Tiny.Q8_0.gguf", model, tokenizer, rounded=True)
    write_gguf(folder / "Tiny.F32.gguf", model, tokenizer, rounded=False)
    model.save_pretrained(folder / "whole")
    tokenizer.save_pretrained(folder / "whole")
    return folder


@pytest.mark.parametrize(("name", "difference"), [("Tiny.F32.gguf", 1e-4), ("Tiny.Q8_0.gguf", 0.5)])
def test_a_file_scores_as_the_model_it_was_made_of(
    tiny: Path, name: str, difference: float, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "speechcue_hf"):
        model, tokenizer = load_model(tiny / name)
    whole, own = load_model(tiny / "whole")
    assert tokenizer.chat_template == own.chat_template and tokenizer.eos_token == own.eos_token
    scored, expected = (score_labels(*it, PROMPTS, LABELS) for it in ((model, tokenizer), (whole, own)))
    assert abs(scored.log_likelihood - expected.log_likelihood).max() < difference
    assert any(name in line and "MB in" in line and str(tiny) not in line for line in caplog.messages)


def test_commands_take_a_file(tiny: Path, described_folder: Path, tmp_path: Path, capsys) -> None:
    arguments = ["evaluate", str(described_folder), "--model", str(tiny / "Tiny.Q8_0.gguf"), "-o", str(tmp_path)]
    assert main(arguments) == 0
    assert "weighted F1" in capsys.readouterr().out
    assert str(tiny) not in (tmp_path / "results.json").read_text()


def test_what_cannot_be_read_says_why(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF? no")
    with pytest.raises(ModelError, match=r"cannot read bad\.gguf.*--server"):
        load_tokenizer(tmp_path / "bad.gguf")
    with pytest.raises(ModelError, match=r"no file none\.gguf"):
        load_model(tmp_path / "none.gguf")
    monkeypatch.setattr("transformers.utils.import_utils.is_gguf_available", lambda: False)
    with pytest.raises(ModelError, match="pip install gguf"):
        load_model(tiny / "Tiny.Q8_0.gguf")


def test_training_refuses_a_file(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"Tiny\.Q8_0\.gguf holds weights"):
        place_base_model(str(tiny / "Tiny.Q8_0.gguf"), tmp_path, [], 0)
    assert base_model_name(str(tiny / "Tiny.Q8_0.gguf")) == "Tiny.Q8_0.gguf"


def test_a_real_file_answers_as_its_folder() -> None:
    """SmolLM2-135M-Instruct, whose folder was made of the file."""
    folder = Path(os.environ.get("SPEECHCUE_MODELS", "none"))
    found = sorted(folder.glob("**/*.gguf"))
    if not found:
        pytest.skip("SPEECHCUE_MODELS has no .gguf file")
    model, tokenizer = load_model(found[0])
    prompt = [[{"role": "user", "content": "Is the sun hot or cold? Answer with one word."}]]
    scores = score_labels(model, tokenizer, prompt, ["Hot", "Cold", "Purple"])
    assert scores.labels[scores.predictions[0]] == "Hot"

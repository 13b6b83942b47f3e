import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentencepiece import SentencePieceProcessor
from transformers import (
    AutoFeatureExtractor,
    AutoProcessor,
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    Wav2Vec2FeatureExtractor,
    WavLMConfig,
    WavLMModel,
)

from speechcue_hf.cli import main
from speechcue_hf.models.released_semollm import our_name
from speechcue_hf.models.semollm import SEmoLLMForConditionalGeneration
from speechcue_hf.models.tiny import train_tokenizer
from speechcue_hf.training.semollm_batches import AnswerCollator
from tests.models.semollm.reference import speech_tokens
from tests.models.sentencepiece_llama import write_sentencepiece_llama

pytestmark = pytest.mark.slow

PROMPT = "Please describe the pitch, speed, and volume in the audio."
ANSWER = "The female is saying 'I like it' with high pitch, normal speed and loud volume."
CLIP = (0.02 + 0.3 * np.sin(np.arange(8_000) * 0.1)).astype(np.float32)
"""Neither of mean 0 nor of variance 1."""
HEADS = 2
SPEECH = WavLMConfig(
    hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, conv_dim=(16, 16, 16),
    conv_kernel=(10, 8, 8), conv_stride=(5, 8, 8), num_feat_extract_layers=3, num_conv_pos_embeddings=4,
    num_conv_pos_embedding_groups=2, feat_extract_norm="layer", do_stable_layer_norm=True,
)  # fmt: skip
BERT = BertConfig(
    vocab_size=30, hidden_size=16, num_hidden_layers=3, num_attention_heads=HEADS, intermediate_size=24,
    max_position_embeddings=12,
)  # fmt: skip

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pretrained parts, as folders; the language model has Vicuna's tokenizer files."""
    folder = tmp_path_factory.mktemp("parts")
    settings = {"tokenizer_class": "LlamaTokenizer", "legacy": False, "add_bos_token": True}
    pieces = write_sentencepiece_llama(folder / "llm", [PROMPT, ANSWER], settings)
    llama = LlamaConfig(
        vocab_size=pieces.vocab_size(), hidden_size=20, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, initializer_range=0.2,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        WavLMModel(SPEECH).save_pretrained(folder / "wavlm")
        BertModel(BERT).save_pretrained(folder / "bert")
        LlamaForCausalLM(llama).save_pretrained(folder / "llm")
    # As WavLM-large has it.
    Wav2Vec2FeatureExtractor(return_attention_mask=True, do_normalize=True).save_pretrained(folder / "wavlm")
    return {name: folder / name for name in ("wavlm", "bert", "llm")}


@pytest.fixture
def released(parts: dict[str, Path]) -> State:
    """A state dict with the names and shapes that the released file has, of the sizes above, random numbers in it."""
    generator = torch.Generator().manual_seed(3)

    def random(*shape: int, near: float = 0.0) -> torch.Tensor:
        return near + 0.3 * torch.randn(*shape, generator=generator)

    def linear(name: str, inputs: int, outputs: int) -> State:
        return {f"{name}.weight": random(outputs, inputs), f"{name}.bias": random(outputs)}

    def norm(name: str, width: int) -> State:
        return {f"{name}.weight": random(width, near=1.0), f"{name}.bias": random(width)}

    def attention(name: str, width: int) -> State:
        state = linear(f"{name}.self.query", 16, 16) | linear(f"{name}.self.key", width, 16)
        state |= linear(f"{name}.self.value", width, 16) | linear(f"{name}.output.dense", 16, 16)
        return state | norm(f"{name}.output.LayerNorm", 16)

    state: State = {"layer_weights": random(3), "query_tokens": random(1, 5, 16)}
    state |= linear("projector", 16, 8) | norm("ln_audio", 8) | linear("llm_proj", 16, 20)
    state |= norm("Qformer.bert.embeddings.LayerNorm", 16)
    state["Qformer.bert.embeddings.position_ids"] = torch.arange(12)[None]
    for number in range(3):
        layer = f"Qformer.bert.encoder.layer.{number}"
        state |= attention(f"{layer}.attention", 16)
        if number % 2 == 0:
            state |= attention(f"{layer}.crossattention", 8)
        for kind in ("", "_query"):
            state |= linear(f"{layer}.intermediate{kind}.dense", 16, 24)
            state |= linear(f"{layer}.output{kind}.dense", 24, 16) | norm(f"{layer}.output{kind}.LayerNorm", 16)
    wavlm = WavLMModel.from_pretrained(parts["wavlm"]).state_dict()
    state |= {f"wavlm.{name}": value * 1.01 for name, value in wavlm.items()}
    llama = LlamaForCausalLM.from_pretrained(parts["llm"]).state_dict()
    return state | {f"llama_model.{name}": value * 1.01 for name, value in llama.items()}


Convert = Callable[[State], tuple[int, Path]]


@pytest.fixture
def convert(parts: dict[str, Path], tmp_path: Path) -> Callable[..., tuple[int, Path]]:
    """Writes a checkpoint and runs the command on it."""

    def run(state: State, *options: str) -> tuple[int, Path]:
        torch.save({"model": state, "epoch": 43}, tmp_path / "43.pth")
        named = [text for name, folder in parts.items() for text in (f"--{name}", str(folder))]
        command = ["convert-semollm", str(tmp_path / "43.pth"), *named, "-o", str(tmp_path / "out"), *options]
        return main(command), tmp_path / "out"

    return run


@torch.no_grad()
def _expected_logits(state: State, parts: dict[str, Path], tokens: list[int]) -> torch.Tensor:
    """Speech and tokens through the raw weights: our own functions up to the language model, which is Llama's own."""
    wavlm = WavLMModel(SPEECH).eval()
    wavlm.load_state_dict(
        {name.removeprefix("wavlm."): value for name, value in state.items() if name.startswith("wavlm.")}
    )
    inputs: list[torch.Tensor] = []
    for layer in wavlm.encoder.layers:
        layer.register_forward_pre_hook(lambda _, given: inputs.append(given[0][0]))
    samples = torch.from_numpy(CLIP)[None]
    last = wavlm(samples, attention_mask=torch.ones_like(samples, dtype=torch.long)).last_hidden_state[0]
    speech = speech_tokens(state, torch.stack([*inputs, last]), HEADS)
    llama = LlamaForCausalLM.from_pretrained(parts["llm"]).eval()
    llama.load_state_dict(
        {name.removeprefix("llama_model."): value for name, value in state.items() if name.startswith("llama_model.")}
    )
    embedded = torch.cat([speech, llama.get_input_embeddings()(torch.tensor(tokens))])
    return llama(inputs_embeds=embedded[None]).logits[0]


def _conversation(prompt: str = PROMPT, answer: str = ANSWER) -> list[dict[str, Any]]:
    question = [{"type": "audio", "audio": CLIP}, {"type": "text", "text": prompt}]
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def _inputs(processor: Any, conversation: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    settings = {"tokenize": True, "return_dict": True, "return_tensors": "pt"}
    return processor.apply_chat_template(conversation, add_generation_prompt=len(conversation) == 1, **settings)


def _pieces(parts: dict[str, Path]) -> SentencePieceProcessor:
    return SentencePieceProcessor(model_file=str(parts["llm"] / "tokenizer.model"))


def _check(folder: Path, state: State, parts: dict[str, Path]) -> None:
    model = SEmoLLMForConditionalGeneration.from_pretrained(folder)
    batch = _inputs(AutoProcessor.from_pretrained(folder), _conversation())
    pieces = _pieces(parts)
    tokens = [*pieces.encode(PROMPT), pieces.bos_id(), *pieces.encode(ANSWER), pieces.eos_id()]
    assert batch["input_ids"][0].tolist() == [model.config.audio_token_id] * 5 + tokens
    assert np.array_equal(batch["input_features"][0].numpy(), CLIP)
    expected = _expected_logits(state, parts, tokens)
    with torch.no_grad():
        logits = model(**batch).logits[0]
    assert torch.allclose(logits[:, : expected.shape[1]], expected, atol=1e-4)
    assert expected.std() > 0.1


def test_converted_logits_equal_an_independent_computation(
    convert: Convert, released: State, parts: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    code, folder = convert(released)
    assert code == 0
    _check(folder, released, parts)
    record = json.loads((folder / "conversion.json").read_text())
    assert set(record["used"]) | set(record["constants"]) == set(released)
    assert record["constants"] == ["Qformer.bert.embeddings.position_ids"]
    assert record["used"]["ln_audio.bias"] == "model.speech_adapter.projection.2.bias"
    embeddings = {f"model.speech_adapter.projector.qformer.{kind}_embeddings.weight" for kind in ("word", "position")}
    assert (set(record["kept"]), record["unplaced"], record["checkpoint"]) == (embeddings, [], "43.pth")
    assert "without a place: 0" in capsys.readouterr().out
    written = "".join(path.read_text() for path in folder.glob("*.json"))
    assert str(folder.parent) not in written and str(parts["llm"].parent) not in written


def test_clips_are_heard_as_they_are(convert: Convert, released: State, parts: dict[str, Path]) -> None:
    processor = AutoProcessor.from_pretrained(convert(released)[1])
    assert processor.feature_extractor.do_normalize is False
    assert AutoFeatureExtractor.from_pretrained(parts["wavlm"]).do_normalize is True
    long = np.tile(CLIP, 25)  # 12.5 s, of which the released code takes 12.
    batch = processor(["<|audio|>", "<|audio|>"], audio=[long, CLIP], return_tensors="np")
    padded = np.concatenate([CLIP, np.zeros(192_000 - len(CLIP), dtype=np.float32)])
    assert np.array_equal(batch["input_features"], np.stack([long[:192_000], padded]))
    assert batch["input_features_mask"].sum(axis=1).tolist() == [192_000, len(CLIP)]


TEXTS = [
    ("", ANSWER),  # The released script asks nothing.
    (PROMPT, "The man is sad.  Two blanks, 1234 digits, a\nline and a\ttab: “quotes”, Zürich, 悲しい 😀."),
    ("How does she feel? ", "'Sad' she is"),
    ("Is this ▁ a blank?", "é"),
]


def _as_vicuna(folder: Path) -> None:
    """``tokenizer.model`` with a class and ``legacy: false``, as the parts have it already."""


def _alone(folder: Path) -> None:
    (folder / "tokenizer_config.json").unlink()


def _legacy(folder: Path) -> None:
    settings = {"tokenizer_class": "LlamaTokenizer", "legacy": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def _with_json(folder: Path) -> None:
    write_sentencepiece_llama(folder, [PROMPT, ANSWER], {"tokenizer_class": "LlamaTokenizer"}, with_json=True)


def _generic_json(folder: Path) -> None:
    write_sentencepiece_llama(folder, [PROMPT, ANSWER], {"tokenizer_class": "TokenizersBackend"}, with_json=True)
    (folder / "tokenizer.model").unlink()


@pytest.mark.parametrize("files", [_as_vicuna, _alone, _legacy, _with_json, _generic_json])
def test_tokens_are_those_that_sentencepiece_makes_of_prompt_and_answer(
    convert: Convert, released: State, parts: dict[str, Path], tmp_path: Path, files: Callable[[Path], None]
) -> None:
    pieces = _pieces(parts)
    shutil.copytree(parts["llm"], tmp_path / "llm")
    files(tmp_path / "llm")
    code, folder = convert(released, "--llm", str(tmp_path / "llm"))
    assert code == 0
    AutoProcessor.from_pretrained(folder).save_pretrained(tmp_path / "again")
    SEmoLLMForConditionalGeneration.from_pretrained(folder).config.save_pretrained(tmp_path / "again")
    for place in (folder, tmp_path / "again"):
        processor = AutoProcessor.from_pretrained(place)
        assert processor.tokenizer.legacy is True
        assert json.loads((place / "tokenizer_config.json").read_text())["legacy"] is True
        collate = AnswerCollator(processor, seconds=12.0)
        for prompt, answer in TEXTS:
            conversation = _conversation(prompt, answer)
            start = [processor.audio_token_id] * 5 + pieces.encode(prompt) + [pieces.bos_id()]
            end = [*pieces.encode(answer), pieces.eos_id()]
            assert _inputs(processor, conversation)["input_ids"][0].tolist() == start + end
            assert _inputs(processor, conversation[:1])["input_ids"][0].tolist() == start
            row = {"prompt": conversation[:1], "completion": conversation[1:], "samples": CLIP, "rate": 16_000}
            batch = collate([{"utterance_id": "a", **row}])
            assert batch["input_ids"][0].tolist() == start + end
            assert batch["labels"][0].tolist() == [-100] * len(start) + end


def test_a_byte_level_tokenizer_stays_as_it_is(
    convert: Convert, released: State, parts: dict[str, Path], tmp_path: Path
) -> None:
    tokenizer = train_tokenizer([PROMPT], 300)
    tokenizer.add_special_tokens({"bos_token": "<s>"})
    shutil.copytree(parts["llm"], tmp_path / "llm", ignore=shutil.ignore_patterns("tokenizer*"))
    tokenizer.save_pretrained(tmp_path / "llm")
    code, folder = convert(released, "--llm", str(tmp_path / "llm"))
    assert code == 0
    processor = AutoProcessor.from_pretrained(folder)
    expected = [token for text in (PROMPT, ANSWER) for token in tokenizer.encode(text, add_special_tokens=False)]
    ids = _inputs(processor, _conversation())["input_ids"][0].tolist()
    assert [token for token in ids if token not in processor.tokenizer.all_special_ids] == expected


@pytest.mark.parametrize("module", ["sentencepiece", "google.protobuf"])
def test_what_reads_a_tokenizer_model_alone_is_named_where_it_is_missing(
    released: State, parts: dict[str, Path], tmp_path: Path, module: str
) -> None:
    torch.save(released, tmp_path / "43.pth")
    named = [text for name, folder in parts.items() for text in (f"--{name}", str(folder))]
    command = ["convert-semollm", str(tmp_path / "43.pth"), *named, "-o", str(tmp_path / "out")]
    script = f"import sys; sys.modules[{module!r}] = None; from speechcue_hf.cli import main; sys.exit(main({command}))"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    package = module.rpartition(".")[2]
    assert shown.returncode == 1
    assert f"llm has its tokenizer in tokenizer.model alone, which is read with {package}: pip install {package}" in (
        shown.stderr
    )
    assert not (tmp_path / "out").exists()


def _of(state: State, beginning: str) -> set[str]:
    return {name for name in state if name.startswith(beginning)}


@pytest.mark.parametrize(
    ("gone", "parts_named"),
    [
        (["wavlm."], ["all of wavlm"]),
        (["wavlm.encoder.layers.1."], ["wavlm.encoder.layers.1"]),
        (
            ["wavlm.feature_projection.projection.bias", "wavlm.encoder.pos_conv_embed."],
            ["wavlm.feature_projection.projection (1 of its 2 weights)", "wavlm.encoder.pos_conv_embed.conv"],
        ),
        (
            ["wavlm.masked_spec_embed", "llama_model.model.layers.0.mlp.", "llama_model.lm_head."],
            ["wavlm.masked_spec_embed", "llama_model.model.layers.0 (3 of its 9 weights)", "llama_model.lm_head"],
        ),
    ],
)
def test_what_is_missing_of_wavlm_or_llama_is_named_and_asks_for_a_flag(
    convert: Callable[..., tuple[int, Path]],
    released: State,
    parts: dict[str, Path],
    gone: list[str],
    parts_named: list[str],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    names = set().union(*(_of(released, beginning) for beginning in gone))
    state = {name: value for name, value in released.items() if name not in names}
    code, folder = convert(state)
    assert (code, folder.exists()) == (1, False)
    shown = capsys.readouterr().err
    message = shown.partition("has no weights for ")[2].partition(". If it was trained with")
    assert sorted(message[0].split(", ")) == sorted(parts_named)
    assert "--allow-missing" in message[2]
    with caplog.at_level(logging.WARNING):
        assert convert(state, "--allow-missing")[0] == 0
    assert [record for record in caplog.records if message[0] in record.getMessage()]
    assert message[0] in capsys.readouterr().out
    assert len(json.loads((folder / "conversion.json").read_text())["missing"]) == len(names)
    wavlm = {f"wavlm.{name}": value for name, value in WavLMModel.from_pretrained(parts["wavlm"]).state_dict().items()}
    llama = LlamaForCausalLM.from_pretrained(parts["llm"]).state_dict()
    own = wavlm | {f"llama_model.{name}": value for name, value in llama.items()}
    _check(folder, released | {name: own[name] for name in names}, parts)


@pytest.mark.parametrize("form", ["{}.{}.default.weight", "base_model.model.{}.{}.weight"])
def test_lora_is_merged_with_the_scale_that_is_given(
    convert: Callable[..., tuple[int, Path]],
    released: State,
    parts: dict[str, Path],
    form: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    layer = "model.layers.1.self_attn.q_proj"
    generator = torch.Generator().manual_seed(0)
    down, up = (0.3 * torch.randn(shape, generator=generator) for shape in ((2, 20), (20, 2)))
    with_lora = {name: value for name, value in released.items() if not name.startswith("llama_model.")}
    if form.startswith("base_model"):  # As peft names what is under it; without, the frozen Llama is not in the file.
        frozen = {name.removeprefix("llama_model."): value for name, value in released.items() if "llama" in name}
        for name, value in frozen.items():
            name = name.replace("q_proj.weight", "q_proj.base_layer.weight")
            with_lora[f"llama_model.base_model.model.{name}"] = value
    else:
        frozen = LlamaForCausalLM.from_pretrained(parts["llm"]).state_dict()
        released = released | {f"llama_model.{name}": value for name, value in frozen.items()}
    for side, value in (("lora_A", down), ("lora_B", up)):
        with_lora[f"llama_model.{form.format(layer, side)}"] = value
    assert convert(with_lora)[0] == 1
    assert "--lora-alpha" in capsys.readouterr().err
    code, folder = convert(with_lora, "--lora-alpha", "16")
    assert code == 0
    name = f"llama_model.{layer}.weight"
    _check(folder, released | {name: released[name] + 16 / 2 * up @ down}, parts)
    assert len(json.loads((folder / "conversion.json").read_text())["merged"]) == 2


def test_weights_without_a_place_stop_it_unless_told(
    convert: Callable[..., tuple[int, Path]],
    released: State,
    parts: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    more = released | {
        "Qformer.cls.predictions.bias": torch.zeros(30),
        "llama_model.lone.lora_A.weight": torch.zeros(2),
    }
    code, folder = convert(more)
    assert (code, folder.exists()) == (1, False)
    assert "2 weights have no place in the model: Qformer.cls.predictions.bias" in capsys.readouterr().err
    assert convert(more, "--allow-unplaced")[0] == 0
    assert "without a place: 2\n  Qformer.cls.predictions.bias\n" in capsys.readouterr().out
    _check(folder, released, parts)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"llm_proj.weight": torch.zeros(64, 16)},
            r"llm_proj.weight has shape (64, 16), the model of the given parts (20, 16)",
        ),
        ({"layer_weights": torch.zeros(25)}, "layer_weights has shape (25,), the model of the given parts (3,)"),
        (
            {"llama_model.model.embed_tokens.weight": torch.zeros(999, 20)},
            "llama_model.model.embed_tokens.weight has shape (999,",
        ),
        ({"query_tokens": torch.zeros(1, 5, 768)}, "query_tokens has shape (1, 5, 768)"),
        ({"ln_audio.bias": None}, "has no weights for model.speech_adapter.projection.2.bias, which would stay random"),
        ({"projector.weight": None}, "is no SEmoLLM checkpoint, it has no projector.weight"),
    ],
)
def test_checkpoint_for_another_size_is_refused(
    convert: Convert,
    released: State,
    changed: dict[str, torch.Tensor | None],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    state = {name: value for name, value in (released | changed).items() if value is not None}
    code, folder = convert(state)
    assert (code, folder.exists()) == (1, False)
    assert f"43.pth: {message}" in capsys.readouterr().err


def test_older_names_of_weight_norm() -> None:
    assert our_name("wavlm.encoder.pos_conv_embed.conv.weight_g").endswith("conv.parametrizations.weight.original0")

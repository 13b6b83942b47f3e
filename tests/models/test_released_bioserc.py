"""BiosERC's released model, computed here from its state dict by itself, against the converted one."""

import argparse
import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.nn.functional import softmax
from transformers import AutoTokenizer, RobertaConfig, RobertaModel

from speechcue_hf.cli import main
from speechcue_hf.errors import CheckpointError
from speechcue_hf.inference.loading import load_classifier
from speechcue_hf.models.bioserc import BiosErcForUtteranceClassification
from speechcue_hf.models.bioserc.dialogues import collate, dialogue_examples
from speechcue_hf.models.released_bioserc import convert_released_bioserc
from tests.models.bioserc.conversations import rows_of
from tests.models.bioserc.tiny_encoders import SAID, save_tiny_encoder, tiny_config, tiny_tokenizer

WIDTH, HEADS, LABELS = 32, 8, {"iemocap": 6, "meld": 7}
DIALOGUES = {
    "meld": [
        ("Ross", "What a day"),
        ("Rachel", "Leave me alone."),
        ("Ross", "six"),
        ("Joey", "one two"),
        ("Ross", "A"),
    ],
    "iemocap": [
        ("Ses02_F", "The bus is here"),
        ("Ses02_M", "Leave me"),
        ("Ses02_F", "one two three"),
        ("Ses02_F", "A"),
    ],
}
CALLED = {
    "meld": ["SPEAKER_0", "SPEAKER_1", "SPEAKER_0", "SPEAKER_2", "SPEAKER_0"],
    "iemocap": ["PATRICIA", "JOHN", "PATRICIA", "PATRICIA"],
}
WINDOW = {"meld": 2, "iemocap": 4}

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_tiny_encoder("roberta", tmp_path_factory.mktemp("released") / "roberta")
    RobertaModel(wide_config()).save_pretrained(folder)
    return folder


def wide_config() -> RobertaConfig:
    """Of an encoder that holds whole windows of byte tokens."""
    config = tiny_config("roberta", tiny_tokenizer("roberta"))
    config.max_position_embeddings = 302
    return config


def released_state(corpus: str, *, biographies: bool) -> State:
    """A state dict with the released names, its weights random."""
    generator = torch.Generator().manual_seed(5)
    roberta = RobertaModel(wide_config())
    layer = nn.TransformerEncoder(nn.TransformerEncoderLayer(WIDTH, HEADS, batch_first=True), 1)
    half, labels = WIDTH // 2, LABELS[corpus]
    shapes = {"sentence_modeling": (WIDTH, WIDTH), "iq": (half, WIDTH), "aq": (half, WIDTH)}
    for attention in ("intra_speaker_modeling", "inter_speaker_modeling"):
        shapes |= {f"{attention}.{part}": (half, half) for part in ("query", "key", "value")}
    shapes |= {"output_layer": (labels, WIDTH), "output_layer_context": (labels, WIDTH)}
    shapes |= {"output_layer_intra": (labels, half), "output_layer_inter": (labels, half)}
    if biographies:
        shapes["output_layer_sp_description"] = (labels, WIDTH)
    state = {f"model.{name}": value for name, value in roberta.state_dict().items()}
    state |= {f"context_modeling.{name}": value for name, value in layer.state_dict().items()}
    for name, shape in shapes.items():
        state |= {f"{name}.weight": torch.empty(shape), f"{name}.bias": torch.empty(shape[0])}
    for name, value in state.items():
        if value.is_floating_point() and "norm" not in name.lower():
            value.normal_(std=0.2, generator=generator)
    state["pos_encoding.pe"] = torch.zeros(5000, 1, WIDTH)
    state["loss_computation.weight"] = torch.ones(labels)
    return state


def save_checkpoint(state: State, path: Path) -> Path:
    """As Lightning writes it: settings, optimizer and schedule lie beside the weights."""
    layer = nn.Linear(1, 1)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-5, total_steps=9, anneal_strategy="linear")
    beside = {"hyper_parameters": argparse.Namespace(window_ct=2), "lr_schedulers": [schedule.state_dict(), schedule]}
    torch.save({"epoch": 3, "state_dict": state, "optimizer_states": [optimizer.state_dict()], **beside}, path)
    return path


def expected_logits(state: State, encoder: Path, corpus: str, biographies: list[str] | None) -> Tensor:
    """The released computation, one utterance at a time."""

    def linear(name: str, vector: Tensor) -> Tensor:
        return vector @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def part(prefix: str) -> State:
        return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}

    tokenizer = AutoTokenizer.from_pretrained(encoder)
    roberta = RobertaModel.from_pretrained(encoder)
    roberta.load_state_dict(part("model."))
    roberta.eval()
    said = [f"{name}: {text}" for name, (_, text) in zip(CALLED[corpus], DIALOGUES[corpus], strict=True)]
    vectors = []
    for turn in range(len(said)):
        first, last = max(0, turn - WINDOW[corpus]), min(len(said), turn + WINDOW[corpus] + 1)
        before, after = ("".join(f" {text}" for text in part) for part in (said[first:turn], said[turn + 1 : last]))
        ids = tokenizer(f"{before} </s> {said[turn]} </s>{after}", return_tensors="pt")["input_ids"]
        opening, closing = (ids[0] == tokenizer.sep_token_id).nonzero().flatten()[:2]
        states = roberta(ids).last_hidden_state[0, opening : closing + 1]
        vectors.append(torch.tanh(linear("sentence_modeling", states.mean(0))))
    read = torch.stack(vectors)
    rates = [10000 ** (-2 * pair / WIDTH) for pair in range(WIDTH // 2)]
    places = [[wave(turn * rate) for rate in rates for wave in (math.sin, math.cos)] for turn in range(len(said))]
    context = nn.TransformerEncoder(nn.TransformerEncoderLayer(WIDTH, HEADS, batch_first=True), 1)
    context.load_state_dict(part("context_modeling."))
    logits = linear("output_layer", read)
    logits = logits + linear("output_layer_context", context.eval()((read + torch.tensor(places))[None])[0])
    same = torch.tensor([[one == other for other in CALLED[corpus]] for one in CALLED[corpus]])
    for name, narrow, sees in (("intra", "iq", same), ("inter", "aq", ~same)):
        narrowed = linear(narrow, read)
        query, key, value = (linear(f"{name}_speaker_modeling.{it}", narrowed) for it in ("query", "key", "value"))
        mixed = []
        for head in torch.arange(WIDTH // 2).chunk(HEADS):
            scores = query[:, head] @ key[:, head].T / math.sqrt(len(head)) + (-9999.0) * ~sees
            mixed.append(softmax(scores, -1) @ value[:, head])
        logits = logits + linear(f"output_layer_{name}", torch.cat(mixed, -1))
    if biographies:
        for turn, text in enumerate(biographies):
            pooled = roberta(**tokenizer(text, return_tensors="pt")).pooler_output[0]
            logits[turn] += linear("output_layer_sp_description", pooled)
    return logits


def rows_told(corpus: str) -> tuple[Dataset, list[str]]:
    told = {name: f"{name} waits for the bus, {it} times." for it, name in enumerate(dict.fromkeys(CALLED[corpus]))}
    biographies = [told[name] for name in CALLED[corpus]]
    columns = {"biography": biographies, "biography_scope": ["dialogue"] * len(biographies)}
    return rows_of(DIALOGUES[corpus], **columns), biographies


@pytest.mark.parametrize("biographies", [False, True], ids=["texts", "biographies"])
@pytest.mark.parametrize("corpus", ["meld", "iemocap"])
def test_converted_checkpoint_has_the_logits_of_the_released_model(
    corpus: str, biographies: bool, encoder: Path, tmp_path: Path
) -> None:
    state = released_state(corpus, biographies=biographies)
    path = save_checkpoint(state, tmp_path / "valid.ckpt")
    model, tokenizer = convert_released_bioserc(path, str(encoder), corpus)
    rows, texts = rows_told(corpus)
    with torch.inference_mode():
        expected = expected_logits(state, encoder, corpus, texts if biographies else None)
        examples = dialogue_examples(rows, tokenizer, model.config, model.token_limit)
        logits = model(**collate(list(examples))).logits[0]
    assert not any(examples["shortened"][0])
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)
    assert float(logits.std()) > 0.3


def test_command_writes_a_model_that_every_other_command_takes(
    encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = released_state("meld", biographies=True)
    path = save_checkpoint(state, tmp_path / "valid.ckpt")
    line = ["convert-bioserc", str(path), "--corpus", "meld", "--encoder", str(encoder), "-o", str(tmp_path / "model")]
    assert main(line) == 0
    assert "sees the future of each utterance" in capsys.readouterr().out
    classifier = load_classifier(tmp_path / "model")
    assert classifier.names == ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
    rows, texts = rows_told("meld")
    expected = expected_logits(state, encoder, "meld", texts).softmax(-1)
    for prediction, row in zip(classifier.predict(rows), expected, strict=True):
        assert prediction.probabilities == pytest.approx(row.tolist(), abs=1e-5)
    assert json.loads((tmp_path / "model" / "config.json").read_text())["design"] == "paper"
    shutil.rmtree(tmp_path / "model")
    del state["iq.weight"]
    save_checkpoint(state | {"llm_query.weight": torch.ones(1)}, path)
    assert main(line) == 1
    told = capsys.readouterr().err
    assert "It lacks: narrowed.same_speaker.weight. Without a place: llm_query.weight" in told
    assert not (tmp_path / "model").exists()


def test_encoder_of_another_shape_and_corpus_of_other_labels_are_named(encoder: Path, tmp_path: Path) -> None:
    path = save_checkpoint(released_state("meld", biographies=False), tmp_path / "valid.ckpt")
    with pytest.raises(CheckpointError, match=r"heads\.utterance\.weight has shape \(7, 32\), the model \(6, 32\)"):
        convert_released_bioserc(path, str(encoder), "iemocap")


def test_a_window_that_was_cut_keeps_a_span(encoder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    model = BiosErcForUtteranceClassification.from_encoder(
        str(encoder), design="paper", speaker_names=True, context_before=2, max_tokens=24, num_labels=3
    )
    rows = rows_of([("Ross", SAID[3]), ("Ross", SAID[3]), ("Ross", SAID[3])])
    example = dialogue_examples(rows, tokenizer, model.config, model.token_limit)[0]
    assert example["shortened"] == [True, True, True]
    assert [len(ids) for ids in example["input_ids"]] == [24, 24, 24]
    # The third utterance is beyond what is read: the mark at the end stands for it.
    assert example["spans"][2] == [23, 24]
    with torch.inference_mode():
        assert model(**collate([example])).logits.isfinite().all()

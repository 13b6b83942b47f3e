"""The model against its formulas, written here a second time; and what must not change its logits."""

import json
import math
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import AlbertConfig, AutoConfig, AutoModel, AutoModelForSequenceClassification, DistilBertConfig

from speechcue_hf.models.bioserc import BiosErcConfig, BiosErcForUtteranceClassification
from speechcue_hf.models.bioserc.dialogues import collate, dialogue_examples
from tests.hub.hub_server import Hub
from tests.models.bioserc.conversations import rows_of
from tests.models.bioserc.tiny_encoders import KINDS, POSITIONS, save_tiny_encoder, tiny_config, tiny_tokenizer

pytestmark = pytest.mark.slow

LONG = [
    ("A", "What a day"),
    ("B", "Leave me alone, A B."),
    ("A", ""),
    ("C", "The bus is here"),
    (None, "one two"),
    ("B", "six"),
]
SHORT = [("A", "one two three four five six seven"), ("B", "a")]
BIOGRAPHIES = ["A waits.", "B waits.", "A waits.", None, None, "B runs.", None, "B waits."]
CUES = [0.5, None, -1.0, 2.0, None, 0.0, 1.0, -0.5]


def conversation() -> Dataset:
    return rows_of(
        LONG,
        SHORT,
        cue_z=CUES,
        speech_description=["loud" if cue and cue > 0 else None for cue in CUES],
        biography=BIOGRAPHIES,
        biography_scope=[biography and "history" for biography in BIOGRAPHIES],
    )


def make(kind: str = "bert", **settings: Any) -> tuple[BiosErcForUtteranceClassification, Any]:
    tokenizer = tiny_tokenizer(kind)
    torch.manual_seed(1)
    shape = {"num_labels": 3, "num_attention_heads": 4}
    model = BiosErcForUtteranceClassification(
        BiosErcConfig(encoder_config=tiny_config(kind, tokenizer), **shape, **settings)
    )
    for name, parameter in model.named_parameters():
        # Weights of 0.02 would leave every view near zero, and any mistake in it unseen.
        if not name.startswith("encoder."):
            torch.nn.init.normal_(parameter, std=0.25)
    for name, buffer in model.named_buffers():
        if name.startswith("inputs."):
            buffer.copy_(torch.rand_like(buffer) + 0.1)
    return model.eval(), tokenizer


ATTENTION = {"biographies": "attention", "biography_scope": "history"}
VARIANTS = [
    {},
    {"cues": "z_scores", "cue_names": ["cue_z"], **ATTENTION},
    {"cues": "description", "biographies": "static", "biography_scope": "history"},
    {"causal": False, "context_after": 2, **ATTENTION},
    {
        "design": "standardised",
        "width": 16,
        "input_dropout": 0.3,
        "cues": "z_scores",
        "cue_names": ["cue_z"],
        **ATTENTION,
    },
    {"design": "standardised", "cues": "description", "biographies": "static", "biography_scope": "history"},
    {"design": "paper", "biographies": "static", "biography_scope": "history"},
    {"design": "paper", "causal": False, **ATTENTION},
]
NAMES = ["plain", "attention", "static", "future", "narrow", "standardised", "paper", "paper attention"]


AT_ONCE = {"reading": "dialogue", "speaker_names": True, "context_before": 3, "cues": "description", **ATTENTION}


def batch_of(rows: Dataset, model: BiosErcForUtteranceClassification, tokenizer: Any) -> dict[str, torch.Tensor]:
    return collate(list(dialogue_examples(rows, tokenizer, model.config, model.token_limit)))


def logits_of(rows: Dataset, model: BiosErcForUtteranceClassification, tokenizer: Any) -> np.ndarray:
    with torch.inference_mode():
        return model(**batch_of(rows, model, tokenizer)).logits.numpy()


def softmax(scores: np.ndarray) -> np.ndarray:
    raised = np.exp(scores - scores.max())
    return raised / raised.sum()


class Formulas:
    """One dialogue, one utterance at a time, in numpy."""

    def __init__(self, model: BiosErcForUtteranceClassification, tokenizer: Any) -> None:
        self.config, self.encoder, self.tokenizer = model.config, model.encoder, tokenizer
        self.weights = {name: value.numpy() for name, value in model.state_dict().items()}
        self.heads = model.config.num_attention_heads

    def linear(self, name: str, vector: np.ndarray) -> np.ndarray:
        return self.weights[f"{name}.weight"] @ vector + self.weights.get(f"{name}.bias", 0.0)

    def norm(self, name: str, vector: np.ndarray) -> np.ndarray:
        scaled = (vector - vector.mean()) / math.sqrt(vector.var() + 1e-5)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def read(self, ids: list[int], start: int, end: int) -> np.ndarray:
        with torch.inference_mode():
            states = self.encoder(torch.tensor([ids])).last_hidden_state[0]
        return states[start:end].mean(0).numpy()

    def read_text(self, text: str | None) -> np.ndarray | None:
        if not text:
            return None
        if self.config.design == "paper":
            with torch.inference_mode():
                return self.encoder(**self.tokenizer(text, return_tensors="pt")).pooler_output[0].numpy()
        ids = self.tokenizer(f" {text}")["input_ids"]
        return self.read(ids, 0, len(ids))

    def standardised(self, name: str, value: np.ndarray | None) -> np.ndarray:
        """As the layers read it; 0 for what is not there."""
        if value is None:
            return np.zeros(self.weights["utterance.weight"].shape[1])
        if self.config.design != "standardised":
            return np.nan_to_num(value)
        mean, deviation = (self.weights[f"inputs.{name}.{it}"] for it in ("mean", "deviation"))
        return np.nan_to_num(np.clip((value - mean) / deviation, -8, 8))

    def attend(self, query: np.ndarray, keys: list[np.ndarray], values: list[np.ndarray]) -> np.ndarray:
        size = len(query) // self.heads
        parts = []
        for head in (slice(start, start + size) for start in range(0, len(query), size)):
            shares = softmax(np.array([query[head] @ key[head] / math.sqrt(size) for key in keys]))
            parts.append(sum(share * value[head] for share, value in zip(shares, values, strict=True)))
        return np.concatenate(parts)

    def masked(self, name: str, query: np.ndarray, seen: list[np.ndarray], width: int) -> np.ndarray:
        if not seen:
            return np.zeros(width)
        keys, values = ([self.linear(f"{name}.{part}", it) for it in seen] for part in ("key", "value"))
        mixed = self.attend(self.linear(f"{name}.query", query), keys, values)
        return mixed if self.config.design == "paper" else self.linear(f"{name}.output", mixed)

    def transformer(self, inputs: list[np.ndarray], turn: int, seen: list[int]) -> np.ndarray:
        weight, bias = (self.weights[f"dialogue.self_attn.in_proj_{it}"] for it in ("weight", "bias"))
        width, before = len(inputs[0]), self.config.design == "standardised"
        read = [self.norm("dialogue.norm1", it) for it in inputs] if before else inputs
        query, key, value = (
            [weight[part : part + width] @ it + bias[part : part + width] for it in read]
            for part in (0, width, 2 * width)
        )
        mixed = self.attend(query[turn], [key[it] for it in seen], [value[it] for it in seen])
        first = inputs[turn] + self.linear("dialogue.self_attn.out_proj", mixed)
        if before:
            inner = self.linear("dialogue.linear1", self.norm("dialogue.norm2", first))
            inner = inner * np.vectorize(lambda it: (1 + math.erf(it / math.sqrt(2))) / 2)(inner)
            return self.norm("norm", first + self.linear("dialogue.linear2", inner))
        first = self.norm("dialogue.norm1", first)
        inner = np.maximum(self.linear("dialogue.linear1", first), 0)
        return self.norm("dialogue.norm2", first + self.linear("dialogue.linear2", inner))

    def logits(self, rows: Dataset, windows: Dataset) -> np.ndarray:
        config, turns = self.config, range(len(rows))
        utterances = []
        for turn in turns:
            read = self.read(windows["input_ids"][turn], *windows["spans"][turn])
            hidden = self.linear("utterance", self.standardised("utterance", read))
            if config.cues == "z_scores":
                cue = rows["cue_z"][turn]
                scaled = self.standardised("cues", np.array([np.nan if cue is None else cue]))
                hidden = hidden + self.linear("cues", np.array([*scaled, float(cue is not None)]))
            if config.cues == "description":
                told = self.standardised("cues", self.read_text(rows["speech_description"][turn]))
                hidden = hidden + self.linear("cues", told)
            utterances.append(np.tanh(hidden))
        width = len(utterances[0])
        rates = [10000 ** (-2 * pair / width) for pair in range(width // 2)]
        waves = [[wave(turn * rate) for rate in rates for wave in (math.sin, math.cos)] for turn in turns]
        placed = [utterance + np.array(wave) for utterance, wave in zip(utterances, waves, strict=True)]
        if config.design == "standardised":
            said_by = rows["speaker"]
            change = [0, *(1 + (said_by[turn] == said_by[turn - 1]) for turn in turns[1:])]
            told = self.weights["speaker_change.weight"]
            placed = [utterances[it] + 0.3 * np.array(waves[it]) + told[change[it]] for it in turns]
        seen = [[it for it in turns if it <= turn or not config.causal] for turn in turns]
        contexts = [self.transformer(placed, turn, seen[turn]) for turn in turns]
        result = []
        for turn, speaker in enumerate(rows["speaker"]):
            views = {"utterance": utterances[turn], "dialogue": contexts[turn]}
            for name, is_same in (("same_speaker", True), ("other_speakers", False)):
                read = contexts
                if config.design == "paper":
                    read = [self.linear(f"narrowed.{name}", utterance) for utterance in utterances]
                kept = [read[it] for it in seen[turn] if (rows["speaker"][it] == speaker) is is_same]
                views[name] = self.masked(name, read[turn], kept, width // 2)
            if config.biographies != "none":
                views["biography"] = self.biography(rows, turn, utterances[turn])
            result.append(sum(self.linear(f"heads.{name}", view) for name, view in views.items()))
        return np.array(result)

    def biography(self, rows: Dataset, turn: int, utterance: np.ndarray) -> np.ndarray:
        mine = self.standardised("biography", self.read_text(rows["biography"][turn]))
        if self.config.biographies == "static":
            return mine
        newest: dict[str | None, str] = {}
        for row in rows.select(range(turn + 1)):
            newest |= {row["speaker"]: row["biography"]} if row["biography"] else {}
        seen = [self.standardised("biography", self.read_text(text)) for text in dict.fromkeys(newest.values())]
        width = len(utterance) if self.config.design == "paper" else len(utterance) // 2
        return self.masked("biographies", np.concatenate([utterance, mine]), seen, width)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settings", VARIANTS, ids=NAMES)
def test_logits_are_those_of_the_formulas(kind: str, settings: dict[str, Any]) -> None:
    model, tokenizer = make(kind, **settings)
    rows = conversation()
    logits = logits_of(rows, model, tokenizer)
    formulas = Formulas(model, tokenizer)
    for number, (first, last) in enumerate(pairwise((0, len(LONG), len(LONG) + len(SHORT)))):
        dialogue = rows.select(range(first, last))
        windows = dialogue_examples(dialogue, tokenizer, model.config, POSITIONS)[0]
        expected = formulas.logits(dialogue, windows)
        np.testing.assert_allclose(logits[number, : len(dialogue)], expected, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settings", [*VARIANTS, AT_ONCE], ids=[*NAMES, "at once"])
def test_a_batch_gives_what_each_dialogue_gives_by_itself(kind: str, settings: dict[str, Any]) -> None:
    model, tokenizer = make(kind, **settings)
    rows = conversation()
    together = logits_of(rows, model, tokenizer)
    for number, part in enumerate((range(len(LONG)), range(len(LONG), len(rows)))):
        alone = logits_of(rows.select(part), model, tokenizer)
        np.testing.assert_allclose(together[number, : len(part)], alone[0], atol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"causal": False}, {"context_after": 1}])
def test_later_turns_change_nothing_unless_the_model_sees_the_future(settings: dict[str, Any]) -> None:
    model, tokenizer = make("bert", **settings)
    rows = conversation().select(range(len(LONG)))
    whole = logits_of(rows, model, tokenizer)[0]
    cut = [logits_of(rows.select(range(said)), model, tokenizer)[0] for said in range(1, len(rows))]
    largest = max(np.abs(whole[: len(part)] - part).max() for part in cut)
    assert (largest < 1e-5) != model.config.sees_future


def with_other_turns(rows: Dataset, first: int, last: int) -> Dataset:
    """Rows whose turns from ``first`` to before ``last`` are another person's, said and measured otherwise."""

    def change(row: dict[str, Any], number: int) -> dict[str, Any]:
        if not first <= number < last:
            return {}
        words = "bus " * len(row["text"].split())
        other = {"speaker": "C", "text": words, "cue_z": 9.0, "speech_description": "quiet", "biography": "C is here."}
        return other | {"biography_scope": "history"}

    return rows.map(change, with_indices=True)


@pytest.mark.parametrize(
    "settings",
    [*VARIANTS[:3], *VARIANTS[4:7], AT_ONCE],
    ids=["plain", "attention", "static", "narrow", "standardised", "paper", "at once"],
)
def test_other_later_turns_change_no_bit_in_a_padded_batch(settings: dict[str, Any]) -> None:
    model, tokenizer = make("bert", **settings)
    rows = conversation()
    expected = logits_of(rows, model, tokenizer)
    for said in range(1, len(LONG)):
        found = logits_of(with_other_turns(rows, said, len(LONG)), model, tokenizer)
        np.testing.assert_array_equal(found[0, :said], expected[0, :said])
        np.testing.assert_array_equal(found[1, : len(SHORT)], expected[1, : len(SHORT)])
        assert np.abs(found[0, said] - expected[0, said]).max() > 1e-3


def test_biographies_of_whole_dialogues_see_the_future() -> None:
    model, tokenizer = make("bert", biographies="attention", biography_scope="dialogue")
    assert model.config.sees_future
    rows = conversation().select(range(len(LONG)))
    scopes = [biography and "dialogue" for biography in rows["biography"]]
    rows = rows.remove_columns("biography_scope").add_column("biography_scope", scopes)
    first = [logits_of(rows.select(range(length)), model, tokenizer)[0, 0] for length in (2, 6)]
    assert np.abs(first[0] - first[1]).max() > 1e-3


def test_a_speaker_alone_hears_no_others() -> None:
    model, tokenizer = make("bert")
    batch = batch_of(rows_of([("A", "a"), ("A", "one two")]), model, tokenizer)
    views = model._views(torch.randn(1, 2, 32), batch["speakers"])
    assert torch.equal(views["other_speakers"], torch.zeros(1, 2, 16))
    model(**batch).loss.backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_any_number_of_speakers_and_turns_fits() -> None:
    model, tokenizer = make("bert")
    turns = [(f"speaker {turn}", "What a day") for turn in range(3 * POSITIONS)]
    logits = logits_of(rows_of(turns), model, tokenizer)
    assert logits.shape == (1, 3 * POSITIONS, 3)
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("settings", VARIANTS, ids=NAMES)
def test_the_loss_reaches_every_head(settings: dict[str, Any]) -> None:
    model, tokenizer = make("roberta", **settings)
    model(**batch_of(conversation(), model, tokenizer)).loss.backward()
    for name, parameter in model.named_parameters():
        # The bias of keys shifts every score of a query alike, which a softmax does not see.
        if not name.endswith(("key.bias", "position_embeddings.weight")):
            assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_loss_leaves_unlabelled_utterances_out() -> None:
    model, tokenizer = make("bert")
    batch = batch_of(conversation(), model, tokenizer)
    batch["labels"][0, 1:] = -100
    batch["labels"][1] = -100
    output = model(**batch)
    expected = -output.logits[0, 0].log_softmax(-1)[batch["labels"][0, 0]]
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss = model(**{**batch, "labels": torch.full_like(batch["labels"], -100)}).loss
    loss.backward()
    assert loss.item() == 0 and all(it.grad.isfinite().all() for it in model.parameters() if it.grad is not None)


SAVED = [
    ("bert", VARIANTS[1]),
    ("roberta", VARIANTS[4]),
    ("bert", VARIANTS[2]),
    ("bert", VARIANTS[6]),
    ("roberta", AT_ONCE),
]


@pytest.mark.parametrize(("kind", "settings"), SAVED, ids=["bert", "narrow", "static", "paper", "at once"])
def test_saved_model_loads_to_equal_logits_and_freezes_again(
    kind: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    model, tokenizer = make(kind, **settings, frozen_layers=1)
    model.save_pretrained(tmp_path)
    expected = logits_of(conversation(), model, tokenizer)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert not [name for name in trained if "embeddings" in name or ".layer.0." in name]
    assert [name for name in trained if ".layer.1." in name]
    for auto in (BiosErcForUtteranceClassification, AutoModel, AutoModelForSequenceClassification):
        loaded = auto.from_pretrained(tmp_path).eval()
        assert type(loaded) is BiosErcForUtteranceClassification
        np.testing.assert_array_equal(logits_of(conversation(), loaded, tokenizer), expected)
        assert {name for name, parameter in loaded.named_parameters() if parameter.requires_grad} == trained
    config = AutoConfig.from_pretrained(tmp_path)
    assert {name: getattr(config, name) for name in settings} == settings


def test_pushed_model_comes_back_with_equal_logits(hub: Hub, tmp_path: Path) -> None:
    model, tokenizer = make("bert", **VARIANTS[1])
    model.push_to_hub("tester/bioserc")
    loaded = AutoModel.from_pretrained("tester/bioserc", cache_dir=tmp_path).eval()
    expected = logits_of(conversation(), model, tokenizer)
    np.testing.assert_array_equal(logits_of(conversation(), loaded, tokenizer), expected)
    assert {"configuration_bioserc.py", "modeling_bioserc.py"} <= set(hub.files("model", "tester/bioserc"))


def test_wholly_frozen_encoder_stays_in_evaluation() -> None:
    model, _ = make("bert", frozen_layers=2)
    model.train()
    assert model.training and model.dialogue.training and not model.encoder.training
    assert not [name for name, parameter in model.encoder.named_parameters() if parameter.requires_grad]
    half, _ = make("bert", frozen_layers=1)
    assert half.train().encoder.training


def test_saved_folder_needs_no_installed_package(tmp_path: Path) -> None:
    model, tokenizer = make("roberta", **AT_ONCE, frozen_layers=1)
    model.save_pretrained(tmp_path / "model")
    batch = batch_of(conversation(), model, tokenizer)
    inputs = {name: value.tolist() for name, value in batch.items() if name != "labels"}
    (tmp_path / "inputs.json").write_text(json.dumps(inputs))
    program = """
import json, sys, torch
from transformers import AutoModelForSequenceClassification
model = AutoModelForSequenceClassification.from_pretrained("model", trust_remote_code=True).eval()
inputs = {name: torch.tensor(value) for name, value in json.load(open("inputs.json")).items()}
assert "speechcue_hf" not in sys.modules
assert not next(model.encoder.parameters()).requires_grad
print(json.dumps(model(**inputs).logits.tolist()))
"""
    environment = os.environ | {"HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    logits = np.array(json.loads(done.stdout.splitlines()[-1]))
    np.testing.assert_allclose(logits, logits_of(conversation(), model, tokenizer), atol=1e-5)


def test_inputs_are_standardised_by_what_is_there() -> None:
    model, _ = make("bert", design="standardised", cues="z_scores", cue_names=["a_z", "b_z"])
    rows = torch.tensor([[1.0, 5.0], [3.0, 5.0], [math.nan, math.nan], [8.0, 5.0]])
    vectors = torch.randn(9, 32) * 7 + 3
    model.fit_inputs(utterance=torch.cat([vectors, torch.zeros(2, 32)]), cues=rows)
    known = np.array([1.0, 3.0, 8.0])
    expected = np.array([[(it - known.mean()) / known.std(), 0.0] for it in (1.0, 3.0, 4.0, 8.0)])
    expected[2] = 0.0
    np.testing.assert_allclose(model.inputs["cues"](rows).numpy(), expected, atol=1e-6)
    scaled = model.inputs["utterance"](vectors).numpy()
    # A vector of zeros is a text that is not there.
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(0), 1, atol=1e-5)
    assert model.inputs["utterance"](1e6 * vectors).abs().max() == 8


def test_a_dead_value_of_an_encoder_ends_no_gradient() -> None:
    """As in MiniLM: a value of 1e-32 in every vector; divided by its deviation, its gradient would outweigh all."""
    model, _ = make("bert", design="standardised")
    vectors = torch.randn(9, 32)
    vectors[:, 5] *= 1e-32
    model.fit_inputs(utterance=vectors)
    read = vectors.requires_grad_()
    model.inputs["utterance"](read).square().sum().backward()
    assert read.grad.abs().max() < 100
    assert model.inputs["utterance"](vectors)[:, 5].abs().max() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_pretrained_encoder_keeps_its_weights_and_its_path_to_itself(kind: str, tmp_path: Path) -> None:
    folder = save_tiny_encoder(kind, tmp_path / "encoder")
    model = BiosErcForUtteranceClassification.from_encoder(str(folder), num_labels=3, num_attention_heads=4)
    expected = AutoModel.from_pretrained(folder).state_dict()
    found = model.encoder.state_dict()
    assert found.keys() == {name for name in expected if not name.startswith("pooler.")}
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert model.token_limit == POSITIONS
    model.save_pretrained(tmp_path / "saved")
    assert str(tmp_path) not in (tmp_path / "saved" / "config.json").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_encoder_of_a_finished_classifier_is_taken_and_all_of_it_trained(kind: str, tmp_path: Path) -> None:
    encoder = str(save_tiny_encoder(kind, tmp_path / "encoder"))
    first = BiosErcForUtteranceClassification.from_encoder(encoder, num_labels=3, num_attention_heads=4)
    with torch.no_grad():
        for weight in first.encoder.parameters():
            weight.add_(1.0)
    first.config.frozen_layers = 1
    first.save_pretrained(tmp_path / "run")
    settings = {"num_labels": 5, "num_attention_heads": 2, "reading": "dialogue"}
    second = BiosErcForUtteranceClassification.from_encoder(str(tmp_path / "run"), **settings)
    expected, found = first.encoder.state_dict(), second.encoder.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert second.heads["utterance"].out_features == 5
    assert all(weight.requires_grad for weight in second.parameters())
    second.save_pretrained(tmp_path / "saved")
    assert str(tmp_path) not in (tmp_path / "saved" / "config.json").read_text()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frozen_layers": 3}, "frozen_layers must be 0 to 2"),
        ({"num_attention_heads": 5}, "num_attention_heads must divide half the layers' width, 16"),
        ({"context_after": -1}, "cannot be negative"),
        ({"max_tokens": 0}, "max_tokens must be at least 8, marks among them, got 0"),
        ({"reading": "turns"}, "reading must be one of 'windows', 'dialogue', got 'turns'"),
        ({"biographies": "attention"}, "biographies and biography_scope go together"),
        ({"biographies": "all"}, "biographies must be one of 'none', 'static', 'attention', got 'all'"),
        ({"cues": "z_scores"}, "cue_names name the columns of z-scores"),
        ({"design": "own"}, "design must be one of 'standardised', 'paper', 'plain', got 'own'"),
        ({"input_dropout": 0.3}, "input_dropout is of standardised inputs, design 'plain' has none"),
        (
            {"design": "paper", "width": 16},
            "design 'paper' is BiosERC's own: without cues, reading windows, width left",
        ),
        ({"design": "paper", "reading": "dialogue"}, "design 'paper' is BiosERC's own"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BiosErcConfig(**{"encoder_config": tiny_config("bert", tiny_tokenizer("bert")), **settings})


def test_paper_needs_a_layer_over_the_first_token_to_read_biographies() -> None:
    distil = DistilBertConfig(vocab_size=40, dim=32, n_layers=2, n_heads=2, hidden_dim=32, max_position_embeddings=48)
    settings = {"encoder_config": distil, "num_attention_heads": 4, "design": "paper"}
    assert BiosErcForUtteranceClassification(BiosErcConfig(**settings))
    with pytest.raises(ValueError, match="a 'distilbert' encoder has no layer over its first token"):
        BiosErcForUtteranceClassification(BiosErcConfig(**settings, biographies="static", biography_scope="dialogue"))


def test_how_far_a_model_looks_ahead_is_recorded() -> None:
    def turns_ahead(**settings: Any) -> int | None:
        config = BiosErcConfig(encoder_config=tiny_config("bert", tiny_tokenizer("bert")), **settings)
        return config.future_record()["future_turns"]

    assert turns_ahead() == turns_ahead(reading="dialogue") == 0
    assert turns_ahead(context_after=3) == 3
    # Two layers, the upper one over turns that have seen three turns ahead.
    assert turns_ahead(context_after=3, reading="dialogue") == 6
    assert turns_ahead(causal=False) is None


def test_layers_that_share_weights_are_frozen_together_or_not_at_all() -> None:
    shape = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32, "embedding_size": 8}
    albert = AlbertConfig(vocab_size=40, num_hidden_layers=2, max_position_embeddings=POSITIONS, **shape)
    settings = {"encoder_config": albert, "num_attention_heads": 4}
    with pytest.raises(ValueError, match="share weights: freeze 0 or 2 of them, not 1"):
        BiosErcForUtteranceClassification(BiosErcConfig(**settings, frozen_layers=1))
    frozen = BiosErcForUtteranceClassification(BiosErcConfig(**settings, frozen_layers=2))
    assert not any(parameter.requires_grad for parameter in frozen.encoder.parameters())


def test_the_default_encoder_is_roberta_large() -> None:
    config = BiosErcConfig()
    assert (config.encoder_config.model_type, config.encoder_config.hidden_size) == ("roberta", 1024)
    assert not config.sees_future

"""What an untrained model makes of real scales: every view of an utterance must differ between utterances."""

import random
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from datasets import Dataset
from transformers import BertConfig, RobertaConfig

from speechcue_hf.models.bioserc import BiosErcConfig, BiosErcForUtteranceClassification
from speechcue_hf.models.bioserc.dialogues import collate, dialogue_examples
from speechcue_hf.models.bioserc.vectors import cache_vectors, fit_inputs
from tests.models.bioserc.conversations import rows_of
from tests.models.bioserc.tiny_encoders import SAID, tiny_tokenizer

pytestmark = pytest.mark.slow

WORDS = " ".join(SAID).replace(",", "").replace(".", "").split()
LAYERS = 2
SHAPES: dict[str, tuple[str, Any, dict[str, int], float, float]] = {
    # Width and heads; then what the elements of the pretrained encoder's vectors are like: their size, and that of the
    # few dimensions by which some encoders stand out.
    "MiniLM": ("bert", BertConfig, {"hidden_size": 384, "num_attention_heads": 12}, 0.24, 0.24),
    "BERT": ("bert", BertConfig, {"hidden_size": 768, "num_attention_heads": 12}, 0.5, 8.0),
    "RoBERTa": ("roberta", RobertaConfig, {"hidden_size": 768, "num_attention_heads": 12}, 0.2, 12.0),
}


def scaled_model(name: str, **settings: Any) -> tuple[BiosErcForUtteranceClassification, Any]:
    """A new classifier on an encoder of this width whose vectors have the pretrained one's scale."""
    kind, config_class, shape, scale, odd = SHAPES[name]
    tokenizer = tiny_tokenizer(kind)
    sizes = {"num_hidden_layers": LAYERS, "intermediate_size": 4 * shape["hidden_size"], **shape}
    encoder = config_class(vocab_size=len(tokenizer), max_position_embeddings=130, pad_token_id=1, **sizes)
    torch.manual_seed(0)
    model = BiosErcForUtteranceClassification(BiosErcConfig(encoder_config=encoder, num_labels=6, **settings))
    norm = model.encoder.encoder.layer[-1].output.LayerNorm
    with torch.no_grad():
        norm.weight.fill_(scale)
        norm.bias[:3] = odd
    return model.eval(), tokenizer


def conversation() -> Dataset:
    draw = random.Random(3)
    dialogues = [
        [(draw.choice("ABC"), " ".join(draw.choices(WORDS, k=draw.randint(1, 12)))) for _ in range(8)] for _ in range(8)
    ]
    columns = {"cue_z": [None if draw.random() < 0.1 else draw.gauss(0, 1) for _ in range(64)]}
    told = {"biography": [f"{draw.choice(WORDS)} waits." for _ in range(64)], "biography_scope": ["history"] * 64}
    return rows_of(*dialogues, **columns, **told)


def spread_of_views(model: BiosErcForUtteranceClassification, examples: Dataset) -> dict[str, float]:
    """How much what each head reads differs between utterances: the mean over its values of their deviation."""
    read: dict[str, torch.Tensor] = {}
    for name, head in model.heads.items():
        head.register_forward_pre_hook(lambda _, inputs, name=name: read.update({name: inputs[0]}))
    with torch.inference_mode():
        batch = collate(list(examples))
        model(**batch)
    exists = batch["speakers"] >= 0
    return {name: float(view[exists].std(0).mean()) for name, view in read.items()}


@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "trained"])
@pytest.mark.parametrize("width", [None, 192])
@pytest.mark.parametrize("name", SHAPES)
def test_every_view_has_the_order_of_the_positions(
    name: str, width: int | None, frozen: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    hears = {"cues": "z_scores", "cue_names": ["cue_z"], "biographies": "attention", "biography_scope": "history"}
    settings = {"design": "standardised", "width": width, "frozen_layers": LAYERS if frozen else 0, **hears}
    model, tokenizer = scaled_model(name, **settings)
    examples = dialogue_examples(conversation(), tokenizer, model.config, model.token_limit)
    if frozen:
        examples = cache_vectors(examples, model)
    fit_inputs(examples, model)
    # Sines and cosines of growing angles deviate by about 0.7 in a long dialogue, of which 0.3 are added.
    positions = 0.3 * 0.7
    spread = spread_of_views(model, examples)
    assert spread.keys() == {"utterance", "dialogue", "same_speaker", "other_speakers", "biography"}
    assert all(positions / 3 < it < 10 * positions for it in spread.values()), spread


def test_plain_layers_of_the_first_release_hardly_tell_utterances_apart() -> None:
    model, tokenizer = scaled_model("MiniLM", design="plain")
    examples = dialogue_examples(conversation(), tokenizer, model.config, model.token_limit)
    assert spread_of_views(model, examples)["utterance"] < 0.7 / 5

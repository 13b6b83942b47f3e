from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch

from speechcue_hf.models.bioserc import vectors as vectors_module
from speechcue_hf.models.bioserc.dialogues import collate, dialogue_examples
from speechcue_hf.models.bioserc.vectors import cache_vectors
from tests.models.bioserc.test_modeling_bioserc import VARIANTS, conversation, logits_of, make


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)


@pytest.mark.parametrize("settings", VARIANTS[:3], ids=["plain", "attention", "static"])
def test_vectors_give_the_logits_of_their_tokens(settings: dict[str, Any]) -> None:
    model, tokenizer = make("roberta", frozen_layers=2, **settings)
    expected = logits_of(conversation(), model, tokenizer)
    vectors = cache_vectors(dialogue_examples(conversation(), tokenizer, model.config, model.token_limit), model)
    assert "input_ids" not in vectors.column_names
    with torch.inference_mode():
        found = model(**collate(list(vectors))).logits.numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_encoder_runs_once_for_all_heads_and_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = make("bert", frozen_layers=2)
    examples = dialogue_examples(conversation(), tokenizer, model.config, model.token_limit)
    first = cache_vectors(examples, model)
    other, _ = make("bert", frozen_layers=2)
    other.encoder.load_state_dict(model.encoder.state_dict())
    with monkeypatch.context() as patch:
        patch.setattr(type(other), "encode", lambda *_: pytest.fail("the encoder ran again"))
        again = cache_vectors(examples, other)
    assert again["utterance_vectors"][:] == first["utterance_vectors"][:]
    # Other weights are another encoder.
    other.encoder.embeddings.word_embeddings.weight.data += 1
    assert cache_vectors(examples, other)["utterance_vectors"][:] != first["utterance_vectors"][:]


def test_vectors_of_a_trained_encoder_are_refused() -> None:
    model, tokenizer = make("bert", frozen_layers=1)
    examples = dialogue_examples(conversation(), tokenizer, model.config, model.token_limit)
    with pytest.raises(ValueError, match="the encoder is trained, so its vectors change"):
        cache_vectors(examples, model)


def test_encoding_that_was_killed_goes_on_after_the_last_whole_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors_module, "DIALOGUES_PER_FILE", 1)
    model, tokenizer = make("bert", frozen_layers=2)
    rows = conversation()
    examples = dialogue_examples(rows, tokenizer, model.config, model.token_limit)
    expected = [cache_vectors(examples.select([it]), model)["utterance_vectors"][0] for it in range(2)]
    read = []
    encode = type(model).encode_utterances

    def cut(*args: Any) -> torch.Tensor:
        read.append(1)
        if len(read) == 2:
            raise KeyboardInterrupt
        return encode(*args)

    monkeypatch.setattr(type(model), "encode_utterances", cut)
    with pytest.raises(KeyboardInterrupt):
        cache_vectors(examples, model)
    monkeypatch.setattr(type(model), "encode_utterances", lambda *args: read.append(1) or encode(*args))
    assert cache_vectors(examples, model)["utterance_vectors"][:] == expected
    assert len(read) == 3, "the first dialogue is not encoded again"

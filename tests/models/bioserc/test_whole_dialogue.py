"""A dialogue that the encoder reads at once, against passes over each turn's past by itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import BertModel, DebertaV2Config, DebertaV2Model

from speechcue_hf.models.bioserc import BiosErcConfig, BiosErcForUtteranceClassification
from speechcue_hf.models.bioserc.dialogues import collate, dialogue_examples
from speechcue_hf.models.bioserc.vectors import cache_vectors
from tests.models.bioserc.conversations import rows_of
from tests.models.bioserc.tiny_encoders import KINDS, POSITIONS, save_tiny_encoder, tiny_config, tiny_tokenizer

LONG = [("A", "What a day"), ("B", "Leave me alone"), ("A", "The bus is here"), (None, ""), ("B", "one two")]
SHORT = [("B", "a"), ("A", "six")]


def make(kind: str = "bert", *, layers: int = 2, **settings: Any) -> tuple[BiosErcForUtteranceClassification, Any]:
    tokenizer = tiny_tokenizer(kind)
    encoder = tiny_config(kind, tokenizer)
    encoder.num_hidden_layers = layers
    torch.manual_seed(1)
    settings = {"reading": "dialogue", "context_before": 9, "num_labels": 3, "num_attention_heads": 4} | settings
    return BiosErcForUtteranceClassification(BiosErcConfig(encoder_config=encoder, **settings)).eval(), tokenizer


def examples_of(rows: Dataset, model: Any, tokenizer: Any, limit: int = POSITIONS) -> Dataset:
    return dialogue_examples(rows, tokenizer, model.config, limit)


def vectors_of(examples: Any, model: Any) -> torch.Tensor:
    batch = collate(list(examples))
    del batch["labels"]
    with torch.inference_mode():
        return model.encode_utterances(**batch)


@pytest.mark.parametrize("kind", KINDS)
def test_a_turn_sees_itself_and_its_past(kind: str) -> None:
    # With one layer, nothing passes through other turns, so a pass over the text up to a turn's end gives that turn.
    model, tokenizer = make(kind, layers=1)
    examples = examples_of(rows_of(SHORT, LONG), model, tokenizer)
    vectors = vectors_of(examples, model)
    for number, dialogue in enumerate(examples):
        ids, turns = torch.tensor(dialogue["input_ids"][0]), torch.tensor(dialogue["token_turns"][0])
        for turn in range(len(dialogue["labels"])):
            said = int((turns <= turn).sum())
            with torch.inference_mode():
                states = model.encoder(ids[:said].unsqueeze(0)).last_hidden_state[0]
            own = turns[:said] == turn
            own[0] = False  # The opening mark is the first turn's, to be seen by all, and counts for none.
            np.testing.assert_allclose(vectors[number, turn], states[own].mean(0), atol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"context_before": 1}, {"context_after": 1}])
def test_later_turns_change_nothing_unless_the_model_sees_the_future(settings: dict[str, Any]) -> None:
    model, tokenizer = make(**settings)
    whole = vectors_of(examples_of(rows_of(LONG), model, tokenizer), model)[0]
    for said in range(1, len(LONG)):
        cut = vectors_of(examples_of(rows_of(LONG[:said]), model, tokenizer), model)[0]
        assert torch.allclose(cut, whole[:said], atol=1e-5) != model.config.sees_future


def test_turns_before_the_window_are_not_seen() -> None:
    model, tokenizer = make(layers=1, context_before=1)
    turns = [("A", "six"), *LONG[1:]]
    first, second = (vectors_of(examples_of(rows_of(it), model, tokenizer), model)[0] for it in (LONG, turns))
    # The second turn sees the first. The texts differ in length, hence in positions, so turns are moved alike.
    assert not torch.allclose(first[1], second[1], atol=1e-3)
    turns = [("A", "The a day"), *LONG[1:]]
    second = vectors_of(examples_of(rows_of(turns), model, tokenizer), model)[0]
    assert torch.allclose(first[2:], second[2:], atol=1e-6)


def test_a_batch_gives_what_each_dialogue_gives_by_itself_also_in_several_texts() -> None:
    model, tokenizer = make()
    for limit in (POSITIONS, 16):
        examples = examples_of(rows_of(SHORT, LONG), model, tokenizer, limit)
        together = vectors_of(examples, model)
        for number, example in enumerate(examples):
            alone = vectors_of([example], model)[0]
            np.testing.assert_allclose(together[number, : len(alone)], alone, atol=1e-5)


def test_a_dialogue_longer_than_the_encoder_takes_several_texts_and_counts_each_turn_once() -> None:
    model, tokenizer = make()
    dialogue = examples_of(rows_of([*LONG, *SHORT, *LONG]), model, tokenizer, limit=16)[0]
    assert len(dialogue["input_ids"]) > 1
    counted = []
    for ids, turns, (start, end) in zip(*(dialogue[it] for it in ("input_ids", "token_turns", "spans")), strict=True):
        assert len(ids) == len(turns) == end <= 16
        counted += list(dict.fromkeys(turns[start:end]))
    assert counted == list(range(len(LONG) + len(SHORT) + len(LONG)))
    assert dialogue["token_turns"][1][0] < dialogue["token_turns"][1][dialogue["spans"][1][0]], "no earlier turn again"
    first = dialogue["spans"][0]
    kept = len(set(dialogue["token_turns"][0][slice(*first)]))
    assert dialogue["shortened"] == [False] * kept + [True] * (len(counted) - kept)


def test_shortened_turns_are_those_that_lost_some_of_their_window() -> None:
    rows = rows_of([*LONG, *SHORT, *LONG])
    model, tokenizer = make(context_before=1)
    assert examples_of(rows, model, tokenizer, limit=16)[0]["shortened"] == [False] * 12
    model, tokenizer = make(context_before=0, context_after=1)
    dialogue = examples_of(rows, model, tokenizer, limit=16)[0]
    cut = [turns[end - 1] for turns, (_, end) in zip(dialogue["token_turns"], dialogue["spans"], strict=True)]
    assert [turn for turn, lost in enumerate(dialogue["shortened"]) if lost] == cut[:-1]


@pytest.mark.parametrize("kind", KINDS)
def test_texts_fill_the_positions_of_the_encoder_and_no_more(kind: str) -> None:
    model, tokenizer = make(kind, speaker_names=False)
    examples = examples_of(rows_of([("A", "a")] * 2 * POSITIONS), model, tokenizer, model.token_limit)
    assert max(map(len, examples[0]["input_ids"])) in (POSITIONS - 1, POSITIONS)
    assert vectors_of(examples, model).isfinite().all()


def test_an_encoder_without_masks_over_pairs_is_refused(tmp_path: Path) -> None:
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    DebertaV2Model(DebertaV2Config(vocab_size=40, **shape)).save_pretrained(tmp_path)
    settings = {"num_labels": 3, "num_attention_heads": 4}
    assert BiosErcForUtteranceClassification.from_encoder(str(tmp_path), **settings).token_limit == 512
    with pytest.raises(ValueError, match="'deberta-v2' encoder takes no mask over pairs of tokens"):
        BiosErcForUtteranceClassification.from_encoder(str(tmp_path), reading="dialogue", **settings)


def test_an_encoder_that_forgets_the_mask_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_tiny_encoder("bert", tmp_path)
    forward = BertModel.forward

    def forgetful(self: Any, input_ids: torch.Tensor, attention_mask: Any = None, **rest: Any) -> Any:
        return forward(self, input_ids=input_ids, **rest)

    monkeypatch.setattr(BertModel, "forward", forgetful)
    with pytest.raises(ValueError, match="without seeing later turns: use reading='windows'"):
        BiosErcForUtteranceClassification.from_encoder(str(folder), reading="dialogue", num_attention_heads=4)


def test_names_are_read_where_there_are_any() -> None:
    model, tokenizer = make(speaker_names=True)
    said = tokenizer.decode(examples_of(rows_of([("A", "one"), (None, "two")]), model, tokenizer)[0]["input_ids"][0])
    assert said.replace(" ", "") == "[CLS]A[UNK]one[SEP]two[SEP]"


def test_vectors_of_a_frozen_encoder_are_those_it_makes() -> None:
    model, tokenizer = make(frozen_layers=2)
    examples = examples_of(rows_of(SHORT, LONG), model, tokenizer)
    cached = cache_vectors(examples, model)
    assert not {"input_ids", "spans", "token_turns"} & {*cached.column_names}
    expected = vectors_of(examples, model)
    for number, turns in enumerate((SHORT, LONG)):
        np.testing.assert_allclose(cached["utterance_vectors"][number], expected[number, : len(turns)], atol=1e-5)

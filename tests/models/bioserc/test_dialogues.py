from typing import Any

import pytest
import torch
from datasets import Dataset, Value

from speechcue_hf.errors import DialogueError, ModelError
from speechcue_hf.models.bioserc import BiosErcConfig
from speechcue_hf.models.bioserc.dialogues import collate, dialogue_examples
from tests.models.bioserc.conversations import rows_of
from tests.models.bioserc.tiny_encoders import KINDS, tiny_config, tiny_tokenizer

TURNS = [("A", "one two"), ("B", "three"), ("A", "four five six"), (None, ""), ("B", "seven"), (None, "one")]


def config_of(kind: str = "bert", **settings: Any) -> BiosErcConfig:
    shape = {"num_labels": 3, "num_attention_heads": 4}
    return BiosErcConfig(encoder_config=tiny_config(kind, tiny_tokenizer(kind)), **{**shape, **settings})


def example_of(rows: Dataset, kind: str = "bert", limit: int = 48, **settings: Any) -> dict[str, Any]:
    return dialogue_examples(rows, tiny_tokenizer(kind), config_of(kind, **settings), limit)[0]


def read(example: dict[str, Any], turn: int, kind: str) -> tuple[str, str]:
    """Words of an utterance's whole input, and those of its span."""
    tokenizer = tiny_tokenizer(kind)
    ids, (start, end) = example["input_ids"][turn], example["spans"][turn]
    whole = tokenizer.decode(ids).replace(tokenizer.cls_token, " ( ").replace(tokenizer.sep_token, " | ")
    return " ".join(whole.split()), tokenizer.decode(ids[start:end]).strip()


@pytest.mark.parametrize("kind", KINDS)
def test_utterances_stand_between_marks_with_their_context(kind: str) -> None:
    example = example_of(rows_of(TURNS), kind, context_before=2, context_after=1)
    assert read(example, 0, kind) == ("( | one two | three |", "one two")
    assert read(example, 2, kind) == ("( one two three | four five six |", "four five six")
    assert read(example, 4, kind) == ("( four five six | seven | one |", "seven")
    assert example["shortened"] == [False] * 6


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_word_the_opening_mark_is_the_span(kind: str) -> None:
    example = example_of(rows_of(TURNS), kind)
    start, end = example["spans"][3]
    assert example["input_ids"][3][start:end] == [tiny_tokenizer(kind).sep_token_id]
    assert read(example, 3, kind)[0] == "( three four five six | |"


def test_farthest_context_is_dropped_first_and_the_target_stays() -> None:
    example = example_of(rows_of(TURNS), limit=8, context_before=3, context_after=2)
    assert read(example, 2, "bert") == ("( three | four five six |", "four five six")
    assert read(example, 4, "bert")[0] == "( | seven | one |"
    assert example["shortened"] == [True, True, True, True, True, True]
    assert max(map(len, example["input_ids"])) <= 8


def test_utterance_longer_than_the_positions_loses_its_end() -> None:
    words = " ".join(["one two three four five six seven"] * 20)
    example = example_of(rows_of([("A", "one"), ("B", words)]), limit=10)
    assert read(example, 1, "bert")[1] == "one two three four five six"
    assert example["shortened"] == [False, True]


def test_speakers_are_numbered_and_unknown_ones_are_one_of_their_own() -> None:
    assert example_of(rows_of(TURNS))["speakers"] == [0, 1, 0, 2, 1, 2]


def test_unlabelled_utterances_stay_without_loss() -> None:
    rows = rows_of(TURNS)
    rows = rows.remove_columns("emotion").add_column(
        "emotion", [0, None, 2, None, 1, 0], feature=rows.features["emotion"]
    )
    assert example_of(rows)["labels"] == [0, -100, 2, -100, 1, 0]


def biography_rows(scope: str) -> Dataset:
    texts = ["one", "two", "one", None, "three", None]
    scopes = [text and scope for text in texts]
    return rows_of(TURNS, biography=texts, biography_scope=scopes)


def test_biographies_of_the_history_are_the_newest_of_each_speaker_so_far() -> None:
    rows = biography_rows("history")
    example = example_of(rows, biographies="attention", biography_scope="history")
    assert example["own_biography"] == [0, 1, 0, -1, 2, -1]
    seen = [[True, False, False], [True, True, False], [True, True, False], [True, True, False]]
    assert example["visible_biographies"] == [*seen, [True, False, True], [True, False, True]]


def test_biographies_of_whole_dialogues_are_all_there_from_the_start() -> None:
    example = example_of(biography_rows("dialogue"), biographies="attention", biography_scope="dialogue")
    assert example["visible_biographies"] == [[True] * 3] * 6


def test_dialogue_without_biographies_is_batched_with_others() -> None:
    rows = rows_of([("A", "one")], TURNS, biography=[None, *["one"] * 6], biography_scope=[None, *["history"] * 6])
    config = config_of(biographies="static", biography_scope="history")
    batch = collate(list(dialogue_examples(rows, tiny_tokenizer("bert"), config, 48)))
    assert batch["own_biography"].tolist() == [[-1] * 6, [0] * 6]
    assert batch["biography_mask"][0].sum() == 0
    assert not batch["visible_biographies"][0].any()


def test_batches_are_padded_to_the_longest() -> None:
    rows = rows_of([("A", "one")], TURNS, cue_z=[None, *[0.5] * 6])
    config = config_of(cues="z_scores", cue_names=["cue_z"])
    batch = collate(list(dialogue_examples(rows, tiny_tokenizer("bert"), config, 48)))
    assert {name: tuple(tensor.shape)[:2] for name, tensor in batch.items()} == dict.fromkeys(batch, (2, 6))
    assert batch["speakers"][0].tolist() == [0, -1, -1, -1, -1, -1]
    assert batch["labels"][0].tolist() == [0, -100, -100, -100, -100, -100]
    assert torch.equal(batch["attention_mask"].sum(-1)[0], torch.tensor([4, 0, 0, 0, 0, 0]))
    assert batch["cues"][0, 0].isnan() and batch["cues"][1, 0] == 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cues": "description"}, r"reads the columns \['speech_description'\], which the dataset lacks"),
        ({"biographies": "static", "biography_scope": "history"}, r"\['biography', 'biography_scope'\]"),
    ],
)
def test_missing_columns_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        example_of(rows_of(TURNS), **settings)


def test_biographies_of_another_scope_are_refused() -> None:
    with pytest.raises(ModelError, match=r"of scope 'history', the dataset has \['dialogue'\]"):
        example_of(biography_rows("dialogue"), biographies="static", biography_scope="history")


def test_biographies_that_do_not_say_what_they_have_seen_are_refused() -> None:
    rows = rows_of(TURNS, biography=["one"] * 6, biography_scope=[None] * 6)
    with pytest.raises(ModelError, match=r"of scope 'history', the dataset has \[None\]"):
        example_of(rows, biographies="static", biography_scope="history")


def test_scattered_dialogues_and_plain_labels_are_refused() -> None:
    rows = rows_of(TURNS, [("A", "one")])
    with pytest.raises(DialogueError, match="turn 1 of dialogue 'd0', where turn 0 is expected"):
        example_of(rows.select([0, 6, 1]))
    with pytest.raises(ModelError, match="emotion is no ClassLabel"):
        example_of(rows.cast_column("emotion", Value("int64")))


def test_tokenizer_without_separator_is_refused() -> None:
    tokenizer = tiny_tokenizer("bert")
    tokenizer.sep_token = None
    with pytest.raises(ModelError, match="no cls_token or sep_token"):
        dialogue_examples(rows_of(TURNS), tokenizer, config_of(), 48)

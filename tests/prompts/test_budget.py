from collections.abc import Callable, Sequence

import pytest
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from speechcue_hf.errors import PromptError
from speechcue_hf.models.tiny import train_tokenizer
from speechcue_hf.prompts.budget import TokenBudget
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.encoding import encode_completion, encode_prompts

LIMIT = 260


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(["turn of dialogue", "Emotion of A in the last turn"], vocabulary=350)


def test_prompts_fit_and_lose_no_turn_more_than_they_must(
    dialogues: Callable[[Sequence[int]], Dataset], tokenizer: PreTrainedTokenizerBase
) -> None:
    dataset, limit = dialogues([12, 3]), LIMIT
    whole = build_prompts(dataset)
    rows = build_prompts(dataset, budget=TokenBudget(tokenizer, limit))
    labels = dataset.features["emotion"].names
    longest = max(
        len(encode_completion(tokenizer, whole[0]["prompt"], [{"role": "assistant", "content": label}])[1])
        for label in labels
    )
    dropped = rows["turns_dropped"]
    assert len(rows) == 15
    assert 0 < sum(count > 0 for count in dropped) < 15
    for row, uncut in zip(rows, whole, strict=True):
        text, full = (each["prompt"][0]["content"] for each in (row, uncut))
        opening, conversation = full.split("Conversation:\n")
        turns = conversation.splitlines(keepends=True)
        without = [opening + "Conversation:\n" + "".join(turns[count:]) for count in range(len(turns) - 2)]
        assert text == without[row["turns_dropped"]]
        lengths = [
            len(encode_prompts(tokenizer, [[{"role": "user", "content": each}]])[0]) + longest for each in without
        ]
        assert lengths[row["turns_dropped"]] <= limit
        assert row["turns_dropped"] == 0 or lengths[row["turns_dropped"] - 1] > limit


def test_how_much_is_shown_does_not_tell_the_label(
    dialogues: Callable[[Sequence[int]], Dataset], tokenizer: PreTrainedTokenizerBase
) -> None:
    dataset = dialogues([12])
    relabelled = dataset.map(lambda row: {"emotion": (row["emotion"] + 3) % 7}, features=dataset.features)
    cut = [build_prompts(each, budget=TokenBudget(tokenizer, LIMIT)) for each in (dataset, relabelled)]
    assert list(cut[0]["prompt"]) == list(cut[1]["prompt"])
    assert max(cut[0]["turns_dropped"]) > 0


def test_a_last_turn_that_exceeds_the_budget_alone_is_named(
    dialogues: Callable[[Sequence[int]], Dataset], tokenizer: PreTrainedTokenizerBase
) -> None:
    with pytest.raises(PromptError, match=r"'d0_0' exceeds the budget of 20 tokens by \d+ .*raise the budget"):
        build_prompts(dialogues([2]), budget=TokenBudget(tokenizer, 20))

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from datasets import Dataset, DatasetDict, IterableDatasetDict

from speechcue_hf.errors import PromptError
from speechcue_hf.models.tiny import train_tokenizer
from speechcue_hf.prompts.budget import TokenBudget
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.encoding import encode_prompts
from speechcue_hf.prompts.specification import load_prompt


@pytest.fixture
def described(dialogues: Callable[[Sequence[int]], Dataset]) -> DatasetDict:
    """Training dialogues d0 to d3 with two rows of each label in each, test dialogues x0 and x1."""
    test = dialogues([3, 2]).map(
        lambda row: {name: row[name].replace("d", "x") for name in ("dialogue_id", "utterance_id")}
    )
    return DatasetDict(train=dialogues([14, 14, 14, 14]), test=test)


def few_shot(count: int, **changes: Any) -> dict[str, Any]:
    return {"extends": "speechcue", "demonstrations": count, **changes}


def test_demonstrations_are_solved_training_rows_before_the_question(described: DatasetDict) -> None:
    plain = build_prompts(described)
    train = {row["utterance_id"]: row for row in plain["train"]}
    for before, after in zip(plain["test"], build_prompts(described, few_shot(3))["test"], strict=True):
        shown = [train[name] for name in after["demonstrations"]]
        assert len(shown) == 3
        solved = [message for row in shown for message in row["prompt"] + row["completion"]]
        assert after["prompt"] == solved + before["prompt"]
        assert after["completion"] == before["completion"]
        assert after["prompt_sha256"] != before["prompt_sha256"]


def test_training_rows_see_no_row_of_their_own_dialogue(described: DatasetDict) -> None:
    for row in build_prompts(described, few_shot(28))["train"]:
        assert row["dialogue_id"] not in {name.split("_")[0] for name in row["demonstrations"]}
        assert len(set(row["demonstrations"])) == 28


def test_balanced_means_every_label_equally_often(described: DatasetDict) -> None:
    emotions = dict(zip(described["train"]["utterance_id"], described["train"]["emotion"], strict=True))
    for row in build_prompts(described, few_shot(14))["test"]:
        assert Counter(emotions[name] for name in row["demonstrations"]) == dict.fromkeys(range(7), 2)
    for row in build_prompts(described, few_shot(10))["test"]:
        assert sorted(Counter(emotions[name] for name in row["demonstrations"]).values()) == [1, 1, 1, 1, 2, 2, 2]
    drawn = build_prompts(described, few_shot(14, demonstrations_drawn="random"))["test"]["demonstrations"]
    assert any(Counter(emotions[name] for name in names) != dict.fromkeys(range(7), 2) for names in drawn)


def test_unlabelled_rows_are_never_shown(described: DatasetDict) -> None:
    train = described["train"].map(
        lambda row: {"emotion": None} if row["turn"] < 7 else {}, features=described["train"].features
    )
    rows = build_prompts(DatasetDict(train=train, test=described["test"]), few_shot(21))
    assert all(int(name.split("_")[1]) >= 7 for row in rows["test"] for name in row["demonstrations"])


def test_draws_repeat_differ_by_seed_and_do_not_depend_on_other_rows(described: DatasetDict) -> None:
    first, again, other = (
        build_prompts(described, few_shot(4, demonstrations_seed=seed))["test"]["demonstrations"] for seed in (1, 1, 2)
    )
    assert list(first) == list(again) != list(other)
    alone = build_prompts(
        described["test"].select([3, 4]), few_shot(4, demonstrations_seed=1), train=described["train"]
    )
    assert list(alone["demonstrations"]) == list(first)[3:]


def test_prompts_of_a_dialogue_show_the_same_so_that_they_begin_alike(described: DatasetDict) -> None:
    rows = build_prompts(described, few_shot(4))["test"]
    for one, next_one in pairwise(rows):
        same = one["dialogue_id"] == next_one["dialogue_id"]
        assert (one["prompt"][:8] == next_one["prompt"][:8]) == same


def test_budget_counts_the_demonstrations(described: DatasetDict) -> None:
    tokenizer = train_tokenizer(["turn of dialogue", "Emotion of A in the last turn"], vocabulary=350)
    prompt = few_shot(2, history=3)
    whole = build_prompts(described, prompt)["test"]
    longest = max(map(len, encode_prompts(tokenizer, list(whole["prompt"]))))
    budget = TokenBudget(tokenizer, longest)
    cut = build_prompts(described, prompt, budget=budget)["test"]
    assert max(cut["turns_dropped"]) > 0
    assert list(cut["demonstrations"]) == list(whole["demonstrations"])
    assert all(len(ids) < longest for ids in encode_prompts(tokenizer, list(cut["prompt"])))
    with pytest.raises(PromptError, match="raise the budget, or show fewer demonstrations"):
        build_prompts(described, prompt, budget=TokenBudget(tokenizer, 200))


def test_what_cannot_be_drawn_is_refused(described: DatasetDict) -> None:
    with pytest.raises(PromptError, match=r"2 demonstrations.*drawn from the training split: pass it as train="):
        build_prompts(described["test"], few_shot(2))
    streams = IterableDatasetDict({name: rows.to_iterable_dataset() for name, rows in described.items()})
    with pytest.raises(PromptError, match="not as a stream"):
        build_prompts(streams, few_shot(2))
    with pytest.raises(PromptError, match=r"'d0' is to be shown 56 .* only 42 in other dialogues"):
        build_prompts(described, few_shot(56))
    for wrong, message in (({"demonstrations": -1}, "0 or more"), ({"demonstrations_drawn": "best"}, "balanced or")):
        with pytest.raises(PromptError, match=message):
            load_prompt({"extends": "speechcue", **wrong})

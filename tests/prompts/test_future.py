"""Later turns and biographies in any prompt: windows, budgets, streams, demonstrations, the record of what was seen."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from datasets import Dataset, DatasetDict
from transformers import PreTrainedTokenizerBase

from speechcue_hf.errors import PromptError
from speechcue_hf.models.tiny import train_tokenizer
from speechcue_hf.prompts.budget import TokenBudget
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.dialogue import PromptParts, future_record
from speechcue_hf.prompts.encoding import encode_prompts
from speechcue_hf.prompts.specification import load_prompt

Make = Callable[[Sequence[int]], Dataset]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(["turn of dialogue", "Based on above conversation, which emotional label"], vocabulary=400)


def shown_turns(row: dict[str, Any]) -> list[int]:
    """Which turns a BiosERC prompt shows."""
    lines = row["prompt"][0]["content"].split("\n")[2:]
    return [int(line.split(": turn ")[1].split(" of ")[0]) for line in lines]


def test_a_window_ends_where_the_dialogue_does(dialogues: Make) -> None:
    rows = build_prompts(dialogues([8, 1, 3]), {"extends": "bioserc_text", "history": 2, "future": 3})
    assert [shown_turns(row) for row in rows][:8] == [
        list(range(max(0, turn - 2), min(8, turn + 4))) for turn in range(8)
    ]
    assert rows["future_turns"] == [3, 3, 3, 3, 3, 2, 1, 0, 0, 2, 1, 0]
    assert shown_turns(rows[8]) == [0]


def test_a_budget_takes_the_oldest_turns_first_and_then_the_last_ones(
    dialogues: Make, tokenizer: PreTrainedTokenizerBase
) -> None:
    dataset, prompt = dialogues([11]), "bioserc_text"
    whole = build_prompts(dataset, prompt)[5]
    seen = []
    for limit in range(len(encode_prompts(tokenizer, [whole["prompt"]])[0]) + 20, 0, -6):
        try:
            row = build_prompts(dataset, prompt, budget=TokenBudget(tokenizer, limit))[5]
        except PromptError as error:
            assert "with that turn alone: raise the budget" in str(error)
            break
        assert len(encode_prompts(tokenizer, [row["prompt"]])[0]) < limit
        turns = shown_turns(row)
        assert (row["turns_dropped"], row["future_turns"]) == (11 - len(turns), max(turns) - 5)
        seen += [turns] if turns not in seen else []
    past_gone = [list(range(first, 11)) for first in range(6)]
    assert seen == past_gone + [list(range(5, last)) for last in range(10, 5, -1)]


def test_the_target_stays_whatever_is_taken() -> None:
    parts = PromptParts("o", ("a", "b", "T", "y", "z"), "q", future_turns=2)
    assert parts.expendable == ("a", "b", "z", "y")
    assert [parts.without(count).turns for count in range(5)] == [
        ("a", "b", "T", "y", "z"),
        ("b", "T", "y", "z"),
        ("T", "y", "z"),
        ("T", "y"),
        ("T",),
    ]
    assert [parts.without(count).future_turns for count in range(5)] == [2, 2, 2, 1, 0]


@pytest.mark.parametrize("prompt", ["bioserc_text", {"extends": "speechcuellm", "future": 2, "context_cues": 2}])
def test_same_rows_whole_and_streamed(dialogues: Make, prompt: Any) -> None:
    dataset = dialogues([3, 1, 130, 7])
    whole = build_prompts(dataset, prompt).to_list()
    assert list(build_prompts(dataset.to_iterable_dataset(num_shards=3), prompt)) == whole
    assert max(row["future_turns"] for row in whole) == load_prompt(prompt).future


def test_our_own_prompt_says_which_turn_is_asked_about(dialogues: Make) -> None:
    prompts = build_prompts(dialogues([4]), {"extends": "speechcue", "future": 1})["prompt"]
    assert prompts[1][0]["content"] == (
        "Tell which emotion the speaker of the turn in question feels. "
        "Answer with one of these labels and nothing else: neutral, surprise, fear, sadness, joy, "
        "disgust, anger.\n\nConversation:\n"
        "A: turn 0 of 0\nB: turn 1 of 0\nA: turn 2 of 0\n"
        'D1.\nEmotion of B in the turn "turn 1 of 0":'
    )


def test_cues_of_context_are_those_before_the_target(dialogues: Make) -> None:
    prompt = {"extends": "speechcuellm", "future": 2, "context_cues": 2}
    content = build_prompts(dialogues([5]), prompt)[2]["prompt"][0]["content"]
    cued = [turn.split('"')[1] for turn in content.split("\t")[1:] if "high pitch with" in turn]
    assert cued == ["turn 1 of 0", "turn 2 of 0"]
    assert content.index("turn 4 of 0") < content.index(" ###", 200)


def test_speech_and_biography_in_one_prompt(meld: Dataset) -> None:
    biographies = [None, "Joey is\nalways hungry.", "", "Ross is sorry."]
    told = meld.add_column("biography", biographies).add_column("biography_scope", ["history"] * 4)
    both, heard = (build_prompts(told, prompt) for prompt in ("speechcue_biography", "speechcue"))
    contents = [messages[0]["content"] for messages in both["prompt"]]
    plain = [messages[0]["content"] for messages in heard["prompt"]]
    assert [contents[0], contents[2]] == [plain[0], plain[2]], "a row without biography says nothing about it"
    assert contents[1] == plain[1].replace("\nD1.\n", "\nAbout Joey: Joey is always hungry.\nD1.\n")
    assert contents[3] == plain[3].replace("\nD3.\n", "\nAbout Ross: Ross is sorry.\nD3.\n")
    assert both["biography_scope"] == [None, "history", None, "history"]
    assert heard["biography_scope"] == [None] * 4


def test_demonstrations_show_their_own_later_turns(dialogues: Make) -> None:
    test = dialogues([4]).map(lambda row: {name: "x" + row[name] for name in ("dialogue_id", "utterance_id")})
    splits = DatasetDict(train=dialogues([7, 7]), test=test)
    settings = {"extends": "bioserc_text", "system_message": False}
    plain = build_prompts(splits, settings)
    train = {row["utterance_id"]: row for row in plain["train"]}
    rows = build_prompts(splits, {**settings, "demonstrations": 3})["test"]
    for row, alone in zip(rows, plain["test"], strict=True):
        solved = [train[name]["prompt"] + train[name]["completion"] for name in row["demonstrations"]]
        assert row["prompt"] == [message for messages in solved for message in messages] + alone["prompt"]
        assert row["future_turns"] == alone["future_turns"]
    with pytest.raises(PromptError, match="one system message: set system_message to false"):
        load_prompt({"extends": "bioserc_text", "demonstrations": 3})
    with pytest.raises(PromptError, match="future must be 0 or more"):
        load_prompt({"extends": "bioserc", "future": -1})


def test_the_record_says_who_saw_later_turns() -> None:
    seen = {
        ("bioserc", None): (True, 5),
        ("bioserc", "history"): (True, 5),
        ("bioserc_history", "dialogue"): (True, 0),
        ("bioserc_history", "history"): (False, 0),
        ("speechcue", None): (False, 0),
    }
    for (prompt, scope), (sees_future, turns) in seen.items():
        assert future_record(load_prompt(prompt), [None, scope, scope]) == {
            "sees_future": sees_future,
            "future_turns": turns,
            "biography_scope": scope,
        }
    with pytest.raises(PromptError, match="some rows have a biography of scope dialogue, some of scope history"):
        future_record(load_prompt("bioserc"), ["history", None, "dialogue"])

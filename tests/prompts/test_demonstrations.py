from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from datasets import Dataset, DatasetDict

from speechcue_hf.errors import PromptError
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.demonstrations import add_demonstrations


@pytest.fixture
def rows(dialogues: Callable[[Sequence[int]], Dataset]) -> DatasetDict:
    """Training dialogues d0 to d3 with two rows of each label in each, test dialogues x0 and x1."""
    test = dialogues([3, 2]).map(
        lambda row: {name: row[name].replace("d", "x") for name in ("dialogue_id", "utterance_id")}
    )
    return build_prompts(DatasetDict(train=dialogues([14, 14, 14, 14]), test=test), "speechcue")


def test_demonstrations_are_solved_training_rows_before_the_question(rows: DatasetDict) -> None:
    train = {row["utterance_id"]: row for row in rows["train"]}
    for before, after in zip(rows["test"], add_demonstrations(rows, 3)["test"], strict=True):
        shown = [train[name] for name in after["demonstrations"]]
        assert len(shown) == 3
        solved = [message for row in shown for message in row["prompt"] + row["completion"]]
        assert after["prompt"] == solved + before["prompt"]
        assert after["completion"] == before["completion"]


def test_training_rows_see_no_row_of_their_own_dialogue(rows: DatasetDict) -> None:
    for row in add_demonstrations(rows, 28)["train"]:
        assert row["dialogue_id"] not in {name.split("_")[0] for name in row["demonstrations"]}
        assert len(set(row["demonstrations"])) == 28


def test_balanced_means_every_label_equally_often(rows: DatasetDict) -> None:
    emotions = dict(zip(rows["train"]["utterance_id"], rows["train"]["emotion"], strict=True))
    for row in add_demonstrations(rows, 14)["test"]:
        assert Counter(emotions[name] for name in row["demonstrations"]) == dict.fromkeys(range(7), 2)
    drawn = [row["demonstrations"] for row in add_demonstrations(rows, 14, balanced=False)["test"]]
    assert any(Counter(emotions[name] for name in names) != dict.fromkeys(range(7), 2) for names in drawn)


def test_draws_repeat_differ_by_seed_and_do_not_depend_on_other_rows(rows: DatasetDict) -> None:
    first, again, other = (add_demonstrations(rows, 4, seed=seed)["test"]["demonstrations"] for seed in (1, 1, 2))
    assert list(first) == list(again) != list(other)
    fewer = DatasetDict(train=rows["train"], test=rows["test"].select([3]))
    assert add_demonstrations(fewer, 4, seed=1)["test"]["demonstrations"][0] == first[3]


def test_what_cannot_be_drawn_is_refused(rows: DatasetDict) -> None:
    with pytest.raises(PromptError, match="drawn from the split 'train'"):
        add_demonstrations(DatasetDict(test=rows["test"]), 1)
    with pytest.raises(PromptError, match=r"'d0_0' asks for 8 .* only 6 in other dialogues"):
        add_demonstrations(rows, 56)
    with pytest.raises(ValueError, match="at least 1"):
        add_demonstrations(rows, 0)

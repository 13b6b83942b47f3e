from collections import Counter

import pytest

from speechcue_hf.corpora.subset import sample_dialogues

# 40 dialogues of three rows: 20 mostly of class 0, 12 of class 1, 8 of class 2.
MAIN = [0] * 20 + [1] * 12 + [2] * 8
DIALOGUES = [f"d{number:02}" for number in range(40) for _ in range(3)]
EMOTIONS = [emotion for main in MAIN for emotion in (main, None, main)]


@pytest.mark.parametrize("percent", [25, 50, 75])
def test_each_emotion_keeps_its_share(percent: float) -> None:
    drawn = sample_dialogues(DIALOGUES, EMOTIONS, percent, seed=3)
    counts = Counter(MAIN[int(name[1:])] for name in drawn)
    assert counts == {0: 20 * percent / 100, 1: 12 * percent / 100, 2: 8 * percent / 100}


def test_draws_repeat_grow_and_differ_by_seed() -> None:
    small, same, large = (sample_dialogues(DIALOGUES, EMOTIONS, percent, seed=3) for percent in (20, 20, 60))
    assert small == same < large
    assert small != sample_dialogues(DIALOGUES, EMOTIONS, 20, seed=4)
    assert sample_dialogues(DIALOGUES, EMOTIONS, 100, seed=3) == set(DIALOGUES)


def test_at_least_one_dialogue_is_drawn() -> None:
    assert len(sample_dialogues(["a", "b"], [None, None], 1, seed=0)) == 1


@pytest.mark.parametrize("percent", [0, -1, 101])
def test_a_share_that_is_none_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="over 0 and at most 100"):
        sample_dialogues(["a"], [0], percent, seed=0)

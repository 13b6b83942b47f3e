import pytest
from datasets import Dataset

from speechcue_hf.cues.turns import TurnFollower, add_turn_taking, turn_taking


def row(dialogue, turn, start, end):
    return {"dialogue_id": dialogue, "turn": turn, "start": start, "end": end}


@pytest.mark.parametrize(
    ("before", "now", "latency", "overlap"),
    [
        (row("a", 0, 0, 2), row("a", 1, 2.5, 4), 0.5, 0.0),
        (row("a", 0, 0, 2), row("a", 1, 1.5, 4), -0.5, 0.5),
        # Spoken wholly within the other's turn: no longer than itself.
        (row("a", 0, 0, 5), row("a", 1, 1, 2), -4.0, 1.0),
        (row("a", 0, 0, 2), row("b", 0, 2.5, 4), None, None),
        (row("a", 0, 0, 2), row("a", 2, 2.5, 4), None, None),
        (row("a", 0, 0, None), row("a", 1, 2.5, 4), None, None),
        (None, row("a", 0, 0, 1), None, None),
    ],
)
def test_turn_taking(before, now, latency, overlap):
    assert turn_taking(before, now) == {"turn_latency_s": latency, "overlap_s": overlap}


def test_the_future_does_not_matter():
    rows = [row("a", 0, 0, 1), row("a", 1, 1.2, 2), row("a", 2, 1.9, 3)]
    whole = list(map(TurnFollower(), rows))
    for count in range(1, 4):
        assert list(map(TurnFollower(), rows[:count])) == whole[:count]


def test_columns_are_added_or_null():
    rows = Dataset.from_list([row("a", 0, 0.0, 1.0), row("a", 1, 1.2, 2.0)])
    added = add_turn_taking(rows)
    assert added["turn_latency_s"][0] is None
    assert added["turn_latency_s"][1] == pytest.approx(0.2)
    assert add_turn_taking(added)[:] == added[:]
    assert add_turn_taking(rows.remove_columns("start"))["overlap_s"][:] == [None, None]

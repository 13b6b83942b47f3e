from collections.abc import Mapping
from typing import Any, Literal

import pytest

from speechcue_hf.values import fitted, meant


@pytest.mark.parametrize(
    ("value", "hint", "taken"),
    [
        (1, float, 1.0),
        ("1e-4", float, 1e-4),
        ([1, 2], tuple[int, ...], (1, 2)),
        ([1, "2.5"], tuple[float, ...], (1.0, 2.5)),
        (None, int | None, None),
        ([1, 2], list[int] | None, [1, 2]),
        ("score", Literal["score", "generate"], "score"),
        ([{"a": 1}], tuple[Mapping[str, Any], ...], ({"a": 1},)),
        ({"a": {"b": 1}}, Mapping[str, Mapping[str, int]], {"a": {"b": 1}}),
    ],
)
def test_what_json_and_yaml_say_otherwise_is_taken(value, hint, taken) -> None:
    found = fitted("setting", value, hint)
    assert (found, type(found)) == (taken, type(taken))


@pytest.mark.parametrize(
    ("value", "hint", "says"),
    [
        ("q_proj,k_proj", list[str], "setting must be a list of texts, got 'q_proj,k_proj'"),
        ("fast", float, "setting must be a number, got 'fast'"),
        (True, float, "setting must be a number, got True"),
        (1.5, int, "setting must be a whole number, got 1.5"),
        ("best", Literal["score", "generate"], "setting must be score or generate, got 'best'"),
        (None, str, "setting must be text, got None"),
        ([1], Mapping[str, int], r"setting must be a table, got \[1\]"),
        ([0] * 99, str, r"got \[0, 0.* …"),
    ],
)
def test_another_type_is_refused_in_plain_words(value, hint, says) -> None:
    with pytest.raises(TypeError, match=says):
        fitted("setting", value, hint)


def test_a_misspelt_name_has_a_neighbour() -> None:
    assert meant("sed", ["seed", "learning_rate"]) == "does not exist: did you mean seed?"
    assert meant("zzz", ["seed", "rate"]) == "does not exist: there are seed, rate"

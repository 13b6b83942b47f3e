import math
import re
from collections import defaultdict

import pytest

from speechcue_hf.biographies.requests import (
    NO_SPEAKER,
    NO_TURN_BEFORE,
    SILENT,
    SILENT_SO_FAR,
    dialogues_of,
    plan_biographies,
)
from speechcue_hf.biographies.settings import BiographyPrompt, BiographySettings
from speechcue_hf.biographies.write import BiographyWriter
from speechcue_hf.errors import CorpusError, DialogueError
from tests.biographies.dialogues import random_dialogue, rows_of

WHOLE = BiographySettings(scope="dialogue")


def told(plan):
    """Turns that a request tells of, by their texts."""
    return [int(turn) for turn in re.findall(r"said-(\d+)-end", plan.request.messages[0]["content"])]


@pytest.mark.parametrize("refresh", [1, 2, 5, 100])
@pytest.mark.parametrize("seed", range(40))
def test_history_tells_of_no_turn_but_those_before_the_row(seed, refresh):
    dialogue = random_dialogue(seed)
    plans = plan_biographies(dialogue, BiographySettings(refresh=refresh))
    requests = defaultdict(set)
    for row, plan in zip(dialogue, plans, strict=True):
        before = dialogue[: row["turn"]]
        spoke = any(turn["speaker"] == row["speaker"] and (turn["text"] or "").strip() for turn in before)
        assert (plan.request is not None) == (spoke and row["speaker"] is not None)
        if plan.request:
            assert plan.turns <= row["turn"]
            assert row["turn"] - plan.turns < refresh
            assert told(plan) == [turn["turn"] for turn in before[: plan.turns] if (turn["text"] or "").strip()]
            requests[row["speaker"]].add(plan.request.key)
    assert all(len(keys) <= math.ceil(len(dialogue) / refresh) for keys in requests.values())


@pytest.mark.parametrize("seed", range(20))
def test_a_changed_future_changes_no_request(seed):
    dialogue = random_dialogue(seed)
    half = len(dialogue) // 2
    changed = dialogue[:half] + [row | {"speaker": "Zoe", "text": "other"} for row in dialogue[half:]]
    settings = BiographySettings(refresh=3)
    assert plan_biographies(dialogue, settings)[:half] == plan_biographies(changed, settings)[:half]


@pytest.mark.parametrize("seed", range(20))
def test_the_whole_dialogue_is_told_once_for_each_speaker(seed):
    dialogue = random_dialogue(seed)
    plans = plan_biographies(dialogue, WHOLE)
    speakers = {row["speaker"] for row in dialogue if (row["text"] or "").strip()} - {None}
    keys = {row["speaker"]: plan.request.key for row, plan in zip(dialogue, plans, strict=True) if plan.request}
    assert set(keys) == speakers and len(set(keys.values())) == len(speakers)
    for row, plan in zip(dialogue, plans, strict=True):
        if plan.request:
            assert plan.request.key == keys[row["speaker"]] and plan.turns == len(dialogue)
            assert told(plan) == [turn["turn"] for turn in dialogue if (turn["text"] or "").strip()]


def test_rows_without_a_biography_say_why():
    dialogue = rows_of([("Ann", ""), ("Ann", "Hi."), (None, "Oh."), ("Ben", "Hi."), ("Ben", None), ("Cid", " ")])
    notes = [plan.note for plan in plan_biographies(dialogue, BiographySettings())]
    assert notes == [NO_TURN_BEFORE, SILENT_SO_FAR, NO_SPEAKER, SILENT_SO_FAR, None, SILENT_SO_FAR]
    notes = [plan.note for plan in plan_biographies(dialogue, WHOLE)]
    assert notes == [None, None, NO_SPEAKER, None, None, SILENT]


def test_a_name_of_white_space_is_nobody_s():
    plans = plan_biographies(rows_of([("", "Hi."), (" ", "Hi."), ("Ben", "Oh."), ("", "Bye."), ("Ben", "No.")]), WHOLE)
    assert [plan.note for plan in plans] == [NO_SPEAKER, NO_SPEAKER, None, NO_SPEAKER, None]
    assert "Somebody: Hi.\nSomebody: Hi.\nBen: Oh." in plans[2].request.messages[0]["content"]


@pytest.mark.parametrize("seed", range(10))
def test_no_template_can_look_at_the_row_itself(seed):
    curious = BiographyPrompt("curious", "{{ turns }} {{ target }} {{ word_limit }}")
    dialogue = random_dialogue(seed)
    for row, plan in zip(
        dialogue, plan_biographies(dialogue, BiographySettings(refresh=1, prompt=curious)), strict=True
    ):
        assert plan.request is None or max(told(plan)) < row["turn"]


def test_one_speaker_with_one_word():
    (plan,) = plan_biographies(rows_of([("Ann", "No.")]), WHOLE)
    assert "Ann: No.\n" in plan.request.messages[0]["content"] and plan.turns == 1
    (plan,) = plan_biographies(rows_of([("Ann", "No.")]), BiographySettings())
    assert (plan.request, plan.turns, plan.note) == (None, None, NO_TURN_BEFORE)


def test_when_a_biography_is_written_again():
    dialogue = rows_of([(speaker, f"said-{turn}-end") for turn, speaker in enumerate("ABAABABBA")])
    plans = plan_biographies(dialogue, BiographySettings(refresh=3))
    assert [plan.turns for plan in plans] == [None, None, 2, 2, 4, 5, 4, 7, 8]


def test_equal_conversations_are_one_request():
    turns = [("Ann", "Hi."), ("Ben", "Hi."), ("Ann", "Bye.")]
    first, second = (plan_biographies(rows_of(turns, name), BiographySettings())[2].request for name in "ab")
    assert first.key == second.key and (first.group, second.group) == ("a", "b")
    third = plan_biographies(rows_of([("Ann", "Hi!"), *turns[1:]]), BiographySettings())[2].request
    assert third.key != first.key


@pytest.mark.parametrize("scope", ["history", "dialogue"])
def test_parts_of_a_dialogue_are_refused(scope):
    dialogue = rows_of([("Ann", "Hi."), ("Ben", "Hi."), ("Ann", "Bye.")])
    for part in (dialogue[1:], dialogue[::2], dialogue[::-1]):
        batch = {name: [row[name] for row in part] for name in part[0]}
        with pytest.raises(DialogueError, match="is expected"):
            BiographyWriter(None, None, BiographySettings(scope=scope))(batch)


def test_rows_are_divided_by_dialogue():
    rows = rows_of([("Ann", "Hi."), ("Ben", "Hi.")], "a") + rows_of([("Ann", "Bye.")], "b")
    batch = {column: [row[column] for row in rows] for column in rows[0]}
    assert dialogues_of(batch) == [rows[:2], rows[2:]]
    del batch["speaker"]
    with pytest.raises(CorpusError, match=r"\['speaker'\]"):
        dialogues_of(batch)

"""Which biographies are asked for, and how many; on MELD and EmoryNLP against the csv files of SPEECHCUE_CORPORA."""

import csv
import math
import os
import re
from collections import defaultdict
from pathlib import Path

import pytest
from datasets import DatasetDict, load_dataset

import speechcue_hf  # noqa: F401
from speechcue_hf.biographies.requests import (
    NO_SPEAKER,
    NO_TURN_BEFORE,
    SILENT,
    SILENT_SO_FAR,
    dialogues_of,
    estimate_biographies,
    plan_biographies,
)
from speechcue_hf.biographies.settings import BiographyPrompt, BiographySettings
from speechcue_hf.biographies.write import BiographyWriter, write_biographies
from speechcue_hf.errors import CorpusError, DialogueError
from speechcue_hf.generation.estimate import RequestEstimate
from speechcue_hf.generation.local import LocalGenerator
from speechcue_hf.generation.request import GenerationSettings
from speechcue_hf.generation.store import open_store, stored_keys
from speechcue_hf.models.tiny import build_tiny_model
from tests.biographies.dialogues import dataset_of, random_dialogue, rows_of

pytestmark = pytest.mark.slow

WHOLE = BiographySettings(scope="dialogue")
CORPORA = Path(os.environ.get("SPEECHCUE_CORPORA", "unset"))
needs_corpora = pytest.mark.skipif(not CORPORA.is_dir(), reason="SPEECHCUE_CORPORA is not set")


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


def speakers_in_csv(folder, dialogue_columns, first_name):
    """(dialogue, speaker) pairs of the released files."""
    pairs = set()
    for path in sorted((CORPORA / folder).glob("*_sent_emo.csv")) or sorted((CORPORA / folder).glob("*_final.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                pairs.add((path.name, *(row[column] for column in dialogue_columns), first_name(row["Speaker"])))
    return len(pairs)


@needs_corpora
@pytest.mark.parametrize(
    ("corpus", "dialogue_columns", "first_name", "requests"),
    [
        ("meld", ["Dialogue_ID"], lambda name: name, 3904),
        ("emorynlp", ["Season", "Episode", "Scene_ID"], lambda names: names.strip("[]").split(", ")[0], 2714),
    ],
)
def test_requests_of_real_corpora(corpus, dialogue_columns, first_name, requests, tmp_path):
    assert speakers_in_csv(corpus, dialogue_columns, first_name) == requests
    options = {} if corpus == "emorynlp" else {"verify": False}
    dataset = load_dataset(f"speechcue/{corpus}", data_dir=str(CORPORA / corpus), cache_dir=str(tmp_path), **options)
    assert estimate_biographies(dataset, BiographySettings.bioserc()).requests == requests
    # Every turn but each speaker's first has a biography, and with refresh=1 one of its own.
    pairs = set(zip(dataset["test"]["dialogue_id"][:], dataset["test"]["speaker"][:], strict=True))
    turn_by_turn = estimate_biographies(dataset["test"], BiographySettings(refresh=1))
    assert turn_by_turn.requests == dataset["test"].num_rows - len(pairs)


@needs_corpora
@pytest.mark.parametrize("corpus", ["meld", "emorynlp"])
def test_history_tells_of_no_later_turn_of_a_real_dialogue(corpus, tmp_path):
    options = {} if corpus == "emorynlp" else {"verify": False}
    dataset = load_dataset(f"speechcue/{corpus}", data_dir=str(CORPORA / corpus), cache_dir=str(tmp_path), **options)
    # Real speakers in their real order; each text names its turn, as people say the same more than once.
    told = 0
    for dialogue in (dialogue for rows in dataset.values() for dialogue in dialogues_of(rows)):
        marked = [row | {"text": f"said-{row['turn']}-end" if row["text"] else ""} for row in dialogue]
        for row, plan in zip(dialogue, plan_biographies(marked, BiographySettings()), strict=True):
            content = plan.request.messages[0]["content"] if plan.request else ""
            turns = [int(turn) for turn in re.findall(r"said-(\d+)-end", content)]
            assert all(turn < row["turn"] for turn in turns)
            told += bool(turns)
    assert told > 6000


def test_an_estimate_is_what_a_run_then_takes(tmp_path):
    splits = DatasetDict(
        train=dataset_of(*(random_dialogue(seed) for seed in range(2))), test=dataset_of(rows_of([("A", "b")]))
    )
    settings = BiographySettings(refresh=6, word_limit=4)
    model, tokenizer = build_tiny_model(["Ann said-1-end"], vocabulary=300)
    before = estimate_biographies(splits, settings, max_new_tokens=5, tokenizer=tokenizer)
    generator = LocalGenerator(model, tokenizer, name="tiny", decoding=GenerationSettings(max_new_tokens=5))
    path = tmp_path / "store.jsonl"
    with open_store(path, generator=generator.identity, prompt=settings.prompt.identity) as store:
        written = write_biographies(splits, generator, store, settings)
        keys = set(written["train"]["biography_key"]) - {None}
        assert before.requests == before.missing == len(keys)
        assert before.prompt_tokens == sum(store[key].prompt_tokens for key in keys)
        failed = sum(store[key].text is None for key in keys)
        assert before.completion_tokens == 5 * len(keys) >= sum(store[key].completion_tokens for key in keys)
    after = estimate_biographies(splits, settings, tokenizer=tokenizer, stored=stored_keys(path))
    assert (after.requests, after.missing) == (before.requests, failed)


def test_equal_requests_are_counted_but_written_once():
    turns = [("Ann", "Hi there."), ("Ben", "Hi.")]
    estimate = estimate_biographies(
        dataset_of(rows_of(turns, "a"), rows_of(turns, "b")), BiographySettings(scope="dialogue"), max_new_tokens=10
    )
    assert (estimate.requests, estimate.missing, estimate.completion_tokens) == (4, 2, 20)


def test_time_and_price():
    estimate = RequestEstimate(10, 10, prompt_tokens=2_000_000, completion_tokens=360_000)
    assert estimate.hours(50) == pytest.approx(2.0)
    assert estimate.price(0.5, 10.0) == pytest.approx(4.6)
    with pytest.raises(ValueError, match="tokens_per_second"):
        estimate.hours(0)

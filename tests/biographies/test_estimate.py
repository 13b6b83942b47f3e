"""Requests counted from the data; on MELD and EmoryNLP against the csv files, when SPEECHCUE_CORPORA has them."""

import csv
import os
import re
from pathlib import Path

import pytest
from datasets import DatasetDict, load_dataset

import speechcue_hf  # noqa: F401
from speechcue_hf.biographies.estimate import BiographyEstimate, estimate_biographies
from speechcue_hf.biographies.requests import dialogues_of, plan_biographies
from speechcue_hf.biographies.settings import BiographySettings
from speechcue_hf.biographies.write import needed_batch, write_biographies
from speechcue_hf.generation.local import LocalGenerator
from speechcue_hf.generation.settings import GenerationSettings
from speechcue_hf.generation.store import open_store, stored_keys
from speechcue_hf.models.tiny import build_tiny_model
from tests.biographies.dialogues import dataset_of, random_dialogue, rows_of

CORPORA = Path(os.environ.get("SPEECHCUE_CORPORA", "unset"))
needs_corpora = pytest.mark.skipif(not CORPORA.is_dir(), reason="SPEECHCUE_CORPORA is not set")


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
    for dialogue in (dialogue for rows in dataset.values() for dialogue in dialogues_of(needed_batch(rows))):
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
    assert (estimate.requests, estimate.missing, estimate.completion_tokens, estimate.by_tokenizer) == (4, 2, 20, False)


def test_time_and_price():
    estimate = BiographyEstimate(10, 10, prompt_tokens=2_000_000, completion_tokens=360_000, by_tokenizer=True)
    assert estimate.hours(50) == pytest.approx(2.0)
    assert estimate.price(0.5, 10.0) == pytest.approx(4.6)
    with pytest.raises(ValueError, match="tokens_per_second"):
        estimate.hours(0)

"""Dialogues in order, said once: what is refused, and that everybody who looks at earlier turns asks here."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Features, Value, load_dataset

from speechcue_hf.biographies.settings import BiographySettings
from speechcue_hf.biographies.write import write_biographies
from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.dialogues import dialogues, split_dialogues
from speechcue_hf.errors import DialogueError
from speechcue_hf.generation.store import open_store
from speechcue_hf.models.bioserc import BiosErcConfig
from speechcue_hf.models.bioserc.dialogues import dialogue_examples
from speechcue_hf.models.tiny import train_tokenizer
from speechcue_hf.prompts.build import build_prompts
from tests.generation.scripted import ScriptedGenerator


def rows(starts=(0.0, 1.0, 2.0, 3.0)) -> Dataset:
    """Two dialogues of four turns, described and measured."""
    columns = {
        "dialogue_id": ["a"] * 4 + ["b"] * 4,
        "utterance_id": [f"{name}{turn}" for name in "ab" for turn in range(4)],
        "turn": [*range(4), *range(4)],
        "speaker": ["Ann", "Ben"] * 4,
        "text": ["Yes.", "No."] * 4,
        "emotion": [0, 1] * 4,
        "speech_description": ["loud"] * 8,
        "intensity_mean_db": [60.0, 61, 62, 63, 64, 65, 66, 67],
        "start": [*starts, *starts],
    }
    floats = {name: Value("float64") for name in ("intensity_mean_db", "start")}
    features = dict.fromkeys(columns, Value("string")) | floats | {"turn": Value("int32")}
    return Dataset.from_dict(columns, features=Features({**features, "emotion": ClassLabel(names=["sad", "glad"])}))


WRONG = {
    "reversed": lambda table: table.select(range(len(table) - 1, -1, -1)),
    "filtered": lambda table: table.select([0, 1, 3, 4, 5, 6, 7]),
    "first turn missing": lambda table: table.select(range(1, 8)),
    "shuffled": lambda table: table.shuffle(seed=1),
    "interleaved": lambda table: table.select([0, 4, 1, 5, 2, 6, 3, 7]),
    "twice": lambda table: table.select([*range(8), *range(4)]),
}


def prompts(table: Dataset, folder: Path) -> None:
    build_prompts(table)


def biographies(table: Dataset, folder: Path) -> None:
    generator, settings = ScriptedGenerator(lambda request: "Somebody."), BiographySettings()
    with open_store(folder / "s.jsonl", generator=generator.identity, prompt=settings.prompt.identity) as store:
        write_biographies(table, generator, store, settings)


def running_baseline(table: Dataset, folder: Path) -> None:
    describe_dataset(table, SpeechDescriber.fit(rows(), baseline="running", min_past=1))


def encoder(table: Dataset, folder: Path) -> None:
    tokenizer = train_tokenizer(["Yes. No."], 300)
    tokenizer.cls_token, tokenizer.sep_token = "a", "b"
    dialogue_examples(table, tokenizer, BiosErcConfig(cues="none"), 48)


USERS = [prompts, biographies, running_baseline, encoder]


@pytest.mark.parametrize("use", USERS, ids=lambda use: use.__name__)
def test_whole_dialogues_are_taken(use, tmp_path: Path) -> None:
    use(rows(), tmp_path)


@pytest.mark.parametrize("use", USERS, ids=lambda use: use.__name__)
@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG.keys())
def test_what_is_not_in_order_is_refused_by_everybody(use, spoil, tmp_path: Path) -> None:
    with pytest.raises(DialogueError, match=r"turn .* is expected|stands twice"):
        use(spoil(rows()), tmp_path)


@pytest.mark.parametrize("use", USERS, ids=lambda use: use.__name__)
def test_later_turns_that_start_before_earlier_ones_are_refused(use, tmp_path: Path) -> None:
    with pytest.raises(DialogueError, match=r"'a': turn 2 starts at 0.5 s, before turn 1, which starts at 1 s"):
        use(rows(starts=(0.0, 1.0, 0.5, 3.0)), tmp_path)


def test_times_that_are_not_known_or_equal_are_in_order() -> None:
    assert split_dialogues(rows(starts=(0.0, None, 0.0, 3.0))) == [range(4), range(4, 8)]


def test_a_corpus_that_fixes_its_order_is_believed() -> None:
    """IEMOCAP's transcriptions are the order of its dialogues, though 150 turns start before the one before."""
    table = rows(starts=(0.0, 2.0, 1.0, 3.0))
    table.info.dataset_name = "speechcue_iemocap"
    assert len(split_dialogues(table)) == 2
    table.info.dataset_name = "speechcue_folder"
    with pytest.raises(DialogueError, match="number the turns in the order in which they start"):
        split_dialogues(table)


def test_the_demo_corpus_is_in_order() -> None:
    assert [len(split_dialogues(part)) for part in load_dataset("speechcue/demo").values()] == [54, 12, 18]


def test_rows_without_turns_are_refused() -> None:
    with pytest.raises(DialogueError, match="no column 'turn'"):
        split_dialogues(rows().remove_columns("turn"))


@pytest.mark.parametrize(
    ("ids", "turns"),
    [(["a"], [1]), (["a", "a"], [0, 2]), (["a", "b"], [0, 1]), (["a", "b", "a"], [0, 0, 1]), (["a", "a"], [1, 0])],
)
def test_rows_that_lack_their_past(ids, turns) -> None:
    with pytest.raises(DialogueError, match="is expected"):
        dialogues({"dialogue_id": ids, "turn": turns})


def test_no_rows_are_no_dialogues() -> None:
    assert dialogues({"dialogue_id": [], "turn": []}) == []

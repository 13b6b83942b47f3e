import json
import pickle
import re
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict, IterableDatasetDict, load_dataset

import speechcue_hf  # noqa: F401
from speechcue_hf.biographies.cleaning import NOTHING_WRITTEN
from speechcue_hf.biographies.requests import NO_TURN_BEFORE, SILENT_SO_FAR, estimate_biographies
from speechcue_hf.biographies.settings import BiographySettings, load_biography_prompt
from speechcue_hf.biographies.write import BIOGRAPHY_FEATURES, BiographyWriter, write_biographies, written_record
from speechcue_hf.errors import DialogueError, GenerationError
from speechcue_hf.generation.cleaning import STILL_REASONING
from speechcue_hf.generation.store import EMPTY, open_store
from speechcue_hf.records import write_record
from tests.biographies.dialogues import dataset_of, random_dialogue, rows_of
from tests.generation.scripted import ScriptedGenerator

WHOLE = BiographySettings(scope="dialogue")


def about(request):
    """A biography that names whom it was asked for, and how much was told."""
    text = request.messages[-1]["content"]
    speaker = text.partition("Describe ")[2].partition(" as a person")[0]
    return f"{speaker} of {len(re.findall('^[A-Z][a-z]+: ', text, re.M))} turns.</s> and more"


@pytest.fixture
def opened(tmp_path):
    def open_for(generator, settings):
        return open_store(tmp_path / "store.jsonl", generator=generator.identity, prompt=settings.prompt.identity)

    return open_for


def test_one_biography_for_each_speaker_is_given_to_all_their_rows(opened):
    turns = [("Ann", "Hi."), ("Ben", "Hi."), ("Ann", "Bye.")]
    rows = dataset_of(rows_of(turns, "a"), rows_of([("Ann", "Alone.")], "b"))
    generator = ScriptedGenerator(about)
    with opened(generator, WHOLE) as store:
        written = write_biographies(rows.add_column("emotion", [1, 2, 3, 4]), generator, store, WHOLE)
    assert written["biography"][:] == ["Ann of 3 turns.", "Ben of 3 turns.", "Ann of 3 turns.", "Ann of 1 turns."]
    assert written["biography_turns"][:] == [3, 3, 3, 1] and written["biography_note"][:] == [None] * 4
    assert set(written["biography_scope"]) == {"dialogue"} and written["emotion"][:] == [1, 2, 3, 4]
    keys = written["biography_key"]
    assert keys[0] == keys[2] and len(set(keys)) == 3 == len(generator.asked)
    assert {name: written.features[name] for name in BIOGRAPHY_FEATURES} == BIOGRAPHY_FEATURES


def test_history(opened):
    rows = dataset_of(rows_of([("Ann", "Hi."), ("Ben", "Hi."), ("Ann", "Bye."), ("Ann", "Go."), ("Ben", "Bye.")]))
    generator, settings = ScriptedGenerator(about), BiographySettings(refresh=2)
    with opened(generator, settings) as store:
        written = write_biographies(rows, generator, store, settings)
    said = [None, None, "Ann of 2 turns.", "Ann of 2 turns.", "Ben of 4 turns."]
    assert written["biography"][:] == said
    assert written["biography_note"][:] == [NO_TURN_BEFORE, SILENT_SO_FAR, None, None, None]
    assert written["biography_turns"][:] == [None, None, 2, 2, 4] and set(written["biography_scope"]) == {"history"}


def test_earlier_biographies_are_replaced(opened):
    rows = dataset_of(rows_of([("Ann", "Hi.")])).add_column("biography", ["old"])
    generator = ScriptedGenerator()
    with opened(generator, WHOLE) as store:
        written = write_biographies(rows, generator, store, WHOLE)
    assert written["biography"][:] == ["Somebody."]


@pytest.mark.parametrize(
    ("answer", "note"), [(None, "busy"), ("", EMPTY), ("</s>", NOTHING_WRITTEN), ("<think>", STILL_REASONING)]
)
def test_a_row_without_text_keeps_its_place_and_the_reason(opened, answer, note):
    rows = dataset_of(rows_of([("Ann", "Hi."), ("Ben", "Hi.")]))
    generator = ScriptedGenerator(
        lambda request: answer if "Describe Ann" in request.messages[0]["content"] else "Ben."
    )
    with opened(generator, WHOLE) as store:
        written = write_biographies(rows, generator, store, WHOLE)
    assert (written["biography"][:], written["biography_note"][:]) == ([None, "Ben."], [note, None])


def test_a_run_that_was_killed_goes_on_and_loses_none(opened):
    splits = DatasetDict(
        train=dataset_of(*(random_dialogue(seed) for seed in range(12))),
        test=dataset_of(*(random_dialogue(seed) for seed in range(12, 16))),
    )
    settings = BiographySettings(refresh=4)

    def crashes(request):
        if len(first.asked) > 9:
            raise RuntimeError("killed")
        return about(request)

    first, second, whole = ScriptedGenerator(crashes), ScriptedGenerator(about), ScriptedGenerator(about)
    with pytest.raises(RuntimeError, match="killed"), opened(first, settings) as store:
        write_biographies(splits, first, store, settings)
    with opened(second, settings) as store:
        resumed = write_biographies(splits, second, store, settings)
        record = written_record(resumed, second, store, settings)
    with open_store(Path(f"{store._path}-2"), generator=whole.identity, prompt=settings.prompt.identity) as store:
        at_once = write_biographies(splits, whole, store, settings)
    assert all(resumed[split][:] == at_once[split][:] for split in splits)
    asked = [request.key for request in (*first.asked[:9], *second.asked)]
    assert sorted(asked) == sorted({request.key for request in whole.asked})
    assert record.requests == {"all": len(asked), "failed": 0}


def test_a_store_of_another_model_or_prompt_is_refused(opened):
    with opened(ScriptedGenerator(), WHOLE):
        pass
    other = BiographySettings(prompt=load_biography_prompt("bioserc"))
    with (
        pytest.raises(GenerationError, match="model 'scripted' and not 'big'"),
        opened(ScriptedGenerator(model="big"), WHOLE),
    ):
        pass
    with (
        pytest.raises(GenerationError, match="prompt name 'speechcue' and not 'bioserc'"),
        opened(ScriptedGenerator(), other),
    ):
        pass


def test_one_store_serves_both_scopes(opened):
    rows = dataset_of(rows_of([("Ann", "Hi."), ("Ben", "Hi."), ("Ann", "Bye.")]))
    generator = ScriptedGenerator(about)
    with opened(generator, WHOLE) as store:
        write_biographies(rows, generator, store, WHOLE)
        write_biographies(rows, generator, store, BiographySettings())
    assert len(generator.asked) == 3


def test_it_can_be_mapped(opened, caplog):
    rows = dataset_of(*(random_dialogue(seed) for seed in range(6)))
    generator, settings = ScriptedGenerator(about), BiographySettings()
    with opened(generator, settings) as store:
        biographer = BiographyWriter(generator, store, settings)
        mapped = rows.map(biographer, batched=True, batch_size=None, new_fingerprint="with-biographies")
        assert mapped[:] == write_biographies(rows, generator, store)[:]
        stream = rows.to_iterable_dataset().map(biographer, batched=True, batch_size=None)
        assert list(stream) == list(mapped)
        with pytest.raises(DialogueError, match="batch_size=None"):
            rows.map(biographer, batched=True, batch_size=3, new_fingerprint="in-parts")
        with pytest.raises(TypeError, match="without num_proc"):
            pickle.dumps(biographer)


def test_an_empty_split_has_the_columns(opened):
    generator = ScriptedGenerator()
    with opened(generator, WHOLE) as store:
        written = write_biographies(dataset_of(random_dialogue(1)).select([]), generator, store, WHOLE)
    assert len(written) == 0 and set(BIOGRAPHY_FEATURES) < set(written.features)


def test_streams_are_refused_with_the_cure(opened):
    stream = dataset_of(random_dialogue(1)).to_iterable_dataset()
    generator = ScriptedGenerator()
    for rows in (stream, IterableDatasetDict(train=stream)):
        with pytest.raises(ValueError, match="without streaming"):
            estimate_biographies(rows, WHOLE)
        with opened(generator, WHOLE) as store, pytest.raises(ValueError, match="without streaming"):
            write_biographies(rows, generator, store, WHOLE)


def test_the_corpus_is_still_known(opened, tmp_path):
    demo = load_dataset("speechcue/demo", cache_dir=str(tmp_path)).remove_columns("audio")
    generator, settings = ScriptedGenerator(about), BiographySettings()
    with opened(generator, settings) as store:
        written = write_biographies(demo, generator, store, settings)
    assert written["train"].info.dataset_name == demo["train"].info.dataset_name
    assert isinstance(written["train"], Dataset) and written["train"].num_rows == 324


def test_the_record_says_what_was_done(opened, tmp_path):
    rows = dataset_of(rows_of([("Ann", "Hi."), ("Ben", "Hi."), ("Ann", "Bye.")]))
    long = "Ann said so. " * 60
    generator = ScriptedGenerator(lambda request: long if "Describe Ann" in request.messages[0]["content"] else None)
    with opened(generator, WHOLE) as store:
        splits = write_biographies(DatasetDict(train=rows), generator, store, WHOLE)
        write_record(written_record(splits, generator, store, WHOLE), tmp_path)
    record = json.loads((tmp_path / "biographies.json").read_text())
    assert record["scope"] == "dialogue" and record["sees_future"] is True and record["refresh"] is None
    assert record["writer"] == generator.identity and record["prompt"] == WHOLE.prompt.identity
    assert record["requests"] == {"all": 2, "failed": 1} and record["tokens"] == {"prompt": 14, "completion": 6}
    assert record["rows"] == {"train": {"all": 3, "with_biography": 2, "cut": 2, "without": {"busy": 1}}}
    assert str(tmp_path) not in json.dumps(record)

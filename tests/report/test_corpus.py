from collections import Counter

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from speechcue_hf.corpora.catalogue import find_corpus
from speechcue_hf.report.corpus import corpus_of, histogram, licence_notes, overview, turns_of
from tests.records import simple_describer


def values_of(column):
    return [column["values"][code] for code in column["codes"]] if "codes" in column else column["values"]


def test_turns_are_the_rows_of_all_splits_in_order(described_corpus):
    turns = turns_of(described_corpus)
    rows = [row for split in described_corpus.values() for row in split]
    names = described_corpus["train"].features["emotion"].names
    assert turns["count"] == len(rows) == 48
    columns = {name: values_of(column) for name, column in turns["columns"].items()}
    assert columns["id"] == [row["utterance_id"] for row in rows]
    assert columns["label"] == [names[row["emotion"]] for row in rows]
    assert columns["description"] == [row["speech_description"] for row in rows]
    assert columns["split"] == ["train"] * 24 + ["validation"] * 12 + ["test"] * 12
    assert "biography" not in columns and turns["cues"] == {}


def corpus(loudness, emotions):
    text = Value("string")
    features = dict.fromkeys(("utterance_id", "dialogue_id", "speaker", "text", "measurement_note"), text)
    rows = {
        "utterance_id": [f"u{place}" for place in range(len(loudness))],
        "dialogue_id": ["d"] * len(loudness),
        "speaker": [None, *"A" * (len(loudness) - 1)],
        "text": ["Hi."] * len(loudness),
        "measurement_note": [None if value is not None else "digital silence" for value in loudness],
        "emotion": emotions,
        "intensity_mean_db": loudness,
    }
    features |= {"emotion": ClassLabel(names=["happy", "sad"]), "intensity_mean_db": Value("float64")}
    return Dataset.from_dict(rows, features=Features(features))


def test_what_is_missing_is_counted_with_its_reason():
    dataset = DatasetDict(train=corpus([60.0, None, 70.0], [0, None, 1]), test=corpus([None], [0]))
    found = overview(dataset, simple_describer())
    assert found["missing"] == {"intensity_mean_db": 2}
    assert found["notes"] == {"train": {"digital silence": 1}, "test": {"digital silence": 1}}
    assert found["counts"]["train"] == {"dialogues": 1, "utterances": 3, "happy": 1, "no label": 1, "sad": 1}
    assert found["counts"]["all splits"]["utterances"] == 4 and found["speakers"] == {"train": {"A": 2}}
    [loudness] = found["distributions"]
    assert (loudness["n"], loudness["unit"]) == (2, "dB")
    expected = simple_describer().groups["overall"].cues["intensity_mean_db"].thresholds
    assert loudness["thresholds"] == list(expected)
    assert {leak["what"] for leak in found["leaks"]} == {"texts"}


def test_a_histogram_counts_every_value_once():
    values = np.append(np.random.default_rng(0).normal(size=2000), [np.nan, 1e6])
    found = histogram(values)
    assert sum(found["bars"]) + found["below"] + found["above"] == found["n"] == 2001
    assert found["low"] < found["median"] < found["high"] < 10
    assert histogram(np.array([5.0, 5.0]))["bars"] == [2]


@pytest.mark.parametrize(
    ("name", "sound", "kinds", "says"),
    [
        ("iemocap", True, ["forbidden"], "may not be passed on"),
        ("iemocap+meld", False, ["forbidden"], "may not be passed on"),
        ("meld", True, ["forbidden", "note"], "may not be made public: the clips"),
        ("meld", False, ["note"], "GPL-3.0"),
        ("demo", True, ["note"], "CC0-1.0"),
        ("folder", True, ["note"], "agreed to"),
        (None, False, ["note"], "not known"),
    ],
)
def test_the_licence_stands_on_top(name, sound, kinds, says):
    notes = licence_notes(find_corpus(name), sound=sound)
    assert [note["kind"] for note in notes] == kinds and says in notes[0]["text"]


def test_rows_of_iemocap_are_known_by_their_ids():
    rows = corpus([60.0], [0]).remove_columns("utterance_id").add_column("utterance_id", ["Ses01F_impro01_F000"])
    assert corpus_of(DatasetDict(train=rows)).name == "iemocap"


def test_counts_by_label_are_those_of_the_rows(described_corpus):
    counts = overview(described_corpus, None)["counts"]["train"]
    names = described_corpus["train"].features["emotion"].names
    expected = Counter(names[emotion] for emotion in described_corpus["train"]["emotion"])
    assert {name: counts[name] for name in names} == dict(expected)

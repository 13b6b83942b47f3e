import json
from dataclasses import replace

import pytest
from datasets import Dataset, DatasetDict, load_dataset

import speechcue_hf  # noqa: F401
from speechcue_hf.cli import main
from speechcue_hf.corpora.identity import identify
from speechcue_hf.corpora.parquet import read_dataset, write_dataset
from speechcue_hf.errors import RecordError
from speechcue_hf.records import CorpusIdentity, find_record


@pytest.fixture(scope="module")
def demo():
    return load_dataset("speechcue/demo").remove_columns("audio")


def test_a_loaders_rows_say_where_they_come_from_after_map_too(demo):
    identity = identify(demo.map(lambda row: {"more": 1}))
    assert (identity.corpus, identity.config, identity.licence) == ("demo", "default", "CC0-1.0")
    assert identity.utterances == {"train": 64, "validation": 16, "test": 16}
    assert identity.task == "demo-6-erc"
    assert replace(identity, config="ser-4", labels=tuple("abcd"), corpus="iemocap").task == "iemocap-4-ser"
    assert replace(identity, labels=(), corpus="libritts").task == "libritts-captions"


def test_other_rows_have_no_identity():
    assert identify(DatasetDict(train=Dataset.from_dict({"text": ["a"]}))) is None


def test_revision_changes_with_a_label_and_not_with_another_column(demo):
    def relabel(row, index):
        return {"emotion": (row["emotion"] + 1) % 6 if index == 3 else row["emotion"]}

    changed = DatasetDict({**demo, "test": demo["test"].map(relabel, with_indices=True)})
    assert identify(changed).revision != identify(demo).revision
    assert identify(demo.map(lambda row: {"more": 1})).revision == identify(demo).revision


def test_identity_travels_from_folder_to_folder(demo, tmp_path):
    write_dataset(demo, tmp_path / "a")
    write_dataset(read_dataset(tmp_path / "a").map(lambda row: {"more": 1}), tmp_path / "b")
    assert find_record(CorpusIdentity, tmp_path / "b") == identify(demo)
    assert str(tmp_path) not in (tmp_path / "b" / "corpus.json").read_text()


def test_commands_hand_it_on(tmp_path):
    folders = [tmp_path / name for name in ("demo", "measured", "described")]
    assert main(["prepare", "demo", "-o", str(folders[0])]) == 0
    assert main(["measure", str(folders[0]), "-o", str(folders[1]), "--groups", "loudness"]) == 0
    assert main(["describe", str(folders[1]), "-o", str(folders[2])]) == 0
    assert len({(folder / "corpus.json").read_text() for folder in folders}) == 1
    assert (folders[1] / "measurement.json").read_text() == (folders[2] / "measurement.json").read_text()


def test_rows_of_nobody_leave_no_identity_of_an_earlier_time(demo, tmp_path):
    write_dataset(demo, tmp_path)
    text = {split: Dataset.from_dict({"text": rows["text"]}) for split, rows in demo.items()}
    write_dataset(DatasetDict(text), tmp_path)
    assert find_record(CorpusIdentity, tmp_path) is None


def test_damaged_file_is_named(tmp_path):
    (tmp_path / "corpus.json").write_text(json.dumps({"corpus": "meld"}))
    with pytest.raises(RecordError, match=r"corpus\.json has no 'config': prepare the corpus again"):
        find_record(CorpusIdentity, tmp_path)

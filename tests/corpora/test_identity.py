import json
import re
from dataclasses import replace

import pytest
from datasets import Dataset, DatasetDict, concatenate_datasets, load_dataset

import speechcue_hf  # noqa: F401
from speechcue_hf.cli import main
from speechcue_hf.corpora.catalogue import find_corpus, is_of_users
from speechcue_hf.corpora.identity import corpus_of_metadata, identify
from speechcue_hf.corpora.parquet import read_dataset, write_dataset
from speechcue_hf.dialogues import split_dialogues
from speechcue_hf.errors import DialogueError, RecordError
from speechcue_hf.records import CorpusIdentity, find_record
from tests.demo_slice import demo_slice


@pytest.fixture(scope="module")
def demo():
    return load_dataset("speechcue/demo").remove_columns("audio")


def test_a_loaders_rows_say_where_they_come_from_after_map_too(demo):
    identity = identify(demo.map(lambda row: {"more": 1}))
    assert (identity.corpus, identity.config, identity.licence) == ("demo", "default", "CC0-1.0")
    assert identity.utterances == {"train": 324, "validation": 72, "test": 108}
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
    write_dataset(demo_slice(), folders[0])
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


def each(dataset, change):
    return DatasetDict({split: change(rows) for split, rows in dataset.items()})


JOINED = {
    "columns": lambda rows: concatenate_datasets([rows, Dataset.from_dict({"more": [1] * len(rows)})], axis=1),
    "columns first": lambda rows: concatenate_datasets([Dataset.from_dict({"more": [1] * len(rows)}), rows], axis=1),
    "its own columns": lambda rows: concatenate_datasets(
        [rows.remove_columns("text"), rows.select_columns("text")], axis=1
    ),
    "its own rows": lambda rows: concatenate_datasets([rows.select(range(8)), rows.select(range(8, len(rows)))]),
    "add_column": lambda rows: rows.add_column("more", [1] * len(rows)),
    "filter": lambda rows: rows.filter(lambda row: True),
    "torch": lambda rows: rows.with_format("torch"),
}


@pytest.mark.parametrize("change", JOINED.values(), ids=JOINED)
def test_rows_keep_their_corpus_whatever_datasets_does(demo, change):
    assert identify(each(demo, change)) == identify(demo)


def test_rows_keep_their_corpus_in_files_of_plain_datasets(demo, tmp_path):
    joined = each(demo, JOINED["columns"])
    joined.save_to_disk(tmp_path / "disk")
    for split, rows in joined.items():
        rows.to_parquet(tmp_path / "parquet" / f"mine_{split}.parquet")
        Dataset.from_pandas(rows.to_pandas()).to_parquet(tmp_path / "pandas" / f"{split}.parquet")
    assert identify(read_dataset(tmp_path / "disk")) == identify(demo)
    assert identify(read_dataset(tmp_path / "parquet")) == identify(demo)
    assert identify(read_dataset(tmp_path / "pandas")).licence == "CC0-1.0"


def test_own_recordings_keep_their_origin_when_joined(tmp_path):
    (tmp_path / "metadata.csv").write_text("file_name,utterance_id,text,emotion\n,a,Hello.,glad\n,b,No.,sad\n")
    own = load_dataset("speechcue/folder", data_dir=str(tmp_path))
    joined = each(own, JOINED["columns"])
    assert identify(joined).corpus == identify(own).corpus == "folder"
    joined.save_to_disk(tmp_path / "disk")
    assert identify(read_dataset(tmp_path / "disk")).corpus == "folder"


@pytest.fixture
def two(demo, tmp_path):
    from tests.corpora import test_emorynlp

    test_emorynlp.write_csv(tmp_path)
    other = load_dataset("speechcue/emorynlp", data_dir=str(tmp_path), verify=False, cache_dir=str(tmp_path / "cache"))[
        "train"
    ]
    names = ["dialogue_id", "utterance_id", "turn", "text"]
    return concatenate_datasets([demo["train"].select_columns(names), other.select_columns(names)])


def test_two_corpora_in_one_dataset_are_both_named(two, tmp_path):
    identity = identify(DatasetDict(train=two))
    assert (identity.corpus, identity.config) == ("demo+emorynlp", "default+default")
    assert (identity.licence, identity.task) == ("CC0-1.0; Apache-2.0", "demo+emorynlp-captions")
    write_dataset(DatasetDict(train=two), tmp_path / "both")
    assert identify(read_dataset(tmp_path / "both")) == identity == find_record(CorpusIdentity, tmp_path / "both")
    assert identify(DatasetDict(train=two.select(range(3)), test=two.select(range(3, 5)))).corpus == "demo+emorynlp"


def test_of_several_corpora_no_more_may_leave_than_of_each():
    corpus = find_corpus("demo+iemocap")
    assert (corpus.may_leave, corpus.hub_licence, corpus.order_fixed) == ("cues", "other", False)
    assert find_corpus("demo+nothing") is None and find_corpus(None) is None
    assert find_corpus("emorynlp+meld").may_leave == "annotations"
    assert find_corpus("demo+emorynlp").may_leave == "everything"
    assert is_of_users(find_corpus("folder+meld")) and not is_of_users(find_corpus("demo+meld"))
    assert all(re.fullmatch(corpus.utterance_ids, name) for name in ("Ses01F_impro01_F000", "dog_07"))
    assert find_corpus("folder+meld").utterance_ids is None


def test_of_several_licences_in_a_record_the_strictest_counts():
    """As of somebody's own folder that is of a release after all, together with rows of another corpus."""
    licences = "; ".join(find_corpus(name).licence for name in ("meld", "iemocap"))
    assert corpus_of_metadata({"name": "folder+meld", "licence": licences}).name == "iemocap"


def test_files_of_commands_keep_the_corpus_of_a_plain_parquet(tmp_path):
    file = tmp_path / "rows.parquet"
    demo_slice()["train"].to_parquet(file)
    assert main(["measure", str(file), "-o", str(tmp_path / "measured"), "--groups", "loudness"]) == 0
    assert find_record(CorpusIdentity, tmp_path / "measured").corpus == "demo"
    assert main(["describe", str(tmp_path / "measured"), "-o", str(tmp_path / "described")]) == 0
    assert find_record(CorpusIdentity, tmp_path / "described").licence == "CC0-1.0"


def test_order_is_as_the_corpus_says_after_parquet_too(tmp_path):
    rows = {"dialogue_id": ["Ses01F_impro01"] * 2, "turn": [0, 1], "start": [2.0, 1.0]}
    ids = ["Ses01F_impro01_F000", "Ses01F_impro01_M000"]
    Dataset.from_dict({**rows, "utterance_id": ids}).to_parquet(tmp_path / "rows.parquet")
    assert split_dialogues(read_dataset(tmp_path / "rows.parquet")["train"]) == [range(0, 2)]
    with pytest.raises(DialogueError, match="before turn 0"):
        split_dialogues(Dataset.from_dict({**rows, "utterance_id": ["a", "b"]}))

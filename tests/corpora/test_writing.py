"""Folders appear whole. Writers are killed at every step in ``kill_points.py``, and commands in ``tests/commands``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict, load_dataset

from speechcue_hf.corpora import writing
from speechcue_hf.corpora.parquet import carry_identity, read_dataset, shard_name, write_dataset, write_shard
from speechcue_hf.corpora.writing import PUBLISHING, STATE_FILE, UNFINISHED, join_writing, whole_folder
from speechcue_hf.errors import CorpusError
from speechcue_hf.records import CORPUS_FILE, CorpusIdentity, carry_records, read_record, write_json

pytestmark = pytest.mark.slow

COMMAND = "speechcue measure data/meld -o data/measured --shard N --num-shards 3"


def rows(*words: str) -> Dataset:
    return Dataset.from_dict({"words": list(words)})


@pytest.mark.parametrize("what", ["once", "again", "shards", "together"])
def test_killed_at_every_step_a_folder_is_whole_or_says_how_it_is_finished(tmp_path, what):
    line = [sys.executable, "-m", "tests.corpora.kill_points", str(tmp_path / "folder"), what]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(line, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 20


def test_an_error_leaves_the_folder_as_it_was(tmp_path):
    write_dataset(DatasetDict(train=rows("old")), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RuntimeError), whole_folder(tmp_path) as unfinished:
        write_dataset(DatasetDict(train=rows("new")), unfinished)
        raise RuntimeError
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_of_two_runs_that_write_a_folder_at_once_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "PATIENCE", 0.2)
    folder = tmp_path / "out"
    with whole_folder(folder) as unfinished:
        write_dataset(DatasetDict(train=rows("first")), unfinished)
        with pytest.raises(CorpusError, match="is being written by another run: wait until it has ended"):
            write_dataset(DatasetDict(train=rows("second")), folder)
    assert read_dataset(folder)["train"]["words"][:] == ["first"]
    write_dataset(DatasetDict(train=rows("third")), folder)
    assert read_dataset(folder)["train"]["words"][:] == ["third"]
    assert [path.name for path in folder.iterdir()] == [shard_name("train", 0, 1)]


def test_an_unfinished_folder_names_what_is_missing_and_the_command(tmp_path):
    names = [shard_name("train", index, 3) for index in range(3)]
    unfinished = join_writing(tmp_path, COMMAND, names)
    write_shard(rows("a"), unfinished / names[1])
    with pytest.raises(CorpusError) as error:
        read_dataset(tmp_path)
    assert (
        str(error.value) == f"{tmp_path} is not complete ({names[0]}, {names[2]} missing): finish it with `{COMMAND}`"
    )
    # Nor does plain load_dataset take a part for the whole.
    with pytest.raises(FileNotFoundError):
        load_dataset(str(tmp_path))


def test_jobs_that_write_other_files_are_refused(tmp_path):
    join_writing(tmp_path, COMMAND, [shard_name("train", 0, 1)])
    with pytest.raises(CorpusError, match="unfinished writing of other files in it: finish it with `speechcue measure"):
        join_writing(tmp_path, COMMAND, [shard_name("train", 0, 2)])


def test_while_it_is_written_again_the_rows_of_before_are_read_and_it_is_told(tmp_path, caplog):
    write_dataset(DatasetDict(train=rows("old")), tmp_path)
    with whole_folder(tmp_path, COMMAND):
        assert read_dataset(tmp_path)["train"]["words"] == ["old"]
    assert "holds the rows of an earlier writing" in caplog.text and COMMAND in caplog.text


@pytest.mark.parametrize("said", ["rm -rf ~", "speechcue\nrm", 5, None])
def test_a_command_that_came_with_the_folder_is_passed_on_only_if_it_is_ours(tmp_path, said):
    write_json({"command": said, "files": [], "gone": []}, tmp_path / PUBLISHING / STATE_FILE)
    with pytest.raises(CorpusError, match=r"is not complete, its writing was cut: write it again$"):
        read_dataset(tmp_path)


def test_files_of_a_killed_shard_are_not_moved_into_place(tmp_path):
    with whole_folder(tmp_path) as unfinished:
        write_shard(rows("a"), unfinished / shard_name("train", 0, 1))
        (unfinished / ".train-00000-of-00001.parquet.0123").write_text("torn")
    assert [path.name for path in tmp_path.iterdir()] == [shard_name("train", 0, 1)]
    assert not (tmp_path / UNFINISHED).exists()


def test_what_would_be_read_with_the_rows_is_refused_before_anything_is_written(tmp_path):
    write_shard(rows("mine"), tmp_path / "parquet" / "mine.parquet")
    DatasetDict(train=rows("mine")).save_to_disk(tmp_path / "disk")
    for folder, name in (("parquet", "mine.parquet"), ("disk", "dataset_dict.json")):
        with pytest.raises(CorpusError, match=rf"holds {name}, which is no part"), whole_folder(tmp_path / folder):
            raise AssertionError("it is not written")
        assert read_dataset(tmp_path / folder)["train"]["words"] == ["mine"]


def test_a_folder_below_that_is_not_complete_is_not_read(tmp_path):
    write_dataset(DatasetDict(train=rows("a")), tmp_path / "data")
    write_json({"command": COMMAND, "files": [], "gone": []}, tmp_path / "data" / PUBLISHING / STATE_FILE)
    for place in (tmp_path, tmp_path / "data", tmp_path / "data" / shard_name("train", 0, 1)):
        with pytest.raises(CorpusError, match="data is not complete"):
            read_dataset(place)


def test_one_file_beside_a_record_of_several_splits_is_read_and_written_with_its_own_counts(tmp_path, demo):
    file = tmp_path / "demo" / shard_name("test", 0, 1)
    one = read_dataset(file)
    with whole_folder(tmp_path / "one", replaces=[CORPUS_FILE]) as unfinished:
        write_dataset(one, unfinished)
        carry_identity(file, one, unfinished)
    assert len(read_dataset(tmp_path / "one")["test"]) == 108
    assert read_record(CorpusIdentity, tmp_path / "one").utterances == {"test": 108}


def test_fewer_rows_under_names_of_the_user_are_theirs(tmp_path, demo):
    write_shard(demo["test"].select(range(5)), tmp_path / "mine" / "test.parquet")
    carry_records(tmp_path / "demo", tmp_path / "mine", [CORPUS_FILE])
    assert len(read_dataset(tmp_path / "mine")["test"]) == 5


@pytest.fixture
def demo(tmp_path):
    dataset = load_dataset("speechcue/demo").remove_columns("audio")
    write_dataset(dataset, tmp_path / "demo")
    return dataset


def test_fewer_rows_than_the_record_counts_are_not_taken(tmp_path, demo):
    """What version 0.1.0 left when it was killed in the middle of a measurement."""
    (tmp_path / "demo" / shard_name("test", 0, 1)).unlink()
    with pytest.raises(
        CorpusError, match=r"holds 0 rows of split 'test', and corpus.json counts 108.*speechcue measure"
    ):
        read_dataset(tmp_path / "demo")
    write_shard(demo["test"].select(range(107)), tmp_path / "demo" / shard_name("test", 0, 1))
    with pytest.raises(CorpusError, match="holds 107 rows"):
        read_dataset(tmp_path / "demo")


def test_a_record_of_counts_is_not_lowered_in_silence(tmp_path, demo, caplog):
    write_dataset(demo, tmp_path / "demo")
    assert not caplog.messages
    write_dataset(DatasetDict({**demo, "train": demo["train"].select(range(320))}), tmp_path / "demo")
    assert "counted 324 rows of split train in corpus.json, this writing has 320" in caplog.text

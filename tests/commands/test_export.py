import json

import pytest
from datasets import DatasetDict, load_dataset

from speechcue_hf.cli import main
from speechcue_hf.corpora.parquet import read_dataset, write_dataset
from tests.training.spoken_corpus import spoken_corpus


@pytest.fixture
def some_unlabelled(described_folder, tmp_path):
    dataset = read_dataset(described_folder)
    dataset["train"] = dataset["train"].map(
        lambda row, place: row | ({"emotion": None} if place < 3 else {}), with_indices=True
    )
    write_dataset(dataset, tmp_path / "described")
    return tmp_path / "described"


def test_says_what_was_written_and_left_out(some_unlabelled, tmp_path, capsys):
    output = tmp_path / "exported"
    assert main(["export", str(some_unlabelled), "-o", str(output), "--to", "llama-factory"]) == 0
    said = capsys.readouterr().out
    assert "train.jsonl 21, validation.jsonl 12, test.jsonl 12 rows" in said
    assert "Left out, without a label or a caption: train 3\n" in said
    assert f"dataset_dir: {output}" in said and "licence" not in said
    assert len((output / "train.jsonl").read_text().splitlines()) == 21


def test_names_clips_that_cannot_be_heard(tmp_path, capsys):
    clips, captions = spoken_corpus({"train": 3})
    clips["train"] = clips["train"].map(lambda row, place: {"audio": None} if place == 0 else row, with_indices=True)
    write_dataset(clips, tmp_path / "clips")
    write_dataset(captions, tmp_path / "captions")
    arguments = ["export", str(tmp_path / "captions"), "-o", str(tmp_path / "out"), "--to", "ms-swift"]
    assert main([*arguments, "--audio", str(tmp_path / "clips")]) == 0
    said = capsys.readouterr().out
    assert "train.jsonl 1 rows" in said and "Left out, train train0: audio missing" in said


def test_a_corpus_that_may_not_leave_gets_a_reminder(described_folder, tmp_path, capsys):
    dataset = DatasetDict(load_dataset(str(described_folder)))
    write_dataset(dataset, tmp_path / "described")
    facts = {"corpus": "iemocap", "config": "erc-6", "licence": "", "homepage": "", "citation": "", "labels": ["a"]}
    facts |= {"utterances": {}, "revision": "0" * 64, "joined": "", "package_version": "1"}
    (tmp_path / "described" / "corpus.json").write_text(json.dumps(facts))
    assert main(["export", str(tmp_path / "described"), "-o", str(tmp_path / "out"), "--to", "openai"]) == 0
    assert "text or audio of iemocap, whose licence does not let them out" in capsys.readouterr().out


def test_refusals_reach_the_user(described_folder, tmp_path, capsys):
    arguments = ["export", str(described_folder), "-o", str(tmp_path / "out"), "--to", "openai", "--audio", "clips"]
    assert main(arguments) == 1
    assert "not on audio" in capsys.readouterr().err

"""``speechcue/wav_list``: SEmoLLM's lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset

import speechcue_hf  # noqa: F401
from speechcue_hf.errors import CorpusError
from tests.corpora import trees


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine/clips").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for path in ("mine/clips/a.wav", "elsewhere/b.wav"):
        (tmp_path / path).write_bytes(trees.wav(0.5))
    return tmp_path / "mine"


def load(folder: Path, **options: Any) -> Any:
    return load_dataset("speechcue/wav_list", data_dir=str(folder), cache_dir=str(folder.parent / "cache"), **options)


def test_paths_beside_the_list_and_anywhere(folder):
    elsewhere = folder.parent / "elsewhere/b.wav"
    (folder / "libri.txt").write_text(f"a\tclips/a.wav\n\nb\t{elsewhere}\r\ngone\tclips/gone.wav\n")
    rows = load(folder)["train"]
    assert rows["utterance_id"] == rows["dialogue_id"] == ["a", "b", "gone"]
    assert [audio and audio["path"] for audio in rows["audio"]] == [str(folder / "clips/a.wav"), str(elsewhere), None]
    assert rows["audio_status"] == ["ok", "ok", "missing"]
    assert (rows["text"][:], rows["emotion"][:], rows["gender"][:]) == ([""] * 3, [None] * 3, [None] * 3)


def test_one_list_for_each_split(folder):
    for split, name in (("train", "a"), ("validation", "b"), ("test", "c")):
        (folder / f"{split}.tsv").write_text(f"{name}\tclips/a.wav\n")
    assert {split: rows["utterance_id"][:] for split, rows in load(folder).items()} == {
        "train": ["a"],
        "validation": ["b"],
        "test": ["c"],
    }


def test_a_change_of_list_or_clip_is_noticed(folder):
    (folder / "train.tsv").write_text("a\tclips/a.wav\n")
    assert load(folder)["train"]["audio_status"] == ["ok"]
    (folder / "clips/a.wav").write_bytes(b"RIFF")
    assert load(folder)["train"]["audio_status"] == ["corrupt"]
    (folder / "train.tsv").write_text("b\tclips/a.wav\n")
    assert load(folder)["train"]["utterance_id"] == ["b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a clips/a.wav\n", r"train.tsv, line 1: 'a clips/a.wav' is not an id, a tab and the path of a wav"),
        ("a\tclips/a.wav\n\tclips/a.wav\n", "line 2: .* is not an id, a tab and the path"),
        ("a\tclips/a.wav\tangry\n", "line 1: .* is not an id, a tab and the path"),
        ("a\tclips/a.wav\na\tclips/a.wav\n", "line 2: the id 'a' stands above already"),
        ("\n", "names no clip"),
        (
            "a\tsox clips/a.wav -t wav - |\n",
            "line 1: .* is a command and no clip, and commands of a list are never run",
        ),
        ("a\tclips/a.wav\nb cat clips/a.wav|\n", "line 2: .* is a command and no clip"),
        ("id\twav\na\tclips/a.wav\n", "line 1: .* is a header: lists have none"),
        ("utterance_id\tPath\n", "line 1: .* is a header"),
    ],
)
def test_a_line_that_is_no_entry_is_named(folder, text, message):
    (folder / "train.tsv").write_text(text)
    with pytest.raises(CorpusError, match=message):
        load(folder)


def test_a_clip_in_two_splits_is_refused(folder):
    for split in ("train", "test"):
        (folder / f"{split}.tsv").write_text("a\tclips/a.wav\n")
    with pytest.raises(CorpusError, match="'a' stands in the lists train and test"):
        load(folder)


@pytest.mark.parametrize("names", [[], ["one.txt", "two.txt"], ["train.txt", "train.tsv"]])
def test_it_must_be_clear_which_lists_are_meant(folder, names):
    for name in names:
        (folder / name).write_text("a\tclips/a.wav\n")
    with pytest.raises(CorpusError, match="must hold one list, or one for each of train, validation, test"):
        load(folder)


def test_a_list_of_semollm(folder):
    (folder / "test.scp").write_text("103_1241_000000_000001\tclips/a.wav\n")
    assert load(folder)["test"]["utterance_id"][:] == ["103_1241_000000_000001"]

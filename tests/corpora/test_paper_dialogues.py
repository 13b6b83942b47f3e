"""Data files of the papers: made in their form, read without running anything, and held against a corpus."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
from datasets import load_dataset_builder

from speechcue_hf.cli import main
from speechcue_hf.corpora.paper_dialogues import differences_from, match_dialogues, read_dialogues
from speechcue_hf.errors import CorpusError
from tests.corpora import trees

PAPERS = os.environ.get("SPEECHCUE_CORPORA")
ORDER = ("train", "test", "validation")


def corpus(name: str, folder: Path):
    builder = load_dataset_builder(f"speechcue/{name}", data_dir=str(folder), verify=False)
    return builder.read(folder), builder.emotions()


def tables(splits, emotions, rename):
    """Sentences, labels and ids of each split, as the papers' files have them."""
    sentences, labels, ids = {}, {}, {split: [] for split in ORDER}
    for split, utterances in splits.items():
        for it in utterances:
            name = rename(it.dialogue_id)
            if name not in sentences:
                ids[split].append(name)
            sentences.setdefault(name, []).append(it.text.replace("\u2019", "\x92"))
            labels.setdefault(name, []).append(emotions.index(it.emotion))
    return sentences, labels, [ids[split] for split in ORDER]


def pickled(path: Path, splits, emotions, rename=str, protocol=2) -> Path:
    sentences, labels, ids = tables(splits, emotions, rename)
    speakers = {name: ["M"] * len(texts) for name, texts in sentences.items()}
    path.write_bytes(pickle.dumps([speakers, labels, sentences, *ids], protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_of_the_same_release_agrees(tmp_path, protocol):
    splits, emotions = corpus("iemocap", trees.iemocap(tmp_path))
    read = read_dialogues(pickled(tmp_path / "iemocap.pkl", splits, emotions, protocol=protocol))
    assert [part.split for part in read] == ["train", "test", "validation"]
    assert [differences_from(splits, emotions, part) for part in read] == [[], [], []]


def test_differences_are_named_by_their_turn(tmp_path):
    splits, emotions = corpus("iemocap", trees.iemocap(tmp_path))
    sentences, labels, ids = tables(splits, emotions, str)
    sentences["Ses02F_impro01"][1], labels["Ses02F_impro01"][0] = "Who?", 5
    labels["Ses01F_impro01"].append(0), sentences["Ses01F_impro01"].append("More.")
    path = tmp_path / "iemocap.pkl"
    path.write_bytes(pickle.dumps([{}, labels, sentences, *ids]))
    lines = differences_from(splits, emotions, read_dialogues(path)[0])
    assert [line.partition(")")[2] for line in lines] == [
        " has 3 turns here and 4 there",
        ", Ses02F_impro01_M000: 'Why?' here, 'Who?' there",
        ", Ses02F_impro01_F000: angry here, frustrated there",
    ]


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("ran",)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_no_code_in_a_pickle_runs(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    for name, content in (("a.pkl", [{}, Hostile()]), ("b.pkl", [{}, {"d": [os.system]}])):
        (tmp_path / name).write_bytes(pickle.dumps(content, protocol=protocol))
        with pytest.raises(CorpusError, match=r"it names \w+\.(mkdir|system)"):
            read_dialogues(tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.pkl", b"", "cannot be read as plain data"),
        ("a.pkl", b"\x80\x04r\xff\xff\xff\xff.", "cannot be read as plain data"),
        ("a.pkl", b"\x80\x04\x82\x01.", "cannot be read as plain data"),
        ("a.pkl", b"P1\n.", "cannot be read as plain data"),
        ("a.pkl", pickle.dumps({"d": ["text"]}), "no list of labels, sentences and ids"),
        ("a.pkl", pickle.dumps([{}, {}, {}, {}, {}, {}]), "where InstructERC's do"),
        ("a.pkl", pickle.dumps([{}, {"d": [0]}, {"d": ["a", "b"]}, ["d"], [], []]), "2 sentences and 1 labels"),
        ("a.pkl", pickle.dumps([{}, {}, {"d": ["a"]}, ["d"], [], []]), "no list of numbers"),
        ("meld.train.json", b"[]", "is a list and no table"),
        ("meld.train.json", b'{"1": []}', "dialogue 1 is no table"),
        ("meld.json", b"{}", "not of the form"),
        ("meld.csv", b"", "neither .json nor .pkl"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=says):
        read_dialogues(tmp_path / name)


def test_dialogues_are_found_by_id_by_numbers_or_by_place():
    assert match_dialogues(["a", "b"], ["b"]) == {"b": "b"}
    assert match_dialogues(["dev_dia0", "dev_dia1"], ["1039", "1040"]) == {"dev_dia0": "1039", "dev_dia1": "1040"}
    assert match_dialogues(["train_dia1", "train_dia2"], ["2"]) == {"train_dia2": "2"}
    assert match_dialogues(["a", "b"], ["c"]) is None


@pytest.mark.skipif(PAPERS is None, reason="SPEECHCUE_CORPORA is not set")
def test_all_827_dialogues_of_emorynlp_agree_under_bioserc_names(tmp_path, capsys):
    folder = Path(PAPERS) / "emorynlp"
    splits, emotions = corpus("emorynlp", folder)
    matched = 0
    files = []
    for split, short in (("train", "train"), ("validation", "valid"), ("test", "test")):
        sentences, labels, _ = tables(
            {split: splits[split]}, emotions, lambda name: "_".join(str(int(part[1:])) for part in name.split("_"))
        )
        data = {name: {"labels": labels[name], "sentences": sentences[name]} for name in reversed(sentences)}
        files.append(tmp_path / f"emorynlp.{short}.json")
        files[-1].write_text(json.dumps(data))
        (part,) = read_dialogues(files[-1])
        assert differences_from(splits, emotions, part) == []
        matched += len(part.dialogues)
    assert matched == 827
    assert main(["check", "emorynlp", "--data-dir", str(folder), "--against", *map(str, files)]) == 0
    assert "emorynlp.valid.json, validation: 89 dialogues, all alike" in capsys.readouterr().out


def test_the_command_ends_with_what_differs(tmp_path, capsys):
    splits, emotions = corpus("iemocap", trees.iemocap(tmp_path))
    path = pickled(tmp_path / "iemocap.pkl", splits, [*emotions[1:], emotions[0]])
    release = str(tmp_path / "IEMOCAP_full_release")
    assert main(["check", "iemocap", "--data-dir", release, "--against", str(path)]) == 1
    assert "Ses01F_impro01_F000: neutral here, sad there" in capsys.readouterr().out

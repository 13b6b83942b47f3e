"""The scripts that make a dataset folder of a release, run on small trees that count as the release."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard

from speechcue_hf.corpora import libritts, meld
from speechcue_hf.corpora import release as releases
from speechcue_hf.corpora.parquet import read_dataset
from tests.corpora import trees

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).parents[2] / "dataset_scripts"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(releases, "release_counts", lambda *names: {})
    rows = {name: [f"{name}_dia{row[5]}_utt{row[6]}" for row in rows] for name, rows in trees.MELD_ROWS.items()}
    monkeypatch.setattr(meld, "release_rows", lambda split: rows[meld.NAMES[split]])

    def run(script: str, release: Path, *options: str):
        monkeypatch.setattr(sys, "argv", [script, str(release), str(tmp_path / "out"), *options])
        runpy.run_path(str(SCRIPTS / script), run_name="__main__")
        return read_dataset(tmp_path / "out")

    return run


def test_iemocap(run, tmp_path):
    dataset = run("iemocap.py", trees.iemocap(tmp_path), "--config", "ser-4", "--fold", "1")
    assert dataset.num_rows == {"train": 4, "test": 2}
    assert dataset["test"][0]["audio"]["bytes"] == trees.wav(0.5)


def test_meld(run, tmp_path):
    dataset = run("meld.py", trees.meld(tmp_path))
    assert dataset.num_rows == {"train": 7, "validation": 2, "test": 3}
    assert dataset["test"][0]["audio"]["path"] == "dia0_utt0.flac"


def test_libritts(run, tmp_path, monkeypatch):
    monkeypatch.setattr(libritts, "SUBSETS", {"dev-clean": ("validation", 1)})
    dataset = run("libritts.py", trees.libritts(tmp_path))
    assert dataset.num_rows == {"validation": 1}
    assert dataset["validation"][0]["audio"] == {"path": "84_121123_000007_000001.wav", "bytes": trees.wav(0.5, 24000)}


def test_wav_list(run, tmp_path):
    (tmp_path / "a.wav").write_bytes(trees.wav(0.5))
    (tmp_path / "clips.txt").write_text("a\ta.wav\n")
    assert run("wav_list.py", tmp_path)["train"][0]["audio"]["bytes"] == trees.wav(0.5)


def test_meld_is_published_without_its_clips(run, hub, tmp_path):
    run("meld.py", trees.meld(tmp_path), "--push-to-hub", "tester/meld")
    assert "audio" not in load_dataset("tester/meld", "utterances")["test"].column_names
    assert "speech_description" in load_dataset("tester/meld", "described")["test"].column_names


@pytest.mark.parametrize("how", ["--clips-may-be-public", "--private"])
def test_meld_is_published_whole_where_that_may_be(run, hub, tmp_path, how):
    run("meld.py", trees.meld(tmp_path), "--push-to-hub", "tester/meld", how)
    assert load_dataset("tester/meld", "utterances")["test"][0]["audio"] is not None
    assert "speech_description" in load_dataset("tester/meld", "described")["test"].column_names


def test_iemocap_is_published_as_cues_and_joined_to_a_copy(run, hub, tmp_path):
    release = trees.iemocap(tmp_path)
    own = run("iemocap.py", release, "--push-to-hub", "tester/iemocap")
    files = hub.files("dataset", "tester/iemocap")
    assert not any(path.startswith("utterances/") for path in files)
    published = load_dataset("tester/iemocap", "described")["train"]
    assert not {"text", "emotion", "audio", "speaker"} & set(published.column_names)
    joined = load_dataset("speechcue/iemocap", data_dir=str(release), published="tester/iemocap")["train"]
    assert joined["text"][:] == own["train"]["text"][:]
    assert joined["speech_description"][:] == published["speech_description"][:]


def test_a_corpus_of_text_is_published_as_it_is(run, hub, tmp_path):
    (tmp_path / "talk").mkdir()
    (tmp_path / "talk" / "metadata.csv").write_text("file_name,utterance_id,text\n,a,Hello\n,b,Bye\n")
    run("folder.py", tmp_path / "talk", "--push-to-hub", "tester/talk", "--licence", "cc-by-4.0")
    assert load_dataset("tester/talk", "utterances")["train"]["text"][:] == ["Hello", "Bye"]
    assert DatasetCard.load("tester/talk").data.license == "cc-by-4.0"


@pytest.mark.parametrize(
    ("script", "tree"), [("ravdess", trees.ravdess), ("crema_d", trees.crema_d), ("emodb", trees.emodb)]
)
def test_acted_sentences(run, tmp_path, script, tree):
    dataset = run(f"{script}.py", tree(tmp_path))
    assert sum(dataset.num_rows.values()) == 4
    assert dataset["train"][0]["audio"]["bytes"] == trees.wav(0.5)

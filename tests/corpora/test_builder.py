from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Audio, load_dataset, load_dataset_builder

import speechcue_hf  # noqa: F401
from speechcue_hf.corpora import builder
from speechcue_hf.corpora.catalogue import corpora
from speechcue_hf.errors import CorpusError
from tests.corpora import trees


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return trees.iemocap(tmp_path)


@pytest.fixture
def load(release: Path, tmp_path: Path):
    def load(**kwargs):
        cache = str(tmp_path / "cache")
        return load_dataset("speechcue/iemocap", data_dir=str(release), cache_dir=cache, verify=False, **kwargs)

    return load


@pytest.mark.parametrize("corpus", ["iemocap", "meld", "emorynlp", "dailydialog"])
def test_a_corpus_without_its_folder_is_an_error_with_the_call(corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CorpusError, match=rf'load_dataset\("speechcue/{corpus}", data_dir="\.\.\."\)'):
        load_dataset(f"speechcue/{corpus}", cache_dir=str(tmp_path / "cache"))


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(CorpusError, match=r"nowhere is not a folder: .*https://sail"):
        load_dataset("speechcue/iemocap", data_dir=str(tmp_path / "nowhere"), cache_dir=str(tmp_path / "cache"))


@pytest.mark.parametrize("corpus", corpora())
def test_a_config_or_option_that_a_corpus_does_not_have_is_refused(corpus):
    with pytest.raises(ValueError, match="'nonsense' not found"):
        load_dataset_builder(f"speechcue/{corpus}", "nonsense")
    with pytest.raises(ValueError, match="doesn't have a 'nonsense' key"):
        load_dataset_builder(f"speechcue/{corpus}", nonsense=1)


def test_several_processes_give_the_same_rows_in_the_same_order(load, monkeypatch):
    alone = load()
    monkeypatch.setattr(builder, "DIALOGUES_PER_SHARD", 1)
    together = load(num_proc=2, download_mode="force_redownload")
    assert {split: rows.to_list() for split, rows in together.items()} == {
        split: rows.to_list() for split, rows in alone.items()
    }


def test_streaming_gives_the_same_rows(load):
    alone = load()
    streamed = load(streaming=True)
    assert {split: list(rows) for split, rows in streamed.items()} == {
        split: rows.to_list() for split, rows in alone.items()
    }


def test_one_split_alone(load):
    assert load(split="test")["utterance_id"] == ["Ses05F_impro01_M000", "Ses05F_impro01_F000"]


def test_the_builder_tells_licence_source_and_features(release, tmp_path):
    info = load_dataset_builder("speechcue/iemocap", data_dir=str(release), cache_dir=str(tmp_path / "cache")).info
    assert "University of Southern California" in info.license
    assert info.homepage.startswith("https://") and "Busso" in info.citation
    assert info.features["audio"] == Audio(decode=False)

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest
from datasets import Dataset, get_dataset_config_names, load_dataset, packaged_modules
from datasets.load import PackagedDatasetModuleFactory

import speechcue_hf
from speechcue_hf.corpora import registration
from speechcue_hf.corpora.catalogue import corpora
from tests.corpora import trees


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return trees.iemocap(tmp_path)


@pytest.fixture
def load(release: Path, tmp_path: Path):
    def load(*config: str, **kwargs):
        cache = str(tmp_path / "cache")
        kwargs = {"data_dir": str(release), "cache_dir": cache, "verify": False, **kwargs}
        return load_dataset("speechcue/iemocap", *config, **kwargs)

    return load


def cached(dataset) -> set[str]:
    return {file["filename"] for rows in dataset.values() for file in rows.cache_files}


@pytest.mark.parametrize("corpus", corpora())
def test_each_corpus_is_known_by_name(corpus):
    assert get_dataset_config_names(f"speechcue/{corpus}")


def test_importing_the_package_again_changes_nothing():
    names, get_module = dict(packaged_modules._PACKAGED_DATASETS_MODULES), PackagedDatasetModuleFactory.get_module
    importlib.reload(speechcue_hf)
    assert names == packaged_modules._PACKAGED_DATASETS_MODULES
    assert PackagedDatasetModuleFactory.get_module is get_module


def test_ordinary_datasets_still_load(tmp_path):
    Dataset.from_dict({"a": [1, 2]}).to_csv(tmp_path / "rows.csv")
    Dataset.from_dict({"a": [3]}).to_parquet(tmp_path / "parquet/rows.parquet")
    cache = str(tmp_path / "cache")
    assert load_dataset("csv", data_files=str(tmp_path / "rows.csv"), cache_dir=cache)["train"]["a"] == [1, 2]
    assert load_dataset(str(tmp_path / "parquet"), cache_dir=cache)["train"]["a"] == [3]
    assert load_dataset("parquet", data_dir=str(tmp_path / "parquet"), cache_dir=cache)["train"]["a"] == [3]


def test_the_second_call_comes_from_the_cache(load):
    first = load()
    written = {file: os.stat(file).st_mtime_ns for file in cached(first)}
    assert written == {file: os.stat(file).st_mtime_ns for file in cached(load())}


def change_annotation(release: Path) -> None:
    path = release / "Session5/dialog/EmoEvaluation/Ses05F_impro01.txt"
    path.write_text(path.read_text().replace("\texc\t", "\tsad\t"))


def overwrite_clip(release: Path) -> None:
    path = release / "Session5/sentences/wav/Ses05F_impro01/Ses05F_impro01_M000.wav"
    with path.open("r+b") as file:  # in place, of the same size
        file.write(b"\0" * path.stat().st_size)


def add_clip(release: Path) -> None:
    (release / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_FXX0.wav").write_bytes(trees.wav(0.4))


def remove_clip(release: Path) -> None:
    (release / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav").unlink()


def add_dialogue(release: Path) -> None:
    trees.iemocap_dialogue(release, "Ses04F_impro01", trees.IEMOCAP_DIALOGUES["Ses02F_impro01"], trees.wav(0.5))


@pytest.mark.parametrize(
    "change, seen",
    [
        (change_annotation, lambda rows: rows["test"][0]["emotion"] == 1),
        (overwrite_clip, lambda rows: rows["test"][0]["audio_status"] == "corrupt"),
        (add_clip, lambda rows: rows["train"][2]["audio_status"] == "ok"),
        (remove_clip, lambda rows: rows["train"][0]["audio_status"] == "missing"),
        (add_dialogue, lambda rows: rows["train"][-1]["dialogue_id"] == "Ses04F_impro01"),
    ],
)
def test_a_change_on_disk_is_noticed(load, release, change, seen):
    assert not seen(load("all"))
    change(release)
    assert seen(load("all"))


def test_configs_and_their_options_have_caches_of_their_own(load):
    places = [cached(load()), cached(load("all")), cached(load("ser-4", fold=1)), cached(load("ser-4", fold=2))]
    assert len(set.union(*places)) == sum(map(len, places))


def test_a_relative_folder_gives_absolute_clips(load, release, monkeypatch):
    monkeypatch.chdir(release.parent)
    clip = load(data_dir=release.name)["train"][0]["audio"]["path"]
    assert clip == str(release / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav")


def test_states_of_files_and_folders(tmp_path):
    (tmp_path / "folder/below").mkdir(parents=True)
    (tmp_path / "folder/b.wav").write_bytes(b"12")
    (tmp_path / "folder/a.wav").write_bytes(b"1")
    states = list(registration.file_states([tmp_path / "folder", tmp_path / "folder/b.wav", tmp_path / "gone"]))
    assert [state.rsplit(" ", 1)[0].removeprefix(f"{tmp_path}/") for state in states] == [
        "folder/a.wav 1",
        "folder/b.wav 2",
        "folder/b.wav 2",
        "gone",
    ]


def test_changed_code_is_not_served_from_the_cache(tmp_path):
    loaders = tmp_path / "corpora"
    loaders.mkdir()
    opening = [tmp_path / name for name in ("audio.py", "decoders.py", "endings.py")]
    for path in opening:
        path.write_text("opens clips")
    (loaders / "meld.py").write_text("reads rows")
    (loaders / "releases.json").write_text("{}")
    digests = {registration.code_digest(loaders)}
    for path in (*opening, loaders / "meld.py", loaders / "releases.json"):
        path.write_text(path.read_text() + " ")
        digests.add(registration.code_digest(loaders))
    assert len(digests) == 6

"""``speechcue/libritts`` on a small tree in the layout of the release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, load_dataset

import speechcue_hf  # noqa: F401
from speechcue_hf.corpora import libritts
from speechcue_hf.errors import CorpusError
from tests.corpora import trees

SUBSETS = libritts.SUBSETS


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return trees.libritts(tmp_path)


@pytest.fixture(autouse=True)
def counts(monkeypatch):
    """The small tree counts as the release."""
    found = {subset: sum(name.startswith(f"{subset}/") for name in trees.LIBRITTS_TEXTS) for subset in libritts.SUBSETS}
    counted = {subset: (split, found[subset]) for subset, (split, _) in libritts.SUBSETS.items()}
    monkeypatch.setattr(libritts, "SUBSETS", counted)


def load(folder: Path, **options: Any) -> Any:
    return load_dataset("speechcue/libritts", data_dir=str(folder), cache_dir=str(folder.parent / "cache"), **options)


def test_rows_in_reading_order_with_gender_and_both_texts(release):
    dataset = load(release)
    assert dataset.num_rows == {"train": 3, "validation": 1}
    first, second, third = dataset["train"]
    assert (first["dialogue_id"], first["turn"], first["utterance_id"]) == ("103_1241", 0, "103_1241_000000_000001")
    assert (second["turn"], second["text"], second["original_text"]) == (
        1,
        "Mister Smith went home.",
        "Mr. Smith went home.",
    )
    assert (second["speaker"], second["gender"], second["subset"]) == ("103", "female", "train-clean-100")
    assert (third["dialogue_id"], third["turn"]) == ("20_205", 0)
    assert dataset["validation"][0]["gender"] == "male"
    assert set(dataset["train"]["audio_status"]) == {"ok"} and set(dataset["train"]["emotion"]) == {None}
    assert dataset["train"].features["emotion"] == ClassLabel(names=[])


def test_a_change_on_disk_is_noticed(release):
    load(release)
    clip = release / "dev-clean/84/121123/84_121123_000007_000001.wav"
    clip.unlink()
    row = load(release)["validation"][0]
    assert (row["audio_status"], row["audio"], row["text"]) == ("missing", None, "Yes.")


def damage_count(release: Path) -> str:
    for path in (release / "dev-clean/84/121123").iterdir():
        path.unlink()
    return r"dev-clean has 0 utterances, the release has 1: download"


def damage_text(release: Path) -> str:
    (release / "dev-clean/84/121123/84_121123_000007_000001.normalized.txt").unlink()
    return r"84_121123_000007_000001.wav has no 84_121123_000007_000001.normalized.txt beside it: download"


def damage_speakers(release: Path) -> str:
    (release / "speakers.tsv").write_text("READER\tGENDER\n103\tF\n20\tF\n")
    return r"dev-clean, reader 84 is not in speakers.tsv"


def remove_speakers(release: Path) -> str:
    (release / "speakers.tsv").unlink()
    return r"speakers.tsv is missing, so no reader's gender is known"


@pytest.mark.parametrize("damage", [damage_count, damage_text, damage_speakers, remove_speakers])
def test_a_copy_that_differs_is_refused_or_loaded_as_it_is(release, damage):
    message = damage(release)
    with pytest.raises(CorpusError, match=message):
        load(release)
    assert load(release, verify=False).num_rows["train"] == 3


def test_readers_between_blanks_are_known_too(release):
    (release / "speakers.tsv").write_text("READER GENDER SUBSET NAME\n84  M  dev-clean  A B\n103 F\n20 F  x\n\n")
    assert load(release)["validation"][0]["gender"] == "male"


def test_a_wrong_gender_is_named(release):
    (release / "speakers.tsv").write_text("READER\tGENDER\n103\tX\n")
    with pytest.raises(CorpusError, match="line 2: gender 'X' is neither F nor M"):
        load(release)


def test_the_folder_above_is_refused(release):
    with pytest.raises(CorpusError, match="give data_dir= the folder LibriTTS itself"):
        load(release.parent)


def test_counts_of_the_release():
    """375,086 utterances, as TensorFlow Datasets counts its splits."""
    assert sum(count for _, count in SUBSETS.values()) == 375086

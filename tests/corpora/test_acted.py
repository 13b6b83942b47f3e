"""RAVDESS, CREMA-D and EmoDB on small trees in their layouts, and on trees of all their names."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path

import pytest
from datasets import load_dataset

import speechcue_hf  # noqa: F401
from speechcue_hf.cli import main
from speechcue_hf.corpora import crema_d, emodb, ravdess
from speechcue_hf.errors import CorpusError
from tests.corpora import trees


def load(name: str, folder: Path, **options):
    return load_dataset(
        f"speechcue/{name}", data_dir=str(folder), cache_dir=str(folder.parent / "cache"), verify=False, **options
    )


def told(rows) -> list[tuple]:
    names = rows.features["emotion"].names
    return [(row["utterance_id"], row["speaker"], row["gender"], names[row["emotion"]], row["text"]) for row in rows]


def test_ravdess(tmp_path):
    dataset = load("ravdess", trees.ravdess(tmp_path))
    kids, dogs = "Kids are talking by the door.", "Dogs are sitting by the door."
    assert {split: told(rows) for split, rows in dataset.items()} == {
        "train": [
            ("03-01-05-02-01-01-01", "Actor_01", "male", "angry", kids),
            ("03-01-01-01-02-02-02", "Actor_02", "female", "neutral", dogs),
        ],
        "validation": [("03-01-08-01-01-01-18", "Actor_18", "female", "surprised", kids)],
        "test": [("03-01-06-01-02-01-24", "Actor_24", "female", "fearful", dogs)],
    }
    assert dataset["train"]["intensity"][:] == ["strong", "normal"] and dataset["train"]["repetition"][:] == [1, 2]


def test_crema_d(tmp_path):
    dataset = load("crema_d", trees.crema_d(tmp_path))
    assert {split: told(rows) for split, rows in dataset.items()} == {
        "train": [
            ("1001_IEO_ANG_HI", "1001", "male", "anger", "It's eleven o'clock."),
            ("1040_ITH_SAD_X", "1040", "male", "sad", "I think I have a doctor's appointment."),
        ],
        "validation": [("1070_DFA_NEU_XX", "1070", "male", "neutral", "Don't forget a jacket.")],
        "test": [("1091_WSI_HAP_XX", "1091", "female", "happy", "We'll stop in a couple of minutes.")],
    }
    assert dataset["train"]["intensity"][:] == ["high", None]


def test_emodb(tmp_path):
    dataset = load("emodb", trees.emodb(tmp_path))
    assert {split: told(rows) for split, rows in dataset.items()} == {
        "train": [
            ("03a01Fa", "03", "male", "happiness", "Der Lappen liegt auf dem Eisschrank."),
            ("03a01Nc", "03", "male", "neutral", "Der Lappen liegt auf dem Eisschrank."),
            ("08b10Wa", "08", "female", "anger", "Die wird auf dem Platz sein, wo wir sie immer hinlegen."),
        ],
        "test": [
            (
                "12a05Lb",
                "12",
                "male",
                "boredom",
                "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
            )
        ],
    }
    assert set(dataset["train"]["language"]) == {"de"}


@pytest.mark.parametrize(
    ("name", "tree", "foreign"),
    [
        ("ravdess", trees.ravdess, "Actor_01/03-01-09-01-01-01-01.wav"),
        ("crema_d", trees.crema_d, "AudioWAV/1001_ABC_ANG_HI.wav"),
        ("emodb", trees.emodb, "wav/03c01Fa.wav"),
    ],
)
def test_a_copy_that_is_not_whole_or_has_other_clips_is_refused(name, tree, foreign, tmp_path, capsys):
    folder = tree(tmp_path)
    assert main(["check", name, "--data-dir", str(folder)]) == 1
    assert "expected" in capsys.readouterr().out
    (folder / foreign).write_bytes(trees.wav(0.5))
    assert main(["check", name, "--data-dir", str(folder)]) == 1
    assert f"{Path(foreign).name} is not named as the release names its clips" in capsys.readouterr().err
    with pytest.raises(CorpusError, match=r"give data_dir= the"):
        (tmp_path / "empty").mkdir()
        load_dataset(f"speechcue/{name}", data_dir=str(tmp_path / "empty"), cache_dir=str(tmp_path / "c"))


def test_actors_whose_sex_is_not_told_are_known_to_lack_it(tmp_path, capsys):
    folder = trees.crema_d(tmp_path)
    (folder / crema_d.ACTORS_FILE).unlink()
    assert set(load("crema_d", folder)["train"]["gender"]) == {None}
    assert main(["check", "crema_d", "--data-dir", str(folder)]) == 1
    assert "no actor's gender is known" in capsys.readouterr().err


def test_the_counts_of_ravdess_follow_from_its_names(tmp_path, capsys):
    """Every name of the release: neutral has no strong form."""
    for emotion, strength, sentence, time in product(range(1, 9), (1, 2), (1, 2), (1, 2)):
        for actor in range(1, 25):
            if (emotion, strength) != (1, 2):
                folder = tmp_path / "release" / f"Actor_{actor:02d}"
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"03-01-{emotion:02d}-{strength:02d}-{sentence:02d}-{time:02d}-{actor:02d}.wav").touch()
    builder = ravdess.RavdessBuilder(data_dir=str(tmp_path / "release"), cache_dir=str(tmp_path / "cache"))
    splits = builder.read(tmp_path / "release")  # Compared with the counts of the release, and not refused.
    assert sum(map(len, splits.values())) == 1440


@pytest.mark.parametrize(("women", "men"), [(emodb.WOMEN, emodb.MEN)])
def test_speakers_of_emodb(women, men):
    assert (len(women), len(men), len({*women, *men})) == (5, 5, 10)
    assert Counter(name in women for name in emodb.TEST_SPEAKERS) == {True: 2, False: 2}

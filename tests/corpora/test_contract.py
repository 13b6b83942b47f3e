"""What every corpus keeps to, those of other packages too: one test over all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import DatasetDict, load_dataset, packaged_modules

from speechcue_hf import read_dataset, register_corpus, write_dataset
from speechcue_hf.corpora import catalogue
from speechcue_hf.corpora.catalogue import CORPORA, corpora, corpus_of_texts
from speechcue_hf.corpora.identity import identify
from speechcue_hf.corpora.schema import AUDIO_STATUSES, utterance_features
from speechcue_hf.dialogues import split_dialogues
from speechcue_hf.errors import LicenceError
from speechcue_hf.hub.licence import check_columns, columns_that_may_leave
from tests.corpora import test_dailydialog, test_emorynlp, trees

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def emorynlp(folder: Path) -> Path:
    test_emorynlp.write_csv(folder)
    return folder


def dailydialog(folder: Path) -> Path:
    test_dailydialog.write(folder, test_dailydialog.SMALL)
    return folder


def wav_list(folder: Path) -> Path:
    (folder / "a.wav").write_bytes(trees.wav(0.5))
    (folder / "clips.txt").write_text("a\ta.wav\ngone\tgone.wav\n")
    return folder


def own_folder(folder: Path) -> Path:
    (folder / "a.wav").write_bytes(trees.wav(0.5))
    lines = ["file_name,dialogue_id,speaker,emotion,text", "a.wav,d,Ann,sad,No.", "gone.wav,d,Ben,glad,Yes."]
    (folder / "metadata.csv").write_text("\n".join(lines))
    return folder


def cheers(folder: Path) -> Path:
    (folder / "0.wav").write_bytes(trees.wav(0.5))
    (folder / "toasts.csv").write_text("table,said,emotion\none,To you!,merry\none,To her.,moved\ntwo,Skol!,merry\n")
    return folder


RELEASES = {
    "iemocap": trees.iemocap,
    "meld": trees.meld,
    "emorynlp": emorynlp,
    "dailydialog": dailydialog,
    "libritts": trees.libritts,
    "ravdess": trees.ravdess,
    "crema_d": trees.crema_d,
    "emodb": trees.emodb,
    "wav_list": wav_list,
    "demo": lambda folder: None,
    "folder": own_folder,
    "cheers": cheers,
}


@pytest.fixture
def with_cheers(monkeypatch):
    """A corpus of another package, until the test ends."""
    monkeypatch.syspath_prepend(HERE / "outside")
    monkeypatch.setattr(catalogue, "_added", {})
    before = dict(packaged_modules._PACKAGED_DATASETS_MODULES)
    import cheers

    register_corpus(cheers.CHEERS)
    yield cheers
    packaged_modules._PACKAGED_DATASETS_MODULES.clear()
    packaged_modules._PACKAGED_DATASETS_MODULES.update(before)


def load(name: str, folder: Path, **options):
    release = RELEASES[name](folder)
    place = {} if release is None else {"data_dir": str(release), "verify": False}
    return load_dataset(f"speechcue/{name}", cache_dir=str(folder / "cache"), **place, **options)


def test_every_corpus_is_held_to_it() -> None:
    assert {*RELEASES} == {*(corpus.name for corpus in CORPORA), "cheers"}


@pytest.mark.parametrize("name", RELEASES)
def test_rows_are_what_every_command_takes(name, with_cheers, tmp_path) -> None:
    corpus, dataset = corpora()[name], load(name, tmp_path)
    ids = [utterance for rows in dataset.values() for utterance in rows["utterance_id"]]
    assert len(set(ids)) == len(ids) > 0
    homes = [(dialogue, split) for split, rows in dataset.items() for dialogue in set(rows["dialogue_id"])]
    assert len(homes) == len({dialogue for dialogue, _ in homes})
    for rows in dataset.values():
        split_dialogues(rows)
        shared = utterance_features(rows.features["emotion"].names, {})
        assert {column: rows.features[column] for column in shared} == dict(shared)
        assert set(rows["audio_status"]) <= set(AUDIO_STATUSES)
        assert all(
            (audio is None) == (status in ("missing", "none"))
            for audio, status in zip(rows["audio"], rows["audio_status"], strict=True)
        )
    assert corpus_of_texts(ids) == (corpus if corpus.may_leave != "everything" else None)
    assert all(re.fullmatch(corpus.utterance_ids or ".*", name) for name in ids)


@pytest.mark.parametrize("name", RELEASES)
def test_licence_and_origin_travel_with_the_rows(name, with_cheers, tmp_path) -> None:
    corpus, dataset = corpora()[name], load(name, tmp_path)
    write_dataset(dataset.remove_columns("audio"), tmp_path / "prepared")
    identity = identify(read_dataset(tmp_path / "prepared").map(lambda row: {"more": 1}))
    assert (identity.corpus, identity.licence) == (name, corpus.licence)
    assert (identity.homepage, identity.citation) == (corpus.homepage, corpus.citation)
    rows = dataset["train"].select_columns(["utterance_id", "text", "emotion", "audio"])
    measured = DatasetDict(train=rows.add_column("f0_mean_hz", [100.5] * len(rows)))
    free = columns_that_may_leave(corpus, measured["train"].features)
    assert (
        free
        == {
            "everything": ["utterance_id", "text", "emotion", "audio", "f0_mean_hz"],
            "annotations": ["utterance_id", "text", "emotion", "f0_mean_hz"],
            "cues": ["utterance_id", "f0_mean_hz"],
        }[corpus.may_leave]
    )
    if corpus.may_leave != "everything":
        with pytest.raises(LicenceError, match=f"the licence of {name} "):
            check_columns(corpus, measured, restricted=False, agreed=True)


@pytest.mark.parametrize("name", [name for name in RELEASES if name != "demo"])
def test_a_clip_or_annotation_that_changes_makes_new_rows(name, with_cheers, tmp_path) -> None:
    before = load(name, tmp_path)
    files = {file["filename"] for rows in before.values() for file in rows.cache_files}
    again = load_dataset(f"speechcue/{name}", cache_dir=str(tmp_path / "cache"), **where(name, tmp_path))
    assert {file["filename"] for rows in again.values() for file in rows.cache_files} == files
    watched = next(path for path in sorted(tmp_path.rglob("*")) if is_read(name, path))
    os.utime(watched, ns=(1, 1))
    changed = load_dataset(f"speechcue/{name}", cache_dir=str(tmp_path / "cache"), **where(name, tmp_path))
    assert not files & {file["filename"] for rows in changed.values() for file in rows.cache_files}


def where(name: str, folder: Path) -> dict:
    inside = {"iemocap": "IEMOCAP_full_release", "meld": "MELD.Raw", "libritts": "LibriTTS"}
    inside |= {"ravdess": "RAVDESS", "crema_d": "CREMA-D", "emodb": "EmoDB"}
    return {"data_dir": str(folder / inside.get(name, ".")), "verify": False}


def is_read(name: str, path: Path) -> bool:
    """An annotation of a corpus, by its place."""
    ends = {"iemocap": "transcriptions/Ses01F_impro01.txt", "meld": "train_sent_emo.csv", "libritts": "speakers.tsv"}
    ends |= {"emorynlp": "emorynlp_train_final.csv", "dailydialog": "dialogues_train.txt", "wav_list": "clips.txt"}
    ends |= {"folder": "metadata.csv", "cheers": "toasts.csv", "crema_d": "VideoDemographics.csv"}
    ends |= {"ravdess": "Actor_01/03-01-05-02-01-01-01.wav", "emodb": "wav/03a01Fa.wav"}
    return path.as_posix().endswith(ends[name])


@pytest.mark.parametrize("corpus", CORPORA, ids=lambda corpus: corpus.name)
def test_each_of_ours_has_a_script_and_is_in_the_reference(corpus) -> None:
    assert (ROOT / "dataset_scripts" / f"{corpus.name}.py").is_file()
    assert f"| {corpus.name}" in (ROOT / "docs" / "reference" / "columns.md").read_text(encoding="utf-8").lower()


def test_a_name_is_taken_once(with_cheers) -> None:
    register_corpus(with_cheers.CHEERS)
    with pytest.raises(ValueError, match="there is a corpus 'meld' already"):
        register_corpus(catalogue.Corpus("meld", "cheers"))


@pytest.fixture
def installed(tmp_path) -> dict[str, str]:
    """An environment in which the package of the corpus is installed, and another that is broken."""
    shutil.copytree(HERE / "outside", tmp_path / "site")
    for name, place in (("cheers", "cheers:CHEERS"), ("broken", "nowhere:NOTHING")):
        metadata = tmp_path / "site" / f"{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[speechcue_hf.corpora]\n{name} = {place}\n")
    (tmp_path / "release").mkdir()
    cheers(tmp_path / "release")
    return os.environ | {"PYTHONPATH": str(tmp_path / "site"), "HF_HOME": str(tmp_path / "home")}


def test_an_installed_package_needs_no_call(installed, tmp_path) -> None:
    command = [sys.executable, "-m", "speechcue_hf.cli", "prepare", "cheers", "--data-dir", "release", "-o", "out"]
    done = subprocess.run(command, env=installed, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "train: 3 utterances in 2 dialogues" in done.stdout
    assert "the corpus 'broken' of nowhere:NOTHING cannot be loaded" in done.stderr
    assert read_dataset(tmp_path / "out")["train"].info.license == "Cheers licence, to each user"


@pytest.mark.parametrize("order", ["import speechcue_hf, datasets", "import datasets, speechcue_hf"])
def test_the_names_are_known_whoever_is_imported_first(order, tmp_path) -> None:
    script = f"{order}; print(len(datasets.load_dataset('speechcue/demo', split='test')))"
    environment = os.environ | {"HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.stdout == "108\n", done.stderr


def test_asking_whether_datasets_is_there_does_not_lose_the_names(tmp_path) -> None:
    """As transformers does before it imports datasets."""
    script = "import speechcue_hf, importlib.util as u; u.find_spec('datasets'); import datasets; "
    script += "print(len(datasets.load_dataset('speechcue/demo', split='test')))"
    environment = os.environ | {"HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.stdout == "108\n", done.stderr

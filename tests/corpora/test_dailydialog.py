"""DailyDialog: small trees in the true layout, and a tree with the release's counts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from datasets import load_dataset

import speechcue_hf  # noqa: F401
from speechcue_hf.errors import CorpusError

pytestmark = pytest.mark.slow

SMALL = {
    "train": [
        (["Say , Jim , how about a beer ?", "You know that is tempting .", "Come on ."], [0, 0, 4], [3, 1, 4]),
        (["Are you angry ?", "I ’ m furious !"], [0, 1], [2, 1]),
    ],
    "validation": [(["Good morning , sir ."], [0], [2])],
    "test": [(["Who is it ?", "Nobody ."], [6, 5], [2, 1])],
}
SIZES = {"train": (11118, 87170), "validation": (1000, 8069), "test": (1000, 7740)}


def write(folder: Path, dialogues: dict[str, list], below: str = "{split}") -> None:
    for split, entries in dialogues.items():
        place = folder / below.format(split=split)
        place.mkdir(parents=True, exist_ok=True)
        lines = {"": [], "emotion_": [], "act_": []}
        for texts, emotions, acts in entries:
            lines[""].append("".join(f"{text} __eou__ " for text in texts))
            lines["emotion_"].append("".join(f"{label} " for label in emotions))
            lines["act_"].append("".join(f"{label} " for label in acts))
        for kind, found in lines.items():
            file = place / f"dialogues_{kind}{split}.txt"
            file.write_text("".join(f"{line}\n" for line in found), encoding="utf-8")


def of_size(dialogues: int, utterances: int) -> list:
    """Dialogues of nearly equal length with that many utterances in all."""
    short, longer = divmod(utterances, dialogues)
    lengths = [short + (index < longer) for index in range(dialogues)]
    return [([f"Turn {turn}" for turn in range(length)], [0] * length, [1] * length) for length in lengths]


def load(folder: Path, cache: Path, **options: object):
    return load_dataset("speechcue/dailydialog", data_dir=str(folder), cache_dir=str(cache), **options)


@pytest.mark.parametrize(
    "below", ["{split}", "{split}/{split}", ".", "ijcnlp_dailydialog/{split}", "EMNLP_dataset/{split}/{split}"]
)
def test_rows(tmp_path: Path, below: str) -> None:
    write(tmp_path, SMALL, below)
    train = load(tmp_path, tmp_path / "cache", verify=False)["train"]
    assert train["text"][:] == [text for texts, _, _ in SMALL["train"] for text in texts]
    assert train["dialogue_id"][:] == ["train_00001"] * 3 + ["train_00002"] * 2
    assert train["utterance_id"][2:4] == ["train_00001_u03", "train_00002_u01"]
    assert train["speaker"][:] == ["A", "B", "A", "A", "B"]
    names = train.features["emotion"].int2str
    assert [names(label) for label in train["emotion"]] == ["no emotion"] * 2 + ["happiness", "no emotion", "anger"]
    acts = train.features["dialogue_act"].int2str
    assert [acts(label) for label in train["dialogue_act"]] == [
        "directive",
        "inform",
        "commissive",
        "question",
        "inform",
    ]
    assert set(train["audio_status"]) == {"none"}
    assert train["audio"][0] is None


def test_whole_release_is_accepted(tmp_path: Path) -> None:
    write(tmp_path, {split: of_size(*size) for split, size in SIZES.items()})
    dataset = load(tmp_path, tmp_path / "cache")
    assert {split: (len(set(rows["dialogue_id"])), len(rows)) for split, rows in dataset.items()} == SIZES
    assert set(dataset["train"]["speaker"]) == {"A", "B"}


def test_other_counts_are_refused(tmp_path: Path) -> None:
    write(tmp_path, SMALL)
    with pytest.raises(CorpusError, match=r"dialogues_train.txt, train: 2 dialogues, the release has 11,118: "):
        load(tmp_path, tmp_path / "cache")


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ("0 \n", "expected 2 labels, one for each utterance of that line of the texts, found 1"),
        ("0 1 1 \n", "expected 2 labels, one for each utterance of that line of the texts, found 3"),
        ("0 7 \n", "expected labels from 0 to 6, found '7'"),
        ("0 x \n", "expected labels from 0 to 6, found 'x'"),
    ],
)
def test_labels_that_do_not_fit(tmp_path: Path, caplog: pytest.LogCaptureFixture, labels: str, problem: str) -> None:
    write(tmp_path, SMALL)
    file = tmp_path / "train" / "dialogues_emotion_train.txt"
    file.write_text(file.read_text().replace("0 1 \n", labels))
    with pytest.raises(CorpusError, match=rf"dialogues_emotion_train.txt, line 2: {problem}: .*verify=False"):
        load(tmp_path, tmp_path / "cache")
    train = load(tmp_path, tmp_path / "cache", verify=False)["train"]
    assert train["emotion"][:] == [0, 0, 4, None, None], "no label of a line that does not fit can be trusted"
    assert train["dialogue_act"][:] == [2, 0, 3, 1, 0]
    assert f"line 2: {problem}" in caplog.text


def test_missing_lines_and_files(tmp_path: Path) -> None:
    write(tmp_path, SMALL)
    acts = tmp_path / "train" / "dialogues_act_train.txt"
    acts.write_text(acts.read_text().splitlines()[0])
    with pytest.raises(CorpusError, match=r"dialogues_act_train.txt has 1 lines, the texts beside it have 2"):
        load(tmp_path, tmp_path / "cache")
    assert load(tmp_path, tmp_path / "cache", verify=False)["train"]["dialogue_act"][:] == [2, 0, 3, None, None]
    acts.unlink()
    with pytest.raises(CorpusError, match=r"dialogues_act_train.txt is missing"):
        load(tmp_path, tmp_path / "cache")
    assert set(load(tmp_path, tmp_path / "cache", verify=False)["train"]["dialogue_act"]) == {None}
    shutil.rmtree(tmp_path / "validation")
    with pytest.raises(CorpusError, match=r"dialogues_validation.txt is missing \(is validation.zip unpacked\?\)"):
        load(tmp_path, tmp_path / "cache")
    assert set(load(tmp_path, tmp_path / "cache", verify=False)) == {"train", "test"}


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"dialogues_train.txt is missing"):
        load(tmp_path, tmp_path / "cache")
    with pytest.raises(CorpusError, match=r"holds no dialogues_train.txt: give data_dir="):
        load(tmp_path, tmp_path / "cache", verify=False)


def test_changed_labels_are_read_again(tmp_path: Path) -> None:
    write(tmp_path, SMALL)
    assert load(tmp_path, tmp_path / "cache", verify=False)["test"]["emotion"][:] == [6, 5]
    (tmp_path / "test" / "dialogues_emotion_test.txt").write_text("4 4\n")
    assert load(tmp_path, tmp_path / "cache", verify=False)["test"]["emotion"][:] == [4, 4]
    streamed = load(tmp_path, tmp_path / "cache", verify=False, streaming=True)
    assert [row["emotion"] for row in streamed["test"]] == [4, 4]

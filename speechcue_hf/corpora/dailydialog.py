"""DailyDialog: dialogues written for learners of English, with seven emotions and four dialogue acts, text only.

Li, Su, Shen, Li, Cao and Niu (2017), DailyDialog: a manually labelled multi-turn dialogue dataset,
https://aclanthology.org/I17-1099. CC BY-NC-SA 4.0. The release has a zip archive for each split, with
``dialogues_<split>.txt`` (one dialogue a line, ``__eou__`` after each utterance), ``dialogues_emotion_<split>.txt`` and
``dialogues_act_<split>.txt`` (one number per utterance).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import ClassLabel

from speechcue_hf.corpora.builder import CorpusBuilder
from speechcue_hf.corpora.release import compare_counts, first_existing, read_utf8, report
from speechcue_hf.corpora.schema import Utterance
from speechcue_hf.errors import CorpusError

EMOTIONS = ("no emotion", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""In the order of the release's numbers, from 0."""
DIALOGUE_ACTS = ("inform", "question", "directive", "commissive")
"""In the order of the release's numbers, which start at 1."""
SPLITS = ("train", "validation", "test")
END_OF_UTTERANCE = "__eou__"


class DailyDialogBuilder(CorpusBuilder):
    """DailyDialog as released."""

    CORPUS = "dailydialog"

    def emotions(self) -> Sequence[str]:
        """The seven emotions, in the order of the release."""
        return EMOTIONS

    def extras(self) -> Mapping[str, Any]:
        """The dialogue act of each utterance."""
        return {"dialogue_act": ClassLabel(names=list(DIALOGUE_ACTS))}

    def read(self, data_dir: Path) -> dict[str, list[Utterance]]:
        """The utterances of each split.

        Raises:
            CorpusError: If (``verify``) a file is missing, has other counts, or lines that do not fit together.
        """
        verify = self.config.verify
        files: dict[str, Path] = {}
        for split in SPLITS:
            if file := first_existing(candidates(data_dir, split)):
                files[split] = file
            else:
                report(f"{data_dir / split / _text_name(split)} is missing (is {split}.zip unpacked?)", verify)
        if not files:
            raise CorpusError(f"{data_dir} holds no {_text_name('train')}: give data_dir= the unpacked release")
        splits = {split: read_split(file, split, verify) for split, file in files.items()}
        compare_counts(self.CORPUS, self.config.name, splits, files, verify)
        return splits


def _text_name(split: str) -> str:
    """Name of the file with the texts of a split."""
    return f"dialogues_{split}.txt"


def candidates(data_dir: Path, split: str) -> list[Path]:
    """Where the texts of a split may lie.

    Args:
        data_dir: Folder of the release, or the folder that holds the folder which its archive makes.
        split: The split.

    Returns:
        The paths, most likely first: an archive unpacked inside a folder of its own name gives the second.
    """
    roots = (data_dir, data_dir / "ijcnlp_dailydialog", data_dir / "EMNLP_dataset")
    return [root / below / _text_name(split) for root in roots for below in (split, f"{split}/{split}", ".")]


def watched(data_dir: Path) -> list[Path]:
    """Files whose change makes a new cache entry.

    Args:
        data_dir: Folder of the release.

    Returns:
        The texts and labels of each split, where they may lie.
    """
    texts = [path for split in SPLITS for path in candidates(data_dir, split)]
    return [path.with_name(path.name.replace("_", kind, 1)) for path in texts for kind in ("_", "_emotion_", "_act_")]


def read_split(file: Path, split: str, verify: bool) -> list[Utterance]:
    """Utterances of one split; speakers alternate and are called A and B.

    Args:
        file: File with the texts; those with the labels lie beside it.
        split: Name of the split.
        verify: Refuse labels that do not fit the texts; False gives such dialogues null labels and logs each.

    Returns:
        The utterances in file order.

    Raises:
        CorpusError: If ``verify`` and labels do not fit.
    """
    dialogues = [_line_utterances(line) for line in _lines_of(file)]
    emotions = label_numbers(file.with_name(f"dialogues_emotion_{split}.txt"), dialogues, range(len(EMOTIONS)), verify)
    acts = label_numbers(file.with_name(f"dialogues_act_{split}.txt"), dialogues, range(1, 5), verify)
    return [
        Utterance(
            dialogue_id=f"{split}_{line:05d}",
            utterance_id=f"{split}_{line:05d}_u{turn + 1:02d}",
            text=text,
            emotion=None if emotion is None else EMOTIONS[emotion],
            speaker="AB"[turn % 2],
            extras={"dialogue_act": None if act is None else act - 1},
        )
        for line, row in enumerate(zip(dialogues, emotions, acts, strict=True), start=1)
        for turn, (text, emotion, act) in enumerate(zip(*row, strict=True))
    ]


def _lines_of(file: Path) -> list[str]:
    """Lines of a file; those at its end that hold nothing do not count."""
    return read_utf8(file).rstrip().split("\n")


def _line_utterances(line: str) -> list[str]:
    """Texts of one dialogue."""
    texts = line.strip().removesuffix(END_OF_UTTERANCE).split(END_OF_UTTERANCE)
    return [text.strip() for text in texts]


def label_numbers(file: Path, dialogues: list[list[str]], allowed: range, verify: bool) -> list[list[int | None]]:
    """Labels of the utterances of a split.

    Args:
        file: File with one line of numbers per dialogue.
        dialogues: Texts of each dialogue.
        allowed: The numbers that are labels.
        verify: Refuse lines that do not fit.

    Returns:
        One number per text; None throughout a dialogue whose line does not fit, when not ``verify``.

    Raises:
        CorpusError: If ``verify`` and the file is missing, or a line of it does not fit.
    """
    if not file.is_file():
        report(f"{file} is missing", verify)
        return [[None] * len(texts) for texts in dialogues]
    lines = _lines_of(file)
    if len(lines) != len(dialogues):
        report(f"{file} has {len(lines):,} lines, the texts beside it have {len(dialogues):,}", verify)
    lines += [""] * (len(dialogues) - len(lines))
    labels: list[list[int | None]] = []
    for number, (line, texts) in enumerate(zip(lines, dialogues, strict=False), start=1):
        problem = _misfit(line.split(), len(texts), allowed)
        if problem:
            report(f"{file}, line {number}: {problem}", verify)
        labels.append([None] * len(texts) if problem else [int(label) for label in line.split()])
    return labels


def _misfit(labels: list[str], texts: int, allowed: range) -> str | None:
    """Say why labels do not fit a dialogue."""
    if len(labels) != texts:
        return f"expected {texts} labels, one for each utterance of that line of the texts, found {len(labels)}"
    names = {str(number) for number in allowed}
    wrong = next((label for label in labels if label not in names), None)
    return None if wrong is None else f"expected labels from {allowed[0]} to {allowed[-1]}, found {wrong!r}"

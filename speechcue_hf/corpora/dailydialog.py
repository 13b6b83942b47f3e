"""DailyDialog: dialogues written for learners of English, with seven emotions and four dialogue acts, text only.

Li, Su, Shen, Li, Cao and Niu (2017), DailyDialog: a manually labelled multi-turn dialogue dataset,
https://aclanthology.org/I17-1099. CC BY-NC-SA 4.0. The release has a zip archive for each split, with
``dialogues_<split>.txt`` (one dialogue a line, ``__eou__`` after each utterance), ``dialogues_emotion_<split>.txt`` and
``dialogues_act_<split>.txt`` (one number per utterance).
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from datasets import ClassLabel

from speechcue_hf.corpora.builder import CorpusBuilder
from speechcue_hf.corpora.release import compare_counts, first_existing, read_utf8, report
from speechcue_hf.corpora.schema import SPLITS, Utterance
from speechcue_hf.errors import CorpusError

EMOTIONS = ("no emotion", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""In the order of the release's numbers, from 0."""
DIALOGUE_ACTS = ("inform", "question", "directive", "commissive")
"""In the order of the release's numbers, which start at 1."""


class DailyDialogBuilder(CorpusBuilder):
    """DailyDialog as released."""

    CORPUS = "dailydialog"
    LABELS = EMOTIONS
    EXTRAS: ClassVar = {"dialogue_act": ClassLabel(names=list(DIALOGUE_ACTS))}

    def read(self, data_dir: Path) -> dict[str, list[Utterance]]:
        """The utterances of each split, where its texts and labels fit together or ``verify`` is False."""
        verify = self.config.verify
        files: dict[str, Path] = {}
        for split in SPLITS:
            candidates = _candidates(data_dir, split)
            if file := first_existing(candidates):
                files[split] = file
            else:
                report([f"{candidates[0]} is missing (is {split}.zip unpacked?)"], verify)
        if not files:
            raise CorpusError(f"{data_dir} holds no dialogues_train.txt: give data_dir= the unpacked release")
        splits = {split: _read_split(file, split, verify) for split, file in files.items()}
        compare_counts(self.CORPUS, self.config.name, splits, files, verify)
        return splits


def _candidates(data_dir: Path, split: str) -> list[Path]:
    """Where the texts of a split may lie, most likely first; the second is an archive unpacked in its own folder."""
    roots = (data_dir, data_dir / "ijcnlp_dailydialog", data_dir / "EMNLP_dataset")
    folders = [root / below for root in roots for below in (split, f"{split}/{split}", ".")]
    return [folder / f"dialogues_{split}.txt" for folder in folders]


def watched(data_dir: Path) -> list[Path]:
    """The texts and labels of each split, wherever they may lie."""
    texts = [path for split in SPLITS for path in _candidates(data_dir, split)]
    return [path.with_name(path.name.replace("_", kind, 1)) for path in texts for kind in ("_", "_emotion_", "_act_")]


def _read_split(file: Path, split: str, verify: bool) -> list[Utterance]:
    """Utterances of one file of texts, beside which those with the labels lie; speakers alternate and are A and B."""
    dialogues = [_line_utterances(line) for line in _lines_of(file)]
    emotions = _label_numbers(file.with_name(f"dialogues_emotion_{split}.txt"), dialogues, range(len(EMOTIONS)), verify)
    acts = _label_numbers(file.with_name(f"dialogues_act_{split}.txt"), dialogues, range(1, 5), verify)
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
    return [text.strip() for text in line.strip().removesuffix("__eou__").split("__eou__")]


def _label_numbers(file: Path, dialogues: list[list[str]], allowed: range, verify: bool) -> list[list[int | None]]:
    """A number for each text of each dialogue; None throughout one whose line does not fit, when not ``verify``."""
    if not file.is_file():
        report([f"{file} is missing"], verify)
        return [[None] * len(texts) for texts in dialogues]
    lines = _lines_of(file)
    if len(lines) != len(dialogues):
        report([f"{file} has {len(lines):,} lines, the texts beside it have {len(dialogues):,}"], verify)
    lines += [""] * (len(dialogues) - len(lines))
    labels: list[list[int | None]] = []
    for number, (line, texts) in enumerate(zip(lines, dialogues, strict=False), start=1):
        problem = _misfit(line.split(), len(texts), allowed)
        if problem:
            report([f"{file}, line {number}: {problem}"], verify)
        labels.append([None] * len(texts) if problem else [int(label) for label in line.split()])
    return labels


def _misfit(labels: list[str], texts: int, allowed: range) -> str | None:
    """Say why labels do not fit a dialogue."""
    if len(labels) != texts:
        return f"expected {texts} labels, one for each utterance of that line of the texts, found {len(labels)}"
    names = {str(number) for number in allowed}
    wrong = next((label for label in labels if label not in names), None)
    return None if wrong is None else f"expected labels from {allowed[0]} to {allowed[-1]}, found {wrong!r}"

"""LibriTTS: 585 hours of English read aloud, 2,456 readers, cut at sentence breaks; text and gender, no emotion.

Zen et al. (2019), LibriTTS: a corpus derived from LibriSpeech for text-to-speech, https://arxiv.org/abs/1904.02882.
CC BY 4.0, https://www.openslr.org/60. The release has a folder for each subset,
``LibriTTS/<subset>/<reader>/<chapter>/<utterance>.wav`` with ``.normalized.txt`` and ``.original.txt`` beside each
clip, and ``speakers.tsv`` with the reader's gender. Any number of subsets may be there. A chapter is a dialogue of one
speaker: its sentences follow each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from datasets import Value

from speechcue_hf.corpora.builder import CorpusBuilder
from speechcue_hf.corpora.release import first_of, read_utf8, report
from speechcue_hf.corpora.schema import Utterance
from speechcue_hf.errors import CorpusError

SUBSETS = {
    "train-clean-100": ("train", 33236),
    "train-clean-360": ("train", 116500),
    "train-other-500": ("train", 205044),
    "dev-clean": ("validation", 5736),
    "dev-other": ("validation", 4613),
    "test-clean": ("test", 4837),
    "test-other": ("test", 5120),
}
"""Subset → its split and its utterances (counted by TensorFlow Datasets on the release)."""

SPEAKERS_FILE = "speakers.tsv"
GENDERS = {"F": "female", "M": "male"}
TEXT = ".normalized.txt"
ORIGINAL = ".original.txt"


class LibriTTSBuilder(CorpusBuilder):
    """LibriTTS as released."""

    CORPUS = "libritts"
    EXTRAS: ClassVar = {"subset": Value("string"), "original_text": Value("string")}

    def read(self, data_dir: Path) -> dict[str, list[Utterance]]:
        """The utterances of the subsets that are there."""
        verify = self.config.verify
        subsets = [subset for subset in SUBSETS if (data_dir / subset).is_dir()]
        if not subsets:
            raise CorpusError(
                f"{data_dir} holds none of the folders {', '.join(SUBSETS)}: give data_dir= the folder LibriTTS itself"
            )
        genders = _read_genders(data_dir / SPEAKERS_FILE, verify)
        splits: dict[str, list[Utterance]] = {}
        for subset in subsets:
            split, expected = SUBSETS[subset]
            utterances = _read_subset(data_dir / subset, genders)
            report(_problems(data_dir / subset, utterances, expected), verify)
            splits.setdefault(split, []).extend(utterances)
        return {split: utterances for split, utterances in splits.items() if utterances}


def _read_genders(file: Path, verify: bool) -> dict[str, str]:
    """Reader → gender, of lines that begin with reader and gender (F or M), between tabs or blanks."""
    if not file.is_file():
        report([f"{file} is missing, so no reader's gender is known"], verify)
        return {}
    genders = {}
    for number, line in enumerate(read_utf8(file).splitlines(), start=1):
        reader, gender, *_ = [*line.split(), "", ""]
        if not reader.isdigit():
            continue
        if gender not in GENDERS:
            raise CorpusError(f"{file}, line {number}: gender {gender!r} is neither F nor M")
        genders[reader] = GENDERS[gender]
    return genders


def _read_subset(folder: Path, genders: Mapping[str, str]) -> list[Utterance]:
    """Utterances of one subset, chapters together and in reading order."""
    utterances = []
    for chapter in _chapters(folder):
        names = {path.name.split(".")[0] for path in chapter.iterdir() if path.name.endswith((".wav", TEXT))}
        utterances += [_utterance(chapter / name, folder.name, genders) for name in sorted(names) if name]
    return utterances


def _chapters(subset: Path) -> list[Path]:
    """Folders of a subset's chapters, by reader and chapter."""
    return sorted(path for path in subset.glob("*/*") if path.is_dir())


def _problems(subset: Path, utterances: Sequence[Utterance], expected: int) -> list[str]:
    """What a subset has wrong, one line for each kind."""
    silent = [f"{row.clip} has no {row.utterance_id}{TEXT} beside it" for row in utterances if not row.text]
    unknown = sorted({str(row.speaker) for row in utterances if row.gender is None})
    nobody = [f"{subset}, reader {reader} is not in {SPEAKERS_FILE}" for reader in unknown]
    found = len(utterances)
    counts = [] if found == expected else [f"{subset} has {found:,} utterances, the release has {expected:,}"]
    return [*counts, *first_of(silent), *first_of(nobody)]


def watched(data_dir: Path) -> list[Path]:
    """The file of the readers, and the folders of the chapters."""
    return [data_dir / SPEAKERS_FILE, *(path for subset in SUBSETS for path in _chapters(data_dir / subset))]


def _utterance(stem: Path, subset: str, genders: Mapping[str, str]) -> Utterance:
    reader, chapter = stem.parent.parent.name, stem.parent.name
    return Utterance(
        dialogue_id=f"{reader}_{chapter}",
        utterance_id=stem.name,
        text=_text(stem.with_name(stem.name + TEXT)) or "",
        speaker=reader,
        gender=genders.get(reader),
        clip=stem.with_name(f"{stem.name}.wav"),
        extras={"subset": subset, "original_text": _text(stem.with_name(stem.name + ORIGINAL))},
    )


def _text(file: Path) -> str | None:
    return read_utf8(file).strip() if file.is_file() else None

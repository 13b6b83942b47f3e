"""MELD: dialogues of the series Friends with seven emotions, clips as mp4.

Poria et al. (2019), https://aclanthology.org/P19-1050; release at https://affective-meld.github.io (``MELD.Raw``),
annotations at https://github.com/declare-lab/MELD. Read are, in ``data_dir`` or up to three folders below it::

    {train,dev,test}_sent_emo.csv
    train_splits/dia{d}_utt{u}.mp4, dev_splits_complete/, output_repeated_splits_test/

Older copies nest or rename the folders, and clips that were converted to wav or flac are taken as well. ``._*`` files
and the ``final_videos_test...`` twins are no part of the release. Utterance numbers have gaps, and train dialogue 60
does not exist. Times come from subtitles of the broadcast and are unreliable.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import ClassVar

from datasets import Value

from speechcue_hf.corpora.builder import CorpusBuilder
from speechcue_hf.corpora.clips import known_clips
from speechcue_hf.corpora.release import FIX, compare_counts, csv_rows, first_existing, first_of, read_utf8, report
from speechcue_hf.corpora.schema import Utterance
from speechcue_hf.errors import CorpusError

logger = logging.getLogger(__name__)

EMOTIONS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
NAMES = {"train": "train", "validation": "dev", "test": "test"}
"""What the release calls each split; utterance ids begin with it."""
MEDIA = {"train": "train_splits", "validation": "dev_splits_complete", "test": "output_repeated_splits_test"}
SPLIT_OF_WORD = {"train": "train", "dev": "validation", "val": "validation", "test": "test"}
SUFFIXES = (".mp4", ".wav", ".flac")

_CLIP = re.compile(rf"dia\d+_utt\d+({'|'.join(map(re.escape, SUFFIXES))})")
_TIME = re.compile(r"(\d+):(\d\d):(\d\d),(\d{1,3})")
_FIRST_RELEASE = {code: bytes([code]).decode("cp1252") for code in (0x85, *range(0x91, 0x98))} | {0xA0: " "}
"""The first release's csv has characters of cp1252 in places where today's has those of Unicode."""


class MeldBuilder(CorpusBuilder):
    """MELD as a ``datasets`` builder."""

    CORPUS = "meld"
    LABELS = EMOTIONS
    EXTRAS: ClassVar = {"sentiment": Value("string"), "season": Value("int32"), "episode": Value("int32")}

    def read(self, data_dir: Path) -> dict[str, list[Utterance]]:
        """The utterances of each split."""
        verify = self.config.verify
        located = _locate(data_dir)
        if not any(file.is_file() for file, _ in located.values()):
            raise CorpusError(f"{data_dir} holds no train_sent_emo.csv: give data_dir the folder MELD.Raw")
        files: dict[str, Path] = {}
        splits: dict[str, list[Utterance]] = {}
        for split, (file, media) in located.items():
            if not file.is_file():
                report([f"{file} is missing"], verify)
                continue
            files[split], splits[split] = file, _read_split(file, media, split)
            report(_row_problems(file, split, splits[split]), verify)
        compare_counts(self.CORPUS, self.config.name, splits, files, verify)
        if any(media.is_dir() for _, media in located.values()):
            report(_clip_problems(splits), verify)
        else:
            logger.warning("%s holds no %s: MELD is loaded as text only", data_dir, " or ".join(MEDIA.values()))
        return splits


def watched(data_dir: Path) -> list[Path]:
    """The csv and the folder of clips of each split."""
    return [path for place in _locate(data_dir).values() for path in place]


def _locate(data_dir: Path) -> dict[str, tuple[Path, Path]]:
    """The csv and the folder of clips of each split; what is not there is named as the release has it."""
    folders = sorted(_folders_below(data_dir, depth=3), key=lambda folder: (len(folder.parts), folder))
    places = {}
    for split, name in NAMES.items():
        files = [folder / f"{name}_sent_emo.csv" for folder in (*folders, data_dir)]
        candidates = [folder for folder in folders if _split_named(folder.relative_to(data_dir)) == split]
        candidates.sort(key=lambda folder: folder.name != MEDIA[split])
        media = next((folder for folder in candidates if _holds_clips(folder)), data_dir / MEDIA[split])
        places[split] = (first_existing(files) or files[-1], media)
    return places


def _folders_below(folder: Path, depth: int) -> Iterator[Path]:
    """A folder and those below it, but for hidden ones and the twins."""
    if not folder.is_dir():
        return
    yield folder
    if depth > 0:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
        for name in names:
            if not name.startswith((".", "__MACOSX", "final_videos")):
                yield from _folders_below(folder / name, depth - 1)


def _split_named(path: Path) -> str | None:
    """The split that a folder's name tells, or else its parents'."""
    for part in reversed(path.parts):
        for word, split in SPLIT_OF_WORD.items():
            if word in part.lower():
                return split
    return None


def _holds_clips(folder: Path) -> bool:
    """Whether a folder itself holds clips of the release."""
    with os.scandir(folder) as entries:
        return any(_CLIP.fullmatch(entry.name) for entry in entries)


def _read_split(file: Path, media: Path, split: str) -> list[Utterance]:
    """The utterances of a split by dialogue and utterance number."""
    present = set(os.listdir(media)) if media.is_dir() else set()
    numbered: dict[tuple[int, int], Utterance] = {}
    for line, row in csv_rows(file, read_utf8(file).translate(_FIRST_RELEASE)):
        where = f"{file}, line {line}"
        try:
            number = int(row["Dialogue_ID"]), int(row["Utterance_ID"])
            utterance = _utterance(row, split, media, present)
        except KeyError as error:
            raise CorpusError(f"{file} has no column {error}: {FIX}") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise CorpusError(f"{where} (Sr No. {row.get('Sr No.')}) cannot be read ({error}): {FIX}") from error
        if number in numbered:
            raise CorpusError(f"{where}: row (dialogue {number[0]}, utterance {number[1]}) comes twice: {FIX}")
        numbered[number] = utterance
    return [numbered[number] for number in sorted(numbered)]


def _row_problems(file: Path, split: str, utterances: Sequence[Utterance]) -> list[str]:
    """Rows that the file lacks or that the release does not have."""
    expected = dict.fromkeys(release_rows(split))
    found = dict.fromkeys(utterance.utterance_id for utterance in utterances)
    counts = f"{file} has {len(found):,} rows, the release has {len(expected):,}"
    lacking = [f"{counts}: row {_row_name(name)} is missing" for name in expected if name not in found]
    foreign = [f"{counts}: row {_row_name(name)} is not in it" for name in found if name not in expected]
    return [*first_of(lacking), *first_of(foreign)]


def release_rows(split: str) -> list[str]:
    """Utterance ids of a split of the release, by dialogue and utterance number."""
    listed = json.loads(resources.files("speechcue_hf.corpora").joinpath("meld_rows.json").read_text(encoding="utf-8"))
    return [
        f"{NAMES[split]}_dia{dialogue}_utt{number}"
        for dialogue, ranges in listed[split].items()
        for part in ranges.split(",")
        for first, _, last in [part.partition("-")]
        for number in range(int(first), int(last or first) + 1)
    ]


def _clip_problems(splits: Mapping[str, Sequence[Utterance]]) -> list[str]:
    """Clips that are missing, but for those known to be missing or damaged in the release."""
    known = known_clips("meld")
    problems = []
    for utterances in splits.values():
        expected = [utterance.clip for utterance in utterances if utterance.utterance_id not in known]
        problems += first_of([f"{clip} is missing" for clip in expected if clip and not clip.is_file()])
    return problems


def seconds(time: str) -> float:
    """Seconds from the start of the episode of a time in the csv, such as ``00:16:16,059`` or ``0:16:59,000``.

    Raises:
        ValueError: If it is none.
    """
    match = _TIME.fullmatch(time.strip())
    if match is None:
        raise ValueError(f"time {time!r} is not of the form 00:16:16,059")
    hours, minutes, whole, fraction = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + int(whole) + float(f"0.{fraction}")


def _utterance(row: Mapping[str, str], split: str, media: Path, present: set[str]) -> Utterance:
    dialogue, utterance = int(row["Dialogue_ID"]), int(row["Utterance_ID"])
    if row["Emotion"] not in EMOTIONS:
        near = row["Emotion"].strip().lower()
        meant = f", in which the release writes it {near!r}" if near in EMOTIONS else ""
        raise ValueError(f"emotion {row['Emotion']!r} is not one of {', '.join(EMOTIONS)}{meant}")
    clip = f"dia{dialogue}_utt{utterance}"
    return Utterance(
        dialogue_id=f"{NAMES[split]}_dia{dialogue}",
        utterance_id=f"{NAMES[split]}_{clip}",
        text=row["Utterance"],
        emotion=row["Emotion"],
        speaker=row["Speaker"],
        clip=media / next((clip + suffix for suffix in SUFFIXES if clip + suffix in present), clip + SUFFIXES[0]),
        start=seconds(row["StartTime"]),
        end=seconds(row["EndTime"]),
        extras={"sentiment": row["Sentiment"], "season": int(row["Season"]), "episode": int(row["Episode"])},
    )


def _row_name(utterance_id: str) -> str:
    dialogue, utterance = re.findall(r"\d+", utterance_id)
    return f"(dialogue {dialogue}, utterance {utterance})"

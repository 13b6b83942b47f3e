"""MELD: 1,432 dialogues of the series Friends with seven emotions, clips as mp4.

Poria et al. (2019), https://aclanthology.org/P19-1050; release at https://affective-meld.github.io (``MELD.Raw``),
annotations at https://github.com/declare-lab/MELD (GPL-3.0; the clips stay with their owners). This loader reads::

    {train,dev,test}_sent_emo.csv
    train_splits/dia{d}_utt{u}.mp4, dev_splits_complete/, output_repeated_splits_test/

in ``data_dir`` or up to three folders below it; older copies nest or rename the folders, and clips that were converted
to wav or flac are taken as well. ``._*`` files and the ``final_videos_test...`` twins are no part of the release.

1,038 / 114 / 280 dialogues, 9,989 / 1,109 / 2,610 utterances. Rows and clips belong together by dialogue and utterance
number: utterance numbers have gaps, and train dialogue 60 does not exist. Times come from subtitles of the broadcast
and are unreliable. ``known_clips.json`` lists the clips that the release has wrong; their rows are kept and marked.

Without any clips the texts load, with a warning.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from datasets import Value

from speechcue_hf.corpora.builder import CorpusBuilder
from speechcue_hf.corpora.clips import known_clips
from speechcue_hf.corpora.release import FIX, compare_counts, first_existing, first_of, read_utf8, report
from speechcue_hf.corpora.schema import Utterance
from speechcue_hf.errors import CorpusError

logger = logging.getLogger(__name__)

EMOTIONS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
NAMES = {"train": "train", "validation": "dev", "test": "test"}
"""What the release calls each split; utterance ids begin with it."""
MEDIA = {"train": "train_splits", "validation": "dev_splits_complete", "test": "output_repeated_splits_test"}
SPLIT_OF_WORD = {"train": "train", "dev": "validation", "val": "validation", "test": "test"}
SUFFIXES = (".mp4", ".wav", ".flac")
DEEPEST = 3

_CLIP = re.compile(rf"dia\d+_utt\d+({'|'.join(map(re.escape, SUFFIXES))})")
_TIME = re.compile(r"(\d+):(\d\d):(\d\d),(\d{1,3})")
_FIRST_RELEASE = {code: bytes([code]).decode("cp1252") for code in (0x85, *range(0x91, 0x98))} | {0xA0: " "}
"""The first release's csv has characters of cp1252 in places where today's has those of Unicode."""


class MeldBuilder(CorpusBuilder):
    """MELD as a ``datasets`` builder."""

    CORPUS = "meld"

    def emotions(self) -> Sequence[str]:
        """The seven emotions, in the order of the published class ids."""
        return EMOTIONS

    def extras(self) -> Mapping[str, Any]:
        """Sentiment, and where in the series."""
        return {"sentiment": Value("string"), "season": Value("int32"), "episode": Value("int32")}

    def read(self, data_dir: Path) -> dict[str, list[Utterance]]:
        """The utterances of each split.

        Raises:
            CorpusError: If there are no annotations, one cannot be read, or ``config.verify`` and the copy differs.
        """
        verify = self.config.verify
        located = find_clips(data_dir)
        if not any(place.annotations.is_file() for place in located.values()):
            raise CorpusError(f"{data_dir} holds no train_sent_emo.csv: give data_dir the folder MELD.Raw")
        splits: dict[str, list[Utterance]] = {}
        for split, place in located.items():
            if not place.annotations.is_file():
                report(f"{place.annotations} is missing", verify)
                continue
            splits[split] = read_split(place, split)
            for problem in _row_problems(place.annotations, split, splits[split]):
                report(problem, verify)
        files = {split: located[split].annotations for split in splits}
        compare_counts(self.CORPUS, self.config.name, splits, files, verify)
        if any(place.media.is_dir() for place in located.values()):
            for problem in _clip_problems(splits):
                report(problem, verify)
        else:
            logger.warning("%s holds no %s: MELD is loaded as text only", data_dir, " or ".join(MEDIA.values()))
        return splits


@dataclass(frozen=True)
class Place:
    """Where a split lies.

    Attributes:
        annotations: The csv.
        media: The folder of its clips.
    """

    annotations: Path
    media: Path


def watched(data_dir: Path) -> Iterator[Path]:
    """Files and folders whose change makes a new cache entry.

    Args:
        data_dir: Folder of the release.

    Yields:
        The csv and the folder of clips of each split.
    """
    for place in find_clips(data_dir).values():
        yield from (place.annotations, place.media)


def find_clips(data_dir: Path) -> dict[str, Place]:
    """Find the files of each split, whatever the age of the copy.

    Args:
        data_dir: Folder of the release.

    Returns:
        Split name → its place; what is not there is named as the release has it.
    """
    folders = sorted(_folders_below(data_dir, DEEPEST), key=lambda folder: (len(folder.parts), folder))
    places = {}
    for split, name in NAMES.items():
        files_of_split = [folder / f"{name}_sent_emo.csv" for folder in folders]
        annotations = first_existing(files_of_split) or data_dir / f"{name}_sent_emo.csv"
        candidates = [folder for folder in folders if _split_named(folder.relative_to(data_dir)) == split]
        candidates.sort(key=lambda folder: folder.name != MEDIA[split])
        media = next((folder for folder in candidates if _holds_clips(folder)), data_dir / MEDIA[split])
        places[split] = Place(annotations, media)
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


def read_split(place: Place, split: str) -> list[Utterance]:
    """Read the annotations of a split.

    Args:
        place: Where it lies.
        split: Its name.

    Returns:
        The utterances by dialogue and utterance number.

    Raises:
        CorpusError: If a column is missing or a row cannot be read.
    """
    present = set(os.listdir(place.media)) if place.media.is_dir() else set()
    numbered: dict[tuple[int, int], Utterance] = {}
    reader = csv.DictReader(io.StringIO(read_utf8(place.annotations).translate(_FIRST_RELEASE), newline=""))
    for row in reader:
        where = f"{place.annotations}, line {reader.line_num}"
        try:
            number = int(row["Dialogue_ID"]), int(row["Utterance_ID"])
            utterance = _utterance(row, split, place.media, present)
        except KeyError as error:
            raise CorpusError(f"{place.annotations} has no column {error}: {FIX}") from error
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
    """Utterance ids of the release.

    Args:
        split: Name of the split.

    Returns:
        The ids by dialogue and utterance number.
    """
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
    """A time of the csv, in s.

    Args:
        time: Such as ``00:16:16,059`` or ``0:16:59,000``.

    Returns:
        Seconds from the start of the episode.

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
        raise ValueError(f"emotion {row['Emotion']!r} is not one of {', '.join(EMOTIONS)}")
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

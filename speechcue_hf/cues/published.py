"""The measurements that SpeechCueLLM published, put beside the rows that they are of.

https://github.com/zehuiwu/SpeechCueLLM has in ``speech_features`` ``{train,dev,test}_audio_features.csv`` of MELD, one
row for each ``filename``, and its ``feature_utils`` write ``iemocap_audio_features.csv``, one row for each ``video_id``
(the dialogue) and ``segment_id`` (the turn). A csv with a column ``utterance_id`` and the same eight numbers is read as
well.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset, DatasetDict, Features, Value

from speechcue_hf.corpora.catalogue import corpora
from speechcue_hf.corpora.joining import letters, put_beside
from speechcue_hf.corpora.release import csv_rows, read_utf8
from speechcue_hf.cues.measure import clip_columns
from speechcue_hf.cues.settings import PAPER_COLUMNS
from speechcue_hf.cues.turns import TURN_COLUMNS
from speechcue_hf.errors import CorpusError

logger = logging.getLogger(__name__)

PUBLISHED_NAMES = (
    "duration",
    "avg_intensity",
    "intensity_variation",
    "avg_pitch",
    "pitch_std",
    "pitch_range",
    "articulation_rate",
    "mean_hnr",
)
"""What the files call the numbers of ``PAPER_COLUMNS``, in that order."""

NOT_PUBLISHED = "no measurement was published for this utterance"
NOT_TOLD_APART = (
    "several published measurements are of these words in this dialogue, and nothing tells which is this one's"
)

_MELD_CLIP = re.compile(r"(dia\d+_utt\d+)\.\w+")
_MELD_FILE = re.compile(r"(?:^|_)(train|dev|test)_audio_features")

Words = tuple[str, str, str]
"""Dialogue, gender and letters of what is said."""


@dataclass(frozen=True)
class _Row:
    """A row of a file: whose it is, by id or else by its words, and its eight numbers."""

    utterance_id: str | None
    words: Words | None
    numbers: tuple[float | None, ...]


def join_measurements(dataset: DatasetDict, files: Sequence[Path]) -> DatasetDict:
    """Give rows their published measurements, as ``measure_dataset`` gives them ours.

    Rows are joined by utterance id: of MELD it is the name of the clip, of IEMOCAP ``video_id`` and ``segment_id``.
    Where ``segment_id`` is no turn's name, turns are found by dialogue, gender and words; words that are said more
    often in the file than in the rows, or less, are left without, with a note.

    Args:
        dataset: The corpus, with ``utterance_id`` (``dialogue_id``, ``gender`` and ``text`` where words must do).
        files: The csv files.

    Returns:
        The dataset without ``audio``, with the columns of all cues, null but for the paper's eight, and
        ``measurement_note``, which has the reason where a row was not published.

    Raises:
        CorpusError: If a file is none of these, names an utterance twice, or none of them is of these rows.
    """
    published = [row for file in files for row in _read(file)]
    by_id = _by_id(published)
    by_words: dict[Words, list[_Row]] = defaultdict(list)
    for row in published:
        if row.words is not None:
            by_words[row.words].append(row)
    joined = DatasetDict({split: _join_split(rows, by_id, by_words) for split, rows in dataset.items()})
    ids = {name for rows in dataset.values() for name in rows["utterance_id"]}
    if not any(note is None for rows in joined.values() for note in rows["measurement_note"]):
        example = next((row.utterance_id or " ".join(row.words or ()) for row in published), "no row")
        raise CorpusError(
            f"{', '.join(file.name for file in files)}: no row is of this dataset (the first is of {example!r}): "
            "give the files of the same corpus, those of MELD under the names that they were published with"
        )
    if foreign := [name for name in by_id if name not in ids]:
        logger.info("%d published rows, such as %s, are of no row of this dataset", len(foreign), foreign[0])
    return joined


def _read(file: Path) -> Iterator[_Row]:
    """The rows of a file."""
    if not file.is_file():
        raise CorpusError(f"{file} is no file: give a csv of published measurements")
    for line, row in csv_rows(file, read_utf8(file)):
        where = f"{file}, line {line}"
        if missing := [name for name in PUBLISHED_NAMES if row.get(name) is None]:
            raise CorpusError(
                f"{where}: there is no {missing[0]!r}; a file of published measurements has the columns "
                f"{', '.join(PUBLISHED_NAMES)}"
            )
        numbers = tuple(_number(row[name], where, name) for name in PUBLISHED_NAMES)
        utterance_id, words = _whose(row, file, where)
        yield _Row(utterance_id, words, numbers)


def _number(text: str, where: str, name: str) -> float | None:
    try:
        value = float(text) if text.strip() else None
    except ValueError as error:
        raise CorpusError(f"{where}, {name}: {text!r:.40} is no number: download the file again") from error
    return None if value is None or value != value else value


def _whose(row: Mapping[str, str], file: Path, where: str) -> tuple[str | None, Words | None]:
    """The utterance id of a row, or else its words."""
    if row.get("utterance_id"):
        return row["utterance_id"], None
    if row.get("filename"):
        clip, split = _MELD_CLIP.fullmatch(row["filename"]), _MELD_FILE.search(file.name)
        if clip is None or split is None:
            raise CorpusError(
                f"{where}: the clip {row['filename']!r:.60} is told by dia<n>_utt<n>.wav and the file's name, "
                "{train,dev,test}_audio_features.csv: give the file the name that it was published with"
            )
        return f"{split[1]}_{clip[1]}", None
    if not row.get("video_id") or not row.get("segment_id"):
        raise CorpusError(f"{where}: neither utterance_id, nor filename, nor video_id and segment_id tells whose it is")
    dialogue, segment = row["video_id"], row["segment_id"]
    for name in (segment, f"{dialogue}_{segment}"):
        if re.fullmatch(corpora()["iemocap"].utterance_ids or "", name):
            return name, None
    return None, (dialogue, (row.get("gender") or "")[:1].upper(), letters(row.get("text") or ""))


def _by_id(published: Sequence[_Row]) -> dict[str, _Row]:
    found: dict[str, _Row] = {}
    for row in published:
        if row.utterance_id is not None and found.setdefault(row.utterance_id, row) is not row:
            raise CorpusError(f"the files measure the utterance {row.utterance_id!r} twice: give each file once")
    return found


def _join_split(rows: Dataset, by_id: Mapping[str, _Row], by_words: Mapping[Words, Sequence[_Row]]) -> Dataset:
    found: dict[int, _Row | None] = {
        place: by_id.get(name) for place, name in enumerate(rows["utterance_id"]) if name in by_id
    }
    notes: dict[int, str] = {}
    if by_words:
        _find_by_words(rows, by_words, found, notes)
    numbers = [None if (row := found.get(place)) is None else row.numbers for place in range(len(rows))]
    columns: dict[str, list[float | None]] = {column: [None] * len(rows) for column in (*clip_columns(), *TURN_COLUMNS)}
    for index, column in enumerate(PAPER_COLUMNS):
        columns[column] = [None if values is None else values[index] for values in numbers]
    reasons = [None if values is not None else notes.get(place, NOT_PUBLISHED) for place, values in enumerate(numbers)]
    features = Features({**dict.fromkeys(columns, Value("float64")), "measurement_note": Value("string")})
    measured = Dataset.from_dict({**columns, "measurement_note": reasons}, features=features)
    return put_beside(rows.remove_columns([name for name in ("audio",) if name in rows.column_names]), measured)


def _find_by_words(
    rows: Dataset, by_words: Mapping[Words, Sequence[_Row]], found: dict[int, _Row | None], notes: dict[int, str]
) -> None:
    """Find the rows of turns by what is said, those that are said several times in the order of both."""
    names = ["dialogue_id", "gender", "text", *(["audio_status"] if "audio_status" in rows.column_names else [])]
    if missing := [name for name in names if name not in rows.column_names]:
        raise CorpusError(f"the files tell turns by their words, and the dataset has no column {missing[0]!r}")
    places: dict[Words, list[int]] = defaultdict(list)
    for place, row in enumerate(rows.select_columns(names)):
        # The release has no clip of turns that are not labelled.
        if row.get("audio_status") != "none":
            words = (row["dialogue_id"], (row["gender"] or "")[:1].upper(), letters(row["text"] or ""))
            places[words].append(place)
    for words, of_rows in places.items():
        published = by_words.get(words, ())
        if len(published) == len(of_rows):
            found.update(zip(of_rows, published, strict=True))
        elif published:
            notes.update(dict.fromkeys(of_rows, NOT_TOLD_APART))

"""What leaves a corpus of which only cues may leave: every value is held against what its column says, or made anew."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict

from speechcue_hf.corpora.catalogue import Corpus, named_source
from speechcue_hf.corpora.joining import put_beside
from speechcue_hf.corpora.schema import AUDIO_STATUSES, SPLITS
from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.cues.table import Cue, cues
from speechcue_hf.dialogues import split_dialogues
from speechcue_hf.errors import LicenceError
from speechcue_hf.records import DESCRIBER_FILE, CorpusIdentity, Record, find_record

_BOUNDS = {
    "s": (-36_000, 36_000),
    "dB": (-400, 200),
    "Hz": (0, 24_000),
    "semitones": (0, 200),
    "semitones re 100 Hz": (-120, 120),
    "semitones/s": (-10_000, 10_000),
    "syllables/s": (0, 100),
    "dB/octave": (-200, 200),
    "ratio": (0, 100),
    "share of the turn": (0, 1),
    "share of the samples": (0, 1),
}
"""Unit → what a measurement of speech can be in it."""

_WHOLE_BY_CHANCE = 20
"""Measured values that are all whole numbers are none: they are something else, written as numbers."""

_WORD = re.compile(r"[\w.:+-]{1,64}")
_PHRASE = re.compile(r"[\w .,:;@+/()<>=-]{0,100}")
_WORDS_OF_A_TRANSCRIPT = 4
"""That no two texts share by chance; transcripts of fewer are looked for whole, from two on."""


def made_anew(dataset: DatasetDict, columns: Collection[str], folder: Path, corpus: Corpus) -> DatasetDict:
    """Take the columns that may leave: ids and statuses checked, measurements in their bounds, words made anew.

    Descriptions, levels and z-scores are made of the measurements by the describer beside them, without the notes of
    the measurement, which can quote anything.

    Args:
        dataset: The rows with all columns there are.
        columns: Those to be published.
        folder: Where the rows lie, with their describer.
        corpus: The corpus.

    Raises:
        LicenceError: If a column holds something else than its name says; it names the column, the row and the fix.
        DialogueError: If the rows are not whole dialogues.
    """
    if foreign := sorted(set(map(str, dataset)) - set(SPLITS)):
        raise LicenceError(
            f"{folder.name} has a split {foreign[0]!r}: the splits of {corpus.name} are {', '.join(SPLITS)}"
        )
    for rows in dataset.values():
        # Whatever they call themselves: whether times must rise is a matter of the corpus.
        rows.info.description = named_source(corpus.name, "default")
        split_dialogues(rows)
        _check_ids(rows, corpus)
        _check_statuses(rows)
        for cue in cues():
            if cue.column in columns and cue.column in rows.column_names:
                _check_measurements(rows, cue)
    worded = _words(dataset, columns, folder)
    return DatasetDict({split: rows.select_columns(list(columns)) for split, rows in worded.items()})


def records_that_may_leave(
    dataset: DatasetDict, identity: CorpusIdentity | None, folder: Path, corpus: Corpus
) -> list[Record]:
    """What may lie beside such rows: their origin, as we know it, the settings of the measurement and the describer.

    Raises:
        LicenceError: If one says more than that; what this release does not know is left out.
    """
    settings = (find_record(MeasurementSettings, folder), find_record(SpeechDescriber, folder))
    kept: list[Record] = [replace(record, unknown={}) for record in settings if record]
    checked, named = list(kept), list[Record]()
    if identity is not None:
        # What we know of the corpus ourselves is not looked at: a citation is a sentence.
        own = replace(identity, corpus=corpus.name, licence="", homepage="", citation="", unknown={})
        checked.append(own)
        named.append(replace(own, licence=corpus.licence, homepage=corpus.homepage, citation=corpus.citation))
    said = _transcripts(dataset)
    for record in checked:
        for text in _strings(record.to_values()):
            if not _PHRASE.fullmatch(text) or _repeats(text, said):
                raise LicenceError(f"{folder.name}/{record.FILE} says {text[:60]!r}, which is no setting: {record.FIX}")
    return [*named, *kept]


def _check_ids(rows: Dataset, corpus: Corpus) -> None:
    """Refuse ids that are not the corpus's own, by which holders of a copy could not join the rows either."""
    said = _transcripts(DatasetDict(rows=rows))
    for column, pattern in (("utterance_id", corpus.utterance_ids), ("dialogue_id", corpus.dialogue_ids)):
        expected = re.compile(pattern) if pattern else _WORD
        for name in rows.unique(column):
            if not isinstance(name, str) or not expected.fullmatch(name) or (not pattern and _repeats(name, said)):
                raise LicenceError(
                    f"{column} {str(name)[:60]!r} is none of {corpus.name}, so nobody could join the row to a copy: "
                    f"make the rows with `speechcue prepare {corpus.name}`"
                )
    if len(rows.unique("utterance_id")) != len(rows):
        raise LicenceError(f"an utterance comes twice: make the rows with `speechcue prepare {corpus.name}`")


def _check_statuses(rows: Dataset) -> None:
    for status in rows.unique("audio_status") if "audio_status" in rows.column_names else ():
        if status is not None and status not in AUDIO_STATUSES:
            raise LicenceError(f"audio_status {str(status)[:60]!r} is none of {', '.join(AUDIO_STATUSES)}")


def _check_measurements(rows: Dataset, cue: Cue) -> None:
    """Refuse numbers that no speech has."""
    values = np.array([value for value in rows[cue.column] if value is not None], dtype=np.float64)
    low, high = _BOUNDS.get(cue.unit, (-1e6, 1e6))
    wrong = values[~((values >= low) & (values <= high))]
    if len(wrong):
        raise LicenceError(f"{cue.column} has the value {wrong[0]:g}, which is no measurement: measure the rows again")
    there = values[values != 0]
    if len(there) >= _WHOLE_BY_CHANCE and np.all(there == np.round(there)):
        raise LicenceError(f"{cue.column} holds whole numbers, which are no measurements: measure the rows again")


def _words(dataset: DatasetDict, columns: Collection[str], folder: Path) -> DatasetDict:
    """The rows with descriptions, levels and z-scores as the describer beside them makes them."""
    made = {"speech_description", "speech_impression"} | {
        f"{it.column}{end}" for it in cues() for end in ("_level", "_z")
    }
    wanted = [name for name in columns if name in made]
    if not wanted:
        return dataset
    if not (folder / DESCRIBER_FILE).is_file():
        raise LicenceError(
            f"no {DESCRIBER_FILE} beside the rows of {folder.name} says where {wanted[0]} comes from: describe them "
            "with `speechcue describe`"
        )
    describer = SpeechDescriber.from_pretrained(folder)
    if strange := [name for name in wanted if name not in describer.features]:
        raise LicenceError(f"{strange[0]} is not of the describer of {folder.name}: describe the rows again")
    again = describe_dataset(dataset, describer)
    for split, rows in dataset.items():
        for name in (name for name in wanted if not name.endswith("_z")):
            pairs = zip(rows["utterance_id"], rows[name], again[split][name], strict=True)
            if other := next((place for place, found, expected in pairs if found != expected), None):
                raise LicenceError(
                    f"{name} of {other} is not what the describer of {folder.name} says of its measurements: describe "
                    "the rows again with `speechcue describe`"
                )
    noted = DatasetDict({split: _without_notes(rows) for split, rows in dataset.items()})
    plain = describe_dataset(noted, describer)
    return DatasetDict(
        {split: put_beside(rows, plain[split].select_columns(wanted)) for split, rows in dataset.items()}
    )


def _without_notes(rows: Dataset) -> Dataset:
    return rows.remove_columns([name for name in ("measurement_note",) if name in rows.column_names])


def _transcripts(dataset: DatasetDict) -> set[tuple[str, ...]]:
    """What is said, in runs of words."""
    texts = {text for rows in dataset.values() if "text" in rows.column_names for text in rows.unique("text") if text}
    return {run for text in map(_words_of, texts) for run in _runs(text, min(len(text), _WORDS_OF_A_TRANSCRIPT))}


def _repeats(text: str, said: Collection[tuple[str, ...]]) -> bool:
    words = _words_of(text)
    return any(run in said for length in range(2, _WORDS_OF_A_TRANSCRIPT + 1) for run in _runs(words, length))


def _words_of(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\W_]+", text.casefold()))


def _runs(words: Sequence[str], length: int) -> Iterator[tuple[str, ...]]:
    if length >= 2:
        yield from (tuple(words[start : start + length]) for start in range(len(words) - length + 1))


def _strings(value: Any) -> Iterable[str]:
    """All texts in JSON values, the keys of tables too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield str(key)
            yield from _strings(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _strings(entry)

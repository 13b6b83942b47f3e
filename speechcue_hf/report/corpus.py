"""What a report shows of a dataset: its turns, what there is of each, and what is missing and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict

from speechcue_hf.corpora.catalogue import Corpus, corpus_of_rows, corpus_of_texts, is_of_users, strictest
from speechcue_hf.corpora.check import ALL, count_splits, leaks
from speechcue_hf.corpora.schema import Utterance
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.cues.normalisation import OVERALL
from speechcue_hf.cues.table import cues, measurement_columns
from speechcue_hf.report.columns import packed

TEXTS = {
    "dialogue_id": "dialogue",
    "utterance_id": "id",
    "speaker": "speaker",
    "text": "text",
    "audio_status": "status",
    "speech_description": "description",
    "speech_impression": "impression",
    "biography": "biography",
    "measurement_note": "note",
}
"""Column of a dataset → its name in a report; all are texts or null."""

OF_PEOPLE = "Recordings of people: pass this page on only as far as those who are heard or quoted agreed to."
"""What stands on top of a page of somebody's own recordings."""

BARS = 30
MOST_SPEAKERS = 40
EXAMPLES_SHOWN = 5


def turns_of(dataset: DatasetDict) -> dict[str, Any]:
    """The turns of all splits, one after the other, in columns.

    Args:
        dataset: With ``utterance_id`` and ``dialogue_id``; every other column may be missing.

    Returns:
        ``count``, and under ``columns`` those of :data:`TEXTS` that are there, ``split`` and ``label``; ``cues`` and
        ``levels`` hold a column for each cue that was measured or has a level. Each is as
        :func:`speechcue_hf.report.columns.packed` writes it.
    """
    parts = {str(split): rows for split, rows in dataset.items()}
    columns = {name: _column(parts, column) for column, name in TEXTS.items()}
    columns["split"] = [split for split, rows in parts.items() for _ in range(len(rows))]
    columns["label"] = _labels(parts)
    measured = {name: _column(parts, name) for name in measurement_columns() if name != "measurement_note"}
    levels = {name: _column(parts, f"{name}_level") for name in measured}
    return {
        "count": len(columns["split"]),
        "columns": _there(columns),
        "cues": _there(measured),
        "levels": _there(levels),
        "units": {cue.column: {"label": cue.label, "unit": cue.unit} for cue in cues()},
    }


def overview(dataset: DatasetDict, describer: SpeechDescriber | None) -> dict[str, Any]:
    """Counts, distributions, gaps and leaks of a dataset.

    Args:
        dataset: As for :func:`turns_of`.
        describer: The one that put it in words, for thresholds; None without.

    Returns:
        ``counts``, ``speakers``, ``statuses`` and ``notes`` by split, ``missing`` (cue → rows without it), ``leaks`` as
        :func:`speechcue_hf.corpora.check.leaks` finds them, and ``distributions``.
    """
    splits = {str(split): rows for split, rows in dataset.items()}
    utterances = {split: _utterances(rows) for split, rows in splits.items()}
    shown = [cue for cue in cues() if any(cue.column in rows.column_names for rows in splits.values())]
    values = {cue.column: np.array(_column(splits, cue.column), dtype=float) for cue in shown}
    return {
        "counts": {
            "all splits" if split == ALL else split: counts for split, counts in count_splits(utterances).items()
        },
        "speakers": _counted(splits, "speaker", MOST_SPEAKERS),
        "statuses": _counted(splits, "audio_status", MOST_SPEAKERS),
        "notes": _counted(splits, "measurement_note", MOST_SPEAKERS),
        "missing": {column: int((~np.isfinite(found)).sum()) for column, found in values.items()},
        "leaks": [
            {**vars(leak), "shared": [thing[:200] for thing in leak.shared[:EXAMPLES_SHOWN]]}
            for leak in leaks(utterances)
        ],
        "distributions": [
            {
                "cue": cue.column,
                "label": cue.label,
                "unit": cue.unit,
                "thresholds": _thresholds(describer, cue.column),
                **histogram(values[cue.column]),
            }
            for cue in shown
            if np.isfinite(values[cue.column]).any()
        ],
    }


def histogram(values: np.ndarray) -> dict[str, Any]:
    """Counts in bars of equal width between the 0.2 % and the 99.8 % quantile; what lies outside is counted, too.

    Args:
        values: Shape ``(rows,)``; NaN where nothing was measured.

    Returns:
        ``low`` and ``high`` end, ``bars`` (their counts), ``below`` and ``above`` (rows outside), ``n`` and ``median``.
    """
    known = values[np.isfinite(values)]
    low, high = (float(end) for end in np.quantile(known, [0.002, 0.998]))
    inside = known[(known >= low) & (known <= high)]
    bars, _ = np.histogram(inside, bins=BARS if high > low else 1, range=(low, high) if high > low else None)
    return {
        "low": low,
        "high": high,
        "bars": bars.tolist(),
        "below": int((known < low).sum()),
        "above": int((known > high).sum()),
        "n": int(known.size),
        "median": float(np.median(known)),
    }


def licence_notes(corpus: Corpus | None, *, sound: bool) -> list[dict[str, str]]:
    """What must stand on top of a report of a corpus.

    Args:
        corpus: Of the rows, several as one; None where nothing says.
        sound: Whether clips go in.

    Returns:
        Each note with its ``kind``: ``forbidden`` where the page may not be passed on, else ``note``.
    """
    if corpus is None:
        return [
            note_on_page("It is not known which corpus these rows are from: find out before you pass this page on.")
        ]
    name, licence = corpus.name, corpus.licence
    if corpus.may_leave == "cues":
        what = f"words, labels and clips of {name}" if sound else f"words and labels of {name}"
        text = f"This page may not be passed on: it holds {what}, which are licensed to each user alone ({licence})."
        return [note_on_page(text, kind="forbidden")]
    if is_of_users(corpus):
        return [note_on_page(OF_PEOPLE)]
    notes = [note_on_page(f"Corpus: {name}, licence {licence}.")]
    if corpus.may_leave == "annotations" and sound:
        text = (
            f"This page may not be made public: the clips of {name} are not covered by the licence of its annotations."
        )
        notes.insert(0, note_on_page(text, kind="forbidden"))
    return notes


def corpus_of(dataset: DatasetDict) -> Corpus | None:
    """The corpus of all splits by what their info, ids and file names say; of several the strictest."""
    ids = [name for rows in dataset.values() for name in rows["utterance_id"][:] if name]
    return strictest([*(corpus_of_rows(rows) for rows in dataset.values()), corpus_of_texts(ids)])


def note_on_page(text: str, kind: str = "note") -> dict[str, str]:
    """What stands on top of a page; ``kind`` is ``forbidden`` where the page may not be passed on."""
    return {"kind": kind, "text": text}


def _column(splits: Mapping[str, Dataset], name: str) -> list[Any]:
    """A column of all splits; None where a split lacks it."""
    return [
        value
        for rows in splits.values()
        for value in (rows.with_format(None)[name][:] if name in rows.column_names else [None] * len(rows))
    ]


def _labels(splits: Mapping[str, Dataset]) -> list[str | None]:
    """Names of the emotions of all splits."""
    found: list[str | None] = []
    for rows in splits.values():
        values = _column({"": rows}, "emotion")
        feature = rows.features.get("emotion")
        names = feature.names if isinstance(feature, ClassLabel) else None
        found += [value if value is None or names is None else names[value] for value in values]
    return found


def _there(columns: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Columns that hold anything, packed."""
    return {name: packed(values) for name, values in columns.items() if any(value is not None for value in values)}


def _utterances(rows: Dataset) -> list[Utterance]:
    part = {"": rows}
    names = ("dialogue_id", "utterance_id", "text", "speaker")
    columns = [_column(part, name) for name in names]
    return [
        Utterance(dialogue or "", name or "", text or "", emotion, speaker)
        for dialogue, name, text, speaker, emotion in zip(*columns, _labels(part), strict=True)
    ]


def _counted(splits: Mapping[str, Dataset], column: str, most: int) -> dict[str, dict[str, int]]:
    """How often each value stands in each split, the most frequent ones of each; None is left out."""
    found = {
        split: Counter(value for value in _column({"": rows}, column) if value is not None)
        for split, rows in splits.items()
    }
    return {split: dict(counts.most_common(most)) for split, counts in found.items() if counts}


def _thresholds(describer: SpeechDescriber | None, column: str) -> list[float]:
    """Between the levels of a cue over all training rows; none where it has no levels."""
    known = describer.groups[OVERALL].cues.get(column) if describer else None
    return [bound for bound in known.thresholds if np.isfinite(bound)] if known and known.varies else []

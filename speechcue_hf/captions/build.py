"""Captions of a dataset: one row per utterance and task, in the columns that ``docs/reference/columns.md`` lists.

The audio itself is not repeated: it is found by ``utterance_id``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from datasets import Dataset, DatasetDict, Features, List, Value

from speechcue_hf import __version__
from speechcue_hf.captions.check import check_caption
from speechcue_hf.captions.parts import CUE_COLUMNS, CUE_WORDS, cue_word
from speechcue_hf.captions.tasks import CaptionTask, render, templates_sha256
from speechcue_hf.errors import CaptionError
from speechcue_hf.records import CaptionsRecord

AnyDataset = TypeVar("AnyDataset", Dataset, DatasetDict)
Row = Mapping[str, Any]

KEPT = ("dialogue_id", "utterance_id", "turn", "speaker", "gender", "text", "emotion", "audio_status")
"""Columns of the utterance that stay, as far as they are there."""

MESSAGES = List({"role": Value("string"), "content": List({"type": Value("string"), "text": Value("string")})})


@dataclass(frozen=True)
class Captioner:
    """Writes captions by template: ``dataset.map(captioner, batched=True, remove_columns=..., features=...)``.

    Args:
        tasks: The tasks; each row becomes one row for each of them.
        level_count: Number of levels of the describer that made the ``<measurement>_level`` columns.
        emotions: Names of the classes of ``emotion``, in their order.
    """

    tasks: tuple[CaptionTask, ...]
    level_count: int
    emotions: tuple[str, ...]

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """The captions of a batch of described rows, ``len(tasks)`` rows for each of them."""
        rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        captioned = [self.caption(row, task) for row in rows for task in self.tasks]
        return {column: [row[column] for row in captioned] for column in captioned[0]}

    def caption(self, row: Row, task: CaptionTask) -> dict[str, Any]:
        """The columns of the caption of a described row for one task."""
        known = self._known(row)
        requested = {part: value if part in task.parts else None for part, value in known.items()}
        caption, note = None, _why_not(row, task, requested)
        if note is None:
            caption = render("caption", **requested)
            note = check_caption(caption, known, task.parts, self.emotions)
        kept = {column: row[column] for column in KEPT if column in row}
        words = {cue: known[cue] for cue in CUE_WORDS}
        return {**kept, "task": task.name, **words, "prompt": question(task), **captioned(caption, note, None)}

    def _known(self, row: Row) -> dict[str, str | None]:
        """What is known of a row, by part; None where nothing is."""
        emotion = row.get("emotion")
        return {
            "gender": row.get("gender"),
            **{cue: cue_word(cue, row, self.level_count) for cue in CUE_WORDS},
            "transcript": transcript_of(row),
            "emotion": None if emotion is None else self.emotions[emotion],
        }


def caption_dataset(dataset: AnyDataset, tasks: Sequence[CaptionTask], level_count: int) -> AnyDataset:
    """Write captions by template.

    Args:
        dataset: Described rows, or splits of them.
        tasks: From :func:`~speechcue_hf.captions.tasks.caption_task`.
        level_count: ``levels`` of the describer that described them.

    Returns:
        One row per utterance and task, an utterance's tasks together. An utterance that a task cannot be answered for
        keeps its row, with a note and without a caption.

    Raises:
        CaptionError: If the dataset lacks a column that a task needs.
    """
    if isinstance(dataset, DatasetDict):
        return DatasetDict({split: caption_dataset(rows, tasks, level_count) for split, rows in dataset.items()})
    _check_columns(dataset, tasks)
    captioner = Captioner(tuple(tasks), level_count, emotion_names(dataset))
    return dataset.with_format(None).map(
        captioner,
        batched=True,
        remove_columns=dataset.column_names,
        features=caption_features(dataset.features),
        desc="Writing captions",
    )


def caption_features(features: Features) -> Features:
    """The features of captions, from those of the described dataset."""
    kept = {column: features[column] for column in KEPT if column in features}
    text = {name: Value("string") for name in ("task", *CUE_WORDS, "caption", "caption_note", "caption_key")}
    return Features({**kept, **text, "prompt": MESSAGES, "completion": MESSAGES})


def emotion_names(rows: Dataset) -> tuple[str, ...]:
    """Names of the emotions of rows, in the order of their class ids; none without the column."""
    return tuple(rows.features["emotion"].names) if "emotion" in rows.features else ()


def transcript_of(row: Row) -> str | None:
    """What is said in a row, without line ends and runs of blanks; None where nothing is."""
    return " ".join((row.get("text") or "").split()) or None


def question(task: CaptionTask) -> list[dict[str, Any]]:
    """The message that asks a task's question about a clip, which comes first, for ``apply_chat_template``."""
    parts = [{"type": "audio", "text": None}, {"type": "text", "text": task.question}]
    return [{"role": "user", "content": parts}]


def captioned(caption: str | None, note: str | None, key: str | None) -> dict[str, Any]:
    """The columns that a caption fills; one with a note is refused.

    Args:
        caption: The text, or None.
        note: Why there is none, or why it is refused; None for a good caption.
        key: Its key in the store, or None.
    """
    good = None if note else caption
    answer = [{"role": "assistant", "content": [{"type": "text", "text": good}]}]
    completion = None if good is None else answer
    return {"caption": good, "caption_note": note, "caption_key": key, "completion": completion}


def caption_record(
    dataset: DatasetDict,
    tasks: Sequence[CaptionTask],
    *,
    describer_sha256: str,
    baseline: str,
    generator: Mapping[str, Any] | None,
) -> CaptionsRecord:
    """Say how captions were made.

    Args:
        dataset: Splits of captions.
        tasks: Their tasks.
        describer_sha256: Fingerprint of the describer whose levels they state.
        baseline: What its levels compare with.
        generator: Identity of the chat model; None where the template wrote all.

    Returns:
        The record; of each split it counts the rows, the captions, and the reasons for missing ones.
    """
    return CaptionsRecord(
        tasks={task.name: {"parts": list(task.parts), "question": task.question} for task in tasks},
        emotions=emotion_names(next(iter(dataset.values()))),
        templates_sha256=templates_sha256(["caption", "question", "request"]),
        describer_sha256=describer_sha256,
        baseline=baseline,
        writer=None if generator is None else dict(generator),
        rows={str(split): _counts(rows) for split, rows in dataset.items()},
        package_version=__version__,
    )


def _counts(rows: Dataset) -> dict[str, Any]:
    notes = [note for note in rows["caption_note"] if note is not None]
    return {"all": len(rows), "captions": len(rows) - len(notes), "without": dict(Counter(notes).most_common(20))}


def _why_not(row: Row, task: CaptionTask, requested: Mapping[str, str | None]) -> str | None:
    """Why a task cannot be answered for a row."""
    if row.get("audio_status", "ok") not in ("ok", "too_short"):
        return f"the clip is {row['audio_status']}"
    if "emotion" in task.parts and requested["emotion"] is None:
        return "the utterance has no emotion label"
    if task.cues and not any(requested[cue] for cue in task.cues):
        return row.get("measurement_note") or f"{' and '.join(task.cues)} not measured"
    return None if any(requested.values()) else f"{' and '.join(task.parts)} not known"


def _check_columns(dataset: Dataset, tasks: Sequence[CaptionTask]) -> None:
    if not tasks:
        raise CaptionError("there is no task to write captions for: give at least one, such as style")
    needed = {"utterance_id": ["utterance_id"], "emotion": ["emotion"], "transcript": ["text"]}
    needed |= {cue: [f"{column}_level" for column in columns] for cue, columns in CUE_COLUMNS.items()}
    for part in ("utterance_id", *dict.fromkeys(part for task in tasks for part in task.parts)):
        columns = needed.get(part, [])
        if columns and not set(columns) & set(dataset.column_names):
            raise CaptionError(
                f"the dataset has no column {' or '.join(columns)}, which captions with {part} need: describe it "
                "first (`speechcue describe`), or leave the part out of the tasks"
            )

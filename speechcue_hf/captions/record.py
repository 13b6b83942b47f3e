"""``captions.json``: where the captions of a dataset folder come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset, DatasetDict

from speechcue_hf import __version__
from speechcue_hf.captions.tasks import CaptionTask, templates_sha256
from speechcue_hf.records import CaptionsRecord


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
        Tasks with their questions, emotions in the order of their class ids, hash of the templates, describer,
        generator, and for each split the number of rows, of captions, and the reasons for missing ones.
    """
    emotion = next(iter(dataset.values())).features.get("emotion")
    return CaptionsRecord(
        tasks={task.name: {"parts": list(task.parts), "question": task.question} for task in tasks},
        emotions=tuple(emotion.names) if emotion is not None else (),
        templates_sha256=templates_sha256(["caption", "question", "request"]),
        describer_sha256=describer_sha256,
        baseline=baseline,
        writer=None if generator is None else dict(generator),
        rows={str(split): _counts(rows) for split, rows in dataset.items()},
        package_version=__version__,
    )


def _counts(rows: Dataset) -> dict[str, Any]:
    notes = [note for note in rows["caption_note"] if note is not None]
    return {
        "all": len(rows),
        "captions": len(rows) - len(notes),
        "without": dict(Counter(notes).most_common(20)),
    }

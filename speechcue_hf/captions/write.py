"""Captions in the words of a chat model, each compared with the measurements before it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from datasets import Dataset, DatasetDict

from speechcue_hf.captions.build import captioned, emotion_names, transcript_of
from speechcue_hf.captions.check import check_caption
from speechcue_hf.captions.parts import CUE_WORDS
from speechcue_hf.captions.tasks import caption_task, render, templates_sha256
from speechcue_hf.generation.cleaning import STILL_REASONING, answer_in
from speechcue_hf.generation.request import GeneratedText, GenerationRequest, TextGenerator, request_key
from speechcue_hf.generation.store import EMPTY, TextStore, generate_missing

AnyDataset = TypeVar("AnyDataset", Dataset, DatasetDict)
Row = Mapping[str, Any]

REQUEST_PROMPT = {"name": "captions", "sha256": templates_sha256(["caption", "request"])}
"""What requests are rendered with: the header of their store."""

RAN_OUT = "the caption's tokens ran out before its end"


def caption_requests(rows: Dataset) -> dict[str, GenerationRequest]:
    """What a chat model is asked to word: key → request, each once.

    Args:
        rows: From ``caption_dataset``; those without a caption of a task with measured cues say too little to be worded
            anew.
    """
    emotions = emotion_names(rows)
    requests = (_request(row, emotions) for row in rows if _is_worded(row))
    return {request.key: request for request in requests}


def write_captions(dataset: AnyDataset, generator: TextGenerator, store: TextStore) -> AnyDataset:
    """Have a chat model word captions.

    Args:
        dataset: From ``caption_dataset``, or splits of it.
        generator: Who writes.
        store: Where texts go as soon as they are there, opened for this generator and :data:`REQUEST_PROMPT`. What it
            holds is not asked again, so that a killed run goes on where it stood.

    Returns:
        The rows, as :func:`with_written_captions` makes them.

    Raises:
        GenerationError: If the generator fails as a whole; what was written is kept.
    """
    if isinstance(dataset, DatasetDict):
        return DatasetDict({split: write_captions(rows, generator, store) for split, rows in dataset.items()})
    requests = caption_requests(dataset)
    generate_missing(list(requests.values()), generator, store)
    return with_written_captions(dataset, {key: store[key] for key in requests})


def with_written_captions(rows: Dataset, written: Mapping[str, GeneratedText]) -> Dataset:
    """Put what a chat model wrote in place of the captions by template.

    A text that contradicts the measurements, leaves out what was asked for, or is missing, leaves its row without a
    caption and with the reason; it is not replaced by the template's.

    Args:
        rows: From ``caption_dataset``.
        written: Key → what was written.
    """
    emotions = emotion_names(rows)
    replaced = [_rewritten(row, emotions, written) if _is_worded(row) else row for row in rows]
    return Dataset.from_list([dict(row) for row in replaced], features=rows.features, split=rows.split)


def _is_worded(row: Row) -> bool:
    return row["caption"] is not None and any(row[cue] for cue in caption_task(row["task"]).cues)


def _request(row: Row, emotions: Sequence[str]) -> GenerationRequest:
    task = caption_task(row["task"])
    emotion = emotions[row["emotion"]] if "emotion" in task.parts else None
    content = render(
        "request",
        statement=row["caption"].removeprefix(opening(emotion)).strip(),
        emotion=emotion,
        transcript="transcript" in task.parts,
        cues=[(cue, row[cue]) for cue in task.cues if row[cue]],
    )
    messages = ({"role": "user", "content": content},)
    return GenerationRequest(key=request_key(messages), messages=messages, group=row["task"])


def opening(emotion: str | None) -> str:
    """The sentence that every answer about an emotion begins with; empty without one.

    Example:
        >>> opening("angry")
        'The emotion is angry.'
    """
    nothing = dict.fromkeys((*CUE_WORDS, "gender", "transcript"))
    return render("caption", **nothing, emotion=emotion)


def _rewritten(row: Row, emotions: Sequence[str], written: Mapping[str, GeneratedText]) -> Row:
    task = caption_task(row["task"])
    key = _request(row, emotions).key
    answer = written.get(key)
    if answer is None or answer.text is None:
        return {**row, **captioned(None, "not written yet" if answer is None else answer.reason, key)}
    emotion = emotions[row["emotion"]] if row.get("emotion") is not None else None
    known = {cue: row[cue] for cue in CUE_WORDS} | {"gender": row.get("gender"), "emotion": emotion}
    known["transcript"] = transcript_of(row)
    text, reasoning = answer_in(answer.text)
    own = " ".join(text.split())
    caption = f"{opening(emotion)} {own}" if "emotion" in task.parts else own
    if not own:
        return {**row, **captioned(None, STILL_REASONING if reasoning else EMPTY, key)}
    ran_out = RAN_OUT if answer.finish_reason == "length" else None
    wrong = filter(None, (check_caption(own, known, task.cues, emotions), ran_out))
    return {**row, **captioned(caption, "; ".join(wrong) or None, key)}

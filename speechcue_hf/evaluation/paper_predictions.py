"""The prediction files of InstructERC and SpeechCueLLM, ``preds_for_eval*.text``, as a table of predictions.

Such a file holds scores and notes for people and then a JSON list of ``{"index", "input", "output", "target"}``: the
prompt, what was generated, and the label. It names no utterance; which one it is tells the question in the prompt.
"""

from __future__ import annotations

import json
import logging
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from datasets import Dataset, Features, Value

from speechcue_hf.corpora.joining import letters
from speechcue_hf.dialogues import split_dialogues
from speechcue_hf.errors import EvaluationError

logger = logging.getLogger(__name__)

SUFFIXES = (".text", ".txt")

_LIST = re.compile(r'\[\s*\{\s*"index":')
_ASKED = "emotional label of <"
_TARGET = re.compile(r'emotional label of <\s*Speaker_\w+:"(.*?)"\s*>\s*(?:from|based)', re.DOTALL)
_TURN = re.compile(r'Speaker_\w+:"')


class _Answer(NamedTuple):
    """One entry: the letters of its target turn, None where it shows no text, and how many turns it shows."""

    said: str | None
    shown: int
    output: str
    target: str


def read_paper_predictions(path: Path, words: Sequence[str], rows: Dataset | None = None) -> Dataset:
    """Read a prediction file.

    Args:
        path: ``preds_for_eval*.text``.
        words: The label words, in the order of their class ids.
        rows: The split that was predicted, dialogues whole and in speaking order; its dialogues may stand in another
            order in the file. Without it utterances are numbered, and a prompt of one turn begins a dialogue.

    Returns:
        The table, with ``output`` to be read by a matching rule; in the order of ``rows`` where they are given.

    Raises:
        EvaluationError: If the file is of another form, is not of these rows or labels, or its prompts show no text and
            there are no rows to count along.
    """
    answers = _read(path)
    if unknown := sorted({answer.target for answer in answers} - set(words)):
        raise EvaluationError(
            f"{path}: the label {unknown[0]!r} is none of {', '.join(words)}: name them with --labels"
        )
    table = _numbered(answers, path) if rows is None else _placed(answers, rows, words, path)
    return Dataset.from_dict(table, features=Features(dict.fromkeys(table, Value("string"))))


def _read(path: Path) -> list[_Answer]:
    try:
        text = path.read_text(encoding="utf-8")
        start = _LIST.search(text)
        entries = json.loads(text[start.start() :]) if start else None
    except (OSError, ValueError, RecursionError) as error:
        raise EvaluationError(f"{path} is no whole prediction file ({error}): take it again from the run") from error
    if not entries:
        raise EvaluationError(
            f'{path} holds no list of {{"index", "input", "output", "target"}}, as preds_for_eval has'
        )
    answers = []
    for place, entry in enumerate(entries):
        values: list[Any] = []
        if isinstance(entry, dict):
            values = [entry.get(name) for name in ("input", "output", "target")]
        if not values or not all(isinstance(value, str) for value in values):
            raise EvaluationError(f"{path}, entry {place}: has no input, output and target: take it again from the run")
        prompt, output, target = values
        asked = _TARGET.findall(prompt)
        shown = len(_TURN.findall(prompt.partition(_ASKED)[0]))
        answers.append(_Answer(letters(asked[-1]) if asked else None, shown, output, target))
    return answers


def _numbered(answers: Sequence[_Answer], path: Path) -> dict[str, list[str]]:
    """The table where nothing but the file is known."""
    if any(answer.said is None for answer in answers):
        raise EvaluationError(
            f"{path}: its prompts show no conversation, so nothing tells where a dialogue begins: give the dataset too"
        )
    starts = [place == 0 or answer.shown == 1 for place, answer in enumerate(answers)]
    return {
        "utterance_id": [str(place) for place in range(len(answers))],
        "dialogue_id": [str(sum(starts[: place + 1])) for place in range(len(answers))],
        "label": [answer.target for answer in answers],
        "output": [answer.output for answer in answers],
    }


def _placed(answers: Sequence[_Answer], rows: Dataset, words: Sequence[str], path: Path) -> dict[str, list[str]]:
    """The table in the order of the rows, those that the file has nothing of left out."""
    columns = {name: rows[name][:] for name in ("utterance_id", "dialogue_id", "text", "emotion")}
    spans = [[place for place in span if columns["emotion"][place] is not None] for span in split_dialogues(rows)]
    if all(answer.said is None for answer in answers):
        places = [place for span in spans for place in span]
        if len(places) != len(answers):
            raise EvaluationError(f"{path} has {len(answers):,} predictions, the split {len(places):,} labelled rows")
    else:
        places = _find(answers, spans, [letters(text or "") for text in columns["text"]], path)
    for answer, place in zip(answers, places, strict=True):
        if words[columns["emotion"][place]] != answer.target:
            raise EvaluationError(
                f"{path}: {columns['utterance_id'][place]} has the label {answer.target!r} there and "
                f"{words[columns['emotion'][place]]!r} in the dataset: take the release and split that were predicted"
            )
    if left := sum(map(len, spans)) - len(places):
        logger.warning("%s has nothing of %d labelled rows of the split: they are not scored", path.name, left)
    by_place = dict(sorted(zip(places, answers, strict=True)))
    return {
        **{name: [columns[name][place] for place in by_place] for name in ("utterance_id", "dialogue_id")},
        "label": [answer.target for answer in by_place.values()],
        "output": [answer.output for answer in by_place.values()],
    }


def _find(answers: Sequence[_Answer], spans: Sequence[list[int]], texts: Sequence[str], path: Path) -> list[int]:
    """The place of each answer's turn: the next dialogue of the file is the longest of the split with these turns."""
    starting: dict[str, list[list[int]]] = defaultdict(list)
    for span in sorted(filter(None, spans), key=len, reverse=True):
        starting[texts[span[0]]].append(span)
    said = [answer.said for answer in answers]
    places: list[int] = []
    while len(places) < len(said):
        begin = len(places)
        candidates = starting[said[begin] or ""]
        fits = [span for span in candidates if [texts[place] for place in span] == said[begin : begin + len(span)]]
        if not fits:
            raise EvaluationError(
                f"{path}, entry {begin}: no dialogue of the split goes on like this from its first turn: take the "
                "release and the split that were predicted"
            )
        candidates.remove(fits[0])
        places += fits[0]
    return places

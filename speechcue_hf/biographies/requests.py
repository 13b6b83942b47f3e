"""Which biographies a dialogue needs: one request for each speaker, or for each speaker and stage of the dialogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from speechcue_hf.biographies.settings import BiographySettings
from speechcue_hf.dialogues import dialogues
from speechcue_hf.errors import CorpusError
from speechcue_hf.generation.request import GenerationRequest, request_key

NEEDED_COLUMNS = ("dialogue_id", "turn", "speaker", "text")

NO_SPEAKER = "the row names no speaker"
NO_TURN_BEFORE = "no turn comes before this one"
SILENT_SO_FAR = "the speaker has said nothing before this turn"
SILENT = "the speaker says nothing in this dialogue"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class PlannedBiography:
    """The biography that a row is to have.

    Args:
        request: What is asked for it; None if it can have none.
        turns: Turns of the dialogue, from the first on, that it is made from; None if it can have none.
        note: Why it can have none, else None.
    """

    request: GenerationRequest | None
    turns: int | None
    note: str | None


def plan_biographies(dialogue: Sequence[Row], settings: BiographySettings) -> list[PlannedBiography]:
    """Plan the biographies of one dialogue.

    Args:
        dialogue: Its rows, all of them, in speaking order, with the columns of :data:`NEEDED_COLUMNS`.
        settings: What biographies are made from.

    Returns:
        One plan for each row. Rows of one speaker share a request as long as it is not written again.
    """
    turns = _turns(dialogue)
    requests: dict[tuple[str, int], GenerationRequest] = {}
    plans = []
    for place, (turn, shown) in enumerate(zip(turns, _turns_shown(turns, settings), strict=True)):
        if shown is None:
            plans.append(PlannedBiography(None, None, _why_none(place, turn, settings)))
            continue
        requested = (turn["speaker"], shown)
        if requested not in requests:
            messages = settings.prompt.messages(
                turns[:shown], _last_of(turn["speaker"], turns[:shown]), settings.word_limit
            )
            requests[requested] = GenerationRequest(request_key(messages), messages, dialogue[0]["dialogue_id"])
        plans.append(PlannedBiography(requests[requested], shown, None))
    return plans


def dialogues_of(batch: Mapping[str, Sequence[Any]]) -> list[list[Row]]:
    """Divide rows into dialogues.

    Args:
        batch: Column → values, one per row, rows of a dialogue together; with the columns of :data:`NEEDED_COLUMNS`.

    Returns:
        The rows of each dialogue.

    Raises:
        CorpusError: If a column is missing.
        DialogueError: If the rows are not whole dialogues in speaking order.
    """
    if missing := [column for column in NEEDED_COLUMNS if column not in batch]:
        raise CorpusError(f"biographies need the columns {missing}, which the dataset lacks: see docs/columns.md")
    rows = [
        dict(zip(NEEDED_COLUMNS, values, strict=True))
        for values in zip(*(batch[column] for column in NEEDED_COLUMNS), strict=True)
    ]
    return [[rows[place] for place in span] for span in dialogues(batch)]


def _turns(dialogue: Sequence[Row]) -> list[dict[str, Any]]:
    """What a template sees of each turn; a name of white space only is none."""
    speakers = [row["speaker"] if (row["speaker"] or "").strip() else None for row in dialogue]
    numbers = {speaker: number for number, speaker in enumerate(dict.fromkeys(speakers))}
    return [
        {"speaker": speaker, "number": numbers[speaker], "text": row["text"] or ""}
        for row, speaker in zip(dialogue, speakers, strict=True)
    ]


def _last_of(speaker: str, turns: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The speaker's last turn of those shown: a later one would tell a template what is said in it."""
    return next(turn for turn in reversed(turns) if turn["speaker"] == speaker)


def _turns_shown(turns: Sequence[Mapping[str, Any]], settings: BiographySettings) -> list[int | None]:
    """How many turns the biography of each row is made from; None where the speaker says nothing in them."""
    if settings.scope == "dialogue":
        heard = {turn["speaker"] for turn in turns if turn["text"].strip()} - {None}
        return [len(turns) if turn["speaker"] in heard else None for turn in turns]
    return _history_shown(turns, settings.refresh)


def _history_shown(turns: Sequence[Mapping[str, Any]], refresh: int) -> list[int | None]:
    """A biography is made at the speaker's second turn, and again at their first turn that is ``refresh`` later."""
    shown: list[int | None] = []
    latest: dict[str, int] = {}
    heard = set()
    for place, turn in enumerate(turns):
        speaker = turn["speaker"]
        if speaker in heard and (speaker not in latest or place - latest[speaker] >= refresh):
            latest[speaker] = place
        shown.append(latest.get(speaker))
        if speaker is not None and turn["text"].strip():
            heard.add(speaker)
    return shown


def _why_none(place: int, turn: Mapping[str, Any], settings: BiographySettings) -> str:
    if turn["speaker"] is None:
        return NO_SPEAKER
    if settings.scope == "dialogue":
        return SILENT
    return SILENT_SO_FAR if place else NO_TURN_BEFORE

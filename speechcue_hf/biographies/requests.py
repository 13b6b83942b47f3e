"""Which biographies a dialogue needs, one for each speaker or for each speaker and stage of it, and what they cost."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict

from speechcue_hf.biographies.settings import BiographySettings
from speechcue_hf.dialogues import dialogues, on_one_line, split_dialogues
from speechcue_hf.errors import CorpusError
from speechcue_hf.generation.estimate import RequestEstimate, estimate_requests
from speechcue_hf.generation.request import GREEDY, GenerationRequest, request_key

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

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
            # The speaker's last turn of those shown: a later one would tell a template what is said in it.
            target = next(other for other in reversed(turns[:shown]) if other["speaker"] == turn["speaker"])
            messages = settings.prompt.messages(turns[:shown], target, settings.word_limit)
            requests[requested] = GenerationRequest(request_key(messages), messages, dialogue[0]["dialogue_id"])
        plans.append(PlannedBiography(requests[requested], shown, None))
    return plans


def dialogues_of(rows: Dataset | Mapping[str, Sequence[Any]]) -> list[list[Row]]:
    """Divide rows into dialogues.

    Args:
        rows: A split, or column → values, one per row; with the columns of :data:`NEEDED_COLUMNS`.

    Returns:
        The rows of each dialogue.

    Raises:
        ValueError: If it is a stream.
        CorpusError: If a column is missing.
        DialogueError: If the rows are not whole dialogues in speaking order.
    """
    if isinstance(rows, IterableDataset | IterableDatasetDict):
        raise ValueError(
            f"biographies are written for whole splits, not for {type(rows).__name__}: load the dataset without "
            "streaming, or map a BiographyWriter over the stream with batched=True, batch_size=None"
        )
    columns = rows.column_names if isinstance(rows, Dataset) else list(rows)
    if missing := [column for column in NEEDED_COLUMNS if column not in columns]:
        raise CorpusError(
            f"biographies need the columns {missing}, which the dataset lacks: see docs/reference/columns.md"
        )
    spans = split_dialogues(rows) if isinstance(rows, Dataset) else dialogues(rows)
    values = zip(*(rows[column][:] for column in NEEDED_COLUMNS), strict=True)
    entries = [dict(zip(NEEDED_COLUMNS, entry, strict=True)) for entry in values]
    return [[entries[place] for place in span] for span in spans]


def estimate_biographies(
    dataset: DatasetDict | Dataset,
    settings: BiographySettings,
    *,
    max_new_tokens: int = GREEDY.max_new_tokens,
    tokenizer: PreTrainedTokenizerBase | None = None,
    stored: Collection[str] = (),
) -> RequestEstimate:
    """Count what biographies will need.

    Args:
        dataset: The rows that are to have biographies.
        settings: What they are made from.
        max_new_tokens: Most tokens of a text, as the generator's settings have it.
        tokenizer: The model's, with a chat template; without one tokens are guessed from words.
        stored: Keys of what is written already.

    Returns:
        Requests and tokens.

    Raises:
        CorpusError: If a column is missing, or a dialogue does not begin with its first turn.
    """
    splits = list(dataset.values()) if isinstance(dataset, DatasetDict) else [dataset]
    requests: list[GenerationRequest] = []
    for dialogue in (dialogue for rows in splits for dialogue in dialogues_of(rows)):
        plans = plan_biographies(dialogue, settings)
        requests += {plan.request.key: plan.request for plan in plans if plan.request}.values()
    return estimate_requests(requests, max_new_tokens=max_new_tokens, tokenizer=tokenizer, stored=stored)


def _turns(dialogue: Sequence[Row]) -> list[dict[str, Any]]:
    """What a template sees of each turn; a name of white space only is none."""
    speakers = [on_one_line(row["speaker"]) if (row["speaker"] or "").strip() else None for row in dialogue]
    numbers = {speaker: number for number, speaker in enumerate(dict.fromkeys(speakers))}
    return [
        {"speaker": speaker, "number": numbers[speaker], "text": row["text"] or ""}
        for row, speaker in zip(dialogue, speakers, strict=True)
    ]


def _turns_shown(turns: Sequence[Mapping[str, Any]], settings: BiographySettings) -> list[int | None]:
    """How many turns the biography of each row is made from; None where the speaker says nothing in them."""
    if settings.scope == "dialogue":
        heard = {turn["speaker"] for turn in turns if turn["text"].strip()} - {None}
        return [len(turns) if turn["speaker"] in heard else None for turn in turns]
    # It is made at the speaker's second turn, and again at their first turn that is ``refresh`` later.
    shown: list[int | None] = []
    latest: dict[str, int] = {}
    heard = set[str]()
    for place, turn in enumerate(turns):
        speaker = turn["speaker"]
        if speaker in heard and (speaker not in latest or place - latest[speaker] >= settings.refresh):
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

"""A described dataset becomes prompt–completion rows, one for each utterance; later turns show where a prompt asks."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from datasets import ClassLabel, Dataset, DatasetDict, Features, IterableDataset, IterableDatasetDict, List, Value

from speechcue_hf.dialogues import dialogues, split_dialogues
from speechcue_hf.errors import PromptError
from speechcue_hf.prompts.dialogue import Row, dialogue_prompts, included_scope
from speechcue_hf.prompts.specification import PromptSpecification, load_prompt

if TYPE_CHECKING:
    from speechcue_hf.prompts.budget import TokenBudget

AnyDataset = TypeVar("AnyDataset", Dataset, DatasetDict, IterableDataset, IterableDatasetDict)

DIALOGUES_PER_BATCH = 64


@dataclass(frozen=True)
class _Demonstrations:
    """Solved rows of the training split; prompts of a dialogue show the same ones, so that they begin alike."""

    rows: Dataset
    groups: Sequence[Sequence[int]]
    """Indices of the labelled rows; each group is to be shown equally often."""
    longest: int
    """Most labelled rows that a dialogue has."""
    count: int
    seed: int

    def draw(self, dialogue_id: str) -> list[Mapping[str, Any]]:
        """Rows of other dialogues: as many of each group, and what is left over of groups at random."""
        random_state = random.Random(f"{self.seed} {dialogue_id}")
        groups = random_state.sample(self.groups, len(self.groups))
        share, left_over = divmod(self.count, max(1, len(groups)))
        drawn: list[Mapping[str, Any]] = []
        for place, group in enumerate(groups):
            # No more rows than the longest dialogue has can be of the dialogue itself.
            sample = random_state.sample(group, min(len(group), share + 1 + self.longest))
            others = [row for row in map(self.rows.__getitem__, sample) if row["dialogue_id"] != dialogue_id]
            drawn += others[: share + (place < left_over)]
        if len(drawn) < self.count:
            raise PromptError(
                f"dialogue {dialogue_id!r} is to be shown {self.count} demonstrations, but the training split has only "
                f"{len(drawn)} in other dialogues, drawn like that: lower demonstrations, or set demonstrations_drawn "
                "to random"
            )
        return random_state.sample(drawn, len(drawn))


def build_prompts(
    dataset: AnyDataset,
    prompt: str | Path | Mapping[str, Any] | PromptSpecification = "speechcue",
    *,
    budget: TokenBudget | None = None,
    train: Dataset | None = None,
) -> AnyDataset:
    """Turn a described dataset into conversational prompt–completion rows, as TRL trains on them.

    Args:
        dataset: One row per utterance, dialogues contiguous and in speaking order, ``turn`` counting from 0 in each.
        prompt: Name of a preset, path of a prompt file, or a prompt.
        budget: Shorten prompts to a number of tokens, oldest turns first, then later ones, last first; None leaves them
            as long as they are.
        train: The described training split, for a prompt that shows demonstrations; a ``DatasetDict`` has its own.

    Returns:
        The same kind of dataset with one row per row: ``dialogue_id``, ``turn``, ``utterance_id``, ``emotion`` as they
        were, ``prompt`` (a list of messages), ``completion`` (a list of one assistant message, the label word; null
        where ``emotion`` is), ``turns_dropped``, which says how many turns the budget left out, ``future_turns``, how
        many later turns the prompt shows, ``biography_scope`` of the biography that it tells (``history``,
        ``dialogue``, or null without one), ``demonstrations``, the utterance ids of those shown, and ``prompt_name``
        and ``prompt_sha256``, which say what made them.

    Raises:
        DialogueError: If the rows are not whole dialogues in speaking order.
        PromptError: If a column is missing, ``emotion`` is no ``ClassLabel``, the prompt is not valid, a turn alone
            exceeds the budget, a biography does not say whether it saw later turns, or the training split that
            demonstrations need is not there or too small.

    Example:
        >>> rows = build_prompts(described, "speechcuellm")
        >>> rows["train"][0]["completion"]
        [{'role': 'assistant', 'content': 'happy'}]
    """
    specification = load_prompt(prompt)
    splits = dataset if isinstance(dataset, DatasetDict | IterableDatasetDict) else None
    demonstrations = _demonstrations(splits["train"] if splits and "train" in splits else train, specification)
    if splits is None:
        return _build(dataset, specification, budget, demonstrations)
    return type(dataset)({name: _build(rows, specification, budget, demonstrations) for name, rows in splits.items()})


def _demonstrations(train: object, specification: PromptSpecification) -> _Demonstrations | None:
    """What demonstrations are drawn from, if the prompt shows any."""
    if specification.demonstrations == 0:
        return None
    if not isinstance(train, Dataset):
        raise PromptError(
            f"prompt {specification.name!r} shows {specification.demonstrations} demonstrations, which are drawn from "
            "the training split: pass it as train=, as a whole and not as a stream"
        )
    rows = _build(train, replace(specification, demonstrations=0), None, None)
    labels = {index: label for index, label in enumerate(rows["emotion"]) if label is not None}
    balanced = specification.demonstrations_drawn == "balanced"
    groups: dict[int, list[int]] = {}
    for index, label in labels.items():
        groups.setdefault(label if balanced else 0, []).append(index)
    dialogue_ids = rows["dialogue_id"]
    longest = max(Counter(dialogue_ids[index] for index in labels).values(), default=0)
    ordered = [groups[label] for label in sorted(groups)]
    return _Demonstrations(rows, ordered, longest, specification.demonstrations, specification.demonstrations_seed)


def _build(
    dataset: Any, specification: PromptSpecification, budget: TokenBudget | None, demonstrations: _Demonstrations | None
) -> Any:
    """Rows of one split."""
    features = _checked_features(dataset, specification)
    words = specification.words(label_names(features))
    settings = {"specification": specification, "words": words, "budget": budget, "demonstrations": demonstrations}
    if isinstance(dataset, Dataset):
        split_dialogues(dataset)
    grouped = dataset.select_columns(sorted(features)).batch(by_column="dialogue_id")
    return grouped.map(
        _render_batch,
        batched=True,
        batch_size=DIALOGUES_PER_BATCH,
        fn_kwargs=settings,
        remove_columns=sorted(features),
        features=_output(features["emotion"]),
    )


def needed_columns(specification: PromptSpecification) -> list[str]:
    """Columns that a prompt reads, beside the emotion."""
    columns = ["dialogue_id", "utterance_id", "turn", "speaker", "text"]
    columns += ["gender"] if specification.speakers == "gender" else []
    columns += ["speech_description"] if specification.description else []
    columns += ["speech_impression"] if specification.impression else []
    columns += ["biography", "biography_scope"] if specification.biography else []
    timed = specification.context_cues or (specification.shortest_clip is not None and specification.heard)
    columns += ["duration_s"] if timed else []
    columns += ["f0_mean_hz_level", "f0_sd_hz_level", "f0_range_hz_level"] if specification.context_cues else []
    return columns


def _checked_features(dataset: Dataset | IterableDataset, specification: PromptSpecification) -> Features:
    """The features of the columns that are read, and of the emotion."""
    if dataset.features is None:
        raise PromptError("the features of this stream are not known: pass features= when it is made, or cast it")
    columns = [*needed_columns(specification), "emotion"]
    if missing := [column for column in columns if column not in dataset.features]:
        fix = "run `speechcue measure` and `speechcue describe`, or take a prompt of text only such as 'speechcue_text'"
        if missing[0].startswith("biography"):
            fix = "run `speechcue biographies`, or take a prompt without, such as 'bioserc_text' or 'speechcue'"
        raise PromptError(f"prompt {specification.name!r} needs the columns {missing}, which the dataset lacks: {fix}")
    return Features({column: dataset.features[column] for column in columns})


def label_names(features: Features) -> list[str]:
    """Names of the labels of a dataset, in the order of their class ids.

    Raises:
        PromptError: If the column ``emotion`` is missing or no ``ClassLabel``.
    """
    emotion = features.get("emotion")
    if not isinstance(emotion, ClassLabel):
        raise PromptError(
            f"the column emotion is {emotion}, not a ClassLabel, so the label set is not known: "
            'use dataset.cast_column("emotion", ClassLabel(names=[...]))'
        )
    return list(emotion.names)


def _output(emotion: ClassLabel) -> Features:
    messages = List({"role": Value("string"), "content": Value("string")})
    return Features(
        {
            "dialogue_id": Value("string"),
            "turn": Value("int32"),
            "utterance_id": Value("string"),
            "emotion": emotion,
            "prompt": messages,
            "completion": messages,
            "turns_dropped": Value("int32"),
            "future_turns": Value("int32"),
            "biography_scope": Value("string"),
            "demonstrations": List(Value("string")),
            "prompt_name": Value("string"),
            "prompt_sha256": Value("string"),
        }
    )


def _render_batch(
    batch: Mapping[str, Sequence[Sequence[Any]]],
    specification: PromptSpecification,
    words: Sequence[str],
    budget: TokenBudget | None,
    demonstrations: _Demonstrations | None,
) -> dict[str, list[Any]]:
    """Rows of a batch of dialogues; in the batch each dialogue is a list in every column."""
    conversations = [
        [dict(zip(batch, turn, strict=True)) for turn in zip(*dialogue, strict=True)]
        for dialogue in zip(*batch.values(), strict=True)
    ]
    rows = [row for dialogue in conversations for row in dialogue]
    dialogues({name: [row[name] for row in rows] for name in ("dialogue_id", "turn")})
    prompts = [parts for dialogue in conversations for parts in dialogue_prompts(dialogue, specification, words)]
    drawn = _drawn(conversations, demonstrations)
    # Demonstrations are earlier questions and answers of the same conversation.
    shown = [[message for row in examples for message in (*row["prompt"], *row["completion"])] for examples in drawn]
    dropped = [0] * len(rows) if budget is None else budget.excess(rows, prompts, shown, words)
    shortened = [parts.without(count) for parts, count in zip(prompts, dropped, strict=True)]
    answers = [None if row["emotion"] is None else words[row["emotion"]] for row in rows]
    return {
        **{column: [row[column] for row in rows] for column in ("dialogue_id", "turn", "utterance_id", "emotion")},
        "prompt": [[*before, *parts.messages] for before, parts in zip(shown, shortened, strict=True)],
        "completion": [None if answer is None else [{"role": "assistant", "content": answer}] for answer in answers],
        "turns_dropped": dropped,
        "future_turns": [parts.future_turns for parts in shortened],
        "biography_scope": [included_scope(row, specification) for row in rows],
        "demonstrations": [[example["utterance_id"] for example in examples] for examples in drawn],
        "prompt_name": [specification.name] * len(rows),
        "prompt_sha256": [specification.fingerprint] * len(rows),
    }


def _drawn(
    conversations: Sequence[Sequence[Row]], demonstrations: _Demonstrations | None
) -> list[Sequence[Mapping[str, Any]]]:
    """The demonstrations of each row: those of its dialogue."""
    if demonstrations is None:
        return [()] * sum(map(len, conversations))
    drawn = [demonstrations.draw(dialogue[0]["dialogue_id"]) for dialogue in conversations]
    return [examples for dialogue, examples in zip(conversations, drawn, strict=True) for _ in dialogue]

"""Batches of a chat model's training, and their loss: on label and end token, with logits where one is predicted.

A batch is a number of tokens. Where prompts can branch it is a tree (:mod:`speechcue_hf.models.token_tree`): what the
prompts of a dialogue have in common runs once, and loss and gradients are those of separate prompts. Otherwise it is
rows, padded on the right.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, cast

import torch
from datasets import Dataset
from torch import Tensor
from torch.nn import functional

from speechcue_hf.models.token_tree import additive_mask, build_token_tree

NO_LOSS = -100
"""Label of a token that is not trained on."""

Row = Mapping[str, Sequence[int]]
"""``input_ids`` of a prompt with its answer, and ``labels``, which are the answer's tokens where it stands."""


def batches_of_dialogues(rows: Dataset, dialogues: Sequence[str], tokens: int, seed: int) -> Dataset:
    """Put whole dialogues into batches of at most so many tokens.

    A dialogue of more tokens is cut between utterances, and an utterance of more is a batch of its own. Which dialogues
    come together is drawn once; the order of the batches is the trainer's.

    Args:
        rows: With ``input_ids`` and ``labels``, the rows of a dialogue together.
        dialogues: Each row's dialogue.
        tokens: Most tokens of a batch; those that prompts have in common count once.
        seed: Of the draw.

    Returns:
        A row for each batch; its ``input_ids`` and ``labels`` are lists of those of its rows, ``length`` its tokens.
    """
    sequences: list[list[int]] = list(rows["input_ids"])
    runs = [[place for place, _ in run] for _, run in groupby(enumerate(dialogues), key=lambda it: it[1])]
    parts = [part for run in runs for part in _cut(run, sequences, tokens)]
    random.Random(seed).shuffle(parts)
    batches: list[list[int]] = []
    for part in parts:
        if batches and _tree_size(sequences, [*batches[-1], *part]) <= tokens:
            batches[-1] += part
        else:
            batches.append(part)
    columns = {name: list(rows[name]) for name in ("input_ids", "labels")}
    values = {name: [[column[place] for place in batch] for batch in batches] for name, column in columns.items()}
    return Dataset.from_dict({**values, "length": [_tree_size(sequences, batch) for batch in batches]})


def _cut(run: list[int], sequences: Sequence[list[int]], tokens: int) -> Iterator[list[int]]:
    """The rows of a dialogue in parts of at most so many tokens, halved where they are more."""
    if len(run) == 1 or _tree_size(sequences, run) <= tokens:
        yield run
    else:
        middle = len(run) // 2
        yield from _cut(run[:middle], sequences, tokens)
        yield from _cut(run[middle:], sequences, tokens)


def _tree_size(sequences: Sequence[list[int]], places: Iterable[int]) -> int:
    return len(build_token_tree([sequences[place][:-1] for place in places]).tokens)


def collate_trees(batches: Sequence[Mapping[str, Sequence[Sequence[int]]]]) -> dict[str, Tensor]:
    """Merge batches of rows into one tree.

    Args:
        batches: From :func:`batches_of_dialogues`; a single one where it has states of
            :func:`speechcue_hf.training.lower_states.keep_lower_states`.

    Returns:
        ``input_ids`` and ``position_ids``, shape ``(1, nodes)``; ``ends``, the first node after each subtree, shape
        ``(1, nodes)``; the bytes of ``states`` where there are some, shape ``(1, nodes, bytes)``; and what
        :func:`label_loss` reads.
    """
    sequences = [list(row) for batch in batches for row in batch["input_ids"]]
    labels = [list(row) for batch in batches for row in batch["labels"]]
    # Nothing comes after the last token of an answer, so it is judged and never run.
    tree = build_token_tree([sequence[:-1] for sequence in sequences])
    judged = [
        (int(path[place - 1]), label)
        for path, row in zip(tree.paths, labels, strict=True)
        for place, label in enumerate(row)
        if label != NO_LOSS
    ]
    nodes = {"input_ids": tree.tokens, "position_ids": tree.depths, "ends": tree.ends}
    merged = {name: torch.as_tensor(values)[None] for name, values in nodes.items()} | _judged(judged)
    if "states" in batches[0]:
        [batch] = batches
        states = bytearray(cast(bytes, batch["states"]))
        merged["states"] = torch.frombuffer(states, dtype=torch.uint8).reshape(1, len(tree.tokens), -1)
    return merged


def collate_rows(rows: Sequence[Row]) -> dict[str, Tensor]:
    """Stack rows, padded on the right.

    Returns:
        ``input_ids`` and ``attention_mask``, shape ``(rows, longest)``, and what :func:`label_loss` reads.
    """
    longest = max(len(row["input_ids"]) for row in rows) - 1
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    judged = []
    for number, row in enumerate(rows):
        length = len(row["input_ids"]) - 1
        ids[number, :length] = torch.as_tensor(row["input_ids"][:length])
        mask[number, :length] = 1
        judged += [
            (number * longest + place - 1, label) for place, label in enumerate(row["labels"]) if label != NO_LOSS
        ]
    return {"input_ids": ids, "attention_mask": mask} | _judged(judged)


def _judged(judged: Sequence[tuple[int, int]]) -> dict[str, Tensor]:
    """Where a label is predicted, counted through all rows, and the labels behind one that is none.

    The trainer counts labels from the second on, as those that follow a token.
    """
    places, labels = zip(*judged, strict=True)
    return {"judged": torch.tensor(places), "labels": torch.tensor([NO_LOSS, *labels])}


def label_loss(model: Any, batch: Mapping[str, Tensor], dtype: torch.dtype, *, smoothing: float = 0.0) -> Tensor:
    """Run a batch and sum the cross-entropy of its labels.

    Vocabulary logits are computed at the places where a label is predicted and nowhere else.

    Args:
        model: A causal language model, wrapped for adapters or several processes or not. Of a batch that has states
            it runs the layers that these are for: :func:`speechcue_hf.training.lower_states.upper_layers`.
        batch: From :func:`collate_trees` or :func:`collate_rows`.
        dtype: Of the model's states.
        smoothing: Share of each label that is spread over the vocabulary.

    Returns:
        The sum over labels and end tokens in nats, a number.
    """
    ids, judged = batch["input_ids"], batch["judged"]
    columns, place = torch.unique(judged % ids.shape[1], return_inverse=True)
    if "ends" in batch:
        nodes = torch.arange(ids.shape[1], device=ids.device)
        seen = {
            "attention_mask": additive_mask(nodes, nodes, batch["ends"][0], dtype),
            "position_ids": batch["position_ids"],
        }
    else:
        seen = {"attention_mask": batch["attention_mask"]}
    given = {"inputs_embeds": batch["states"].view(dtype)} if "states" in batch else {"input_ids": ids}
    logits = model(**given, **seen, logits_to_keep=columns, use_cache=False).logits
    predicted = logits[judged // ids.shape[1], place]
    return functional.cross_entropy(
        predicted.to(torch.promote_types(predicted.dtype, torch.float32)),
        batch["labels"][1:],
        reduction="sum",
        label_smoothing=smoothing,
    )

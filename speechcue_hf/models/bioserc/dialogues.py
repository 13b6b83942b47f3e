"""From rows to what the encoder classifier reads: one example per dialogue, and batches of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from datasets import ClassLabel, Dataset, Features, List, Value

from speechcue_hf.dialogues import split_dialogues
from speechcue_hf.errors import ModelError
from speechcue_hf.prompts.specification import load_prompt

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from speechcue_hf.models.bioserc.configuration_bioserc import BiosErcConfig

UNLABELLED = -100
"""In place of a class id where an utterance has no label; the loss leaves it out."""

Tokens = list[int]

VECTORS = {
    "input_ids": "utterance_vectors",
    "description_ids": "description_vectors",
    "biography_ids": "biography_vectors",
}
"""Columns of tokens, and the column of vectors that may stand for each."""

MASKS = {"input_ids": "attention_mask", "description_ids": "description_mask", "biography_ids": "biography_mask"}
_FEATURES = {
    "dialogue_id": Value("string"),
    "input_ids": List(List(Value("int32"))),
    "spans": List(List(Value("int32"))),
    "shortened": List(Value("bool")),
    "speakers": List(Value("int32")),
    "labels": List(Value("int64")),
    "token_turns": List(List(Value("int32"))),
    "cues": List(List(Value("float32"))),
    "description_ids": List(List(Value("int32"))),
    "own_biography": List(Value("int64")),
    "visible_biographies": List(List(Value("bool"))),
    "biography_ids": List(List(Value("int32"))),
}
"""Of examples; those of one model have the columns that it reads."""

_PADDING: dict[str, tuple[type, float]] = {
    "speakers": (np.int64, -1),
    "labels": (np.int64, UNLABELLED),
    "own_biography": (np.int64, -1),
    "visible_biographies": (np.bool_, False),
    **dict.fromkeys(["cues", *VECTORS.values()], (np.float32, 0.0)),
}
"""Of columns that go into a batch as they are: the type of their values, and what pads shorter dialogues."""


def needed_columns(config: BiosErcConfig) -> list[str]:
    """Columns of the rows that a model reads."""
    columns = ["dialogue_id", "utterance_id", "turn", "speaker", "text", "emotion"]
    columns += {"none": [], "z_scores": list(config.cue_names), "description": ["speech_description"]}[config.cues]
    return columns + (["biography", "biography_scope"] if config.biographies != "none" else [])


def dialogue_examples(
    rows: Dataset, tokenizer: PreTrainedTokenizerBase, config: BiosErcConfig, token_limit: int
) -> Dataset:
    """Turn rows into examples, one per dialogue.

    Args:
        rows: One row per utterance, those of a dialogue together and in speaking order. Utterances without a label
            stay: others need them.
        tokenizer: Of the encoder.
        config: Of the model.
        token_limit: Most tokens of one text. A longer utterance loses its end; context is dropped turn by turn, the
            farthest first.

    Returns:
        For each dialogue: ``input_ids`` (each utterance between two separators, with its context around, or the whole
        dialogue in as few texts as hold it), ``spans`` (of each text, the first token that counts and the one after the
        last), for a whole dialogue ``token_turns`` (the turn that each token belongs to), ``shortened`` (whether
        anything was dropped), ``speakers``, ``labels`` and, as the model reads them, cues and biographies.

    Raises:
        DialogueError: If the rows are not whole dialogues in speaking order.
        ModelError: If a column is missing, biographies are of another scope than the model's, or the tokenizer has no
            separator.
    """
    _check(rows, tokenizer, config)
    table = rows.select_columns(needed_columns(config))
    examples = [
        _example(table.select(span).to_list(), tokenizer, config, token_limit) for span in split_dialogues(rows)
    ]
    read = examples[0] if examples else _FEATURES
    features = Features({name: kind for name, kind in _FEATURES.items() if name in read})
    return Dataset.from_list(examples, features=features)


def _check(rows: Dataset, tokenizer: PreTrainedTokenizerBase, config: BiosErcConfig) -> None:
    missing = [column for column in needed_columns(config) if column not in rows.column_names]
    if missing:
        raise ModelError(
            f"the model reads the columns {missing}, which the dataset lacks: run `speechcue measure`, `speechcue "
            "describe` or `speechcue biographies`, or train a model without them"
        )
    if not isinstance(rows.features["emotion"], ClassLabel):
        raise ModelError("the column emotion is no ClassLabel: cast it to one with the label names in order")
    if tokenizer.cls_token_id is None or tokenizer.sep_token_id is None:
        raise ModelError("the encoder's tokenizer has no cls_token or sep_token to mark utterances with")
    if config.biographies != "none":
        written = zip(rows["biography"], rows["biography_scope"], strict=True)
        scopes = {scope for text, scope in written if text} - {config.biography_scope}
        if scopes:
            raise ModelError(
                f"the model reads biographies of scope {config.biography_scope!r}, the dataset has {[*scopes]}: "
                "write them again with that scope, or train another model"
            )


def _example(
    rows: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase, config: BiosErcConfig, token_limit: int
) -> dict[str, Any]:
    numbers: dict[str | None, int] = {}
    speakers = [numbers.setdefault(row["speaker"], len(numbers)) for row in rows]
    spoken = _spoken(rows, speakers, config)
    if config.design == "paper":
        read = _paper_windows(spoken, config, token_limit, tokenizer)
    elif config.reading == "dialogue":
        read = _whole_dialogue(_tokens(spoken, tokenizer), config, token_limit, tokenizer)
    else:
        read = _windows(_tokens(spoken, tokenizer), config, token_limit, tokenizer)
    example = {
        "dialogue_id": rows[0]["dialogue_id"],
        **read,
        "speakers": speakers,
        "labels": [UNLABELLED if row["emotion"] is None else row["emotion"] for row in rows],
    }
    if config.cues == "z_scores":
        example["cues"] = [[row[name] for name in config.cue_names] for row in rows]
    elif config.cues == "description":
        example["description_ids"] = _texts([row["speech_description"] for row in rows], tokenizer, token_limit)
    if config.biographies != "none":
        example |= _biographies(rows, tokenizer, config, token_limit)
    return example


def _spoken(rows: Sequence[Mapping[str, Any]], numbers: Sequence[int], config: BiosErcConfig) -> list[str]:
    """What the encoder reads of each turn, the speaker's name before it if it reads names."""
    names = [row["speaker"] for row in rows]
    if config.design == "paper":
        known = load_prompt("bioserc").speaker_names
        names = [known.get(name, f"SPEAKER_{number}") for name, number in zip(names, numbers, strict=True)]
    named = zip(names, (row["text"] for row in rows), strict=True)
    return [f"{name}: {text}" if config.speaker_names and name else text for name, text in named]


def _tokens(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, *, spaced: bool = True) -> list[Tokens]:
    """Token ids of texts, without marks."""
    # RoBERTa's tokens differ after a blank: with one before each text, a turn has the same tokens wherever it stands.
    read = [(f" {text}" if text.strip() else "") if spaced else text for text in texts]
    ids: list[Tokens] = tokenizer(read, add_special_tokens=False, verbose=False)["input_ids"]
    return ids


def _windows(
    turns: Sequence[Tokens], config: BiosErcConfig, token_limit: int, tokenizer: PreTrainedTokenizerBase
) -> dict[str, list[Any]]:
    """One text for each utterance."""
    windows = [_window(turns, turn, config, token_limit, tokenizer) for turn in range(len(turns))]
    return {name: [window[name] for window in windows] for name in ("input_ids", "spans", "shortened")}


def _paper_windows(
    spoken: Sequence[str], config: BiosErcConfig, token_limit: int, tokenizer: PreTrainedTokenizerBase
) -> dict[str, list[Any]]:
    """One text for each utterance as BiosERC writes it: its marks are averaged with it, and its end may be cut off."""
    mark = tokenizer.sep_token
    windows: dict[str, list[Any]] = {"input_ids": [], "spans": [], "shortened": []}
    for turn in range(len(spoken)):
        around = range(max(0, turn - config.context_before), min(len(spoken), turn + config.context_after + 1))
        text = "".join(f" {mark} {spoken[it]} {mark}" if it == turn else f" {spoken[it]}" for it in around)
        whole: Tokens = tokenizer(text, verbose=False)["input_ids"]
        ids: Tokens = tokenizer(text, truncation=True, max_length=token_limit)["input_ids"]
        # Where the text was cut, the mark at its end may be the second, or the only one.
        marks = [place for place, token in enumerate(ids) if token == tokenizer.sep_token_id][:2]
        windows["input_ids"].append(ids)
        windows["spans"].append([marks[0], marks[-1] + 1])
        windows["shortened"].append(len(ids) < len(whole))
    return windows


def _whole_dialogue(
    turns: Sequence[Tokens], config: BiosErcConfig, token_limit: int, tokenizer: PreTrainedTokenizerBase
) -> dict[str, list[Any]]:
    """As few texts as hold the dialogue; those after the first open with earlier turns, up to half the room."""
    room = token_limit // 2 - 2
    parts = [[*turn[:room], tokenizer.sep_token_id] for turn in turns]
    texts: dict[str, list[Any]] = {"input_ids": [], "spans": [], "token_turns": [], "shortened": []}
    start = 0
    while start < len(parts):
        first, last, used = start, start, 1
        while first > 0 and used + len(parts[first - 1]) <= token_limit // 2:
            first -= 1
            used += len(parts[first])
        opening = used
        while last < len(parts) and used + len(parts[last]) <= token_limit:
            used += len(parts[last])
            last += 1
        texts["input_ids"].append([tokenizer.cls_token_id, *(token for part in parts[first:last] for token in part)])
        texts["spans"].append([opening, used])
        texts["token_turns"].append([first, *(turn for turn in range(first, last) for _ in parts[turn])])
        texts["shortened"] += [
            first > max(0, turn - config.context_before)
            or last <= min(len(turns) - 1, turn + config.context_after)
            or len(turns[turn]) > room
            for turn in range(start, last)
        ]
        start = last
    return texts


def _window(
    turns: Sequence[Tokens], turn: int, config: BiosErcConfig, token_limit: int, tokenizer: PreTrainedTokenizerBase
) -> dict[str, Any]:
    """One utterance between its marks, with as much context as there is room for."""
    start, mark = tokenizer.cls_token_id, tokenizer.sep_token_id
    room = token_limit - 4
    target = turns[turn][:room]
    first, last = max(0, turn - config.context_before), min(len(turns) - 1, turn + config.context_after)
    wanted = (first, last)
    while sum(map(len, turns[first : last + 1])) - len(turns[turn]) > room - len(target):
        if turn - first >= last - turn:
            first += 1
        else:
            last -= 1
    before, after = list(chain(*turns[first:turn])), list(chain(*turns[turn + 1 : last + 1]))
    opening = [start, *before, mark]
    ids = [*opening, *target, mark, *after, *([mark] if after else [])]
    # The opening mark stands for an utterance without a word.
    span = [len(opening), len(opening) + len(target)] if target else [len(opening) - 1, len(opening)]
    shortened = (first, last) != wanted or len(target) < len(turns[turn])
    return {"input_ids": ids, "spans": span, "shortened": shortened}


def _texts(
    texts: Sequence[str | None], tokenizer: PreTrainedTokenizerBase, token_limit: int, *, spaced: bool = True
) -> list[Tokens]:
    """Whole texts; no tokens for one that is not there."""
    start, mark = tokenizer.cls_token_id, tokenizer.sep_token_id
    encoded = _tokens([text or "" for text in texts], tokenizer, spaced=spaced)
    return [[start, *ids[: token_limit - 2], mark] if text else [] for text, ids in zip(texts, encoded, strict=True)]


def _biographies(
    rows: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase, config: BiosErcConfig, token_limit: int
) -> dict[str, Any]:
    """The dialogue's biographies, whose is whose, and which of them an utterance may attend to."""
    # A dialogue without any has one that is not there, so that batches have the same columns.
    texts: dict[str | None, int] = {}
    own = [texts.setdefault(row["biography"], len(texts)) if row["biography"] else -1 for row in rows]
    newest: dict[str | None, int] = {}
    visible = []
    for row, index in zip(rows, own, strict=True):
        newest |= {row["speaker"]: index} if index >= 0 else {}
        seen = range(len(texts)) if config.biography_scope == "dialogue" else newest.values()
        visible.append([index in seen for index in range(len(texts))] or [False])
    return {
        "own_biography": own,
        "visible_biographies": visible,
        "biography_ids": _texts(list(texts) or [None], tokenizer, token_limit, spaced=config.design != "paper"),
    }


def collate(examples: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    """Make a batch of dialogues, padded to the longest.

    Args:
        examples: From :func:`dialogue_examples`, of tokens or of the vectors that a frozen encoder made of them.

    Returns:
        The arguments of the model's ``forward``, ``labels`` among them.
    """
    batch = {
        name: _stack([np.array(example[name], dtype=kind) for example in examples], padding)
        for name, (kind, padding) in _PADDING.items()
        if name in examples[0]
    }
    for name in (name for name in VECTORS if name in examples[0]):
        batch |= _token_tensors(name, [example[name] for example in examples])
    if "input_ids" in batch:
        batch["span_mask"] = _mask([example["spans"] for example in examples], batch["input_ids"].shape)
    if "token_turns" in examples[0]:
        batch["token_turns"] = _padded([example["token_turns"] for example in examples], batch["input_ids"].shape)
    return batch


def _token_tensors(name: str, texts: Sequence[Sequence[Tokens]]) -> dict[str, Tensor]:
    """Token ids of the texts of each dialogue, and their mask; what pads does not matter, since the mask hides it."""
    shape = (len(texts), max(map(len, texts)), max(len(ids) for group in texts for ids in group))
    spans = [[(0, len(ids)) for ids in group] for group in texts]
    return {name: _padded(texts, shape), MASKS[name]: _mask(spans, shape)}


def _padded(texts: Sequence[Sequence[Sequence[int]]], shape: Sequence[int]) -> Tensor:
    numbers = np.zeros(shape, dtype=np.int64)
    for place, group in zip(numbers, texts, strict=True):
        for row, values in zip(place, group, strict=False):
            row[: len(values)] = values
    return torch.from_numpy(numbers)


def _mask(spans: Sequence[Sequence[Sequence[int]]], shape: Sequence[int]) -> Tensor:
    """1 from the start of a text's span to before its end."""
    mask = torch.zeros(*shape, dtype=torch.int64)
    for dialogue, group in enumerate(spans):
        for text, (start, end) in enumerate(group):
            mask[dialogue, text, start:end] = 1
    return mask


def _stack(arrays: Sequence[np.ndarray], padding: float) -> Tensor:
    """Arrays of one number of dimensions, padded at their ends to one shape."""
    shape = np.max([array.shape for array in arrays], axis=0)
    batch = np.full((len(arrays), *shape), padding, dtype=arrays[0].dtype)
    for place, array in zip(batch, arrays, strict=True):
        place[tuple(map(slice, array.shape))] = array
    return torch.from_numpy(batch)

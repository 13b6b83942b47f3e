"""What the encoder makes of texts: kept in datasets' cache where it is frozen, and the scale it is read at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
import torch
from datasets import Dataset
from datasets.fingerprint import Hasher

from speechcue_hf.models.bioserc.dialogues import MASKS, VECTORS, collate

if TYPE_CHECKING:
    from torch import Tensor

    from speechcue_hf.models.bioserc.modeling_bioserc import BiosErcForUtteranceClassification

DIALOGUES_PER_BATCH = 16
DIALOGUES_PER_FILE = 128
"""Of the cache; encoding that was cut goes on after the last whole file."""
DIALOGUES_FITTED = 128
"""So many, at most, are read to standardise by what an encoder makes of them that is trained and so moves anyway."""
_INPUTS = {"utterance_vectors": "utterance", "description_vectors": "cues", "biography_vectors": "biography"}
"""Columns of vectors, and what the model calls them."""
_MARKS = ("spans", "token_turns")
"""Columns that go with the tokens of the utterances."""


def cache_vectors(examples: Dataset, model: BiosErcForUtteranceClassification) -> Dataset:
    """Replace the tokens of examples by the vectors that the model's frozen encoder makes of them.

    The vectors lie in the cache of ``datasets`` under a fingerprint of tokens and encoder weights, so another run on
    the same data and encoder finds them, whatever its heads, seed or schedule.

    Args:
        examples: From :func:`speechcue_hf.models.bioserc.dialogues.dialogue_examples`.
        model: Its encoder must not be trained.

    Returns:
        The examples, with a column of vectors in place of each column of tokens.

    Raises:
        ValueError: If the encoder is trained, so that its vectors change.
    """
    if not model.config.encoder_is_frozen:
        raise ValueError("the encoder is trained, so its vectors change: only those of a frozen one can be kept")
    read = _read_by_the_encoder(examples)
    content = [examples.select_columns([name])[:] for name in read]
    reading = (model.config.reading, model.config.context_before, model.config.context_after)
    fingerprint = Hasher.hash([content, reading, model.config.pools_biographies, _weights_sha256(model.encoder)])
    folder = Path(datasets.config.HF_DATASETS_CACHE) / "bioserc_vectors"
    folder.mkdir(parents=True, exist_ok=True)
    vectors = []
    for start in range(0, len(examples), DIALOGUES_PER_FILE):
        stop = min(start + DIALOGUES_PER_FILE, len(examples))
        part = f"{fingerprint}-{start}-{stop}"
        kept = {"new_fingerprint": part, "cache_file_name": str(folder / f"{part}.arrow")}
        told = f"Encoding dialogues {start + 1} to {stop} of {len(examples)}"
        vectors.append(_encoded(examples.select(range(start, stop)), model, desc=told, **kept))
    whole = datasets.concatenate_datasets(vectors)
    return datasets.concatenate_datasets([examples.remove_columns(read), whole], axis=1)


def fit_inputs(examples: Dataset, model: BiosErcForUtteranceClassification) -> None:
    """Standardise what a new model's layers read by its training examples, where its design has it so.

    Args:
        examples: Of the training split: from :func:`cache_vectors` where the encoder is frozen, or else of tokens, of
            which some dialogues are encoded, evenly spread.
        model: Gets the mean and standard deviation of each of its inputs.
    """
    rows = {"cues": _rows(examples["cues"][:])} if "cues" in examples.column_names else {}
    if _read_by_the_encoder(examples):
        spread = np.linspace(0, len(examples) - 1, DIALOGUES_FITTED).astype(int)
        examples = _encoded(examples.select(sorted(set(spread.tolist()))), model)
    for column, name in _INPUTS.items():
        if column in examples.column_names:
            rows[name] = _rows(examples[column][:])
    model.fit_inputs(**rows)


def _read_by_the_encoder(examples: Dataset) -> list[str]:
    """Columns of tokens, and what goes with them."""
    tokens = [name for name in VECTORS if name in examples.column_names]
    return tokens + [name for name in _MARKS if name in examples.column_names]


def _encoded(examples: Dataset, model: BiosErcForUtteranceClassification, **settings: Any) -> Dataset:
    """The vectors of examples, in place of all their columns."""
    inputs = examples.select_columns([*_read_by_the_encoder(examples), "speakers", "labels"])
    training = model.training
    encoded = inputs.map(
        _encode,
        fn_kwargs={"model": model.eval()},
        batched=True,
        batch_size=DIALOGUES_PER_BATCH,
        remove_columns=inputs.column_names,
        **settings,
    )
    model.train(training)
    return encoded


def _rows(dialogues: Sequence[Sequence[Sequence[float | None]]]) -> Tensor:
    """The rows of all dialogues below each other, NaN where there is no value."""
    return torch.from_numpy(np.concatenate([np.array(rows, dtype=np.float32) for rows in dialogues]))


def _encode(columns: dict[str, list[Any]], model: BiosErcForUtteranceClassification) -> dict[str, list[Any]]:
    """Vectors of a batch of dialogues, as many of each as it has texts."""
    examples = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    batch = {name: tensor.to(model.device) for name, tensor in collate(examples).items()}
    vectors = {}
    for name in (name for name in VECTORS if name in columns):
        ids, mask, sizes = batch[name], batch[MASKS[name]], columns[name]
        with torch.inference_mode():
            if name == "input_ids":
                turns = batch.get("token_turns")
                encoded = model.encode_utterances(batch["speakers"], ids, mask, batch["span_mask"], turns)
                sizes = columns["labels"]
            else:
                encoded = model.encode_texts(name.removesuffix("_ids"), ids, mask, None)
        vectors[VECTORS[name]] = [rows[: len(one)] for rows, one in zip(encoded.cpu().numpy(), sizes, strict=True)]
    return vectors


def _weights_sha256(encoder: Any) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

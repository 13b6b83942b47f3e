"""With a frozen encoder its output never changes: it is computed once, kept in datasets' cache, and read from there."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import torch
from datasets import Dataset
from datasets.fingerprint import Hasher

from speechcue_hf.models.bioserc.dialogues import MASKS, VECTORS, collate

if TYPE_CHECKING:
    from speechcue_hf.models.bioserc.modeling_bioserc import BiosErcForUtteranceClassification

DIALOGUES_PER_BATCH = 16
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
    tokens = [name for name in VECTORS if name in examples.column_names]
    read = [*tokens, *(name for name in _MARKS if name in examples.column_names)]
    content = [examples.select_columns([name])[:] for name in read]
    reading = (model.config.reading, model.config.context_before, model.config.context_after)
    fingerprint = Hasher.hash([content, reading, _weights_sha256(model.encoder)])
    folder = Path(datasets.config.HF_DATASETS_CACHE) / "bioserc_vectors"
    folder.mkdir(parents=True, exist_ok=True)
    training = model.training
    inputs = examples.select_columns([*read, "speakers", "labels"])
    vectors = inputs.map(
        _encode,
        fn_kwargs={"model": model.eval()},
        batched=True,
        batch_size=DIALOGUES_PER_BATCH,
        remove_columns=inputs.column_names,
        new_fingerprint=fingerprint,
        cache_file_name=str(folder / f"{fingerprint}.arrow"),
        desc="Encoding utterances",
    )
    model.train(training)
    return datasets.concatenate_datasets([examples.remove_columns(read), vectors], axis=1)


def _encode(columns: dict[str, list[Any]], model: BiosErcForUtteranceClassification) -> dict[str, list[Any]]:
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
                encoded = model.encode(ids, mask, mask)
        vectors[VECTORS[name]] = [rows[: len(one)] for rows, one in zip(encoded.cpu().numpy(), sizes, strict=True)]
    return vectors


def _weights_sha256(encoder: Any) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

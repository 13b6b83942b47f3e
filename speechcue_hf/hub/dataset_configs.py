"""The configs of a published dataset: their names, and what is recorded of each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, Features

from speechcue_hf.corpora.identity import metadata_of
from speechcue_hf.errors import PublishingError
from speechcue_hf.records import (
    BIOGRAPHIES_FILE,
    CAPTIONS_FILE,
    DESCRIBER_FILE,
    DISTRIBUTIONS_FILE,
    MEASUREMENT_FILE,
    PROMPT_FILE,
    PROMPT_TEMPLATE_FILE,
    CorpusIdentity,
)

RECORDS = (
    MEASUREMENT_FILE,
    DESCRIBER_FILE,
    DISTRIBUTIONS_FILE,
    BIOGRAPHIES_FILE,
    CAPTIONS_FILE,
    PROMPT_FILE,
    PROMPT_TEMPLATE_FILE,
)
"""What lies beside rows and is published with them."""

_PROMPT_NAME = re.compile(r"[A-Za-z0-9_-]+")
_NAMED_BY = {
    "biographies": "biography",
    "captions": "caption",
    "described": "speech_description",
    "measured": "duration_s",
}
"""Config → the column that makes it one; the first that fits names it."""


def config_name(columns: Iterable[str], prompt: str | None = None) -> str:
    """Name the config that rows make.

    Args:
        columns: Their columns.
        prompt: Name of the prompt, for prompt–completion rows.

    Returns:
        ``utterances``, ``measured``, ``described``, ``biographies``, ``captions``, or ``sft-`` and the prompt's name.

    Raises:
        PublishingError: If the prompt's name is more than letters, digits, ``-`` and ``_``: it is a folder of the
            repository and, in the card's program, a variable.

    Example:
        >>> config_name(["utterance_id", "duration_s", "speech_description"])
        'described'
    """
    columns = set(columns)
    if prompt is not None:
        if not _PROMPT_NAME.fullmatch(prompt):
            raise PublishingError(
                f'the prompt {prompt!r} cannot name a config: give it a "name" of letters, digits, - and _ only'
            )
        return f"sft-{prompt}"
    return next((name for name, column in _NAMED_BY.items() if column in columns), "utterances")


def describe_config(dataset: DatasetDict, identity: CorpusIdentity | None, folder: Path) -> dict[str, Any]:
    """Say what a config holds, for the card.

    Args:
        dataset: The rows as they are published.
        identity: Where they come from.
        folder: The dataset folder, with the records beside the rows.

    Returns:
        Splits with their numbers of rows and dialogues, columns with their types, the labels, the corpus, and the
        records by their file names.
    """
    features: Features = next(iter(dataset.values())).features
    records = [name for name in RECORDS if (folder / name).is_file()]
    read = {name: json.loads((folder / name).read_text("utf-8")) for name in records if name.endswith(".json")}
    return {
        "splits": {str(split): _count(rows) for split, rows in dataset.items()},
        "columns": {name: _type_name(feature) for name, feature in features.items()},
        "labels": {str(split): _label_counts(rows) for split, rows in dataset.items() if "emotion" in features},
        "corpus": metadata_of(identity),
        "records": read,
        "pictures": [name for name in records if name.endswith(".png")],
    }


def _count(rows: Dataset) -> dict[str, int]:
    return {"rows": len(rows), "dialogues": len(rows.unique("dialogue_id"))}


def _label_counts(rows: Dataset) -> dict[str, int]:
    names = rows.features["emotion"].names
    counts = dict.fromkeys([*names, "unlabelled"], 0)
    for emotion in rows["emotion"]:
        counts["unlabelled" if emotion is None else names[emotion]] += 1
    return counts


def _type_name(feature: Any) -> str:
    if isinstance(feature, Mapping):
        return "struct"
    name: str = getattr(feature, "dtype", None) or type(feature).__name__
    return {"dict": "audio"}.get(name, name) if type(feature).__name__ != "ClassLabel" else "label"

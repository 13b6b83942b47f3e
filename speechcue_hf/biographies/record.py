"""``biographies.json``: where the biographies of a dataset folder come from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from datasets import Dataset, DatasetDict

from speechcue_hf import __version__
from speechcue_hf.biographies.published import PublishedBiographies
from speechcue_hf.biographies.settings import BiographySettings
from speechcue_hf.generation.request import TextGenerator
from speechcue_hf.generation.store import TextStore
from speechcue_hf.records import BiographiesRecord


def written_record(
    dataset: DatasetDict, generator: TextGenerator, store: TextStore, settings: BiographySettings
) -> BiographiesRecord:
    """Say how the biographies of a dataset were written.

    Args:
        dataset: Splits with the biography columns.
        generator: Who wrote them.
        store: Where the texts lie.
        settings: What they were made from.

    Returns:
        Scope and whether it sees later turns, generator, prompt, limits, counts of rows and requests, tokens.
    """
    keys = {key for rows in dataset.values() for key in rows["biography_key"][:] if key is not None}
    answers = [store[key] for key in keys]
    return BiographiesRecord(
        source="written",
        scope=settings.scope,
        sees_future=settings.sees_future,
        refresh=None if settings.sees_future else settings.refresh,
        word_limit=settings.word_limit,
        prompt=settings.prompt.identity,
        writer=generator.identity,
        requests={"all": len(answers), "failed": sum(answer.text is None for answer in answers)},
        tokens={
            "prompt": sum(answer.prompt_tokens or 0 for answer in answers),
            "completion": sum(answer.completion_tokens or 0 for answer in answers),
        },
        rows=_count_rows(dataset),
        package_version=__version__,
    )


def published_record(dataset: DatasetDict, published: Sequence[PublishedBiographies]) -> BiographiesRecord:
    """Say where published biographies come from.

    Args:
        dataset: Splits with the biography columns.
        published: What was read.

    Returns:
        Scope, the models as the file names name them, SHA-256 of what each file said, counts of rows.
    """
    return BiographiesRecord(
        source="published",
        scope="dialogue",
        sees_future=True,
        writer={"model": ", ".join(sorted({part.llm for part in published}))},
        files={part.split: sha256(json.dumps(dict(part.dialogues)).encode()).hexdigest() for part in published},
        rows=_count_rows(dataset),
        package_version=__version__,
    )


def _count_rows(dataset: DatasetDict) -> dict[str, Any]:
    return {str(split): _count_split(rows) for split, rows in dataset.items()}


def _count_split(rows: Dataset) -> dict[str, Any]:
    """Rows of a split, those with a biography, those whose biography was cut, and why the others have none."""
    texts = list(zip(rows["biography"][:], rows["biography_note"][:], strict=True))
    return {
        "all": len(texts),
        "with_biography": sum(text is not None for text, _ in texts),
        "cut": sum(text is not None and note is not None for text, note in texts),
        "without": dict(Counter(note for text, note in texts if text is None).most_common(20)),
    }

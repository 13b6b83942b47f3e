"""Biographies as columns of a dataset: written where the store lacks them, then given to each row of their speaker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from datasets import Dataset, DatasetDict, Features, Value

from speechcue_hf import __version__
from speechcue_hf.biographies.cleaning import clean_biography
from speechcue_hf.biographies.requests import PlannedBiography, dialogues_of, plan_biographies
from speechcue_hf.biographies.settings import BiographySettings
from speechcue_hf.corpora.joining import put_beside
from speechcue_hf.generation.request import GenerationRequest, TextGenerator
from speechcue_hf.generation.store import TextStore, generate_missing
from speechcue_hf.records import BiographiesRecord

AnyDataset = TypeVar("AnyDataset", Dataset, DatasetDict)

BIOGRAPHY_FEATURES = Features(
    {
        "biography": Value("string"),
        "biography_note": Value("string"),
        "biography_scope": Value("string"),
        "biography_turns": Value("int32"),
        "biography_key": Value("string"),
    }
)
"""The columns that biographies come in; ``docs/reference/columns.md`` says what they mean."""


class BiographyWriter:
    """Writes the biographies of whole dialogues; ``map`` it over a split at once, batched.

    :func:`write_biographies` does the same to a dataset, touches no other column and needs no pickling.

    Args:
        generator: Who writes.
        store: Where texts go as soon as they are there, opened for this generator and prompt.
        settings: What biographies are made from.

    Example:
        >>> settings = BiographySettings()
        >>> store = open_store(Path("store.jsonl"), generator=generator.identity, prompt=settings.prompt.identity)
        >>> with store as opened:
        ...     biographer = BiographyWriter(generator, opened, settings)
        ...     told = described["test"].map(biographer, batched=True, batch_size=None, new_fingerprint="told")
        >>> told[4]["biography"]
        'Somebody who is asked about.'
    """

    def __init__(self, generator: TextGenerator, store: TextStore, settings: BiographySettings | None = None) -> None:
        self._generator = generator
        self._store = store
        self._settings = settings or BiographySettings()

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """Write what the store lacks, and give each row its biography.

        Args:
            batch: Column → values, one per row: whole dialogues, each from its first turn on.

        Returns:
            The biography columns, one value per row. A row without a biography has null and the reason in
            ``biography_note``. Errors are those of :func:`write_biographies`.
        """
        plans = _plan_rows(batch, self._settings)
        generate_missing([plan.request for plan in plans if plan.request], self._generator, self._store)
        return _columns(plans, self._store, self._settings)

    def __getstate__(self) -> NoReturn:
        """Refuse to be pickled, as for ``num_proc``: model and store are this process's."""
        raise TypeError("a biography generator has a model and an open store: use it in one process, without num_proc")


def write_biographies(
    dataset: AnyDataset, generator: TextGenerator, store: TextStore, settings: BiographySettings | None = None
) -> AnyDataset:
    """Add biographies to a dataset.

    Args:
        dataset: Rows with the shared columns, dialogues whole and in speaking order; or splits of them.
        generator: Who writes.
        store: Where texts go as soon as they are there, opened for this generator and prompt. What it holds is not
            asked again, so that a killed run goes on where it stood.
        settings: What biographies are made from; by default :class:`BiographySettings`, which see no later turn.

    Returns:
        The dataset with the biography columns; earlier ones are replaced.

    Raises:
        CorpusError: If a column is missing.
        DialogueError: If the rows are not whole dialogues in speaking order.
        GenerationError: If the generator fails as a whole; what was written is kept.

    Example:
        >>> settings = BiographySettings(refresh=8)
        >>> store = open_store(Path("all.jsonl"), generator=generator.identity, prompt=settings.prompt.identity)
        >>> with store as opened:
        ...     told = write_biographies(described, generator, opened, settings)
        >>> told["test"].features["biography_scope"]
        Value('string')
    """
    if not isinstance(dataset, DatasetDict):
        return write_biographies(DatasetDict(rows=dataset), generator, store, settings)["rows"]
    settings = settings or BiographySettings()
    plans = {split: _plan_rows(rows, settings) for split, rows in dataset.items()}
    generate_missing([plan.request for rows in plans.values() for plan in rows if plan.request], generator, store)
    return DatasetDict(
        {split: with_biographies(rows, _columns(plans[split], store, settings)) for split, rows in dataset.items()}
    )


def with_biographies(dataset: Dataset, columns: Mapping[str, Sequence[Any]]) -> Dataset:
    """Put biography columns into a dataset; those it has are replaced, no other column is touched."""
    return put_beside(dataset, Dataset.from_dict(dict(columns), features=BIOGRAPHY_FEATURES))


def written_record(
    dataset: DatasetDict, generator: TextGenerator, store: TextStore, settings: BiographySettings
) -> BiographiesRecord:
    """Say how :func:`write_biographies` made the biographies of a dataset, and how many there are."""
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
        rows={str(split): biography_counts(rows) for split, rows in dataset.items()},
        package_version=__version__,
    )


def biography_counts(rows: Dataset) -> dict[str, Any]:
    """Rows of a split, those with a biography, those whose biography was cut, and why the others have none."""
    texts = list(zip(rows["biography"][:], rows["biography_note"][:], strict=True))
    return {
        "all": len(texts),
        "with_biography": sum(text is not None for text, _ in texts),
        "cut": sum(text is not None and note is not None for text, note in texts),
        "without": dict(Counter(note for text, note in texts if text is None).most_common(20)),
    }


def _plan_rows(rows: Dataset | Mapping[str, Sequence[Any]], settings: BiographySettings) -> list[PlannedBiography]:
    return [plan for dialogue in dialogues_of(rows) for plan in plan_biographies(dialogue, settings)]


def _columns(plans: Sequence[PlannedBiography], store: TextStore, settings: BiographySettings) -> dict[str, list[Any]]:
    """The biography columns of rows whose requests were all answered."""
    requests = {plan.request.key: plan.request for plan in plans if plan.request}
    texts = {key: _biography(request, store, settings) for key, request in requests.items()}
    given = [texts[plan.request.key] if plan.request else (None, plan.note) for plan in plans]
    return {
        "biography": [text for text, _ in given],
        "biography_note": [note for _, note in given],
        "biography_scope": [settings.scope] * len(plans),
        "biography_turns": [plan.turns for plan in plans],
        "biography_key": [plan.request.key if plan.request else None for plan in plans],
    }


def _biography(
    request: GenerationRequest, store: TextStore, settings: BiographySettings
) -> tuple[str | None, str | None]:
    """Biography and note of one request."""
    answer = store[request.key]
    if answer.text is None:
        return None, answer.reason
    prompt, ran_out = request.messages[-1]["content"], answer.finish_reason == "length"
    return clean_biography(answer.text, prompt, settings.word_limit, ran_out=ran_out)

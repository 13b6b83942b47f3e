"""``corpus.json``: which corpus the rows of a dataset folder come from, so that licence and task travel with them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from datasets import ClassLabel, DatasetDict

from speechcue_hf import __version__
from speechcue_hf.corpora.catalogue import Corpus, corpora, corpus_of_info, dataset_name, find_corpus, strictest
from speechcue_hf.records import CorpusIdentity


def identify(dataset: DatasetDict) -> CorpusIdentity | None:
    """Say where a dataset comes from; None for rows that no loader of this package made.

    Args:
        dataset: From ``load_dataset("speechcue/<corpus>")`` or from a dataset folder, mapped or not.

    Example:
        >>> identify(load_dataset("speechcue/demo")).task
        'demo-6-erc'
    """
    first = next(iter(dataset.values()))
    corpus, emotion = corpus_of_info(first.info.dataset_name), first.features.get("emotion")
    if corpus is None or not isinstance(emotion, ClassLabel):
        return None
    return CorpusIdentity(
        corpus=corpus.name,
        config=first.info.config_name or "default",
        licence=first.info.license,
        homepage=first.info.homepage,
        citation=first.info.citation,
        labels=tuple(emotion.names),
        utterances={str(split): len(rows) for split, rows in dataset.items()},
        revision=_revision(dataset),
        joined=first.info.description,
        package_version=__version__,
    )


def metadata_of(identity: CorpusIdentity | None) -> dict[str, str] | None:
    """What the records of a model say of a corpus; None for rows of nobody."""
    return None if identity is None else identity.metadata


def corpus_of_metadata(metadata: Mapping[str, Any] | None) -> Corpus | None:
    """The corpus that a record names, or whose licence it states, as the loader of somebody's own folder may have.

    Args:
        metadata: From :func:`metadata_of`; None for rows of nobody.
    """
    if metadata is None:
        return None
    stated = (corpus for corpus in corpora().values() if corpus.licence and corpus.licence == metadata.get("licence"))
    return strictest((find_corpus(metadata.get("name")), *stated))


def restore_identity(dataset: DatasetDict, identity: CorpusIdentity) -> None:
    """Let the info of rows that were read from files say what it said when a loader made them.

    Args:
        dataset: The splits; changed in place.
        identity: The record beside the files.
    """
    for rows in dataset.values():
        rows.info.dataset_name = dataset_name(identity.corpus)
        rows.info.config_name = identity.config
        rows.info.license = identity.licence
        rows.info.homepage = identity.homepage
        rows.info.citation = identity.citation
        rows.info.description = identity.joined


def carry_records(source: Path, target: Path, names: Iterable[str]) -> None:
    """Give a dataset folder the records of the folder that it was made from.

    Args:
        source: Folder that was read.
        target: Folder that was written; a record of an earlier time goes, whether the source has one or not.
        names: File names of the records, such as ``corpus.json``.
    """
    for name in names:
        (target / name).unlink(missing_ok=True)
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def _revision(dataset: DatasetDict) -> str:
    digest = hashlib.sha256()
    for split in sorted(map(str, dataset)):
        digest.update(f"{split}\n".encode())
        rows = dataset[split]
        columns = [name for name in ("dialogue_id", "utterance_id", "turn", "text", "emotion") if name in rows.features]
        for row in zip(*(rows[name] for name in columns), strict=True):
            digest.update(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()

"""``corpus.json``: which corpus the rows of a dataset folder come from, so that licence and task travel with them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from datasets import ClassLabel, DatasetDict

from speechcue_hf import __version__
from speechcue_hf.corpora.catalogue import (
    TOGETHER,
    Corpus,
    corpora,
    dataset_name,
    find_corpus,
    is_source,
    named_source,
    paragraphs,
    sources_of,
    strictest,
)
from speechcue_hf.records import CorpusIdentity

_LICENCES = "; "
"""Between the licences of rows that come from several places."""


def identify(dataset: DatasetDict) -> CorpusIdentity | None:
    """Say where a dataset comes from; None for rows that no loader of this package made.

    Rows of several corpora have the names of all, joined by ``+``, and so have their configs.

    Args:
        dataset: From ``load_dataset("speechcue/<corpus>")`` or from a dataset folder, changed by whatever ``datasets``
            offers (``map``, ``filter``, ``concatenate_datasets``) or not; or from a file that says nothing, if its ids
            are those of a corpus.

    Example:
        >>> identify(load_dataset("speechcue/demo")).task
        'demo-6-erc'
    """
    sources = {name: config for rows in dataset.values() for name, config in sources_of(rows).items()}
    if not sources:
        return None
    name = TOGETHER.join(sorted(sources))
    corpus, first = find_corpus(name), next(iter(dataset.values()))
    emotion = first.features.get("emotion")
    return CorpusIdentity(
        corpus=name,
        config=TOGETHER.join(sources[part] for part in sorted(sources)),
        licence=_LICENCES.join(_told(dataset, "license")) or (corpus.licence if corpus else ""),
        homepage=" ".join(_told(dataset, "homepage")) or (corpus.homepage if corpus else ""),
        citation=" ".join(_told(dataset, "citation")) or (corpus.citation if corpus else ""),
        labels=tuple(emotion.names) if isinstance(emotion, ClassLabel) else (),
        utterances={str(split): len(rows) for split, rows in dataset.items()},
        revision=_revision(dataset),
        joined=", ".join(part for part in _told(dataset, "description") if not is_source(part)),
        package_version=__version__,
    )


def _told(dataset: DatasetDict, name: str) -> list[str]:
    """What the infos of all splits say, each thing once."""
    return paragraphs(getattr(rows.info, name) for rows in dataset.values())


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
    licences = str(metadata.get("licence") or "").split(_LICENCES)
    stated = (corpus for corpus in corpora().values() if corpus.licence in licences and corpus.licence)
    return strictest((find_corpus(metadata.get("name")), *stated))


def restore_identity(dataset: DatasetDict, identity: CorpusIdentity) -> None:
    """Let the info of rows that were read from files say what it said when a loader made them.

    Args:
        dataset: The splits; changed in place.
        identity: The record beside the files.
    """
    several = TOGETHER in identity.corpus
    configs = identity.config.split(TOGETHER) if several else [identity.config]
    sources = zip(identity.corpus.split(TOGETHER), configs, strict=True)
    description = "\n\n".join([*(named_source(*source) for source in sources), *filter(None, [identity.joined])])
    for rows in dataset.values():
        rows.info.dataset_name = dataset_name(identity.corpus)
        rows.info.config_name = identity.config
        rows.info.license = identity.licence
        rows.info.homepage = identity.homepage
        rows.info.citation = identity.citation
        rows.info.description = description


def _revision(dataset: DatasetDict) -> str:
    digest = hashlib.sha256()
    for split in sorted(map(str, dataset)):
        digest.update(f"{split}\n".encode())
        rows = dataset[split].with_format(None)
        columns = [name for name in ("dialogue_id", "utterance_id", "turn", "text", "emotion") if name in rows.features]
        for row in zip(*(rows[name] for name in columns), strict=True):
            digest.update(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()

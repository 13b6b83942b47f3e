"""``corpus.json``: which corpus the rows of a dataset folder come from, so that licence and task travel with them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from datasets import ClassLabel, Dataset, DatasetDict, Features, concatenate_datasets

from speechcue_hf import __version__
from speechcue_hf.errors import CorpusError
from speechcue_hf.filenames import CORPUS_FILE

_DATASET_NAME = "speechcue_"
"""What the names of our loaders become in the info of a dataset, which ``map`` and ``filter`` keep."""


@dataclass(frozen=True)
class CorpusIdentity:
    """Where rows come from.

    Args:
        corpus: Name of the loader, such as ``iemocap``.
        config: Its config, such as ``erc-6``; ``default`` for a corpus that has one only.
        licence: As the loader states it; empty where the rows are the user's own.
        homepage: Address of the release.
        citation: Of the paper that describes the corpus.
        labels: Names of the emotions, in the order of their class ids.
        utterances: Split → number of rows.
        revision: SHA-256 of ids, texts and labels of all splits, 64 hexadecimal digits: two copies of one release that
            were split alike have the same.
        joined: Published dataset whose columns were joined to the rows, as ``user/name@commit``; empty for none.
        package_version: Of speechcue_hf, whose loader read the release.
    """

    corpus: str
    config: str
    licence: str
    homepage: str
    citation: str
    labels: tuple[str, ...]
    utterances: dict[str, int]
    revision: str
    joined: str
    package_version: str

    @property
    def task(self) -> str:
        """What a score on these rows is a score of: ``iemocap-6-erc`` cannot be compared with ``iemocap-4-ser``.

        Rows without emotions, ``libritts-captions``, can only be captioned.
        """
        if not self.labels:
            return f"{self.corpus}-captions"
        return f"{self.corpus}-{len(self.labels)}-{'ser' if self.config.startswith('ser') else 'erc'}"

    @property
    def facts(self) -> dict[str, str]:
        """What the records of a model say of the corpus."""
        names = ("config", "licence", "homepage", "citation", "revision", "joined")
        return {"name": self.corpus, "task": self.task, **{name: getattr(self, name) for name in names}}


def identify(dataset: DatasetDict) -> CorpusIdentity | None:
    """Say where a dataset comes from.

    Args:
        dataset: From ``load_dataset("speechcue/<corpus>")`` or from a dataset folder, mapped or not.

    Returns:
        The identity; None for rows that no loader of this package made.

    Example:
        >>> identify(load_dataset("speechcue/demo")).task  # doctest: +SKIP
        'demo-6-erc'
    """
    first = next(iter(dataset.values()))
    name, emotion = first.info.dataset_name or "", first.features.get("emotion")
    if not name.startswith(_DATASET_NAME) or not isinstance(emotion, ClassLabel):
        return None
    return CorpusIdentity(
        corpus=name.removeprefix(_DATASET_NAME),
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


def write_identity(identity: CorpusIdentity | None, folder: Path) -> None:
    """Write ``corpus.json`` into a dataset folder; rows of nobody leave none there, not even one of an earlier time."""
    if identity is None:
        (folder / CORPUS_FILE).unlink(missing_ok=True)
        return
    text = json.dumps(asdict(identity), indent=2, ensure_ascii=False) + "\n"
    (folder / CORPUS_FILE).write_text(text, encoding="utf-8")


def read_identity(folder: Path) -> CorpusIdentity | None:
    """Read the ``corpus.json`` of a dataset folder.

    Returns:
        The identity; None where there is no such file.

    Raises:
        CorpusError: If the file is damaged.
    """
    path = folder / CORPUS_FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = {field.name: content[field.name] for field in fields(CorpusIdentity)}
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise CorpusError(f"{path} is damaged ({error!r}): make the folder again with `speechcue prepare`") from error
    return CorpusIdentity(**{**known, "labels": tuple(known["labels"])})


def restore_identity(dataset: DatasetDict, identity: CorpusIdentity) -> None:
    """Let the info of rows that were read from files say what it said when a loader made them.

    Args:
        dataset: The splits; changed in place.
        identity: From :func:`read_identity`.
    """
    for rows in dataset.values():
        rows.info.dataset_name = _DATASET_NAME + identity.corpus
        rows.info.config_name = identity.config
        rows.info.license = identity.licence
        rows.info.homepage = identity.homepage
        rows.info.citation = identity.citation
        rows.info.description = identity.joined


def put_beside(rows: Dataset, columns: Dataset) -> Dataset:
    """Put new columns beside rows, whose info stays as it is; ``concatenate_datasets`` alone forgets the corpus.

    Args:
        rows: The rows.
        columns: As many rows of other columns, in the same order.

    Returns:
        The rows with all columns.
    """
    joined: Dataset = concatenate_datasets([rows, columns], axis=1)
    if not len(rows):  # concatenate_datasets leaves out what has no rows, columns and all.
        features = Features({**rows.features, **columns.features})
        joined = Dataset.from_dict({name: [] for name in features}, features=features, split=rows.split)
    joined.info.dataset_name, joined.info.config_name = rows.info.dataset_name, rows.info.config_name
    joined.info.description = rows.info.description
    return joined


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
        for row in _essence(dataset[split]):
            digest.update(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


def _essence(rows: Dataset) -> zip[tuple[object, ...]]:
    columns = ("dialogue_id", "utterance_id", "turn", "text", "emotion")
    return zip(*(rows[name] for name in columns if name in rows.column_names), strict=True)

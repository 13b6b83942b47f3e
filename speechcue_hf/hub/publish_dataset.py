"""Dataset folders go to the Hub: one config for each, checked by licence and for traces, in one commit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from datasets import DatasetDict

from speechcue_hf.corpora.catalogue import Corpus
from speechcue_hf.corpora.parquet import read_dataset, shard_name, write_shard
from speechcue_hf.errors import PublishingError
from speechcue_hf.hub.dataset_card import dataset_card
from speechcue_hf.hub.dataset_configs import RECORDS, config_name, describe_config
from speechcue_hf.hub.licence import check_columns, corpus_of
from speechcue_hf.hub.scan import check_files
from speechcue_hf.hub.upload import commit_files, read_remote, repository
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.specification import PromptSpecification, load_prompt
from speechcue_hf.records import CARD_FILE, CORPUS_FILE, VIEWS_FILE, CorpusIdentity, find_record, write_json

SHARD_BYTES = 500_000_000
"""Of Parquet, so that a shard downloads and a lost one is sent again in reasonable time."""

IDS = ("dialogue_id", "utterance_id")
"""Columns without which published rows could neither be joined to a corpus nor their licence be known."""


@dataclass(frozen=True)
class DatasetConfig:
    """Rows that are published as one config.

    Args:
        name: Of the config.
        dataset: The rows.
        folder: Where they were read, with the records beside them.
        identity: The corpus.
        prompt: For prompt–completion rows.
    """

    name: str
    dataset: DatasetDict
    folder: Path
    identity: CorpusIdentity | None
    prompt: PromptSpecification | None = None


def publish_dataset(
    folders: Sequence[Path],
    repo_id: str,
    *,
    prompts: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    private: bool = False,
    licence: str | None = None,
    everybody_is_licensed: bool = False,
) -> str:
    """Publish dataset folders as one dataset, which plain ``load_dataset(repo_id, config)`` reads.

    Configs that the repository has and that are not published now stay as they are.

    Args:
        folders: What the commands of this package wrote; each becomes the config that its columns make it:
            ``utterances``, ``measured``, ``described``, ``biographies`` or ``captions``.
        repo_id: ``user/name``; it is made if need be.
        prompts: Presets or prompt files; the rows of the last folder are published as ``sft-<prompt>`` for each.
        columns: Only these are published of each folder, both ids among them; None publishes all.
        private: Whether a repository that is made now is private.
        licence: Of own recordings, as the Hub names it; None takes that of the corpus.
        everybody_is_licensed: Says that all who can read this private or gated repository hold the corpus's licence.

    Returns:
        The commit, 40 hexadecimal digits.

    Raises:
        LicenceError: If the licence does not let a column out, or is not known.
        PublishingError: If two folders make the same config, a file tells of this machine, the repository holds another
            corpus, or the Hub does not take the commit; nothing is published then.
        CorpusError: If a folder holds no dataset.

    Example:
        >>> publish_dataset([Path("data/demo")], "me/demo", prompts=["speechcue"])  # doctest: +SKIP
        '0d1e5ad6cbd9c3d9a9a47b1e4b7bd4b3a4f0c3d2'
    """
    configs = _configs(folders, prompts, columns)
    corpus = _one_corpus(configs)
    restricted = repository(repo_id, "dataset", private=private)
    for config in configs:
        check_columns(corpus, _all_columns(config.dataset), restricted=restricted, agreed=everybody_is_licensed)
    with TemporaryDirectory(prefix="speechcue-publish-") as staging:
        files = _stage(configs, Path(staging))
        held = _all_configs(configs, repo_id, Path(staging))
        card = dataset_card(repo_id, held, licence=licence)
        (Path(staging) / CARD_FILE).write_text(str(card), encoding="utf-8")
        write_json(held, Path(staging) / VIEWS_FILE)
        files |= {name: Path(staging) / name for name in (CARD_FILE, VIEWS_FILE)}
        check_files(list(files.values()), folders=[folder.parent for folder in folders])
        names = ", ".join(config.name for config in configs)
        return commit_files(
            repo_id, "dataset", files, f"Publish {names}", replaces=[f"{config.name}/" for config in configs]
        )


def _configs(folders: Sequence[Path], prompts: Sequence[str], columns: Sequence[str] | None) -> list[DatasetConfig]:
    if not folders:
        raise PublishingError("nothing is given to publish: name a dataset folder")
    configs = [_config(folder, columns) for folder in folders]
    configs += [_prompt_config(folders[-1], prompt) for prompt in prompts]
    names = [config.name for config in configs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise PublishingError(f"two folders make the config {min(twice)!r}: publish one of them")
    return configs


def _config(folder: Path, columns: Sequence[str] | None) -> DatasetConfig:
    dataset = read_dataset(folder)
    if columns is not None:
        dataset = DatasetDict({split: _selected(rows, columns, folder) for split, rows in dataset.items()})
    return DatasetConfig(config_name(_all_columns(dataset)), dataset, folder, find_record(CorpusIdentity, folder))


def _selected(rows: Any, columns: Sequence[str], folder: Path) -> Any:
    if without := [name for name in IDS if name not in columns]:
        raise PublishingError(
            f"rows are known and joined by their ids, so these are always published: add {' and '.join(without)}"
        )
    if missing := [column for column in columns if column not in rows.column_names]:
        raise PublishingError(
            f"{folder.name} has no columns {', '.join(missing)}; it has {', '.join(rows.column_names)}"
        )
    return rows.select_columns(list(columns))


def _prompt_config(folder: Path, prompt: str) -> DatasetConfig:
    specification = load_prompt(prompt)
    rows = build_prompts(read_dataset(folder), specification)
    return DatasetConfig(
        config_name([], specification.name), rows, folder, find_record(CorpusIdentity, folder), specification
    )


def _one_corpus(configs: Sequence[DatasetConfig]) -> Corpus:
    """The corpus that all configs come from."""
    corpora = {corpus_of(config.identity, _utterance_ids(config.dataset)) for config in configs}
    revisions = {config.identity.revision for config in configs if config.identity}
    if len(corpora) > 1 or len(revisions) > 1:
        names = ", ".join(sorted(corpus.name for corpus in corpora))
        raise PublishingError(
            f"the folders come from different rows ({names}; {len(revisions)} revisions): "
            "publish each corpus, and each way of splitting it, in a repository of its own"
        )
    return corpora.pop()


def _utterance_ids(dataset: DatasetDict) -> Iterable[str]:
    for rows in dataset.values():
        yield from rows["utterance_id"]


def _all_columns(dataset: DatasetDict) -> list[str]:
    return list(dict.fromkeys(column for rows in dataset.values() for column in rows.column_names))


def _stage(configs: Sequence[DatasetConfig], staging: Path) -> dict[str, Path]:
    """Write what is published and list it: path in the repository → file here."""
    files: dict[str, Path] = {}
    for config in configs:
        folder = staging / config.name
        folder.mkdir()
        for split, rows in config.dataset.items():
            _write_shards(rows, str(split), folder)
        _stage_records(config, folder)
        files |= {f"{config.name}/{path.name}": path for path in sorted(folder.iterdir())}
    return files


def _write_shards(rows: Any, split: str, folder: Path) -> None:
    count = max(1, ceil(rows.data.nbytes / SHARD_BYTES))
    for index in range(count):
        write_shard(rows.shard(count, index, contiguous=True), folder / shard_name(split, index, count))


def _stage_records(config: DatasetConfig, folder: Path) -> None:
    for name in (CORPUS_FILE, *RECORDS):
        if (config.folder / name).is_file():
            shutil.copyfile(config.folder / name, folder / name)
    if config.prompt is not None:
        config.prompt.save(folder)


def _all_configs(configs: Sequence[DatasetConfig], repo_id: str, staging: Path) -> dict[str, Any]:
    """What the configs hold that are published now, and those that the repository keeps."""
    before = read_remote(repo_id, "dataset", VIEWS_FILE)
    held: dict[str, Any] = {} if before is None else json.loads(before)
    for config in configs:
        held[config.name] = describe_config(config.dataset, config.identity, staging / config.name)
    _check_same_corpus(repo_id, held)
    return dict(sorted(held.items()))


def _check_same_corpus(repo_id: str, held: Mapping[str, Any]) -> None:
    """Refuse a repository whose configs come from different rows: ids would not mean the same."""
    revisions = {(config["corpus"] or {}).get("revision") for config in held.values()}
    if len(revisions) > 1:
        raise PublishingError(
            f"{repo_id} holds configs of another corpus, release or split: publish all configs again, "
            "or take another repository"
        )

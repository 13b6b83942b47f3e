"""Dataset folders go to the Hub: one config for each, checked by licence and for traces, in one commit."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from datasets import DatasetDict

from speechcue_hf.corpora.catalogue import Corpus
from speechcue_hf.corpora.parquet import identity_of, read_dataset, shard_name, write_dataset, write_shard
from speechcue_hf.corpora.writing import whole_folder
from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.cues.measure import measure_dataset
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.errors import PublishingError
from speechcue_hf.hub.dataset_card import RECORDS, dataset_card, describe_config
from speechcue_hf.hub.licence import check_columns, columns_that_may_leave, corpus_of
from speechcue_hf.hub.scan import check_files
from speechcue_hf.hub.upload import commit_files, read_remote, repository
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.specification import PromptSpecification, load_prompt
from speechcue_hf.records import (
    CARD_FILE,
    CORPUS_FILE,
    VIEWS_FILE,
    CorpusIdentity,
    carry_records,
    write_json,
    write_record,
)

SHARD_BYTES = 500_000_000
"""Of Parquet, so that a shard downloads and a lost one is sent again in reasonable time."""

IDS = ("dialogue_id", "utterance_id")
"""Columns without which published rows could neither be joined to a corpus nor their licence be known."""

_NAMED_BY = {
    "biographies": "biography",
    "captions": "caption",
    "described": "speech_description",
    "measured": "duration_s",
}
"""Config → the column that makes it one; the first that fits names it, and rows with none are ``utterances``."""


@dataclass(frozen=True)
class _Config:
    """Rows that are published as one config, with the folder that they were read from."""

    name: str
    dataset: DatasetDict
    folder: Path
    identity: CorpusIdentity | None
    prompt: PromptSpecification | None = None


def publish_dataset(
    folders: Sequence[str | Path],
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
        >>> publish_dataset(["data/demo"], "me/demo", prompts=["speechcue"])  # doctest: +SKIP
        '0d1e5ad6cbd9c3d9a9a47b1e4b7bd4b3a4f0c3d2'
    """
    places = list(map(Path, folders))
    configs = _configs(places, prompts, columns)
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
        check_files(list(files.values()), folders=[place.parent for place in places])
        names = ", ".join(config.name for config in configs)
        return commit_files(
            repo_id, "dataset", files, f"Publish {names}", replaces=[f"{config.name}/" for config in configs]
        )


def publish_corpus(
    folder: Path, repo_id: str, *, num_proc: int | None = None, everybody_is_licensed: bool = False, **options: Any
) -> str:
    """Measure, describe and publish a prepared corpus; beside its folder ``<folder>-described`` is made.

    Args:
        folder: What ``speechcue prepare`` or a corpus script wrote.
        repo_id: As for :func:`publish_dataset`, which also says what is raised.
        num_proc: Processes that measure.
        everybody_is_licensed: Likewise; without it a corpus that may not be passed on leaves as ids, measurements and
            descriptions.
        **options: ``private`` and ``licence``, likewise.

    Returns:
        The commit, 40 hexadecimal digits.
    """
    dataset = read_dataset(folder)
    first = next(iter(dataset.values()))
    corpus = corpus_of(identity_of(folder, dataset), first["utterance_id"])
    folders, columns = [folder], first.column_names
    whole = everybody_is_licensed or columns_that_may_leave(corpus, columns) == columns
    if any(status != "none" for rows in dataset.values() for status in rows.unique("audio_status")):
        folders.append(folder.with_name(f"{folder.name}-described"))
        described, _ = describe_corpus(dataset, folders[-1], num_proc)
        columns = described["train"].column_names
    return publish_dataset(
        folders if whole else folders[-1:],
        repo_id,
        columns=None if whole else columns_that_may_leave(corpus, columns),
        everybody_is_licensed=everybody_is_licensed,
        **options,
    )


def describe_corpus(
    dataset: DatasetDict, target: Path, num_proc: int | None = None, *, command: str | None = None
) -> tuple[DatasetDict, SpeechDescriber]:
    """Measure and describe all splits with the default settings; they are written, without clips, with the describer.

    Args:
        dataset: The splits, with clips; the describer is fitted on ``train``.
        target: Dataset folder that is written.
        num_proc: Processes that measure.
        command: The command line that finishes the folder, should this be killed.

    Returns:
        The described splits, with clips, and the describer.
    """
    settings = MeasurementSettings()
    measured = measure_dataset(dataset, settings, num_proc=num_proc)
    describer = SpeechDescriber.fit(measured["train"], settings=settings)
    described = describe_dataset(measured, describer)
    with whole_folder(target, command, replaces=[CORPUS_FILE]) as unfinished:
        write_dataset(described.remove_columns("audio"), unfinished)
        write_record(settings, unfinished)
        describer.save_pretrained(unfinished)
    return described, describer


def _configs(folders: Sequence[Path], prompts: Sequence[str], columns: Sequence[str] | None) -> list[_Config]:
    if not folders:
        raise PublishingError("nothing is given to publish: name a dataset folder")
    configs = [_config(folder, columns) for folder in folders]
    configs += [_prompt_config(folders[-1], prompt) for prompt in prompts]
    names = [config.name for config in configs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise PublishingError(f"two folders make the config {min(twice)!r}: publish one of them")
    return configs


def _config(folder: Path, columns: Sequence[str] | None) -> _Config:
    dataset = read_dataset(folder)
    identity = identity_of(folder, dataset)
    if columns is not None:
        dataset = DatasetDict({split: _selected(rows, columns, folder) for split, rows in dataset.items()})
    there = _all_columns(dataset)
    name = next((name for name, column in _NAMED_BY.items() if column in there), "utterances")
    return _Config(name, dataset, folder, identity)


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


def _prompt_config(folder: Path, prompt: str) -> _Config:
    specification = load_prompt(prompt)
    # It names a folder of the repository and, in the card's program, a variable.
    if not re.fullmatch(r"[A-Za-z0-9_-]+", specification.name):
        raise PublishingError(
            f'the prompt {specification.name!r} cannot name a config: give it a "name" of letters, digits, - and _ only'
        )
    rows = build_prompts(read_dataset(folder), specification)
    return _Config(f"sft-{specification.name}", rows, folder, identity_of(folder), specification)


def _one_corpus(configs: Sequence[_Config]) -> Corpus:
    """The corpus that all configs come from."""
    corpora = {
        corpus_of(config.identity, (name for rows in config.dataset.values() for name in rows["utterance_id"]))
        for config in configs
    }
    revisions = {config.identity.revision for config in configs if config.identity}
    if len(corpora) > 1 or len(revisions) > 1:
        names = ", ".join(sorted(corpus.name for corpus in corpora))
        raise PublishingError(
            f"the folders come from different rows ({names}; {len(revisions)} revisions): "
            "publish each corpus, and each way of splitting it, in a repository of its own"
        )
    return corpora.pop()


def _all_columns(dataset: DatasetDict) -> list[str]:
    return list(dict.fromkeys(column for rows in dataset.values() for column in rows.column_names))


def _stage(configs: Sequence[_Config], staging: Path) -> dict[str, Path]:
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


def _stage_records(config: _Config, folder: Path) -> None:
    carry_records(config.folder, folder, [CORPUS_FILE, *RECORDS])
    if config.identity is not None and not (folder / CORPUS_FILE).is_file():
        write_record(config.identity, folder)
    if config.prompt is not None:
        config.prompt.save(folder)


def _all_configs(configs: Sequence[_Config], repo_id: str, staging: Path) -> dict[str, Any]:
    """What the configs hold that are published now, and those that the repository keeps."""
    before = read_remote(repo_id, "dataset", VIEWS_FILE)
    held: dict[str, Any] = {} if before is None else json.loads(before)
    for config in configs:
        held[config.name] = describe_config(config.dataset, config.identity, staging / config.name)
    # With configs of different rows, ids would not mean the same.
    revisions = {(config["corpus"] or {}).get("revision") for config in held.values()}
    if len(revisions) > 1:
        raise PublishingError(
            f"{repo_id} holds configs of another corpus, release or split: publish all configs again, "
            "or take another repository"
        )
    return dict(sorted(held.items()))

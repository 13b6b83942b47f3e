"""Dataset folders go to the Hub: one config for each, checked by licence and for traces, in one commit."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from datasets import DatasetDict
from huggingface_hub import DatasetCard

from speechcue_hf.corpora.catalogue import Corpus
from speechcue_hf.corpora.parquet import identity_of, read_dataset, shard_name, write_dataset, write_shard
from speechcue_hf.corpora.writing import whole_folder
from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.cues.measure import measure_dataset, tell_unmeasured
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.errors import PublishingError
from speechcue_hf.hub.cues_only import made_anew, records_that_may_leave
from speechcue_hf.hub.dataset_card import RECORDS, dataset_card, describe_config, read_configs
from speechcue_hf.hub.licence import check_columns, columns_that_may_leave, corpus_of
from speechcue_hf.hub.privacy import PrivateRecord, private_record
from speechcue_hf.hub.scan import check_files
from speechcue_hf.hub.speakers import (
    are_private,
    number_describer,
    number_rows,
    numbers,
    speakers_of,
    speakers_of_describer,
    warn_of_names,
)
from speechcue_hf.hub.upload import commit_files, own_file, read_remote, repository
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.specification import PromptSpecification, load_prompt
from speechcue_hf.records import (
    CARD_FILE,
    CORPUS_FILE,
    DISTRIBUTIONS_FILE,
    VIEWS_FILE,
    CorpusIdentity,
    beside,
    find_record,
    write_json,
    write_record,
)

logger = logging.getLogger(__name__)

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
    """Rows that are published as one config.

    Args:
        dataset: What is published.
        whole: The rows with all columns of their folder, by which their corpus is known.
        folder: Where they lie.
        called: Speaker → number, where names do not leave.
        cues_of: The corpus of which nothing but cues leaves, where that is so.
    """

    name: str
    dataset: DatasetDict
    whole: DatasetDict
    folder: Path
    identity: CorpusIdentity | None
    prompt: PromptSpecification | None = None
    called: Mapping[str, str] | None = None
    cues_of: Corpus | None = None


def publish_dataset(
    folders: Sequence[str | Path],
    repo_id: str,
    *,
    prompts: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    private: bool = False,
    licence: str | None = None,
    everybody_is_licensed: bool = False,
    clips_may_be_public: bool = False,
    speaker_names: bool = False,
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
        clips_may_be_public: Says that you may pass on clips whose corpus licenses its annotations only, such as MELD's.
        speaker_names: Publish the names of speakers of own recordings; otherwise they become numbers.

    Returns:
        The commit, 40 hexadecimal digits.

    Raises:
        LicenceError: If the licence does not let a column out or is not known, a column that may leave holds something
            else than its name says, or a repository that must be private has become public.
        PublishingError: If two folders make the same config, a file tells of this machine, the repository holds another
            corpus, or the Hub does not take the commit; nothing is published then.
        CorpusError: If a folder holds no dataset.

    Example:
        >>> publish_dataset(["data/demo"], "me/demo", prompts=["speechcue"])  # doctest: +SKIP
        '0d1e5ad6cbd9c3d9a9a47b1e4b7bd4b3a4f0c3d2'
    """
    places = list(map(Path, folders))
    configs = _configs(places, columns)
    corpus = _one_corpus(configs)
    if are_private(corpus) and not speaker_names:
        configs = _numbered(configs)
    configs += [_prompt_config(configs[len(places) - 1], prompt) for prompt in prompts]
    _check_names(configs)
    restricted = repository(repo_id, "dataset", private=private)
    allowed = {"restricted": restricted, "agreed": everybody_is_licensed, "clips": clips_may_be_public}
    reasons = [check_columns(corpus, config.dataset, **allowed) for config in configs]
    if corpus.may_leave == "cues":
        configs = [it if reason else _cues_only(it, corpus) for it, reason in zip(configs, reasons, strict=True)]
    mark = private_record(repo_id, "dataset", filter(None, reasons), restricted=restricted)
    with TemporaryDirectory(prefix="speechcue-publish-") as staging:
        files = _stage(configs, Path(staging))
        held = _all_configs(configs, repo_id, Path(staging))
        _stage_whole(dataset_card(repo_id, held, licence=licence, private=mark), held, mark, Path(staging))
        files |= {path.name: path for path in sorted(Path(staging).iterdir()) if path.is_file()}
        check_files(list(files.values()), folders=[place.parent for place in places])
        names = ", ".join(config.name for config in configs)
        replaced = [f"{config.name}/" for config in configs]
        message = f"Publish {names}"
        return commit_files(repo_id, "dataset", files, message, replaces=replaced, restricted=mark is not None)


def publish_corpus(
    folder: Path,
    repo_id: str,
    *,
    num_proc: int | None = None,
    everybody_is_licensed: bool = False,
    clips_may_be_public: bool = False,
    **options: Any,
) -> str:
    """Measure, describe and publish a prepared corpus; beside its folder ``<folder>-described`` is made.

    Args:
        folder: What ``speechcue prepare`` or a corpus script wrote.
        repo_id: As for :func:`publish_dataset`, which also says what is raised.
        num_proc: Processes that measure.
        everybody_is_licensed: Likewise; without it a corpus that may not be passed on leaves as ids, measurements and
            descriptions.
        clips_may_be_public: Likewise; without it clips of which only the annotations are licensed stay here.
        **options: ``private``, ``licence`` and ``speaker_names``, likewise.

    Returns:
        The commit, 40 hexadecimal digits.
    """
    dataset = read_dataset(folder)
    corpus = corpus_of(identity_of(folder, dataset), [dataset])
    cues_only = corpus.may_leave == "cues" and not everybody_is_licensed
    folders = [] if cues_only else [folder]
    if any(status != "none" for rows in dataset.values() for status in rows.unique("audio_status")):
        folders.append(folder.with_name(f"{folder.name}-described"))
        dataset, _ = describe_corpus(dataset, folders[-1], num_proc)
    columns = columns_that_may_leave(corpus, next(iter(dataset.values())).features)
    if corpus.may_leave == "annotations" and not clips_may_be_public and not options.get("private"):
        folders[0] = _without_clips(folder)
    return publish_dataset(
        folders or [folder],
        repo_id,
        columns=columns if cues_only else None,
        everybody_is_licensed=everybody_is_licensed,
        clips_may_be_public=clips_may_be_public,
        **options,
    )


def _without_clips(folder: Path) -> Path:
    """A prepared folder without what its corpus gives no licence for, beside it."""
    target = folder.with_name(f"{folder.name}-without-clips")
    dataset = read_dataset(folder)
    logger.info("the clips stay here: the licence of the corpus is of its annotations; %s is published", target.name)
    write_dataset(
        dataset.remove_columns([name for name in ("audio",) if name in dataset["train"].column_names]), target
    )
    return target


def describe_corpus(
    dataset: DatasetDict,
    target: Path,
    num_proc: int | None = None,
    *,
    settings: MeasurementSettings | None = None,
    baseline: str = "speaker",
    command: str | None = None,
) -> tuple[DatasetDict, SpeechDescriber]:
    """Measure and describe all splits; they are written, without clips, with the describer.

    Args:
        dataset: The splits, with clips; the describer is fitted on ``train``.
        target: Dataset folder that is written.
        num_proc: Processes that measure.
        settings: What is measured; None: the default.
        baseline: What rows are compared with, as for :meth:`speechcue_hf.cues.describe.SpeechDescriber.fit`.
        command: The command line that finishes the folder, should this be killed.

    Returns:
        The described splits, with clips, and the describer.
    """
    settings = settings or MeasurementSettings()
    measured = measure_dataset(dataset, settings, num_proc=num_proc)
    describer = SpeechDescriber.fit(measured["train"], baseline=baseline, settings=settings)
    described = describe_dataset(measured, describer)
    with whole_folder(target, command, replaces=[CORPUS_FILE]) as unfinished:
        write_dataset(described.remove_columns("audio"), unfinished)
        write_record(settings, unfinished)
        describer.save_pretrained(unfinished)
    return described, describer


def _configs(folders: Sequence[Path], columns: Sequence[str] | None) -> list[_Config]:
    if not folders:
        raise PublishingError("nothing is given to publish: name a dataset folder")
    return [_config(folder, columns) for folder in folders]


def _check_names(configs: Sequence[_Config]) -> None:
    names = [config.name for config in configs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise PublishingError(f"two folders make the config {min(twice)!r}: publish one of them")
    if wrong := [split for it in configs for split in it.dataset if not re.fullmatch(r"\w+(\.\w+)*", str(split))]:
        raise PublishingError(
            f"{str(wrong[0])[:60]!r} cannot name a split: give it a name of letters, digits and _ only"
        )


def _config(folder: Path, columns: Sequence[str] | None) -> _Config:
    for path in [folder] if folder.is_file() else [*folder.rglob("*.parquet"), *folder.rglob("*.arrow")]:
        own_file(beside(folder), str(path.relative_to(beside(folder))))
    whole = read_dataset(folder)
    tell_unmeasured(whole, folder)
    dataset = whole
    if columns is not None:
        dataset = DatasetDict({split: _selected(rows, columns, folder) for split, rows in whole.items()})
    there = _all_columns(dataset)
    name = next((name for name, column in _NAMED_BY.items() if column in there), "utterances")
    return _Config(name, dataset, whole, beside(folder), identity_of(folder, whole))


def _numbered(configs: Sequence[_Config]) -> list[_Config]:
    """The same with numbers for the names of speakers, alike in all."""
    describers = [it for config in configs if (it := find_record(SpeechDescriber, config.folder))]
    fitted = [name for describer in describers for name in speakers_of_describer(describer)]
    called = numbers([*speakers_of(config.whole for config in configs), *fitted])
    for config in configs:
        warn_of_names(config.dataset, called)
    return [
        replace(it, dataset=number_rows(it.dataset, called), whole=number_rows(it.whole, called), called=called)
        for it in configs
    ]


def _cues_only(config: _Config, corpus: Corpus) -> _Config:
    """The same with every value that may leave checked, or made anew."""
    dataset = made_anew(config.whole, _all_columns(config.dataset), config.folder, corpus)
    return replace(config, dataset=dataset, cues_of=corpus)


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


def _prompt_config(config: _Config, prompt: str) -> _Config:
    specification = load_prompt(prompt)
    # It names a folder of the repository and, in the card's program, a variable.
    if not re.fullmatch(r"[A-Za-z0-9_-]+", specification.name):
        raise PublishingError(
            f'the prompt {specification.name!r} cannot name a config: give it a "name" of letters, digits, - and _ only'
        )
    rows = build_prompts(config.whole, specification)
    return replace(config, name=f"sft-{specification.name}", dataset=rows, prompt=specification)


def _one_corpus(configs: Sequence[_Config]) -> Corpus:
    """The corpus that all configs come from."""
    corpora = {corpus_of(config.identity, [config.whole]) for config in configs}
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
    """Write what lies beside the rows; links are not followed, and of a corpus of cues only what we know is said."""
    if config.cues_of is not None:
        for record in records_that_may_leave(config.whole, config.identity, config.folder, config.cues_of):
            write_record(record, folder)
        return
    for name in (CORPUS_FILE, *RECORDS):
        if (path := own_file(config.folder, name)) is not None:
            shutil.copyfile(path, folder / name)
    if config.identity is not None:
        write_record(config.identity, folder)
    describer = find_record(SpeechDescriber, folder) if config.called else None
    if describer is not None and config.called is not None and speakers_of_describer(describer):
        write_record(number_describer(describer, config.called), folder)
        (folder / DISTRIBUTIONS_FILE).unlink(missing_ok=True)
        logger.info("%s stays here: it names speakers", DISTRIBUTIONS_FILE)
    if config.prompt is not None:
        config.prompt.save(folder)


def _stage_whole(card: DatasetCard, held: Mapping[str, Any], mark: PrivateRecord | None, staging: Path) -> None:
    """Write what is of all configs: the card, what they hold, and the mark of what must stay private."""
    (staging / CARD_FILE).write_text(str(card), encoding="utf-8")
    write_json(held, staging / VIEWS_FILE)
    if mark is not None:
        write_record(mark, staging)


def _all_configs(configs: Sequence[_Config], repo_id: str, staging: Path) -> dict[str, Any]:
    """What the configs hold that are published now, and those that the repository keeps."""
    before = read_remote(repo_id, "dataset", VIEWS_FILE)
    held = {} if before is None else read_configs(before, repo_id)
    for config in configs:
        identity = find_record(CorpusIdentity, staging / config.name)
        held[config.name] = describe_config(config.dataset, identity, staging / config.name)
    # With configs of different rows, ids would not mean the same.
    revisions = {(config["corpus"] or {}).get("revision") for config in held.values()}
    if len(revisions) > 1:
        raise PublishingError(
            f"{repo_id} holds configs of another corpus, release or split: publish all configs again, "
            "or take another repository"
        )
    return dict(sorted(held.items()))

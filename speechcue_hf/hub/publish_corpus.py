"""From a prepared corpus to its published dataset: measured, described and uploaded, as far as the licence goes."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from speechcue_hf.corpora.parquet import read_dataset, write_dataset
from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.cues.measure import measure_dataset
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.hub.licence import columns_that_may_leave, corpus_of
from speechcue_hf.hub.publish_dataset import publish_dataset
from speechcue_hf.records import CorpusIdentity, find_record, write_record

logger = logging.getLogger(__name__)


def add_push_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of a corpus script that say whether and how its dataset is published."""
    parser.add_argument("--push-to-hub", metavar="REPO_ID", help="measure, describe and publish as user/name")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument(
        "--everybody-is-licensed",
        action="store_true",
        help="all who can read this private or gated repository hold the licence of the corpus",
    )
    parser.add_argument("--licence", help="of own recordings, as the Hub names it, such as cc-by-4.0")


def push(folder: Path, arguments: argparse.Namespace, num_proc: int | None = None) -> None:
    """Publish a prepared corpus if the script was asked to.

    Args:
        folder: The dataset folder that the script wrote.
        arguments: Parsed, with those of :func:`add_push_arguments`.
        num_proc: Processes that measure.
    """
    if arguments.push_to_hub is None:
        return
    commit = publish_corpus(
        folder,
        arguments.push_to_hub,
        num_proc=num_proc,
        private=arguments.private,
        everybody_is_licensed=arguments.everybody_is_licensed,
        licence=arguments.licence,
    )
    logger.info("published as %s, commit %s", arguments.push_to_hub, commit[:12])


def publish_corpus(
    folder: Path,
    repo_id: str,
    *,
    num_proc: int | None = None,
    private: bool = False,
    everybody_is_licensed: bool = False,
    licence: str | None = None,
) -> str:
    """Measure, describe and publish a prepared corpus.

    Args:
        folder: What ``speechcue prepare`` or a corpus script wrote; beside it ``<folder>-described`` is made.
        repo_id: ``user/name``; it is made if need be.
        num_proc: Processes that measure.
        private: Whether a repository that is made now is private.
        everybody_is_licensed: Says that all who can read this private or gated repository hold the corpus's licence;
            without it a corpus that may not be passed on leaves as ids, measurements and descriptions.
        licence: Of own recordings, as the Hub names it.

    Returns:
        The commit, 40 hexadecimal digits.

    Raises:
        PublishingError: If it cannot be published.
        LicenceError: If nothing of it may leave.
        CorpusError: If the folder holds no dataset.
    """
    dataset = read_dataset(folder)
    has_clips = any(status != "none" for rows in dataset.values() for status in rows.unique("audio_status"))
    described = [_described(folder, num_proc)] if has_clips else []
    rows = next(iter(dataset.values()))
    corpus = corpus_of(find_record(CorpusIdentity, folder), rows["utterance_id"])
    whole = everybody_is_licensed or columns_that_may_leave(corpus, rows.column_names) == rows.column_names
    folders = [folder, *described] if whole else described or [folder]
    columns = None if whole else columns_that_may_leave(corpus, _columns(folders[0]))
    return publish_dataset(
        folders,
        repo_id,
        columns=columns,
        private=private,
        licence=licence,
        everybody_is_licensed=everybody_is_licensed,
    )


def _columns(folder: Path) -> list[str]:
    names: list[str] = next(iter(read_dataset(folder).values())).column_names
    return names


def _described(folder: Path, num_proc: int | None) -> Path:
    """Measure with the default settings, fit a describer on train, and write the described dataset."""
    settings = MeasurementSettings()
    measured = measure_dataset(read_dataset(folder), settings, num_proc=num_proc)
    describer = SpeechDescriber.fit(measured["train"], settings=settings)
    target = folder.with_name(f"{folder.name}-described")
    write_dataset(describe_dataset(measured, describer).remove_columns("audio"), target)
    describer.save_pretrained(target)
    write_record(settings, target)
    return target

"""What all loaders share: utterances become Arrow tables, one dialogue after the other."""

from __future__ import annotations

import abc
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import datasets
import pyarrow as pa
from datasets.builder import Key

from speechcue_hf.corpora.catalogue import (
    Corpus,
    corpora,
    corpus_of_clips,
    corpus_of_texts,
    named_source,
    strictest,
)
from speechcue_hf.corpora.clips import KnownClip, clip_status, known_clips
from speechcue_hf.corpora.published import commit_of, join_published, read_published
from speechcue_hf.corpora.recordings import cut_clips
from speechcue_hf.corpora.schema import (
    Utterance,
    UtteranceRow,
    check_utterances,
    dialogues_of,
    utterance_features,
    utterance_table,
)
from speechcue_hf.errors import CorpusError

logger = logging.getLogger(__name__)

DIALOGUES_PER_SHARD = 16
"""Small enough that two processes share MELD's 114 validation dialogues evenly."""
BYTES_AT_ONCE = 2**26
"""Bytes of clips cut out of recordings that are held in memory."""


@dataclass
class CorpusConfig(datasets.BuilderConfig):  # type: ignore[misc]
    """Configuration shared by all loaders.

    Args:
        verify: Refuse a corpus that differs from its release; False loads what is there and logs what is missing.
        published: Dataset on the Hub, as ``speechcue publish dataset`` makes them, whose columns are joined to the
            user's own copy by utterance id.
        published_view: Config of that dataset.
    """

    verify: bool = True
    published: str | None = None
    published_view: str = "described"
    published_revision: str | None = field(default=None, init=False)

    def create_config_id(self, config_kwargs: dict[str, Any], custom_features: datasets.Features | None = None) -> str:
        """The cache's name for this configuration, which changes when the published dataset does."""
        if self.published is not None:
            self.published_revision = commit_of(self.published)
            config_kwargs = {**config_kwargs, "published_revision": str(self.published_revision)}
        name: str = super().create_config_id(config_kwargs, custom_features)
        return name


class CorpusBuilder(datasets.ArrowBasedBuilder, abc.ABC):  # type: ignore[misc]
    """A corpus on disk as a ``datasets`` builder; a loader says which files, labels and columns it has.

    Labels or columns that depend on the config are told by overriding :meth:`emotions` or :meth:`extras`.
    """

    BUILDER_CONFIG_CLASS = CorpusConfig
    BUILDER_CONFIGS: ClassVar[Sequence[CorpusConfig]] = [CorpusConfig()]
    CORPUS: ClassVar[str]
    """Its name in :mod:`speechcue_hf.corpora.catalogue`, which tells the rest."""
    LABELS: ClassVar[Sequence[str]] = ()
    """Label names, in the order of their class ids."""
    EXTRAS: ClassVar[Mapping[str, Any]] = {}
    """Features of the corpus's own columns."""

    @property
    def corpus(self) -> Corpus:
        """What is known of the corpus."""
        return corpora()[self.CORPUS]

    def emotions(self) -> Sequence[str]:
        """Label names of the chosen config, in the order of their class ids."""
        return self.LABELS

    def extras(self) -> Mapping[str, Any]:
        """Features of the corpus's own columns in the chosen config."""
        return self.EXTRAS

    @abc.abstractmethod
    def read(self, data_dir: Path) -> dict[str, list[Utterance]]:
        """Read the annotations and compare them with the release.

        Args:
            data_dir: Folder of the release.

        Returns:
            Split name → utterances, dialogues contiguous and in speaking order.

        Raises:
            CorpusError: If the annotations cannot be read, or ``config.verify`` and they differ from the release.
        """

    def data_dir(self) -> Path:
        """Folder of the release.

        Raises:
            CorpusError: If none was given or it does not exist.
        """
        if self.config.data_dir is None:
            raise CorpusError(
                f"speechcue/{self.CORPUS} needs the folder of your copy: "
                f'load_dataset("speechcue/{self.CORPUS}", data_dir="..."), or --data-dir on the command line'
            )
        folder = Path(self.config.data_dir).expanduser().absolute()
        if not folder.is_dir():
            source = f" (from {self.corpus.homepage})" if self.corpus.homepage else ""
            raise CorpusError(f"{folder} is not a folder: give data_dir= the folder of your copy{source}")
        return folder

    def _info(self) -> datasets.DatasetInfo:
        joined = () if self._published is None else (f"{self.config.published}@{self.config.published_revision}",)
        return datasets.DatasetInfo(
            description="\n\n".join((named_source(self.CORPUS, self.config.name), *joined)),
            features=self._features(),
            license=self.corpus.licence,
            homepage=self.corpus.homepage,
            citation=self.corpus.citation,
        )

    def _own_features(self) -> datasets.Features:
        return utterance_features(self.emotions(), self.extras())

    def _features(self) -> datasets.Features:
        own, published = self._own_features(), self._published
        added = {} if published is None else published.features
        return datasets.Features({**own, **added, **own})  # Where both have a column, the corpus's own is meant.

    @property
    def _published(self) -> datasets.Dataset | None:
        name, view, revision = self.config.published, self.config.published_view, self.config.published_revision
        return None if name is None else read_published(name, view, revision)

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        generators = []
        splits = self.read(self.data_dir())
        for utterances in splits.values():
            check_utterances(utterances, self.info.features["emotion"].names)
        self._keep_licence_of_release(splits)
        for split, utterances in splits.items():
            shards = _shards(dialogues_of(utterances))
            generators.append(datasets.SplitGenerator(name=split, gen_kwargs={"shards": shards}))
        return generators

    def _keep_licence_of_release(self, splits: Mapping[str, Sequence[Utterance]]) -> None:
        """Where somebody's own folder or list is of a release after all, let the rows say its licence."""
        if self.corpus.licence:
            return
        utterances = [utterance for part in splits.values() for utterance in part]
        names = (f"{it.utterance_id}\n{it.dialogue_id}\n{it.speaker}\n{it.clip}" for it in utterances)
        clips = [utterance.clip for utterance in utterances if utterance.clip] + [self.data_dir() / "metadata"]
        found = strictest((corpus_of_texts(names), corpus_of_clips(clips)))
        if found is not None:
            logger.warning("these rows are of %s, whose licence they keep: %s", found.name, found.licence)
            self.info.license, self.info.homepage, self.info.citation = found.licence, found.homepage, found.citation

    def _generate_tables(self, shards: list[list[Sequence[Utterance]]]) -> Iterator[tuple[Key, pa.Table]]:
        known, own, published = known_clips(self.CORPUS), self._own_features(), self._published
        for index, shard in enumerate(shards):
            for number, rows in enumerate(_within_memory(_rows(shard, known))):
                table = utterance_table(rows, own)
                if published is not None:
                    table = join_published(table, published, required=self.config.verify)
                yield Key(index, number), table


def _shards(dialogues: Sequence[Sequence[Utterance]]) -> list[list[Sequence[Utterance]]]:
    """Dialogues in parts; those that are cut out of one recording stay together, if they stand together."""
    shards: list[list[Sequence[Utterance]]] = []
    recordings: set[Path | None] = set()
    for dialogue in dialogues:
        own = {utterance.clip for utterance in dialogue if utterance.part}
        if not shards or (len(shards[-1]) >= DIALOGUES_PER_SHARD and recordings.isdisjoint(own)):
            shards.append([])
            recordings = set()
        shards[-1].append(dialogue)
        recordings |= own
    return shards


def _rows(shard: Sequence[Sequence[Utterance]], known: Mapping[str, KnownClip]) -> Iterator[UtteranceRow]:
    """The rows of a shard, each with the state of its clip, or with the clip that is cut for it."""
    parts = [(it.clip, it.part) for dialogue in shard for it in dialogue if it.clip and it.part and it.clip.is_file()]
    cut = cut_clips(parts)
    for dialogue in shard:
        for turn, utterance in enumerate(dialogue):
            if utterance.part and utterance.clip and utterance.clip.is_file():
                clip = next(cut)
                yield UtteranceRow(turn, utterance, clip.status, clip.flac)
            else:
                status = clip_status(utterance.clip, known.get(utterance.utterance_id))
                yield UtteranceRow(turn, utterance, status)


def _within_memory(rows: Iterable[UtteranceRow]) -> Iterator[list[UtteranceRow]]:
    """Rows in groups of which each holds some 64 MB of clips at most, or one clip that is larger."""
    group: list[UtteranceRow] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row.flac or b"")
        if size >= BYTES_AT_ONCE:
            yield group
            group, size = [], 0
    if group:
        yield group

"""The corpora: what is known of each without reading it, one row per corpus, and how other packages add theirs."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

logger = logging.getLogger(__name__)

NAMESPACE = "speechcue/"
"""Before the name of a corpus in ``load_dataset``."""

_DATASET_NAME = NAMESPACE.replace("/", "_")
"""What the namespace becomes in the info of a dataset, which ``map`` and ``filter`` keep."""

ENTRY_POINTS = "speechcue_hf.corpora"
"""Group of entry points under which other packages name their corpora; each leads to a :class:`Corpus`."""


@dataclass(frozen=True)
class Corpus:
    """What is known of a corpus.

    Args:
        name: As in ``load_dataset("speechcue/<name>")``.
        loader: Module that reads it: it holds one subclass of :class:`speechcue_hf.corpora.builder.CorpusBuilder`, and
            ``watched(data_dir)``, which names the files whose change makes a new cache entry.
        licence: Of the release; empty where the rows are the user's own.
        hub_licence: The licence as the Hub names it.
        may_leave: What may be passed on: ``everything``; ``annotations``, all but the clips; or ``cues``, which are
            ids, measurements and descriptions, and nothing of the release itself.
        utterance_ids: Pattern of its utterance ids, each of which it matches whole; None where ids tell nothing.
        dialogue_ids: Likewise of its dialogue ids.
        traces: Pattern by which its rows are known whatever a record says, searched in all that their texts, ids and
            file names say, in capitals or not; None takes ``utterance_ids``.
        landmarks: Files or folders of which one lies in the release, as glob patterns: clips from there are its clips.
        order_fixed: Whether the release says in which order turns follow, so that their times need not rise.
        options: Settings of its config beside those that all corpora have, such as ``fold``.
        needs_folder: Whether users bring a copy of their own.
        homepage: Address of the release.
        citation: Of the paper that describes it.

    Example:
        >>> Corpus("cheers", "my_package.cheers", licence="CC-BY-4.0", hub_licence="cc-by-4.0").may_leave
        'everything'
    """

    name: str
    loader: str
    licence: str = ""
    hub_licence: str = "other"
    may_leave: Literal["everything", "annotations", "cues"] = "everything"
    utterance_ids: str | None = None
    dialogue_ids: str | None = None
    traces: str | None = None
    landmarks: tuple[str, ...] = ()
    order_fixed: bool = False
    options: tuple[str, ...] = ()
    needs_folder: bool = True
    homepage: str = ""
    citation: str = ""


CORPORA = (
    Corpus(
        "iemocap",
        "speechcue_hf.corpora.iemocap",
        licence="IEMOCAP licence of the University of Southern California, to each user",
        may_leave="cues",
        utterance_ids=r"Ses0[1-5][FM]_(impro|script)\d\d[a-z]?(_\d[a-z]?)?_[FM](XX)?\d+",
        dialogue_ids=r"Ses0[1-5][FM]_(impro|script)\d\d[a-z]?(_\d[a-z]?)?",
        # Its ids with any mark or none between their parts, its speakers, its dialogues, its folders, its name.
        traces=(
            r"ses(sion)?[\W_]*0?[1-5][\W_]*[fm][\W_]*(impro|script)|\bses0[1-5][\W_]?[fm]\b|impro0\d"
            r"|script0[1-3]([\W_]?\d)?[\W_]?[fm](xx)?\d{3}|session[1-5][\\/]+(dialog|sentences)|iemocap"
        ),
        landmarks=("dialog/EmoEvaluation", "Session[1-5]/dialog", "Session[1-5]/sentences", "sentences/wav/Ses0*"),
        order_fixed=True,
        options=("fold",),
        homepage="https://sail.usc.edu/iemocap/",
        citation=(
            "Busso et al. (2008). IEMOCAP: interactive emotional dyadic motion capture database. "
            "Language Resources and Evaluation 42, 335-359."
        ),
    ),
    Corpus(
        "meld",
        "speechcue_hf.corpora.meld",
        licence="GPL-3.0 (annotations)",
        hub_licence="gpl-3.0",
        may_leave="annotations",
        utterance_ids=r"(train|dev|test)_dia\d+_utt\d+",
        traces=r"dia[\W_]?\d+[\W_]?utt[\W_]?\d+|(train|dev|test)[\W_]dia\d|meld\.raw",
        landmarks=("*_sent_emo.csv", "train_splits/dia*", "dev_splits_complete", "output_repeated_splits_test"),
        order_fixed=True,
        homepage="https://affective-meld.github.io",
        citation=(
            "Poria, Hazarika, Majumder, Naik, Cambria and Mihalcea (2019). MELD: a multimodal multi-party dataset for "
            "emotion recognition in conversations. ACL 2019, 527-536."
        ),
    ),
    Corpus(
        "emorynlp",
        "speechcue_hf.corpora.emorynlp",
        licence="Apache-2.0",
        hub_licence="apache-2.0",
        order_fixed=True,
        homepage="https://github.com/emorynlp/emotion-detection",
        citation=(
            "@inproceedings{zahiri2018emotion, title={Emotion Detection on {TV} Show Transcripts with Sequence-based "
            "Convolutional Neural Networks}, author={Zahiri, Sayyed M. and Choi, Jinho D.}, "
            "booktitle={AAAI Workshop on Affective Content Analysis}, year={2018}}"
        ),
    ),
    Corpus(
        "dailydialog",
        "speechcue_hf.corpora.dailydialog",
        licence="CC-BY-NC-SA-4.0",
        hub_licence="cc-by-nc-sa-4.0",
        order_fixed=True,
        homepage="http://yanran.li/dailydialog",
        citation=(
            "@inproceedings{li2017dailydialog, title={{DailyDialog}: A Manually Labelled Multi-turn Dialogue Dataset}, "
            "author={Li, Yanran and Su, Hui and Shen, Xiaoyu and Li, Wenjie and Cao, Ziqiang and Niu, Shuzi}, "
            "booktitle={IJCNLP}, year={2017}}"
        ),
    ),
    Corpus(
        "libritts",
        "speechcue_hf.corpora.libritts",
        licence="CC-BY-4.0",
        hub_licence="cc-by-4.0",
        order_fixed=True,
        homepage="https://www.openslr.org/60",
        citation=(
            "@inproceedings{zen2019libritts, title={{LibriTTS}: A Corpus Derived from {LibriSpeech} for "
            "Text-to-Speech}, author={Zen, Heiga and Dang, Viet and Clark, Rob and Zhang, Yu and Weiss, Ron J. and "
            "Jia, Ye and Chen, Zhifeng and Wu, Yonghui}, booktitle={Interspeech}, year={2019}}"
        ),
    ),
    Corpus("wav_list", "speechcue_hf.corpora.wav_list"),
    Corpus("demo", "speechcue_hf.corpora.demo", licence="CC0-1.0", hub_licence="cc0-1.0", needs_folder=False),
    Corpus("folder", "speechcue_hf.corpora.folder"),
)
"""Those of this package."""

_FREEDOM = {"cues": 0, "annotations": 1, "everything": 2}

_MOST_FOLDERS = 4
"""Between a clip and the folder of its release; what lies further up may be somebody's home."""

_added: dict[str, Corpus] = {}
"""Those that programs have added with :func:`speechcue_hf.corpora.registration.register_corpus`."""


def corpora() -> dict[str, Corpus]:
    """All corpora by name: of this package, of other packages, and of this program."""
    return {corpus.name: corpus for corpus in (*CORPORA, *_of_other_packages(), *_added.values())}


def add_corpus(corpus: Corpus) -> None:
    """Add a corpus to those of this program; added twice it changes nothing.

    Raises:
        ValueError: If there is another one of that name.
    """
    if corpora().get(corpus.name, corpus) != corpus:
        raise ValueError(f"there is a corpus {corpus.name!r} already: give yours another name")
    _added[corpus.name] = corpus


def find_corpus(name: str | None) -> Corpus | None:
    """The corpus of a name; None if there is none."""
    return corpora().get(name or "")


def dataset_name(corpus: str) -> str:
    """What the info of a dataset calls a corpus, from the moment that its loader has made it."""
    return _DATASET_NAME + corpus


def corpus_of_info(name: str | None) -> Corpus | None:
    """The corpus that rows come from, by the ``dataset_name`` in their info; None for rows that no loader here made.

    Example:
        >>> corpus_of_info("speechcue_meld").name
        'meld'
    """
    return find_corpus(name.removeprefix(_DATASET_NAME)) if name and name.startswith(_DATASET_NAME) else None


def strictest(found: Iterable[Corpus | None]) -> Corpus | None:
    """The corpus of some whose licence lets least out; the first of equals, and None of none."""
    return min((corpus for corpus in found if corpus), key=lambda corpus: _FREEDOM[corpus.may_leave], default=None)


def corpus_of_texts(texts: Iterable[str]) -> Corpus | None:
    """The corpus that rows are of by what their ids, file names and other texts say; of several the strictest.

    Example:
        >>> corpus_of_texts(["mine_1", "copy-of-ses03f_impro08_m012.wav"]).name
        'iemocap'
    """
    patterns = [
        (corpus, re.compile(corpus.traces or corpus.utterance_ids or "", re.I)) for corpus in corpora().values()
    ]
    told = [(corpus, pattern) for corpus, pattern in patterns if pattern.pattern]
    return strictest({corpus for text in texts for corpus, pattern in told if pattern.search(text)})


def corpus_of_clips(clips: Iterable[Path]) -> Corpus | None:
    """The corpus in whose release files lie, by its folders, or by their names where links lead to; None of none."""
    real = [path.resolve() for path in clips]
    folders = {
        folder for parent in {path.parent for path in real} for folder in (parent, *parent.parents[:_MOST_FOLDERS])
    }
    found = strictest(
        corpus
        for corpus in corpora().values()
        for folder in folders
        if len(folder.parts) > 1 and any(next(folder.glob(landmark), None) for landmark in corpus.landmarks)
    )
    return strictest((found, corpus_of_texts(map(str, real))))


@cache
def _of_other_packages() -> tuple[Corpus, ...]:
    """Corpora that installed packages name; one that cannot be loaded is named in the log and left out."""
    from importlib.metadata import entry_points

    found = []
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            corpus = entry.load()
        except Exception as error:  # What another package does wrong must not keep ours from working.
            logger.warning("the corpus %r of %s cannot be loaded: %s", entry.name, entry.value, error)
            continue
        if isinstance(corpus, Corpus) and corpus.name == entry.name and corpus not in CORPORA:
            found.append(corpus)
        else:
            logger.warning("%s is no Corpus with the name %r: its package must correct it", entry.value, entry.name)
    return tuple(found)

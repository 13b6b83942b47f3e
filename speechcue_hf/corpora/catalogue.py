"""The corpora: what is known of each without reading it, one row per corpus, and how other packages add theirs."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)

NAMESPACE = "speechcue/"
"""Before the name of a corpus in ``load_dataset``."""

_DATASET_NAME = NAMESPACE.replace("/", "_")
"""What the namespace becomes in the name of a dataset in its info."""

_SOURCE = re.compile(rf"{NAMESPACE}(\S+) (\S+)")
"""How the description of a dataset names a corpus and its config: see :func:`sources_of`."""

TOGETHER = "+"
"""Between the names of corpora whose rows stand in one dataset."""

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
        utterance_ids: Pattern of its utterance ids, each of which it matches whole; None where ids tell nothing. Rows
            of which nothing says where they come from are its own if all their ids are like that.
        dialogue_ids: Likewise of its dialogue ids.
        traces: Pattern by which rows of a corpus that keeps something back are known whatever a record says, searched
            in all that their texts, ids and file names say, in capitals or not; None takes ``utterance_ids``.
        landmarks: Files or folders of which one lies in the release, as glob patterns: clips from there are its clips.
        configs: Number of labels → the config that has so many, where there are several.
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
    configs: Mapping[int, str] = field(default_factory=dict, hash=False)
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
        utterance_ids=r"Ses0[1-5][FM]_(impro|script)\d\d[a-z]?(_\d[a-z]?)?_[FM](\d+|XX\d*)(_\d)?",
        dialogue_ids=r"Ses0[1-5][FM]_(impro|script)\d\d[a-z]?(_\d[a-z]?)?",
        # Its ids with any mark or none between their parts, its speakers, its dialogues, its folders, its name.
        traces=(
            r"ses(sion)?[\W_]*0?[1-5][\W_]*[fm][\W_]*(impro|script)|(?<![a-z])ses0[1-5][\W_]{0,3}[fm](?![a-z])|impro0\d"
            r"|script0[1-3]([\W_]?\d)?[\W_]?[fm](xx)?\d{3}|session[1-5][\\/]+(dialog|sentences)|iemocap"
        ),
        landmarks=("dialog/EmoEvaluation", "Session[1-5]/dialog", "Session[1-5]/sentences", "sentences/wav/Ses0*"),
        configs={4: "ser-4", 6: "erc-6", 11: "all"},
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
        utterance_ids=r"s\d\d_e\d\d_c\d\d_u\d{3}",
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
        utterance_ids=r"(train|validation|test)_\d{5}_u\d\d",
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
        utterance_ids=r"\d+_\d+_\d{6}_\d{6}",
        order_fixed=True,
        homepage="https://www.openslr.org/60",
        citation=(
            "@inproceedings{zen2019libritts, title={{LibriTTS}: A Corpus Derived from {LibriSpeech} for "
            "Text-to-Speech}, author={Zen, Heiga and Dang, Viet and Clark, Rob and Zhang, Yu and Weiss, Ron J. and "
            "Jia, Ye and Chen, Zhifeng and Wu, Yonghui}, booktitle={Interspeech}, year={2019}}"
        ),
    ),
    Corpus(
        "ravdess",
        "speechcue_hf.corpora.ravdess",
        licence="CC-BY-NC-SA-4.0",
        hub_licence="cc-by-nc-sa-4.0",
        utterance_ids=r"03-01-0[1-8]-0[12]-0[12]-0[12]-[0-2]\d",
        homepage="https://zenodo.org/records/1188976",
        citation=(
            "Livingstone and Russo (2018). The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS): "
            "a dynamic, multimodal set of facial and vocal expressions in North American English. "
            "PLoS ONE 13(5): e0196391."
        ),
    ),
    Corpus(
        "crema_d",
        "speechcue_hf.corpora.crema_d",
        licence="ODbL-1.0",
        hub_licence="odbl",
        utterance_ids=r"10\d\d_[A-Z]{3}_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX?)",
        homepage="https://github.com/CheyneyComputerScience/CREMA-D",
        citation=(
            "Cao, Cooper, Keutmann, Gur, Nenkova and Verma (2014). CREMA-D: Crowd-sourced emotional multimodal actors "
            "dataset. IEEE Transactions on Affective Computing 5(4), 377-390."
        ),
    ),
    Corpus(
        "emodb",
        "speechcue_hf.corpora.emodb",
        licence="CC0-1.0",
        hub_licence="cc0-1.0",
        utterance_ids=r"(03|08|09|1[0-6])[ab]\d\d[WLEAFTN][a-z]?",
        homepage="http://emodb.bilderbar.info",
        citation=(
            "Burkhardt, Paeschke, Rolfes, Sendlmeier and Weiss (2005). A database of German emotional speech. "
            "Interspeech 2005, 1517-1520."
        ),
    ),
    Corpus("wav_list", "speechcue_hf.corpora.wav_list"),
    Corpus(
        "demo",
        "speechcue_hf.corpora.demo",
        licence="CC0-1.0",
        hub_licence="cc0-1.0",
        # Those of 0.1.0 among them, which rows that were written then have.
        utterance_ids=r"(beans|bicycle|concert|dinner|dog|exam|flight|keys|library|meeting|moving|neighbours|party|printer|"
        r"promotion|station)_[0-3]\d",
        needs_folder=False,
    ),
    Corpus("folder", "speechcue_hf.corpora.folder", options=("turns",)),
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
    """The corpus of a name, or, of several that are joined by ``+``, all of them as one; None if there is none.

    Example:
        >>> find_corpus("iemocap+meld").may_leave
        'cues'
    """
    parts = _parts(name or "")
    return _together(parts) if len(parts) > 1 else next(iter(parts), None)


def _parts(name: str) -> list[Corpus]:
    """The corpora of a name, one or several; none if one of them is not known."""
    found = [corpora().get(part) for part in name.split(TOGETHER)]
    known = [corpus for corpus in found if corpus is not None]
    return known if len(known) == len(found) else []


def _together(parts: Sequence[Corpus]) -> Corpus:
    """Corpora as one, of which no more may leave than of each."""
    hub_licences = {corpus.hub_licence for corpus in parts}
    return Corpus(
        name=TOGETHER.join(corpus.name for corpus in parts),
        loader="",
        licence="; ".join(dict.fromkeys(corpus.licence for corpus in parts if corpus.licence)),
        hub_licence=hub_licences.pop() if len(hub_licences) == 1 else "other",
        may_leave=min((corpus.may_leave for corpus in parts), key=_FREEDOM.__getitem__),
        utterance_ids=_any_of([corpus.utterance_ids for corpus in parts]),
        dialogue_ids=_any_of([corpus.dialogue_ids for corpus in parts]),
        order_fixed=all(corpus.order_fixed for corpus in parts),
        homepage=" ".join(corpus.homepage for corpus in parts if corpus.homepage),
        citation=" ".join(corpus.citation for corpus in parts if corpus.citation),
    )


def _any_of(patterns: Sequence[str | None]) -> str | None:
    """A pattern of what one of some patterns matches; None if one of them is of anything."""
    known = [pattern for pattern in patterns if pattern]
    return "|".join(f"(?:{pattern})" for pattern in known) if len(known) == len(patterns) else None


def is_of_users(corpus: Corpus) -> bool:
    """Whether rows are recordings that nobody has released, or some of them are."""
    return not all(part.licence for part in _parts(corpus.name) or [corpus])


def dataset_name(corpus: str) -> str:
    """What the info of a dataset calls a corpus, from the moment that its loader has made it."""
    return _DATASET_NAME + corpus


def named_source(corpus: str, config: str) -> str:
    """What the description of a dataset says of its corpus.

    Of all that is in the info of a dataset, ``concatenate_datasets`` keeps the free texts only, those of all that it
    joins, one paragraph each; so this is what rows are known by.
    """
    return f"{NAMESPACE}{corpus} {config}"


def is_source(paragraph: str) -> bool:
    """Whether a paragraph of a description names a corpus, and not what was joined to it."""
    return _SOURCE.fullmatch(paragraph) is not None


def paragraphs(texts: Iterable[str | None]) -> list[str]:
    """The different paragraphs of texts that ``concatenate_datasets`` may have put together, in order."""
    return [*dict.fromkeys(part for text in texts for part in (text or "").split("\n\n") if part)]


def sources_of(rows: Dataset) -> dict[str, str]:
    """The corpora that rows come from, each with its config; empty for rows of nobody.

    They are named by the info of rows that a loader made, whatever ``datasets`` did with them. Where a file does not
    keep that, as Parquet and pandas do not, rows whose ids are all like those of one corpus are taken for its own.

    Args:
        rows: From a loader of this package, or from files.

    Example:
        >>> sources_of(load_dataset("speechcue/demo", split="train"))
        {'demo': 'default'}
    """
    info = rows.info
    named = [found for part in paragraphs([info.description]) if (found := _SOURCE.fullmatch(part))]
    if named:
        return {found[1]: found[2] for found in named}
    if info.dataset_name and info.dataset_name.startswith(_DATASET_NAME):
        return {info.dataset_name.removeprefix(_DATASET_NAME): info.config_name or "default"}
    return _sources_of_ids(rows)


def corpus_of_rows(rows: Dataset) -> Corpus | None:
    """The corpus that rows come from, several as one; None for rows of nobody."""
    return find_corpus(TOGETHER.join(sorted(sources_of(rows))))


def _sources_of_ids(rows: Dataset) -> dict[str, str]:
    if "utterance_id" not in rows.column_names or not len(rows):
        return {}
    ids = rows.with_format(None)["utterance_id"]
    labels = len(getattr(rows.features.get("emotion"), "names", ()))
    for corpus in corpora().values():
        if corpus.utterance_ids and all(re.fullmatch(corpus.utterance_ids, str(name)) for name in ids):
            return {corpus.name: corpus.configs.get(labels, "default")}
    return {}


def strictest(found: Iterable[Corpus | None]) -> Corpus | None:
    """The corpus of some whose licence lets least out; the first of equals, and None of none."""
    return min((corpus for corpus in found if corpus), key=lambda corpus: _FREEDOM[corpus.may_leave], default=None)


def corpus_of_texts(texts: Iterable[str]) -> Corpus | None:
    """The corpus that rows are of by what their ids, file names and other texts say; of several the strictest.

    Only those that keep something back are looked for: a trace takes rights, and gives none.

    Example:
        >>> corpus_of_texts(["mine_1", "copy-of-ses03f_impro08_m012.wav"]).name
        'iemocap'
    """
    told = [
        (corpus, re.compile(traces, re.I))
        for corpus in corpora().values()
        if corpus.may_leave != "everything" and (traces := corpus.traces or corpus.utterance_ids)
    ]
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

"""What the licence of a corpus lets out: whose rows they are, and which of their columns may leave."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import pyarrow as pa
from datasets import Audio, ClassLabel, Dataset, DatasetDict, Features, Image, Value, Video

from speechcue_hf.corpora.catalogue import NAMESPACE, Corpus, corpus_of_texts, find_corpus, strictest
from speechcue_hf.corpora.identity import corpus_of_metadata, metadata_of
from speechcue_hf.cues.table import measurement_columns
from speechcue_hf.errors import LicenceError
from speechcue_hf.hub.reading import ROWS_AT_A_TIME, readings, texts_of_table
from speechcue_hf.records import CorpusIdentity

_STRING, _WHOLE, _NUMBER = ("string", "large_string"), ("int32", "int64"), ("float64", "float32")

_IDS_AND_WORDS = {
    "dialogue_id": _STRING,
    "utterance_id": _STRING,
    "turn": _WHOLE,
    "audio_status": _STRING,
    "speech_description": _STRING,
    "speech_impression": _STRING,
}
"""What may leave a corpus of which nothing else may, beside its measurements with their levels and z-scores."""

_FEWEST_ROWS = 400
"""Of a split whose counts say which release it is: no two corpora have the same counts of so many rows by chance."""

_LONGEST_WORD = 2000
"""Characters without a blank: more are no text, but data written as one."""


def corpus_of(identity: CorpusIdentity | None, datasets: Iterable[DatasetDict]) -> Corpus:
    """Find the corpus whose licence rows are under.

    What the rows say themselves counts as much as their record, and of several corpora the strictest: traces of a
    corpus in any text of any column, such as ids and the names of clips, and the counts of a whole release.

    Args:
        identity: The record beside the rows.
        datasets: The rows with all columns there are, whether they are to be published or not.

    Raises:
        LicenceError: If nothing says where the rows come from.
    """
    datasets = list(datasets)
    parts = [[rows] for dataset in datasets for rows in dataset.values()] + [list(it.values()) for it in datasets]
    texts = (text for dataset in datasets for rows in dataset.values() for text in _texts(rows))
    told = (corpus_of_texts(texts), *map(_corpus_of_counts, parts))
    # The record first, which names all where there are several, and wins among equals.
    corpus = strictest((corpus_of_metadata(metadata_of(identity)), *told))
    if corpus is None:
        raise LicenceError(
            "no corpus.json says which corpus these rows come from, so their licence is not known: make the folder "
            "from `speechcue prepare` on; own recordings go through `speechcue prepare folder`"
        )
    return corpus


def columns_that_may_leave(corpus: Corpus, features: Features, *, clips: bool = False) -> list[str]:
    """Choose the columns that a public repository may hold, in their order.

    Args:
        corpus: The corpus.
        features: Of the rows; a column of another type than its name has does not leave.
        clips: Whether the user has said that the clips may be public.
    """
    if corpus.may_leave == "everything" or (corpus.may_leave == "annotations" and clips):
        return list(features)
    if corpus.may_leave == "annotations":
        return [name for name, feature in features.items() if not _can_hold_clips(feature)]
    types = _column_types()
    return [name for name, it in features.items() if isinstance(it, Value) and it.dtype in types.get(name, ())]


def check_columns(
    corpus: Corpus, dataset: DatasetDict, *, restricted: bool, agreed: bool = False, clips: bool = False
) -> str | None:
    """Refuse to publish what the licence of a corpus does not let out.

    Args:
        corpus: The corpus.
        dataset: The columns to be published.
        restricted: Whether the repository is private or gated.
        agreed: Whether the user has said that everybody with access holds the licence of the corpus.
        clips: Whether the user has said that the clips may be public.

    Returns:
        Why the repository must stay private; None where all of it could be public.

    Raises:
        LicenceError: If a column may not leave, with the reason and the columns that may.
    """
    features = Features({name: it for rows in dataset.values() for name, it in rows.features.items()})
    allowed = columns_that_may_leave(corpus, features, clips=clips)
    withheld = [name for name in features if name not in allowed]
    if corpus.may_leave == "annotations":
        withheld += [name for name in allowed if not clips and _holds_data(dataset, name)]
    if not withheld:
        return None
    reason = f"the licence of {corpus.name} ({corpus.licence}) does not let {', '.join(withheld)} out"
    if restricted and (agreed or corpus.may_leave == "annotations"):
        return reason
    kept = " ".join(name for name in allowed if name not in withheld)
    if restricted:
        raise LicenceError(
            f"{reason}: pass --everybody-is-licensed if all who can read this repository hold it, or --columns {kept}"
        )
    if corpus.may_leave == "annotations":
        raise LicenceError(
            f"{reason} to a public repository, since it is no licence of the recordings: publish only "
            f"--columns {kept}, or to a --private repository; pass --clips-may-be-public if you hold the right to pass "
            "them on"
        )
    raise LicenceError(
        f"{reason} to a public repository: publish only --columns {kept}; whoever has the corpus joins "
        f'them to it with load_dataset("{NAMESPACE}{corpus.name}", data_dir=..., published=...)'
    )


def corpus_of_run(stated: Iterable[Mapping[str, Any] | None], predictions: pa.Table | None) -> Corpus | None:
    """The strictest of the corpora that a model was trained or evaluated on, by its records and its predictions."""
    texts = [] if predictions is None else [it for _, text in texts_of_table(predictions) for it in readings(text)]
    return strictest((corpus_of_texts(texts), *map(corpus_of_metadata, stated)))


def _texts(rows: Dataset) -> Iterable[str]:
    """All that rows say, the names of their classes too, as whoever unescapes or decodes it reads it."""
    yield str(rows.features)
    for table in rows.with_format("arrow").iter(batch_size=ROWS_AT_A_TIME):
        yield from (reading for _, text in texts_of_table(table) for reading in readings(text))


def _corpus_of_counts(part: Sequence[Dataset]) -> Corpus | None:
    """The release of which rows have all the counts: of dialogues, of utterances and of labels, whatever these say."""
    count = sum(map(len, part))
    if count < _FEWEST_ROWS:
        return None
    labels = Counter(label for rows in part if "emotion" in rows.features for label in rows["emotion"])
    dialogues = len({name for rows in part if "dialogue_id" in rows.features for name in rows.unique("dialogue_id")})
    listed = json.loads((files("speechcue_hf.corpora") / "releases.json").read_text(encoding="utf-8"))
    return strictest(
        find_corpus(name)
        for name, configs in listed.items()
        for editions in configs.values()
        for edition in editions
        for counts in edition["counts"].values()
        if counts["utterances"] == count
        and (counts.get("dialogues") == dialogues or _label_counts(counts) == sorted(labels.values()))
    )


def _label_counts(counts: Mapping[str, int]) -> list[int]:
    return sorted(count for what, count in counts.items() if what not in ("dialogues", "utterances"))


def _column_types() -> dict[str, tuple[str, ...]]:
    """Column that may leave a corpus of cues → the types that it may have."""
    cues = measurement_columns()
    levels = {f"{cue}_level": _STRING for cue in cues}
    return {**_IDS_AND_WORDS, **dict.fromkeys(cues, _NUMBER), **levels, **{f"{cue}_z": _NUMBER for cue in cues}}


def _can_hold_clips(feature: Any) -> bool:
    """Whether a column can hold sound or pictures: as such, as data, or as a series of numbers."""
    if isinstance(feature, (Audio, Image, Video)):
        return True
    if isinstance(feature, ClassLabel):
        return False
    if isinstance(feature, Mapping):
        return any(map(_can_hold_clips, feature.values()))
    if isinstance(feature, Value):
        return "binary" in feature.dtype
    inner = feature[0] if isinstance(feature, Sequence) else getattr(feature, "feature", None)
    # A list of numbers, of any shape; arrays of a fixed shape have no feature inside.
    return inner is None or _can_hold_clips(inner) or (isinstance(inner, Value) and inner.dtype != "string")


def _holds_data(dataset: DatasetDict, column: str) -> bool:
    """Whether a column of text holds something else, written as text."""
    for rows in dataset.values():
        if column in rows.column_names:
            for text in _texts(rows.select_columns([column])):
                if len(text) > _LONGEST_WORD and max(map(len, text.split()), default=0) > _LONGEST_WORD:
                    return True
    return False

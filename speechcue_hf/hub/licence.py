"""What the licence of a corpus lets out: checked by column before anything is uploaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from speechcue_hf.corpora.catalogue import NAMESPACE, Corpus, corpus_of_ids, find_corpus
from speechcue_hf.cues.table import measurement_columns
from speechcue_hf.errors import LicenceError
from speechcue_hf.records import CorpusIdentity

IDS_AND_WORDS = (
    *("dialogue_id", "utterance_id", "turn", "audio_status"),
    *("measurement_note", "speech_description", "speech_impression"),
)
"""What may leave a corpus of which nothing else may, beside its measurements with their levels and z-scores."""


def corpus_of(identity: CorpusIdentity | None, utterance_ids: Iterable[str]) -> Corpus:
    """Find the corpus whose licence rows are under; some are known by their utterance ids whatever the record says.

    Raises:
        LicenceError: If nothing says where the rows come from.
    """
    corpus = corpus_of_ids(utterance_ids) or find_corpus(None if identity is None else identity.corpus)
    if corpus is None:
        raise LicenceError(
            "no corpus.json says which corpus these rows come from, so their licence is not known: make the folder "
            "from `speechcue prepare` on; own recordings go through `speechcue prepare folder`"
        )
    return corpus


def columns_that_may_leave(corpus: Corpus, columns: Sequence[str]) -> list[str]:
    """Choose the columns that a public repository may hold, in their order."""
    if corpus.may_leave == "everything":
        return list(columns)
    cues = {f"{column}{suffix}" for column in measurement_columns() for suffix in ("", "_level", "_z")}
    return [column for column in columns if column in cues or column in IDS_AND_WORDS]


def check_columns(corpus: Corpus, columns: Sequence[str], *, restricted: bool, agreed: bool) -> None:
    """Refuse to publish what the licence of a corpus does not let out.

    Args:
        corpus: The corpus.
        columns: Names of the columns to be published.
        restricted: Whether the repository is private or gated.
        agreed: Whether the user has said that everybody with access holds the licence of the corpus.

    Raises:
        LicenceError: If a column may not leave, with the reason and the columns that may.
    """
    allowed = columns_that_may_leave(corpus, columns)
    withheld = [column for column in columns if column not in allowed]
    if not withheld or (restricted and agreed):
        return
    reason = f"the licence of {corpus.name} ({corpus.licence}) does not let {', '.join(withheld)} out"
    if restricted:
        raise LicenceError(
            f"{reason}: pass --everybody-is-licensed if all who can read this repository hold it, "
            f"or --columns {' '.join(allowed)}"
        )
    raise LicenceError(
        f"{reason} to a public repository: publish only --columns {' '.join(allowed)}; whoever has the corpus joins "
        f'them to it with load_dataset("{NAMESPACE}{corpus.name}", data_dir=..., published=...)'
    )

"""What the licence of a corpus lets out: checked by column before anything is uploaded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from speechcue_hf.corpora.identity import CorpusIdentity
from speechcue_hf.corpora.registration import CORPORA, builder_of
from speechcue_hf.cues.settings import MEASUREMENT_COLUMNS
from speechcue_hf.errors import LicenceError

CUE_COLUMNS = frozenset(
    {
        *("dialogue_id", "utterance_id", "turn", "audio_status"),
        *MEASUREMENT_COLUMNS,
        *("measurement_note", "speech_description", "speech_impression"),
        *(f"{column}_{suffix}" for column in MEASUREMENT_COLUMNS for suffix in ("level", "z")),
    }
)
"""Ids, measurements and descriptions: what may leave a corpus of which nothing else may."""

_IEMOCAP_ID = re.compile(r"Ses0[1-5][FM]_(impro|script)\d\d")


def corpus_of(identity: CorpusIdentity | None, utterance_ids: Iterable[str]) -> str:
    """Name the corpus whose licence rows are under.

    Args:
        identity: From the ``corpus.json`` beside them.
        utterance_ids: Theirs; IEMOCAP is known by them whatever the record says.

    Returns:
        Name of a loader of this package.

    Raises:
        LicenceError: If nothing says where the rows come from.
    """
    if has_iemocap_ids(utterance_ids):
        return "iemocap"
    if identity is None or identity.corpus not in CORPORA:
        raise LicenceError(
            "no corpus.json says which corpus these rows come from, so their licence is not known: make the folder "
            "from `speechcue prepare` on; own recordings go through `speechcue prepare folder`"
        )
    return identity.corpus


def has_iemocap_ids(utterance_ids: Iterable[str]) -> bool:
    """Whether rows are IEMOCAP's by their utterance ids, whatever the record beside them says."""
    return any(_IEMOCAP_ID.match(name) for name in utterance_ids)


def columns_that_may_leave(corpus: str, columns: Sequence[str]) -> list[str]:
    """Choose the columns that a public repository may hold.

    Args:
        corpus: Name of the loader.
        columns: Names of the columns.

    Returns:
        Those that may leave, in their order.
    """
    free = builder_of(corpus).MAY_LEAVE == "everything"
    return [column for column in columns if free or column in CUE_COLUMNS]


def check_columns(corpus: str, columns: Sequence[str], *, restricted: bool, agreed: bool) -> None:
    """Refuse to publish what the licence of a corpus does not let out.

    Args:
        corpus: Name of the loader.
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
    reason = f"the licence of {corpus} ({builder_of(corpus).LICENSE}) does not let {', '.join(withheld)} out"
    if restricted:
        raise LicenceError(
            f"{reason}: pass --everybody-is-licensed if all who can read this repository hold it, "
            f"or --columns {' '.join(allowed)}"
        )
    raise LicenceError(
        f"{reason} to a public repository: publish only --columns {' '.join(allowed)}; whoever has the corpus joins "
        f'them to it with load_dataset("speechcue/{corpus}", data_dir=..., published=...)'
    )

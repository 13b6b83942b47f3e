"""Descriptions exactly as SpeechCueLLM published them: what its levels were learnt from, corpus by corpus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from datasets import Dataset, DatasetDict, Features, Value

from speechcue_hf.corpora.catalogue import sources_of
from speechcue_hf.corpora.joining import put_beside
from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.cues.normalisation import MELD_MAIN_CHARACTERS
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.errors import DescriberError

LEVELS = 5

_SAID_BY_ROSS = "train_dia556_utt6"
"""The csv of MELD says Joey; in the published files the utterance counts as Ross, which moves a threshold."""


def _baseline_of_meld(config: str) -> dict[str, Any]:
    return {"baseline": "speaker", "speakers": MELD_MAIN_CHARACTERS}


def _baseline_of_iemocap(config: str) -> dict[str, Any]:
    if config != "all":
        raise DescriberError(
            "the paper's levels for IEMOCAP come from all 6,994 measured rows of its train split, and config "
            f"{config!r} has a part of them: describe config all in this way first (`speechcue prepare iemocap "
            "--config all`), and give the result here with --describer"
        )
    return {"baseline": "gender"}


PAPER_CORPORA: dict[str, Callable[[str], dict[str, Any]]] = {"iemocap": _baseline_of_iemocap, "meld": _baseline_of_meld}
"""Corpus of the paper → its config → what its clips are compared with."""


def describe_like_paper(
    dataset: DatasetDict, settings: MeasurementSettings | None = None
) -> tuple[DatasetDict, SpeechDescriber]:
    """Describe IEMOCAP or MELD as SpeechCueLLM did: five levels, its wording, and what it compared clips with.

    IEMOCAP is compared by gender, with all rows of the train split, whatever their label: it takes the config ``all``.
    The six main characters of MELD are compared with themselves and all others with everybody; one line of Joey's
    (train dialogue 556, utterance 6) counts as Ross.

    Args:
        dataset: The corpus, measured by the paper's preset or with its published numbers.
        settings: How it was measured.

    Returns:
        The dataset with the description columns, and the describer, which describes the rows of other configs.

    Raises:
        DescriberError: If it is of another corpus or config, has no train split, or was not measured.
    """
    if "train" not in dataset:
        raise DescriberError(f"there is no train split to learn levels from, only {', '.join(dataset)}")
    name, config = next(iter(sources_of(dataset["train"]).items()), ("none", "default"))
    if name not in PAPER_CORPORA:
        raise DescriberError(
            f"the paper described {' and '.join(PAPER_CORPORA)}, and these rows are of {name}: choose the baseline "
            "yourself, with wording='speechcuellm' (--wording)"
        )
    as_published = DatasetDict({split: _with_ross(rows) for split, rows in dataset.items()})
    describer = SpeechDescriber.fit(
        as_published["train"], levels=LEVELS, wording="speechcuellm", settings=settings, **PAPER_CORPORA[name](config)
    )
    described = describe_dataset(as_published, describer)
    own = {split: rows.select_columns("speaker") for split, rows in dataset.items()}
    columns = described["train"].column_names
    whole = {split: put_beside(rows, own[split]).select_columns(columns) for split, rows in described.items()}
    return DatasetDict(whole), describer


def _with_ross(rows: Dataset) -> Dataset:
    """Rows with the speaker that the published files count."""
    ids = rows["utterance_id"][:]
    if _SAID_BY_ROSS not in ids:
        return rows
    speakers = rows["speaker"][:]
    speakers[ids.index(_SAID_BY_ROSS)] = "Ross"
    return put_beside(rows, Dataset.from_dict({"speaker": speakers}, features=Features({"speaker": Value("string")})))

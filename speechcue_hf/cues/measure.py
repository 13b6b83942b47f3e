"""Measure the speech of one clip, or of a whole dataset."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import numpy as np
from datasets import Audio, Dataset, DatasetDict, Features, IterableDataset, Value

from speechcue_hf.audio import as_file, decode
from speechcue_hf.corpora.joining import put_beside, with_utterance_ids
from speechcue_hf.cues import analysis, speechcuellm
from speechcue_hf.cues.engines import load_engine
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.cues.table import Cue, added_cues, measurement_columns
from speechcue_hf.cues.turns import TURN_COLUMNS, TurnFollower, add_turn_taking, has_turns
from speechcue_hf.errors import AudioError

logger = logging.getLogger(__name__)

AnyDataset = TypeVar("AnyDataset", Dataset, DatasetDict, IterableDataset)

_DEFAULT = MeasurementSettings()
_PROCEDURES = {
    "default": (analysis.analyse, analysis.LONGEST),
    "speechcuellm": (speechcuellm.measure_like_paper, speechcuellm.LONGEST),
}
"""By preset: the procedure, and how many seconds of a file are decoded for it."""


def clip_columns() -> tuple[str, ...]:
    """What one clip alone can tell; turn-taking needs the row before."""
    return tuple(column for column in measurement_columns() if column not in TURN_COLUMNS)


def tell_unmeasured(dataset: Mapping[Any, Dataset], place: object) -> None:
    """Say so where the rows of a split have measurements and not one is known: a model would be told of nothing.

    Args:
        dataset: Split name → rows.
        place: What they were read from.
    """
    for split, rows in dataset.items():
        columns = [rows.data.column(name) for name in clip_columns() if name in rows.column_names]
        if columns and len(rows) and all(column.null_count == len(column) for column in columns):
            logger.warning(
                "no clip of split %s in %s was measured: what is said of the speech is the same of all %d rows, and "
                "column measurement_note has the reasons",
                split,
                place,
                len(rows),
            )


def measure_speech(row: Mapping[str, Any], settings: MeasurementSettings = _DEFAULT) -> dict[str, float | str | None]:
    """Measure one clip: decoded once, analysed once. A function for ``Dataset.map``.

    A clip that cannot be measured does not raise: its values are None and ``measurement_note`` has the reason. The note
    also says what is wrong with a clip that was measured: that its file ends early or is damaged, that it hums. So it
    does of a file that is longer than any utterance: the default measures its first 120 s, the paper's preset leaves
    files beyond 600 s alone; ``duration_s`` is always that of the whole file.

    Args:
        row: With ``audio``: a clip as :func:`speechcue_hf.audio.as_file` takes it, or None where there is none.
        settings: What to measure, and how.

    Returns:
        Every column of :func:`clip_columns` (unit in the name; None where not measured or not asked for) and
        ``measurement_note``, None when everything asked for was measured and nothing is wrong with the clip.

    Example:
        >>> round(measure_speech({"audio": {"path": "clip.wav", "bytes": None}})["f0_mean_hz"])
        200
    """
    procedure, longest = _PROCEDURES[settings.preset]
    engine = load_engine(settings.engine)
    values: Mapping[str, float | None] = {}
    reasons = ["audio missing"]
    if row["audio"] is not None:
        try:
            clip = decode(as_file(row["audio"]), limit=longest)
            values, reasons = procedure(clip, settings.groups, engine)
            reasons = [*clip.notes, *reasons]
        except AudioError as error:
            reasons = [str(error)]
        except ValueError as error:
            raise ValueError(f"{row.get('utterance_id', 'a row')}, audio: {error}") from error
        except MemoryError:
            reasons = ["measuring it does not fit the memory"]
    columns = settings.columns
    chosen = {column: value for column, value in values.items() if column in columns}
    finite = {column: value for column, value in chosen.items() if value is not None and np.isfinite(value)}
    return {**{column: finite.get(column) for column in clip_columns()}, "measurement_note": "; ".join(reasons) or None}


def measure_dataset(
    dataset: AnyDataset, settings: MeasurementSettings = _DEFAULT, num_proc: int | None = None
) -> AnyDataset:
    """Measure every clip of a dataset and add the measurement columns to it.

    The audio column is read and never written: the new columns are made apart and joined to the dataset as it is. A
    dataset behind an index (after ``filter`` or ``shuffle``) is the exception, ``datasets`` flattens it on joining.
    Results come from the ``datasets`` cache when neither the data nor the settings have changed.

    Args:
        dataset: With ``audio``: a column ``Audio()``, which is not decoded by ``datasets``, or of samples,
            ``{"array": ..., "sampling_rate": ...}``. Rows without ``utterance_id`` get one, their split and place. For
            turn-taking also ``dialogue_id``, ``turn``, ``start`` and ``end``, dialogues whole and in speaking order.
            An ``IterableDataset`` is measured as it is read.
        settings: What to measure, and how.
        num_proc: Worker processes, each held to one processor; None works in this process.

    Returns:
        The dataset with the columns of all cues and ``measurement_note``; earlier ones are replaced.

    Raises:
        ValueError: If ``audio`` is missing, or holds what is no clip.
    """
    if isinstance(dataset, DatasetDict):
        return DatasetDict({split: measure_dataset(rows, settings, num_proc) for split, rows in dataset.items()})
    dataset = with_utterance_ids(_undecoded(dataset))
    if isinstance(dataset, IterableDataset):
        if "turn_taking" in settings.groups and has_turns(dataset.column_names):
            dataset = dataset.map(TurnFollower())
        return dataset.map(measure_speech, fn_kwargs={"settings": settings})
    if "turn_taking" in settings.groups:
        dataset = add_turn_taking(dataset)
    return measure_clips(dataset, settings, num_proc)


def measure_clips(dataset: Dataset, settings: MeasurementSettings = _DEFAULT, num_proc: int | None = None) -> Dataset:
    """Measure one split, or a shard of it, as :func:`measure_dataset` does, but for turn-taking.

    Turn-taking columns are kept as they are, and are null where there were none.
    """
    for column in ("audio", "utterance_id"):
        if column not in dataset.column_names:
            raise ValueError(f"the dataset has no column {column!r}; its columns are {', '.join(dataset.column_names)}")
    numbers = [*clip_columns(), *(column for column in TURN_COLUMNS if column not in dataset.column_names)]
    features = {"utterance_id": Value("string"), **dict.fromkeys(numbers, Value("float64"))}
    measured = dataset.select_columns(["utterance_id", "audio"]).map(
        _measure_in_worker,
        with_rank=True,
        # Other functions of other people's cues make another fingerprint for the cache.
        fn_kwargs={"settings": settings, "added": added_cues()},
        remove_columns=["audio"],
        features=Features({**features, "measurement_note": Value("string")}),
        num_proc=num_proc,
        desc="Measuring speech",
    )
    if measured["utterance_id"][:] != dataset["utterance_id"][:]:
        raise RuntimeError("the measured rows are not in the order of the dataset")
    return put_beside(dataset, measured.remove_columns("utterance_id"))


def _undecoded(rows: AnyDataset) -> AnyDataset:
    """Rows whose clips ``datasets`` hands over as they are: decoding them is done here."""
    audio = (rows.features or {}).get("audio")
    return rows.cast_column("audio", Audio(decode=False)) if isinstance(audio, Audio) and audio.decode else rows


def _measure_in_worker(
    row: Mapping[str, Any], rank: int | None, settings: MeasurementSettings, added: tuple[Cue, ...]
) -> dict[str, float | str | None]:
    if rank is not None:
        _stay_on_one_processor(rank, settings.engine)
    return measure_speech(row, settings)


@cache
def _stay_on_one_processor(rank: int, engine: str) -> None:
    """Keep a worker and the threads of its engine on one processor, so that workers do not crowd each other."""
    if engine == "torch":
        import torch

        # A fork has none of the threads that torch began in this process before, and would wait for them forever.
        torch.set_num_threads(1)
    if sys.platform == "linux":
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {allowed[(os.getppid() + rank) % len(allowed)]})

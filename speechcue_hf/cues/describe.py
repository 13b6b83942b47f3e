"""Describing speech: statistics learnt on the train split turn measurements into levels, z-scores and sentences."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from datasets import Dataset, DatasetDict, Features, Value

import speechcue_hf
from speechcue_hf.corpora.joining import put_beside
from speechcue_hf.cues.engines import installed_engines
from speechcue_hf.cues.levels import LEVEL_NAMES, FloatArray, level_indices, level_quantiles, named
from speechcue_hf.cues.normalisation import (
    BASELINES,
    OVERALL,
    PAST,
    Group,
    RowStatistics,
    fit_group,
    fit_groups,
    group_of,
    past_means,
    reference_groups,
    row_statistics,
)
from speechcue_hf.cues.settings import PAPER_COLUMNS, MeasurementSettings
from speechcue_hf.cues.table import columns_of
from speechcue_hf.cues.wording import WORDINGS, CueFeatures, levelled_columns, put_in_words, wording_sha256, words_alike
from speechcue_hf.dialogues import dialogues, split_dialogues
from speechcue_hf.errors import DescriberError
from speechcue_hf.records import DESCRIBER_FILE, Record, parse_record, read_record, with_nulls, write_record

logger = logging.getLogger(__name__)

Batch = Mapping[str, Sequence[Any]]
AnyDataset = TypeVar("AnyDataset", Dataset, DatasetDict)

_CONTEXT = ("dialogue_id", "turn", "speaker", "gender", "measurement_note", "audio_status")
_NEEDED = {"speaker": ("speaker",), "gender": ("gender",), "overall": (), "running": ("dialogue_id", "turn", "speaker")}
_HELD_OUT = frozenset({"test", "validation", "valid", "val", "dev", "eval"})
_PLACES = {"model": DESCRIBER_FILE, "dataset": f"described/{DESCRIBER_FILE}"}
"""Kind of repository → where the describer lies there."""
_FALLS_BACK = {
    "speaker": ("speaker", "the train split has too few rows of a speaker, or none"),
    "gender": ("gender", "a gender is not known, or the train split has too few rows of it"),
    "overall": ("overall", ""),
    "running": (PAST, "a speaker has taken too few turns in the dialogue before"),
}
"""Baseline → what it compares rows with, and where it cannot."""
_COMPARED = {
    "speaker": "the same speaker",
    "gender": "speakers of the same gender",
    OVERALL: "all speakers",
    PAST: "the speaker's own past",
}
"""What rows are compared with, in words."""
_MEASURE_FIRST = "Measure the dataset first: measure_dataset(dataset), or `speechcue measure DIR -o OUT`."


@dataclass(frozen=True)
class SpeechDescriber(Record):
    """Puts measured speech in words. Make one with :meth:`fit` or :meth:`from_pretrained`, then ``map`` it, batched.

    It adds ``speech_description``, ``speech_impression`` and, for each cue, ``<cue>_level`` (a level's name) and
    ``<cue>_z`` (a z-score). Both are null where the cue was not measured or its training values did not vary.

    *Fall-back.* A row is compared with the nearest group that has statistics:

    - ``"speaker"``: its speaker, if the train split holds ``min_utterances`` of theirs; else as ``"gender"``.
    - ``"gender"``: its gender, if known and with ``min_utterances`` in the train split; else as ``"overall"``.
    - ``"overall"``: all rows of the train split.
    - ``"running"``: the mean of the turns that the speaker has already taken in the same dialogue, once there are
      ``min_past`` (a cue with fewer past values has no level then); before that as ``"gender"``. Later turns are never
      looked at, nor the speaker's turns in other dialogues, so that unseen speakers are treated like seen ones.

    *Zeros.* In the paper's eight cues zero means "not measured", as in the published files.

    Args:
        levels: Number of levels, 3 to 6.
        baseline: ``"speaker"``, ``"gender"``, ``"overall"`` or ``"running"``.
        wording: ``"speechcue"`` (ours) or ``"speechcuellm"`` (as published).
        cues: The cues that get a level and a z-score.
        groups: Group name → statistics.
        trained_on: The data behind the statistics: ``split`` (its name or None), ``rows``, and ``fingerprint``, a
            SHA-256 of the values, so that the same data has the same fingerprint on every machine.
        min_past: Past turns that ``"running"`` asks for.
        settings: ``MeasurementSettings.to_values()`` of the training measurements, or None.
        package_version: Version of this package that fitted it.
        wording_hash: SHA-256 of the templates it was fitted with.
        named_sha256: Fingerprint before a publication put numbers for the names of speakers; None where none did.

    Example:
        >>> describer = SpeechDescriber.fit(measured["train"], levels=5, baseline="speaker")
        >>> measured["test"].map(describer, batched=True)[0]["intensity_mean_db_level"]
        'medium'
    """

    levels: int
    baseline: str
    wording: str
    cues: tuple[str, ...]
    groups: Mapping[str, Group]
    trained_on: Mapping[str, Any]
    min_past: int
    settings: Mapping[str, Any] | None
    package_version: str
    wording_hash: str
    named_sha256: str | None = None

    FILE: ClassVar[str] = DESCRIBER_FILE
    FIX: ClassVar[str] = "fit the describer again with `speechcue describe`"

    @classmethod
    def fit(
        cls,
        train: Dataset,
        *,
        levels: int = 5,
        baseline: str = "speaker",
        wording: str = "speechcue",
        speakers: Sequence[str] | None = None,
        min_utterances: int = 10,
        min_past: int = 3,
        settings: MeasurementSettings | None = None,
    ) -> SpeechDescriber:
        """Learn thresholds, means and spreads from the train split.

        Args:
            train: Measured rows of the train split. Cues of the wording that it has no column for are left out.
            levels: 3, 4, 5 or 6.
            baseline: As for the class.
            wording: As for the class.
            speakers: With ``baseline="speaker"``: only these are compared with themselves, whatever their number of
                utterances (:data:`~speechcue_hf.cues.normalisation.MELD_MAIN_CHARACTERS` for the paper's MELD results).
            min_utterances: Training rows that a speaker's or a gender's own statistics need.
            min_past: As for the class.
            settings: How ``train`` was measured; :meth:`describe_clip` needs it.

        Returns:
            The describer.

        Raises:
            ValueError: If an argument is none of the values above, or one of ``speakers`` says nothing in ``train``.
            DescriberError: If ``train`` is a validation or test split, is empty or has no measurements, or no clip of
                it could be measured.
        """
        level_quantiles(levels)
        for name, value, choices in (("baseline", baseline, BASELINES), ("wording", wording, WORDINGS)):
            if value not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
        _check_split(train)
        _check_speakers(train, baseline, speakers)
        cues = tuple(cue for cue in levelled_columns(wording) if cue in train.column_names)
        if not cues:
            raise DescriberError(
                f"the train split has none of the columns {', '.join(levelled_columns(wording))}. {_MEASURE_FIRST}"
            )
        batch = _training_columns(train, cues, baseline)
        values = measured_values(batch, cues)
        check_measured([train], cues)
        candidates = _candidates(batch, baseline, len(values))
        groups = fit_groups(values, cues, levels, candidates, min_utterances, speakers)
        if baseline == "running":
            groups[PAST] = fit_group(values - _past(batch, values, min_past), cues, levels)
        return cls(
            levels=levels,
            baseline=baseline,
            wording=wording,
            cues=cues,
            groups=groups,
            trained_on=_provenance(train, batch, values),
            min_past=min_past,
            settings=None if settings is None else settings.to_values(),
            package_version=speechcue_hf.__version__,
            wording_hash=wording_sha256(wording),
        )

    def __call__(self, batch: Batch) -> dict[str, list[Any]]:
        """Describe a batch of measured rows.

        Args:
            batch: Column → values, one per row, as ``dataset.map(describer, batched=True)`` passes them.

        Returns:
            The description columns, one value per row.

        Raises:
            DescriberError: If a column is missing, the batch is a single row, or ``baseline="running"`` meets a batch
                that begins in the middle of a dialogue.
        """
        _check_batch(batch, self.cues, self.baseline)
        values = measured_values(batch, self.cues)
        compared, statistics, references = self._compare(batch, values)
        unjudged = [column for column in columns_of(judged="never") if column in batch]
        indices = level_indices(compared, statistics.thresholds)
        features = CueFeatures(
            values={
                **dict(zip(self.cues, values.T, strict=True)),
                **{column: np.array(batch[column], dtype=np.float64) for column in unjudged},
            },
            levels=dict(zip(self.cues, indices.T, strict=True)),
            usual=dict(zip(self.cues, statistics.usual.T, strict=True)),
            level_count=self.levels,
            references=references,
            genders=_optional(batch, "gender", len(values)),
            notes=_optional(batch, "measurement_note", len(values)),
            statuses=_optional(batch, "audio_status", len(values)),
        )
        descriptions, impressions = put_in_words(self.wording, features)
        scores = (compared - statistics.means) / statistics.spreads
        return {
            "speech_description": descriptions,
            "speech_impression": impressions,
            **{f"{cue}_level": named(indices[:, i], LEVEL_NAMES[self.levels]) for i, cue in enumerate(self.cues)},
            **{f"{cue}_z": with_nulls(scores[:, i].tolist()) for i, cue in enumerate(self.cues)},
        }

    def describe_clip(
        self,
        clip: str | Path | Mapping[str, Any],
        *,
        speaker: str | None = None,
        gender: str | None = None,
        start: float | None = None,
        end: float | None = None,
        channel: str | int | None = None,
    ) -> dict[str, Any]:
        """Measure one clip as the training clips were measured, and describe it.

        Args:
            clip: Its path, or ``{"path": ..., "bytes": ...}`` as in the column ``audio``.
            speaker: Who speaks, if it is a speaker of the train split.
            gender: ``"female"``, ``"male"`` or None.
            start: Of the utterance in s, with ``end``; a longer file is a recording, of which that part is measured.
            end: Of the utterance in s.
            channel: The channel that is measured: a number from 0, ``left`` or ``right``; None takes them all.

        Returns:
            Measurements and description columns of the clip. With ``baseline="running"`` it is a dialogue's first turn.

        Raises:
            DescriberError: If the describer was fitted without ``settings``.
            ValueError: If the times or the channel do not fit the file.
            AudioError: If the part cannot be cut out.
        """
        from speechcue_hf.corpora.recordings import cut_turns, spoken, whole_or_cut
        from speechcue_hf.cues.measure import measure_speech

        utterance = spoken(clip, start=start, end=end, channel=channel)
        audio = whole_or_cut(clip, next(cut_turns([utterance])))
        measured = measure_speech({"audio": audio}, self.measurement_settings())
        row = {**dict.fromkeys(self.cues), **measured, "speaker": speaker, "gender": gender}
        row |= {"dialogue_id": str(audio["path"]), "turn": 0}
        described = self({column: [value] for column, value in row.items()})
        return {**row, **{column: values[0] for column, values in described.items()}}

    def measurement_settings(self) -> MeasurementSettings:
        """How clips must be measured for this describer: with the settings of the train split.

        Raises:
            DescriberError: If the describer was fitted without ``settings``.
        """
        if self.settings is None:
            raise DescriberError(
                "this describer does not know how its training clips were measured: fit it with "
                "settings=MeasurementSettings(...), the settings of the train split"
            )
        settings = parse_record(MeasurementSettings, self.settings, f"the settings in {DESCRIBER_FILE}")
        # All engines give the same levels, and only Praat is installed everywhere.
        return settings if settings.engine in installed_engines() else replace(settings, engine="praat")

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what it says, 64 hexadecimal digits: by which names it calls speakers changes nothing."""
        return self.named_sha256 or super().fingerprint

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns that a description can depend on; only the cues and those the baseline needs must exist."""
        return (*self.cues, *columns_of(judged="never"), *_CONTEXT)

    @property
    def features(self) -> Features:
        """Features of the columns it adds."""
        return Features(
            {
                "speech_description": Value("string"),
                "speech_impression": Value("string"),
                **{f"{cue}_level": Value("string") for cue in self.cues},
                **{f"{cue}_z": Value("float64") for cue in self.cues},
            }
        )

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> SpeechDescriber:
        """Make a describer of the values of ``describer.json``; errors as for any record, or if the cues do not fit."""
        groups = {name: group_of(entry) for name, entry in values["groups"].items()}
        describer = super().from_values({**values, "groups": groups})
        _check_cues(describer)
        return describer

    @staticmethod
    def _identity(values: Mapping[str, Any]) -> str:
        """The text of the file as 0.1.0 wrote it: that release's runs hold the SHA-256 of it."""
        document = with_nulls({"format_version": 1, **values})
        return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"

    def save_pretrained(self, folder: str | Path) -> None:
        """Write ``describer.json`` into a folder, which is made if need be."""
        write_record(self, Path(folder))

    @classmethod
    def from_pretrained(cls, name: str | Path, *, revision: str | None = None) -> SpeechDescriber:
        """Read ``describer.json`` from a folder or a Hub repository.

        Args:
            name: The folder, or the id of a model or a published dataset on the Hub.
            revision: Branch, tag or commit of the repository.

        Returns:
            The describer.

        Raises:
            DescriberError: If there is no such file.
            RecordError: If it is not valid, or belongs to another format or set of cues.
        """
        describer = read_record(cls, _find_describer(name, revision))
        if not words_alike(describer.wording, describer.wording_hash):
            logger.warning(
                "The describer was fitted with the wording of speechcue_hf %s, and this version (%s) words "
                "differently: a model trained on those sentences now reads others. Install speechcue_hf %s to get them "
                "back.",
                describer.package_version,
                speechcue_hf.__version__,
                describer.package_version,
            )
        return describer

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its values, so that equal describers have equal hashes and ``map`` finds its cache."""
        return SpeechDescriber.from_values, (self.to_values(),)

    def _compare(self, batch: Batch, values: FloatArray) -> tuple[FloatArray, RowStatistics, list[str]]:
        """What is compared of each row (its values, or their distance from its past), with what, and whose that is."""
        past = self._past_of(batch, values)
        has_past = _any_known(past)
        chosen = self._chosen(batch, has_past)
        statistics = row_statistics(self.groups, self.cues, chosen)
        own = np.array(has_past, dtype=bool)[:, None]
        compared = np.where(own, values - past, values)
        usual = np.where(own, past, statistics.usual)
        return compared, statistics._replace(usual=usual), [group.partition(": ")[0] for group in chosen]

    def _past_of(self, batch: Batch, values: FloatArray) -> FloatArray:
        """What the speaker's past was, where rows are compared with that; NaN where they are not."""
        if PAST in self.groups and self.groups[PAST].rows:
            return _past(batch, values, self.min_past)
        return np.full_like(values, np.nan)

    def _chosen(self, batch: Batch, has_past: Sequence[bool]) -> list[str]:
        """The group that each row is compared with."""
        return [
            PAST if own else next(group for group in candidates if group in self.groups)
            for own, candidates in zip(has_past, _candidates(batch, self.baseline, len(has_past)), strict=True)
        ]

    def compared_with(self, batch: Batch) -> Counter[str]:
        """Count the measured rows by what they are compared with; see *Fall-back* above.

        Args:
            batch: Column → values, one per row, as for describing them.

        Returns:
            ``"speaker"``, ``"gender"``, ``"overall"`` or ``"past"`` → rows. Rows without measurements are not counted.

        Example:
            >>> describer = SpeechDescriber.fit(measured["train"], baseline="speaker")
            >>> describer.compared_with(measured["test"][:])
            Counter({'gender': 12})
        """
        _check_batch(batch, self.cues, self.baseline)
        values = measured_values(batch, self.cues)
        chosen = self._chosen(batch, _any_known(self._past_of(batch, values)))
        kinds = [group.partition(": ")[0] for group in chosen]
        return Counter(kind for kind, measured in zip(kinds, _any_known(values), strict=True) if measured)


def describe_dataset(dataset: AnyDataset, describer: SpeechDescriber) -> AnyDataset:
    """Describe every row, whole dialogues at a time, without touching the other columns.

    Where the baseline falls back, because speakers are not in the train split for example, a warning says once how many
    rows were compared with what.

    ``dataset.map(describer, batched=True)`` does the same for all baselines but ``"running"``, which needs whole
    dialogues. Here only the columns the describer reads pass through ``map``, so no audio is read or written, and the
    new columns have declared types, which plain ``map`` has to guess from its first batch.

    Args:
        dataset: Measured rows, or splits of them.
        describer: From ``SpeechDescriber.fit`` or ``from_pretrained``.

    Returns:
        The dataset with the description columns; earlier ones are replaced.

    Raises:
        DescriberError: If the dataset lacks a column.
        DialogueError: If the baseline is ``running`` and the rows are not whole dialogues in speaking order.
    """
    splits = dataset if isinstance(dataset, DatasetDict) else {_split_name(dataset) or "rows": dataset}
    described = {split: describe_rows(rows, describer) for split, rows in splits.items()}
    _tell_fall_back(splits, describer)
    return DatasetDict(described) if isinstance(dataset, DatasetDict) else next(iter(described.values()))


def describe_rows(rows: Dataset, describer: SpeechDescriber) -> Dataset:
    """Describe rows as :func:`describe_dataset` does, without a word on what they are compared with."""
    if describer.baseline == "running":
        split_dialogues(rows)
    inputs = _inputs(rows, describer)
    described = inputs.map(
        describer,
        batched=True,
        batch_size=None,
        remove_columns=inputs.column_names,
        features=describer.features,
        desc="Describing speech",
    )
    return put_beside(rows, described)


def _inputs(rows: Dataset, describer: SpeechDescriber) -> Dataset:
    """The columns that a describer reads."""
    return rows.select_columns([column for column in describer.inputs if column in rows.column_names])


def _tell_fall_back(splits: Mapping[str, Dataset], describer: SpeechDescriber) -> None:
    """Warn once, for all splits, where rows are not compared with what the baseline names."""
    counts = {
        split: describer.compared_with(_inputs(rows, describer).with_format(None)[:])
        for split, rows in splits.items()
        if len(rows)
    }
    wanted, reason = _FALLS_BACK[describer.baseline]
    if any(set(count) - {wanted} for count in counts.values()):
        compared = "; ".join(
            f"{split} {' and '.join(f'{number:,} with {_COMPARED[kind]}' for kind, number in count.items())}"
            for split, count in counts.items()
            if count
        )
        logger.warning("the baseline %r falls back where %s. Rows compared: %s", describer.baseline, reason, compared)


def measured_values(batch: Batch, cues: Sequence[str]) -> FloatArray:
    """The columns of cues as an array of shape ``(rows, cues)``.

    It is NaN where nothing was measured, which in the paper's eight cues zero means as well.
    """
    values = np.array([batch[cue] for cue in cues], dtype=np.float64).T
    paper = np.array([cue in PAPER_COLUMNS for cue in cues])
    return np.where(np.isfinite(values) & ~(paper & (values == 0)), values, np.nan)


def check_measured(splits: Iterable[Dataset], cues: Sequence[str]) -> None:
    """Refuse rows of which not one was measured: there is nothing to learn from, and nothing to say.

    Args:
        splits: Measured rows.
        cues: The columns that are looked at.

    Raises:
        DescriberError: If no row has a value in any of them; the message counts the reasons.
    """
    reasons: Counter[str] = Counter()
    for rows in splits:
        columns = [name for name in (*cues, "measurement_note") if name in rows.column_names]
        batch = rows.with_format(None).select_columns(columns)[:]
        reasons.update(note for note in batch.pop("measurement_note", ()) if note)
        if any(np.isfinite(measured_values(batch, [cue])).any() for cue in batch):
            return
    why = "; ".join(f"{count:,} x {note}" for note, count in reasons.most_common(3)) or "no reason is noted"
    raise DescriberError(
        f"no clip was measured ({why}): look at the clips and at their paths, then prepare and measure again"
    )


def _any_known(values: FloatArray) -> list[bool]:
    """Whether anything is known of each row."""
    known: list[bool] = np.asarray(np.isfinite(values).any(axis=1)).tolist()
    return known


def _check_split(train: Dataset) -> None:
    name = _split_name(train)
    if name is not None and _HELD_OUT & set(re.split(r"[^a-z]+", name.lower())):
        raise DescriberError(
            f"refusing to fit on the split {name!r}: thresholds learnt from rows that are judged later leak into "
            "what is judged. Fit on dataset['train']."
        )
    if not len(train):
        raise DescriberError("the train split has no rows to fit on.")


def _check_speakers(train: Dataset, baseline: str, speakers: Sequence[str] | None) -> None:
    if speakers is None:
        return
    if baseline != "speaker":
        raise ValueError(f"speakers are compared with themselves by baseline='speaker' only, not by {baseline!r}")
    known = sorted({*train.unique("speaker")} - {None}) if "speaker" in train.column_names else []
    if unknown := [name for name in speakers if name not in known]:
        shown = ", ".join(known[:10]) + (f" and {len(known) - 10} more" if len(known) > 10 else "")
        raise ValueError(f"the train split has no rows of {', '.join(unknown)}; its speakers are {shown}")


def _check_batch(batch: Batch, cues: Sequence[str], baseline: str) -> None:
    for column in (*cues, *_NEEDED[baseline]):
        if column not in batch:
            fix = _MEASURE_FIRST if column in cues else f"baseline={baseline!r} needs it, null where unknown."
            raise DescriberError(f"the rows have no column {column!r}. {fix}")
    if not isinstance(batch[cues[0]], Sequence | np.ndarray):
        raise DescriberError("a describer takes batches, not single rows: dataset.map(describer, batched=True)")


def _check_cues(describer: SpeechDescriber) -> None:
    known = levelled_columns(describer.wording) if describer.wording in WORDINGS else ()
    fitted = [group.cues.keys() for group in describer.groups.values()]
    if not set(describer.cues) <= set(known) or any(cues != set(describer.cues) for cues in fitted):
        raise ValueError(
            f"its wording ({describer.wording}) and cues ({', '.join(describer.cues)}) do not fit this package, whose "
            f"wordings are {', '.join(WORDINGS)} and whose cues are {', '.join(levelled_columns('speechcue'))}: "
            f"register the cues that are missing, or install speechcue_hf {describer.package_version}"
        )
    if OVERALL not in describer.groups or describer.baseline not in BASELINES or describer.levels not in LEVEL_NAMES:
        raise ValueError("it has no overall statistics, or an unknown baseline or number of levels")


def _find_describer(name: str | Path, revision: str | None) -> Path:
    """``describer.json`` in a folder, or in the cache after fetching it from the Hub."""
    if Path(name).is_dir():
        path = Path(name) / DESCRIBER_FILE
        if not path.is_file():
            raise DescriberError(f"{name} holds no {DESCRIBER_FILE}: save a describer there with save_pretrained.")
        return path
    from huggingface_hub import errors, hf_hub_download

    missing = (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.EntryNotFoundError)
    reasons = []
    for kind, path_there in _PLACES.items():
        try:
            return Path(hf_hub_download(str(name), path_there, repo_type=kind, revision=revision))
        except (errors.HFValidationError, *missing) as error:
            reasons.append(f"{kind}: {error}")
    raise DescriberError(
        f"{name} is neither a folder nor a model repository on the Hub with a {DESCRIBER_FILE}, nor a dataset "
        f"repository with {_PLACES['dataset']}; {'; '.join(reasons)}"
    )


def _split_name(dataset: Dataset) -> str | None:
    return None if dataset.split is None else str(dataset.split)


def _training_columns(train: Dataset, cues: Sequence[str], baseline: str) -> Batch:
    wanted = {*cues, *_NEEDED[baseline], "speaker", "gender"}
    batch: Batch = train.with_format(None).select_columns([name for name in train.column_names if name in wanted])[:]
    _check_batch(batch, cues, baseline)
    return batch


def _optional(batch: Batch, column: str, rows: int) -> Sequence[Any]:
    return batch[column] if column in batch else [None] * rows


def _candidates(batch: Batch, baseline: str, rows: int) -> list[tuple[str, ...]]:
    pairs = zip(_optional(batch, "speaker", rows), _optional(batch, "gender", rows), strict=True)
    return [reference_groups(baseline, speaker, gender) for speaker, gender in pairs]


def _past(batch: Batch, values: FloatArray, least: int) -> FloatArray:
    dialogues(batch)
    return past_means(batch["dialogue_id"], batch["speaker"], values, least)


def _provenance(train: Dataset, batch: Batch, values: FloatArray) -> dict[str, Any]:
    """What the statistics come from; the fingerprint is that of the values, whatever machine holds them."""
    labels = repr([list(_optional(batch, column, len(values))) for column in ("speaker", "gender")])
    fingerprint = sha256(labels.encode() + np.ascontiguousarray(values).tobytes()).hexdigest()
    return {"split": _split_name(train), "rows": len(train), "fingerprint": fingerprint}

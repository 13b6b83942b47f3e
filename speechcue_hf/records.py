"""The records that lie beside data and models: JSON files that say how something was made, and how good it is.

Each kind is a dataclass that names its file. All are read and written here: a key that is missing takes its default, a
key that this release does not know is kept and written again, a newer format is refused, and a file appears only once
it is whole. The fingerprint of a record leaves out what has its default, so that a setting that is added with one
leaves the fingerprints of all earlier records as they were.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, get_type_hints
from uuid import uuid4

from speechcue_hf.errors import RecordError
from speechcue_hf.values import fitted

CORPUS_FILE = "corpus.json"
MEASUREMENT_FILE = "measurement.json"
DESCRIBER_FILE = "describer.json"
BIOGRAPHIES_FILE = "biographies.json"
CAPTIONS_FILE = "captions.json"
PROMPT_FILE = "prompt.json"
TRANSCRIPTION_FILE = "transcription.json"
TRAINING_FILE = "training.json"
RESULTS_FILE = "results.json"
SEEDS_FILE = "seeds.json"

# Beside rows with biographies or captions: every text that a chat model wrote, kept from the moment it was there.
BIOGRAPHY_STORE_FILE = "biographies-store.jsonl"
CAPTION_STORE_FILE = "captions-store.jsonl"
ANSWER_STORE_FILE = "answers-store.jsonl"
"""Beside results: every answer of a server, likewise."""

PROMPT_TEMPLATE_FILE = "prompt.jinja"
"""Beside a prompt: its template."""

DISTRIBUTIONS_FILE = "distributions.png"
"""Beside described rows: each cue on the train split, with its thresholds."""

VIEWS_FILE = "views.json"
"""In a published dataset: what each of its configs holds; the card is written from it."""

BASE_MODEL_FOLDER = "base_model"
"""Beside an adapter: its base model, when that one has no Hub id. ``adapter_config.json`` then names this folder and no
path of the machine it was made on; :func:`speechcue_hf.models.loading.load_model` looks for it beside the adapter."""

# Beside a model: its answer to each utterance, a picture of the answers against the labels, and its card.
PREDICTIONS_FILE = "predictions.parquet"
CONFUSION_FILE = "confusion_matrix.png"
CARD_FILE = "README.md"

Kind = TypeVar("Kind", bound="Record")


@dataclass(frozen=True)
class Record:
    """What all records have in common."""

    unknown: Mapping[str, Any] = field(default_factory=dict, kw_only=True, compare=False, repr=False)
    """Keys that another release wrote and this one does not know; they are kept."""

    FILE: ClassVar[str]
    """Name of the file."""
    FORMAT: ClassVar[int] = 1
    """Of what this release writes; it reads that and all earlier ones. Files of 0.1.0 do not name theirs: it is 1."""
    FIX: ClassVar[str] = "make it again with the command that wrote it"
    """What to do about a damaged file."""
    KEYS: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Field that is a table → keys that it has wherever it is there."""

    def to_values(self) -> dict[str, Any]:
        """The record as JSON values, without what is unknown."""
        values = asdict(self)
        del values["unknown"]
        return values

    @classmethod
    def from_values(cls: type[Kind], values: Mapping[str, Any]) -> Kind:
        """Make a record of JSON values; keys that it has no field for are in ``unknown``.

        Raises:
            KeyError: If a key is missing that has no default.
            TypeError: If a value is of another type than its field.
            ValueError: If a value is out of its range.
        """
        hints, defaults = get_type_hints(cls), _defaults(cls)
        known = {name: fitted(name, values[name], hints[name]) for name in defaults if name in values}
        if missing := [name for name, default in defaults.items() if default is MISSING and name not in known]:
            raise KeyError(missing[0])
        tables = {name: known[name] for name in cls.KEYS if known.get(name) is not None}
        if lacking := [f"{name}.{key}" for name, table in tables.items() for key in cls.KEYS[name] if key not in table]:
            raise KeyError(lacking[0])
        return cls(**known, unknown={name: value for name, value in values.items() if name not in defaults})

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what the record says, 64 hexadecimal digits, whatever its file looks like."""
        return sha256(self._identity(self._distinctive()).encode()).hexdigest()

    def _distinctive(self) -> dict[str, Any]:
        """The values that are not those of their defaults."""
        defaults = _defaults(type(self))
        return {name: value for name, value in self.to_values().items() if value != defaults.get(name, MISSING)}

    @staticmethod
    def _identity(values: Mapping[str, Any]) -> str:
        """The text that the fingerprint is taken of."""
        return json.dumps(with_nulls(values), sort_keys=True)


@dataclass(frozen=True)
class CorpusIdentity(Record):
    """Where rows come from.

    Args:
        corpus: Name of the loader, such as ``iemocap``.
        config: Its config, such as ``erc-6``; ``default`` for a corpus that has one only.
        licence: As the loader states it; empty where the rows are the user's own.
        homepage: Address of the release.
        citation: Of the paper that describes the corpus.
        labels: Names of the emotions, in the order of their class ids.
        utterances: Split → number of rows.
        revision: SHA-256 of ids, texts and labels of all splits, 64 hexadecimal digits: two copies of one release that
            were split alike have the same.
        joined: Published dataset whose columns were joined to the rows, as ``user/name@commit``; empty for none.
        package_version: Of speechcue_hf, whose loader read the release.
    """

    corpus: str
    config: str
    licence: str
    homepage: str
    citation: str
    labels: tuple[str, ...]
    utterances: Mapping[str, int]
    revision: str
    joined: str
    package_version: str

    FILE: ClassVar[str] = CORPUS_FILE
    FIX: ClassVar[str] = "prepare the corpus again"

    @property
    def task(self) -> str:
        """What a score on these rows is a score of: ``iemocap-6-erc`` cannot be compared with ``iemocap-4-ser``.

        Rows without emotions, ``libritts-captions``, can only be captioned.
        """
        if not self.labels:
            return f"{self.corpus}-captions"
        return f"{self.corpus}-{len(self.labels)}-{'ser' if self.config.startswith('ser') else 'erc'}"

    @property
    def metadata(self) -> dict[str, str]:
        """What the records of a model say of the corpus."""
        names = ("config", "licence", "homepage", "citation", "revision", "joined")
        return {"name": self.corpus, "task": self.task, **{name: getattr(self, name) for name in names}}


@dataclass(frozen=True)
class BiographiesRecord(Record):
    """How the biographies of a dataset were made.

    Args:
        source: ``written`` here, or ``published`` elsewhere.
        scope: ``history`` or ``dialogue``.
        sees_future: Whether a biography may be made from turns after its row.
        writer: Identity of the model that wrote them.
        rows: Split → counts of rows with and without one.
        refresh: Turns after which they were written again; None where that has no meaning.
        word_limit: Most words.
        prompt: Name and SHA-256 of the template they were asked for with.
        requests: How many texts were asked for, and how many failed.
        tokens: Of prompts and texts.
        files: Split → SHA-256 of what a published file said.
        package_version: Of speechcue_hf.
    """

    source: str
    scope: str
    sees_future: bool
    writer: Mapping[str, Any]
    rows: Mapping[str, Any] = field(default_factory=dict)
    refresh: int | None = None
    word_limit: int | None = None
    prompt: Mapping[str, str] | None = None
    requests: Mapping[str, int] | None = None
    tokens: Mapping[str, int] | None = None
    files: Mapping[str, str] | None = None
    package_version: str = ""

    FILE: ClassVar[str] = BIOGRAPHIES_FILE
    FIX: ClassVar[str] = "write them again with `speechcue biographies`, whose store keeps every text"

    @property
    def shaping(self) -> dict[str, Any]:
        """What would make other texts; the rest counts rows and tokens, which differ from corpus to corpus."""
        names = ("source", "scope", "refresh", "word_limit", "prompt", "writer")
        return {name: value for name, value in self.to_values().items() if name in names and value is not None}


@dataclass(frozen=True)
class CaptionsRecord(Record):
    """How captions were made.

    Args:
        tasks: Task → its ``parts`` and its ``question``.
        emotions: In the order of their class ids.
        templates_sha256: Of the templates they were made with.
        describer_sha256: Fingerprint of the describer whose levels they state.
        baseline: Whose values those levels compare with.
        writer: Identity of the chat model; None where the template wrote all.
        rows: Split → counts of rows and captions.
        package_version: Of speechcue_hf.
    """

    tasks: Mapping[str, Mapping[str, Any]]
    emotions: tuple[str, ...]
    templates_sha256: str
    describer_sha256: str
    baseline: str
    writer: Mapping[str, Any] | None
    rows: Mapping[str, Any]
    package_version: str

    FILE: ClassVar[str] = CAPTIONS_FILE
    FIX: ClassVar[str] = "write them again with `speechcue caption`"

    @property
    def names_emotion(self) -> bool:
        """Whether a task names the emotion."""
        return any("emotion" in task["parts"] for task in self.tasks.values())


@dataclass(frozen=True, kw_only=True)
class Shown(Record):
    """What a model is shown of rows, in training and in evaluation.

    Args:
        prompt: Name and fingerprint of the prompt; None for a model that reads none.
        template: How the chat template of the model is met: see :attr:`ChatTemplate.record`; None for a model without.
        token_budget: Most tokens of prompt and answer, or of a text.
        describer_sha256: Fingerprint of the describer of the rows; None for text alone.
        biographies: What shaped the biographies of the rows, from :attr:`BiographiesRecord.shaping`.
        biographies_sha256: Of their record.
        biography_scope: ``history`` or ``dialogue``, of the biographies that are shown; None without.
        future_turns: How many later turns are shown at most; None for all of them.
        sees_future: Whether later turns were seen, by the model or by whoever wrote the biographies it is shown.
    """

    prompt: Mapping[str, str] | None = None
    template: Mapping[str, Any] | None = None
    token_budget: int | None = None
    describer_sha256: str | None = None
    biographies: Mapping[str, Any] | None = None
    biographies_sha256: str | None = None
    biography_scope: str | None = None
    future_turns: int | None = None
    sees_future: bool | None = None

    @property
    def shown(self) -> dict[str, Any]:
        """These values alone, for another record."""
        return {name: getattr(self, name) for name in _defaults(Shown)}


@dataclass(frozen=True, kw_only=True)
class TrainingRecord(Shown):
    """What a model was made from, how, and how it went.

    Args:
        base_model: Hub id of what was trained on, or the name of its folder.
        base_model_revision: Its commit on the Hub.
        part_revisions: Commits of the parts that a stage of SEmoLLM puts together.
        adapter: Settings of the LoRA of a chat model; None without.
        quantised: Whether the base model was.
        encoder: Settings of an encoder classifier; None for other kinds.
        loss: Of an encoder classifier: what its loss was.
        trained_before: Of an encoder that comes from a finished run: the corpora before.
        stage: Of SEmoLLM; None for other kinds.
        stage_before_sha256: Of the training record of the stage before.
        model: Settings of a stage.
        states_kept: What of the speech encoder's states was kept on disk.
        labels: ``names`` of the classes in their order, and the ``words`` that stand for them.
        corpus: What the rows come from, from :attr:`CorpusIdentity.metadata`.
        rows: Split → counts of rows.
        data_percent: Share of the training dialogues that was trained on.
        seed: Of parameters and of the order of rows.
        settings: Of the trainer.
        processes: That trained together.
        parameters: ``all`` and ``trained``.
        steps: Of the optimizer.
        best: The step whose model is kept, with its scores on the selection split.
        log: Losses and scores.
        libraries: Versions.
    """

    base_model: str
    seed: int
    settings: Mapping[str, Any]
    parameters: Mapping[str, int]
    steps: int
    best: Mapping[str, Any]
    rows: Mapping[str, Mapping[str, int]]
    base_model_revision: str | None = None
    part_revisions: Mapping[str, str | None] = field(default_factory=dict)
    adapter: Mapping[str, Any] | None = None
    quantised: bool = False
    encoder: Mapping[str, Any] | None = None
    loss: Mapping[str, Any] | None = None
    trained_before: tuple[Mapping[str, Any], ...] = ()
    stage: int | None = None
    stage_before_sha256: str | None = None
    model: Mapping[str, Any] | None = None
    states_kept: str | None = None
    labels: Mapping[str, Any] | None = None
    corpus: Mapping[str, Any] | None = None
    data_percent: float = 100.0
    processes: int = 1
    log: tuple[Mapping[str, Any], ...] = ()
    libraries: Mapping[str, str] = field(default_factory=dict)

    FILE: ClassVar[str] = TRAINING_FILE
    FIX: ClassVar[str] = "train again, or take another copy of the run"
    KEYS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "prompt": ("name", "sha256"),
        "labels": ("words",),
        "parameters": ("all", "trained"),
        "best": ("step",),
        "encoder": ("encoder", "cues", "biographies"),
    }

    @property
    def kind(self) -> Literal["chat", "encoder", "speech"]:
        """A chat model that is told of a conversation, a text encoder with heads, or a SEmoLLM, which hears a clip."""
        if self.stage is not None:
            return "speech"
        return "encoder" if self.encoder is not None else "chat"

    @property
    def words(self) -> list[str]:
        """The words that stand for the labels; none for a model without."""
        return list((self.labels or {}).get("words", ()))


@dataclass(frozen=True, kw_only=True)
class ResultsRecord(Shown):
    """What a model scored on the labelled utterances of a split.

    Args:
        labels: The label words, in the order of their class ids.
        n: Utterances scored.
        weighted_f1: This and what follows up to ``confusion_matrix`` is of
            :func:`speechcue_hf.metrics.scores.classification_metrics`.
        weighted_f1_interval: Its confidence interval over dialogues.
        corpus: What the rows come from.
        split: Which of its splits.
        decode: How answers were read: ``score``, ``generate``, ``classify``, ``predictions`` or ``ensemble``; of a
            server also ``first-token`` and ``constrained`` (:mod:`speechcue_hf.inference.label_ways`).
        normalisation: Of scores over the tokens of a label; ``contextual`` divides by those of a blank prompt, and
            ``prior`` multiplies that by ``prior``.
        prior: Label → share of the training split that it was multiplied by; None where it was not.
        matching: Rule that made labels of generated texts.
        seed: Of the training of the model.
        unlabelled: Rows without a label, which were context.
        unheard: Clips that could not be heard, which count as wrong.
        unanswered: Requests to a server that failed, which count as wrong; None where none was asked.
        server: Of a server: model, provider, how labels were read, what it did not take, requests and tokens.
        shortened: Utterances whose text or context was cut.
        model_revision: Commit of the model on the Hub.
        explanations: How far explanations are true.
        members: Of an ensemble: what is known of each.
        libraries: Versions.
    """

    labels: tuple[str, ...]
    n: int
    weighted_f1: float
    macro_f1: float
    accuracy: float
    unweighted_accuracy: float
    invalid_rate: float
    per_class: Mapping[str, Mapping[str, Any]]
    confusion_matrix: Mapping[str, Any]
    weighted_f1_interval: Mapping[str, Any]
    corpus: Mapping[str, Any] | None = None
    split: str | None = None
    decode: str | None = None
    normalisation: str | None = None
    prior: Mapping[str, float] | None = None
    matching: str | None = None
    seed: int | None = None
    unlabelled: int | None = None
    unheard: int | None = None
    unanswered: int | None = None
    server: Mapping[str, Any] | None = None
    shortened: int | None = None
    model_revision: str | None = None
    explanations: Mapping[str, Any] | None = None
    members: tuple[Mapping[str, Any], ...] | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)

    FILE: ClassVar[str] = RESULTS_FILE
    FIX: ClassVar[str] = "evaluate again with `speechcue evaluate`"
    KEYS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "prompt": ("name", "sha256"),
        "weighted_f1_interval": ("low", "high", "confidence", "dialogues"),
    }


@dataclass(frozen=True)
class SeedsRecord(Record):
    """Scores of runs that differ in their seed.

    Args:
        seeds: Of the runs, whose folders are ``seed-1`` and so on.
        scores: Score → ``mean``, ``sd`` and ``values``.
        split: That was scored; None for the one that chose the best epoch.
    """

    seeds: tuple[int, ...]
    scores: Mapping[str, Mapping[str, Any]]
    split: str | None = None

    FILE: ClassVar[str] = SEEDS_FILE
    FIX: ClassVar[str] = "train or evaluate the seeds again"

    def to_values(self) -> dict[str, Any]:
        """Seeds and split, then each score under its own name."""
        values = super().to_values()
        scores: dict[str, Any] = values.pop("scores")
        return {name: value for name, value in values.items() if value is not None} | scores

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> SeedsRecord:
        """Make a record of JSON values; every table with a mean is a score."""
        scores = {name: value for name, value in values.items() if isinstance(value, dict) and "mean" in value}
        rest = {name: value for name, value in values.items() if name not in scores}
        return super().from_values({**rest, "scores": scores})


def read_record(kind: type[Kind], place: Path) -> Kind:
    """Read a record from the folder it lies in, or from its file.

    Raises:
        RecordError: If it is not there, is damaged, or of a newer format; the message names file, key and fix.
    """
    path = place / kind.FILE if place.is_dir() else place
    if not path.is_file():
        raise RecordError(f"{place} holds no {kind.FILE}: {kind.FIX}")
    return parse_record(kind, read_json(path, kind.FIX), str(path))


def parse_record(kind: type[Kind], values: Mapping[str, Any], name: str) -> Kind:
    """Make a record of the values of its file, the format among them; errors, as of :func:`read_record`, name it."""
    values = dict(values)
    version = values.pop("format_version", 1)
    if not isinstance(version, int) or version > kind.FORMAT:
        raise RecordError(
            f"{name} is in format {version}, of a newer release of speechcue_hf; this one reads up to format "
            f"{kind.FORMAT}: install a newer one (pip install -U speechcue_hf)"
        )
    try:
        return kind.from_values(values)
    except KeyError as error:
        raise RecordError(f"{name} has no {error.args[0]!r}: {kind.FIX}") from error
    except (TypeError, ValueError, AttributeError, LookupError, OverflowError, RecursionError) as error:
        raise RecordError(f"{name}: {error}: {kind.FIX}") from error


def find_record(kind: type[Kind], place: Path) -> Kind | None:
    """Read a record that may not be there, from a folder or beside a file of rows; otherwise as :func:`read_record`."""
    folder = beside(place)
    return read_record(kind, folder) if (folder / kind.FILE).is_file() else None


def beside(place: Path) -> Path:
    """The folder in which the records of rows are looked for: the one that is given, or that of the file that is."""
    return place.parent if place.is_file() else place


def write_record(record: Record, folder: Path, name: str | None = None) -> Path:
    """Write a record into a folder, which is made if missing, and return the file; ``name`` is another name for it."""
    path = folder / (name or record.FILE)
    write_json({"format_version": record.FORMAT, **record.to_values(), **record.unknown}, path)
    return path


def write_record_once(record: Kind, folder: Path) -> Kind:
    """Write a record into a folder unless it holds one, and read the one that it holds: of several jobs one writes.

    Raises:
        RecordError: As of :func:`read_record`.
    """
    path = folder / record.FILE
    with _whole(_json({"format_version": record.FORMAT, **record.to_values(), **record.unknown}), path) as unfinished:
        try:
            os.link(unfinished, path)
        except FileExistsError:
            pass
        except OSError:
            # A file system without hard links: two jobs may both write, the same.
            if not path.exists():
                os.replace(unfinished, path)
    return read_record(type(record), path)


def carry_records(source: Path, target: Path, names: Iterable[str]) -> None:
    """Give a dataset folder the records of the folder that it was made from.

    Args:
        source: Folder that was read, or the file in it that was.
        target: Folder that was written; a record of an earlier time goes, whether the source has one or not.
        names: File names of the records, such as ``corpus.json``.
    """
    for name in names:
        (target / name).unlink(missing_ok=True)
        if (beside(source) / name).is_file():
            shutil.copyfile(beside(source) / name, target / name)


def read_json(path: Path, fix: str) -> dict[str, Any]:
    """Read a table in JSON.

    Raises:
        RecordError: If the file is no JSON, or holds something else than a table; the message ends with the fix.
    """
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} is no JSON ({error}): {fix}") from error
    if not isinstance(values, dict):
        raise RecordError(f"{path} holds a {type(values).__name__} and no table of keys: {fix}")
    return values


def write_json(values: Mapping[str, Any], path: Path) -> None:
    """Write JSON that people can read; the file appears only once it is whole, numbers that are none as null."""
    write_whole(_json(values), path)


def write_whole(text: str, path: Path) -> None:
    """Write a text; the file appears only once it is whole, in a folder that is made if it is missing."""
    with _whole(text, path) as unfinished:
        os.replace(unfinished, path)


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(with_nulls(values), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


@contextmanager
def _whole(text: str, path: Path) -> Iterator[Path]:
    """A file beside the path with the text; jobs on several machines may have the same number of process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        unfinished.write_text(text, encoding="utf-8")
        yield unfinished
    finally:
        unfinished.unlink(missing_ok=True)


def with_nulls(value: Any) -> Any:
    """Values for JSON, which has no number that is none: those are null, in tables and lists too."""
    if isinstance(value, Mapping):
        return {key: with_nulls(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [with_nulls(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _defaults(kind: type[Record]) -> dict[str, Any]:
    """Field → its default as JSON values, or MISSING; without ``unknown``."""
    defaults = {it.name: it.default if it.default_factory is MISSING else it.default_factory() for it in fields(kind)}
    del defaults["unknown"]
    return {name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()}

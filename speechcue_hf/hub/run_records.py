"""What a run recorded beside its model, read for its card: nothing is inferred, what is not recorded stays unknown."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from speechcue_hf.corpora.identity import corpus_of_metadata
from speechcue_hf.corpora.schema import SPLITS
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.errors import EvaluationError
from speechcue_hf.hub.speakers import are_private, number_describer, numbers, speakers_of_describer
from speechcue_hf.models.base import HUB_ID, TINY_MODEL
from speechcue_hf.prompts.specification import PromptSpecification, load_prompt
from speechcue_hf.records import (
    CONFUSION_FILE,
    DESCRIBER_FILE,
    DISTRIBUTIONS_FILE,
    PROMPT_FILE,
    RESULTS_FILE,
    SEEDS_FILE,
    TRAINING_FILE,
    CaptionsRecord,
    ResultsRecord,
    SeedsRecord,
    TrainingRecord,
    find_record,
    read_json,
    read_record,
)

logger = logging.getLogger(__name__)

MOST_PARAMETERS_OF_A_TINY_MODEL = 1_000_000

SEEDS_FILES = (SEEDS_FILE, *(f"{Path(SEEDS_FILE).stem}-{split}.json" for split in SPLITS))
"""Scores of several seeds: on the split that chose the best epoch, and on those that were evaluated."""

_USED_BY_STAGE = {
    1: (
        *("speech_encoder", "qformer", "num_query_tokens", "classifier_proj_size", "projection_dropout"),
        *("speech_layers", "matching_weight", "contrastive_weight", "generation_weight", "collapse_threshold"),
        "augmentation",
    ),
    2: ("language_model", "dtype", "augmentation"),
    3: ("dtype", "augmentation", "lora_r", "lora_alpha", "lora_dropout", "lora_target_modules"),
}
"""Settings of SEmoLLM that a stage looks at; the others stand in its record with their defaults."""


@dataclass(frozen=True)
class RunRecords:
    """What lies beside a model: None is what its kind does not have, or what was not done.

    Args:
        seeds: Where a run is one of several that differ in their seed: split, or ``selection`` for the one that chose
            the best epoch → their scores.
        pictures: Names of the pictures that are there.
    """

    training: TrainingRecord
    results: ResultsRecord | None
    prompt: PromptSpecification | None
    captions: CaptionsRecord | None
    describer: SpeechDescriber | None
    seeds: Mapping[str, SeedsRecord]
    pictures: frozenset[str]

    @property
    def hears(self) -> bool:
        """Whether the model reads a description or measurements of the voice."""
        if self.training.encoder is not None:
            return bool(self.training.encoder["cues"] != "none")
        return self.prompt is not None and self.prompt.includes_voice

    @property
    def includes_biographies(self) -> bool:
        """Whether the model reads biographies of speakers."""
        if self.training.encoder is not None:
            return bool(self.training.encoder["biographies"] != "none")
        return self.prompt is not None and self.prompt.biography

    @property
    def sees(self) -> str:
        """What of a conversation the model is shown, in a word that figures are compared by."""
        if self.training.kind == "speech":
            return "clip"
        return "future" if self.training.sees_future else "history"

    @property
    def labels(self) -> list[str]:
        """The words that the model answers with; none for a SEmoLLM that was not taught to name the emotion."""
        taught = self.captions is not None and self.captions.names_emotion and self.training.stage != 1
        return self.training.words if taught or self.training.kind != "speech" else []

    @property
    def corpora(self) -> list[tuple[str, Mapping[str, Any]]]:
        """What was done with which corpus, in order, as far as the records name it."""
        before = [("Trained before", earlier["corpus"]) for earlier in self.training.trained_before]
        evaluated = None if self.results is None else self.results.corpus
        done = [*before, ("Trained", self.training.corpus), ("Evaluated", evaluated)]
        return [(what, corpus) for what, corpus in done if corpus]

    @property
    def tiny(self) -> bool:
        """Whether the model is one of those that only show that everything runs."""
        few = self.training.parameters["all"] < MOST_PARAMETERS_OF_A_TINY_MODEL
        return few or TINY_MODEL in (self.training.base_model, *self.parts.values())

    @property
    def origin_of_base(self) -> str | None:
        """What is known of the name of an encoder that came from a folder of this machine."""
        training = self.training
        if training.encoder is None or training.trained_before:
            return None
        if training.encoder["encoder"] != training.base_model:
            return "as its configuration says"
        return None if HUB_ID.fullmatch(training.base_model) else "a folder that names no model of the Hub"

    @property
    def parts(self) -> dict[str, Any]:
        """The settings of SEmoLLM that this stage looked at; empty for other models."""
        used = _USED_BY_STAGE.get(self.training.stage or 0, ())
        return {name: value for name, value in (self.training.model or {}).items() if name in used}


def read_run(folder: Path) -> RunRecords:
    """Read what lies beside a model, in the folder that a training wrote.

    Raises:
        RecordError: If there is no training record, or a record is damaged or of a newer release.
        EvaluationError: If a record does not belong to the others.
        PromptError: If the prompt beside a chat model is not valid.
    """
    training = replace(read_record(TrainingRecord, folder), **_base_on_the_hub(folder))
    run = RunRecords(
        training=training,
        results=find_record(ResultsRecord, folder),
        prompt=None if training.kind != "chat" else load_prompt(folder / PROMPT_FILE),
        captions=find_record(CaptionsRecord, folder),
        describer=None,
        seeds=_read_seeds(folder, training.seed),
        pictures=frozenset(name for name in (CONFUSION_FILE, DISTRIBUTIONS_FILE) if (folder / name).is_file()),
    )
    if run.results is not None:
        _check_results(run.results, training)
    # A run that was started from Python may not know its describer, and says so on the card.
    needed = training.kind != "speech" and training.describer_sha256 is not None
    there = (folder / DESCRIBER_FILE).is_file() and (run.hears or training.kind == "speech")
    return replace(run, describer=_read_describer(folder, training)) if there or (run.hears and needed) else run


def best_run(folder: Path) -> Path:
    """Of a folder with several seeds the run that was best on the selection split; any other folder is itself.

    Raises:
        RecordError: If a seed has no training record, or one is damaged.
    """
    if (folder / TRAINING_FILE).is_file() or not (folder / SEEDS_FILE).is_file():
        return folder
    runs = [folder / f"seed-{seed}" for seed in read_record(SeedsRecord, folder).seeds]
    best = min(runs, key=lambda run: _selection_loss(read_record(TrainingRecord, run)))
    logger.info("%s was best on the selection split", best.name)
    return best


def _selection_loss(training: TrainingRecord) -> float:
    """What chose the best step of a run, as a number of which less is better."""
    metric = str(training.settings["metric_for_best_model"] or "loss").removeprefix("eval_")
    score: float = training.best[f"eval_{metric}"]
    return score if metric == "loss" else -score


def without_speaker_names(run: RunRecords) -> RunRecords:
    """The same, with numbers for the names of speakers where the model was trained on somebody's own recordings."""
    corpus = corpus_of_metadata(run.training.corpus)
    if run.describer is None or not are_private(corpus):
        return run
    called = numbers(speakers_of_describer(run.describer), "training speaker")
    if not called:
        return run
    pictures = run.pictures - {DISTRIBUTIONS_FILE}
    return replace(run, describer=number_describer(run.describer, called), pictures=pictures)


def _base_on_the_hub(folder: Path) -> dict[str, Any]:
    """The base model of an adapter under its id on the Hub, where it was published after the training."""
    path = folder / "adapter_config.json"
    base = read_json(path, TrainingRecord.FIX).get("base_model_name_or_path") if path.is_file() else None
    return {"base_model": base} if isinstance(base, str) and HUB_ID.fullmatch(base) else {}


def _read_describer(folder: Path, training: TrainingRecord) -> SpeechDescriber:
    describer = SpeechDescriber.from_pretrained(folder)
    if training.describer_sha256 not in (None, describer.fingerprint):
        raise EvaluationError(
            f"{folder / DESCRIBER_FILE} is not the describer of the training, whose SHA-256 is "
            f"{training.describer_sha256}: put that one there."
        )
    return describer


def _read_seeds(folder: Path, seed: int) -> dict[str, SeedsRecord]:
    """Scores of several seeds, beside the run that was published or in the folder of all runs."""
    place = folder.resolve().parent if folder.resolve().name == f"seed-{seed}" else folder
    records = [read_record(SeedsRecord, path) for name in SEEDS_FILES if (path := place / name).is_file()]
    return {record.split or "selection": record for record in records if seed in record.seeds}


def _check_results(results: ResultsRecord, training: TrainingRecord) -> None:
    of_biographies = ("biography_scope", "biographies") if training.biography_scope else ()
    for name in ("prompt", "describer_sha256", *of_biographies):
        trained, scored = getattr(training, name), getattr(results, name)
        if trained is not None and scored is not None and trained != scored:
            raise EvaluationError(
                f"{RESULTS_FILE} was scored with {name} {scored}, the model was trained with {trained}. "
                "Evaluate it again with the prompt and the describer beside it, and biographies made like its own."
            )

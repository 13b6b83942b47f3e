"""What a run recorded beside its model, read for its card: nothing is inferred, what is not recorded stays unknown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.runs import read_record
from speechcue_hf.filenames import (
    CAPTIONS_FILE,
    CONFUSION_FILE,
    DESCRIBER_FILE,
    DISTRIBUTIONS_FILE,
    PROMPT_FILE,
    RESULTS_FILE,
    SEEDS_FILE,
    TRAINING_FILE,
)
from speechcue_hf.models.base import TINY_MODEL
from speechcue_hf.prompts.specification import PromptSpecification, load_prompt

Kind = Literal["chat", "encoder", "speech"]
"""A chat model that is told of a conversation, a text encoder with heads, or a SEmoLLM, which hears a clip."""

MOST_PARAMETERS_OF_A_TINY_MODEL = 1_000_000

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
"""Of a model; a folder of this machine has more parts or none."""

_MAY_BE_MISSING = (
    *("adapter", "base_model_revision", "biographies", "biography_scope", "corpus", "describer_sha256", "encoder"),
    *("future_turns", "labels", "model", "part_revisions", "prompt", "quantised", "sees_future", "stage"),
    *("token_budget", "trained_before"),
)
"""Facts that not every kind of model has in its training record."""

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
    """What lies beside a model.

    Args:
        training: ``training.json``; what it may lack is None.
        results: ``results.json``, None for a model that was not evaluated.
        prompt: The prompt of a chat model.
        captions: ``captions.json`` of a SEmoLLM.
        describer: Of a model that reads or was taught descriptions.
        seeds: Where a run is one of several that differ in their seed: split, or ``selection`` for the one that chose
            the best epoch → ``seeds`` and for each score its ``mean`` and ``sd``.
        pictures: Names of the pictures that are there.
    """

    training: Mapping[str, Any]
    results: Mapping[str, Any] | None
    prompt: PromptSpecification | None
    captions: Mapping[str, Any] | None
    describer: SpeechDescriber | None
    seeds: Mapping[str, Mapping[str, Any]]
    pictures: frozenset[str]

    @property
    def kind(self) -> Kind:
        """The kind of the model."""
        if self.training["stage"] is not None:
            return "speech"
        return "encoder" if self.training["encoder"] is not None else "chat"

    @property
    def hears(self) -> bool:
        """Whether the model reads a description or measurements of the voice."""
        if self.kind == "encoder":
            return bool(self.training["encoder"]["cues"] != "none")
        return self.prompt is not None and (self.prompt.heard or self.prompt.context_cues > 0)

    @property
    def tells_biographies(self) -> bool:
        """Whether the model reads biographies of speakers."""
        if self.kind == "encoder":
            return bool(self.training["encoder"]["biographies"] != "none")
        return self.prompt is not None and self.prompt.biography

    @property
    def sees(self) -> str:
        """What of a conversation the model is shown, in a word that figures are compared by."""
        if self.kind == "speech":
            return "clip"
        return "future" if self.training["sees_future"] else "history"

    @property
    def names_emotions(self) -> bool:
        """Whether the model was taught to say which emotion it is: of a SEmoLLM, whether its captions tell it."""
        tasks = (self.captions or {"tasks": {}})["tasks"].values()
        taught = any("emotion" in task["parts"] for task in tasks)
        return self.kind != "speech" or (self.training["stage"] > 1 and taught)

    @property
    def labels(self) -> list[str]:
        """The words that the model answers with; none for one that names no emotions."""
        return list(self.training["labels"]["words"]) if self.names_emotions and self.training["labels"] else []

    @property
    def corpora(self) -> list[tuple[str, Mapping[str, Any]]]:
        """What was done with which corpus, in order, as far as the records name it."""
        before = [("Trained before", earlier["corpus"]) for earlier in self.training["trained_before"] or ()]
        done = [*before, ("Trained", self.training["corpus"]), ("Evaluated", (self.results or {}).get("corpus"))]
        return [(what, corpus) for what, corpus in done if corpus]

    @property
    def tiny(self) -> bool:
        """Whether the model is one of those that only show that everything runs."""
        few = self.training["parameters"]["all"] < MOST_PARAMETERS_OF_A_TINY_MODEL
        return few or TINY_MODEL in (self.training["base_model"], *self.parts.values())

    @property
    def parts(self) -> dict[str, Any]:
        """The settings of SEmoLLM that this stage looked at; empty for other models."""
        used = _USED_BY_STAGE.get(self.training["stage"], ())
        return {name: value for name, value in (self.training["model"] or {}).items() if name in used}


def read_run(folder: Path) -> RunRecords:
    """Read what lies beside a model.

    Args:
        folder: What a training wrote, with ``results.json`` where it was evaluated.

    Returns:
        The records.

    Raises:
        EvaluationError: If there is no training record, or another record does not belong to it.
        PromptError: If the prompt beside a chat model is not valid.
        DescriberError: If the model needs a describer and no valid one is there.
    """
    training = _optional(folder / TRAINING_FILE)
    if training is None:
        raise EvaluationError(
            f"{folder} holds no {TRAINING_FILE}: a card describes a model that `speechcue train` made."
        )
    training = {**dict.fromkeys(_MAY_BE_MISSING), **training, **_base_on_the_hub(folder)}
    run = RunRecords(
        training=training,
        results=_optional(folder / RESULTS_FILE),
        prompt=load_prompt(folder / PROMPT_FILE) if training["prompt"] is not None else None,
        captions=_optional(folder / CAPTIONS_FILE),
        describer=None,
        seeds=_read_seeds(folder, training["seed"]),
        pictures=frozenset(name for name in (CONFUSION_FILE, DISTRIBUTIONS_FILE) if (folder / name).is_file()),
    )
    if run.results is not None:
        _check_results(run.results, training)
    heard = run.hears or (run.kind == "speech" and (folder / DESCRIBER_FILE).is_file())
    return RunRecords(**{**vars(run), "describer": _read_describer(folder, training)}) if heard else run


def _base_on_the_hub(folder: Path) -> dict[str, str]:
    """The base model of an adapter under its id on the Hub, where it was published after the training."""
    base = (_optional(folder / "adapter_config.json") or {}).get("base_model_name_or_path")
    return {"base_model": base} if base is not None and HUB_ID.fullmatch(base) else {}


def published_figures(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Published scores that stand beside ours: those of the same corpus and task, where ours is of the test split.

    Args:
        results: From ``results.json``.

    Returns:
        The entries of ``published_figures.json`` that fit.
    """
    corpus = results["corpus"] or {}
    text = (files("speechcue_hf.hub") / "published_figures.json").read_text(encoding="utf-8")
    wanted = (corpus.get("name"), corpus.get("task"), results["split"])
    return [figure for figure in json.loads(text) if (figure["corpus"], figure["task"], "test") == wanted]


def _read_describer(folder: Path, training: Mapping[str, Any]) -> SpeechDescriber:
    describer = SpeechDescriber.from_pretrained(folder)
    if training["describer_sha256"] not in (None, describer.fingerprint):
        raise EvaluationError(
            f"{folder / DESCRIBER_FILE} is not the describer of the training, whose SHA-256 is "
            f"{training['describer_sha256']}: put that one there."
        )
    return describer


def _read_seeds(folder: Path, seed: int) -> dict[str, dict[str, Any]]:
    """Summaries of several seeds, beside the run that was published or in the folder of all runs."""
    place = folder.resolve().parent if folder.resolve().name == f"seed-{seed}" else folder
    summaries = {path.stem: read_record(path) for path in sorted(place.glob("seeds*.json"))}
    named = {stem.removeprefix(f"{Path(SEEDS_FILE).stem}-"): summary for stem, summary in summaries.items()}
    return {"selection" if name == "seeds" else name: it for name, it in named.items() if seed in it["seeds"]}


def _check_results(results: Mapping[str, Any], training: Mapping[str, Any]) -> None:
    told = ("biography_scope", "biographies") if training["biography_scope"] else ()
    for key in ("prompt", "describer_sha256", *told):
        if training[key] is not None and key in results and results[key] != training[key]:
            raise EvaluationError(
                f"{RESULTS_FILE} was scored with {key} {results[key]}, the model was trained with {training[key]}. "
                "Evaluate it again with the prompt and the describer beside it, and biographies made like its own."
            )


def _optional(path: Path) -> dict[str, Any] | None:
    return read_record(path) if path.is_file() else None

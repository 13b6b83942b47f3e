"""Model cards, written from what a run recorded and from nothing else: no network, no paths, no invented figure."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Dataset
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from jinja2 import TemplateError
from yaml import YAMLError  # type: ignore[import-untyped]

from speechcue_hf.corpora.catalogue import NAMESPACE, find_corpus
from speechcue_hf.errors import RecordError
from speechcue_hf.evaluation.published import published_figures
from speechcue_hf.hub.privacy import PrivateRecord
from speechcue_hf.hub.run_records import RunRecords, best_run, read_run, without_speaker_names
from speechcue_hf.metrics.wording import METRICS, PROTOCOLS, mean_and_sd, percent
from speechcue_hf.models.base import HUB_ID
from speechcue_hf.prompts.build import build_prompts, needed_columns
from speechcue_hf.prompts.specification import PromptSpecification
from speechcue_hf.records import ResultsRecord
from speechcue_hf.templates import card_templates, own_templates, plain_line

DAMAGE = (TemplateError, YAMLError, LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError)
"""What a card that is written from records ends in where one of them holds something else than its keys say."""

MOST_GROUPS = 3
"""Groups of the describer whose thresholds the card shows; the file has all."""

_METRIC_TYPES = {"weighted_f1": "f1", "macro_f1": "f1", "accuracy": "accuracy", "unweighted_accuracy": "recall"}
_PIPELINE_TAGS = {"chat": "text-generation", "encoder": "text-classification", "speech": "audio-text-to-text"}
_CONVERSATION = (
    {
        "speaker": "Sam",
        "gender": "male",
        "text": "Have you seen my keys anywhere?",
        "biography": "Sam shares a flat with Nora and mislays his things.",
        "clip": "keys_00.ogg",
    },
    {
        "speaker": "Nora",
        "gender": "female",
        "text": "They were on the shelf this morning.",
        "biography": "Nora keeps the flat tidy and is patient with Sam.",
        "clip": "keys_01.ogg",
    },
)
_DESCRIBED = {
    "duration_s": 1.5,
    "speech_description": "This turn is spoken louder and faster than usual.",
    "speech_impression": "The speaker sounds lively.",
    "biography_scope": "history",
}
"""What descriptions look like, for a prompt that is only shown."""


def model_card(
    folder: Path,
    *,
    repo_id: str | None = None,
    licence: str | None = None,
    speaker_names: bool = False,
    private: PrivateRecord | None = None,
) -> ModelCard:
    """Write the card of a run from its records.

    Args:
        folder: What a training wrote, with ``results.json`` where ``speechcue evaluate`` wrote one. Of a folder with
            several seeds it is the card of the run that was best on the selection split.
        repo_id: Id that the model has or will have on the Hub; None for a model in a folder.
        licence: The model's licence as the Hub names it, such as ``apache-2.0``; None states none.
        speaker_names: Show the names of speakers of own recordings; otherwise they become numbers.
        private: Why the repository must stay private; None where it need not.

    Returns:
        The card. Without results it says so, and shows no score.

    Raises:
        EvaluationError: If the folder has no training record, or the results are of another prompt or describer, or of
            biographies made otherwise.
        RecordError: If a record is damaged, or lacks what a card shows.
        PromptError: If the prompt beside the model is not valid.
        DescriberError: If the describer of the training is recorded, and no valid one lies beside the model.
    """
    folder = best_run(folder)
    name = repo_id.split("/")[-1] if repo_id else folder.resolve().name
    try:
        run = read_run(folder) if speaker_names else without_speaker_names(read_run(folder))
        content = (
            card_templates("hub/templates", documents=True)
            .get_template("model_card.md.jinja")
            .render(
                card_data=_card_data(name, run, licence).to_yaml(),
                model_name=name,
                licence=licence,
                private=private,
                local=repo_id is None,
                example=_usage_example(run, source=repo_id or ".").rstrip(),
                **_shown(run),
                percent=percent,
                bounds=_bounds,
                mean_and_sd=mean_and_sd,
                our_figure=partial(_our_figure, run),
            )
        )
    except DAMAGE as error:
        raise RecordError(
            f"a record in {folder} does not have what its card shows ({plain_line(str(error))}): train or evaluate "
            "again, or take another copy of the run"
        ) from error
    return ModelCard(content)


def _shown(run: RunRecords) -> dict[str, Any]:
    """What the templates show."""
    training = run.training
    published = published_figures(run.results) if run.results else []
    groups = sorted(run.describer.groups.items(), key=lambda item: -item[1].rows) if run.describer else []
    return {
        **vars(run),
        "run": run,
        "labels": run.labels,
        "groups": dict(groups[:MOST_GROUPS]),
        "sees_turns_after": training.future_turns or (training.encoder and not training.encoder["causal"]),
        "settings": _settings(run),
        "rendered_prompt": example_prompt(run.prompt, (training.labels or {})["names"]) if run.prompt else [],
        "published": published,
        "published_metrics": [metric for metric in METRICS if metric in {figure["metric"] for figure in published}],
        "metrics": METRICS,
        "shown": PROTOCOLS,
    }


def _settings(run: RunRecords) -> dict[str, Any]:
    """Settings of model, adapter and trainer that say something, lists as text."""
    training = run.training
    encoder = {name: value for name, value in (training.encoder or {}).items() if name != "encoder"}
    schedule = {name: (training.loss or {}).get(name) for name in ("encoder_learning_rate", "one_cycle")}
    given = {**encoder, **run.parts, **(training.adapter or {}), **training.settings, **schedule}
    return {
        name: ", ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in given.items()
        if value not in (None, [], "none")
    }


def _our_figure(run: RunRecords, metric: str) -> str:
    """Our score beside the published ones: over all seeds where they were evaluated, else of this run."""
    seeds = run.seeds.get(run.results.split or "") if run.results else None
    return mean_and_sd(metric, seeds.scores[metric]) if seeds else percent(getattr(run.results, metric))


def _bounds(thresholds: Sequence[float]) -> str:
    return ", ".join("–" if math.isnan(bound) else f"{bound:.4g}" for bound in thresholds)


def _card_data(name: str, run: RunRecords, licence: str | None) -> ModelCardData:
    """The card's metadata; a base model that is not on the Hub is left out, since its name would lead nowhere."""
    training = run.training
    corpus = plain_line(str((training.corpus or {}).get("name", "")))
    return ModelCardData(
        language="en",
        license=licence,
        library_name="peft" if training.adapter is not None or training.stage == 3 else "transformers",
        pipeline_tag="feature-extraction" if training.stage == 1 else _PIPELINE_TAGS[training.kind],
        tags=["speechcue_hf", "emotion-recognition-in-conversation", *([corpus] if corpus else [])],
        base_model=training.base_model if HUB_ID.fullmatch(training.base_model) else None,
        metrics=["f1", "accuracy", "recall"] if run.results else None,
        model_name=name if run.results else None,
        eval_results=_eval_results(run.results) if run.results else None,
    )


def _eval_results(results: ResultsRecord) -> list[EvalResult]:
    # The metadata escapes by itself; it holds no line ends and nothing that nobody sees.
    corpus = {key: plain_line(str(value)) for key, value in (results.corpus or {}).items()}
    name = corpus.get("name", "not named")
    return [
        EvalResult(
            task_type="text-classification",
            task_name="Emotion recognition in conversation",
            dataset_type=NAMESPACE + name if find_corpus(name) else name,
            dataset_name=name,
            dataset_config=corpus.get("config"),
            dataset_split=results.split and plain_line(results.split),
            dataset_revision=corpus.get("revision"),
            metric_type=_METRIC_TYPES[metric],
            metric_name=shown,
            metric_value=round(getattr(results, metric), 4),
        )
        for metric, shown in METRICS.items()
    ]


def _usage_example(run: RunRecords, *, source: str) -> str:
    """A program that asks the model about two turns of the demo corpus; it runs as it stands."""
    speech = run.training.kind == "speech"
    shown = [] if speech else ["speaker", "gender", "text"]
    shown += ["biography"] if run.includes_biographies else []
    tasks = list(run.captions.tasks) if run.captions else ["style"]
    return _render_program(
        _example_template(run),
        source=source,
        turns=[{name: turn[name] for name in shown} for turn in _CONVERSATION],
        clips=[turn["clip"] for turn in _CONVERSATION] if run.hears or speech else None,
        literal=partial(json.dumps, ensure_ascii=False),
        few_shot=run.prompt is not None and run.prompt.demonstrations > 0,
        task=tasks[0],
    )


def example_prompt(prompt: PromptSpecification, names: Sequence[str]) -> list[dict[str, str]]:
    """Render a prompt for the second of two turns, with these labels, as messages.

    Solved rows that it shows are left out, as they come from a training split.
    """
    shown = replace(prompt, demonstrations=0)
    levels = {name: "high" for name in needed_columns(shown) if name.endswith("_level")}
    rows: list[dict[str, Any]] = [
        {**_DESCRIBED, **levels, **turn, "dialogue_id": "keys", "utterance_id": f"keys_{place}", "turn": place}
        for place, turn in enumerate(_CONVERSATION)
    ]
    columns = Dataset.from_list([row | {"emotion": None} for row in rows])
    questions = build_prompts(columns.cast_column("emotion", ClassLabel(names=list(names))), shown)
    messages: list[dict[str, str]] = questions[1]["prompt"]
    return messages


def _example_template(run: RunRecords) -> str:
    """A model of labels is asked for emotions, a SEmoLLM without them for captions, and stage 1 for nothing.

    Without its describer nobody can make descriptions for a model, so it is asked about rows that have them.
    """
    if run.hears and run.describer is None:
        return "described_example.py.jinja"
    if run.labels:
        return "example.py.jinja"
    return "pretraining_example.py.jinja" if run.training.stage == 1 else "caption_example.py.jinja"


def _render_program(template: str, **variables: Any) -> str:
    return own_templates("hub/templates", documents=True).get_template(template).render(variables)

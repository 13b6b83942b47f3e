"""Model cards, written from what a run recorded and from nothing else: no network, no paths, no invented figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from jinja2 import Environment, PackageLoader, StrictUndefined

from speechcue_hf.corpora.registration import CORPORA
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.filenames import CONFUSION_FILE, DISTRIBUTIONS_FILE
from speechcue_hf.hub.run_records import HUB_ID, RunRecords, published_figures, read_run
from speechcue_hf.hub.usage import example_prompt, usage_example

METRICS = {
    "weighted_f1": "weighted F1",
    "macro_f1": "macro F1",
    "accuracy": "accuracy",
    "unweighted_accuracy": "mean recall (UA)",
}
"""Scores of results.json → what they are called; accuracy is WA and mean recall UA of speech emotion recognition."""

MOST_GROUPS = 3
"""Groups of the describer whose thresholds the card shows; the file has all."""

_MAY_BE_MISSING = ("explanations", "matching", "unlabelled", "decode", "normalisation")
"""Facts that not every evaluation has in its results."""
_METRIC_TYPES = {"accuracy": "accuracy", "unweighted_accuracy": "recall"}
_PIPELINE_TAGS = {"chat": "text-generation", "encoder": "text-classification", "speech": "audio-text-to-text"}
_SHOWN = {
    "history": "turns before only",
    "future": "later turns too",
    "clip": "the clip alone",
    "test": "the test split",
    "validation": "the validation split",
    "nothing": "not trained",
    None: "–",
}
"""Protocols of published figures, and of ours, in words."""


def model_card(folder: Path, *, repo_id: str | None = None, licence: str | None = None) -> ModelCard:
    """Write the card of a run from its records.

    Args:
        folder: What a training wrote, with ``results.json`` where ``speechcue evaluate`` wrote one.
        repo_id: Id that the model has or will have on the Hub; None for a model in a folder.
        licence: The model's licence as the Hub names it, such as ``apache-2.0``; None states none.

    Returns:
        The card. Without results it says so, and shows no score.

    Raises:
        EvaluationError: If the folder has no training record, or the results are of another prompt or describer, or of
            biographies made otherwise.
        PromptError: If the prompt beside the model is not valid.
        DescriberError: If the prompt tells of the voice and no valid describer lies beside the model.
    """
    run = read_run(folder)
    name = repo_id.split("/")[-1] if repo_id else folder.resolve().name
    environment = Environment(
        loader=PackageLoader("speechcue_hf.hub", "templates"),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    content = environment.get_template("model_card.md.jinja").render(
        card_data=_card_data(name, run, licence).to_yaml(),
        model_name=name,
        licence=licence,
        local=repo_id is None,
        example=usage_example(run, source=repo_id or ".").rstrip(),
        **_facts(run),
        **_functions(run),
    )
    return ModelCard(content)


def _facts(run: RunRecords) -> dict[str, Any]:
    """What the templates show."""
    encoder = run.training["encoder"]
    published = published_figures(run.results) if run.results else []
    return {
        "run": run,
        "training": run.training,
        "results": run.results and {**dict.fromkeys(_MAY_BE_MISSING), **run.results},
        "seeds": run.seeds,
        "labels": run.labels,
        "describer": run.describer,
        "groups": _largest_groups(run.describer) if run.describer else {},
        "sees_turns_after": run.training["future_turns"] or (encoder and not encoder["causal"]),
        "settings": _settings(run),
        "rendered_prompt": example_prompt(run.prompt, run.training["labels"]["names"]) if run.prompt else [],
        "published": published,
        "published_metrics": [metric for metric in METRICS if metric in {figure["metric"] for figure in published}],
        "metrics": METRICS,
        "shown": _SHOWN,
        "confusion_file": CONFUSION_FILE,
        "distributions_file": DISTRIBUTIONS_FILE,
    }


def _functions(run: RunRecords) -> dict[str, Any]:
    """How the templates show numbers."""
    return {
        "percent": _percent,
        "bounds": _bounds,
        "mean_and_sd": _mean_and_sd,
        "our_figure": lambda metric: _our_figure(run, metric),
    }


def _settings(run: RunRecords) -> dict[str, Any]:
    """Settings of model, adapter and trainer that say something, lists as text."""
    encoder = {name: value for name, value in (run.training["encoder"] or {}).items() if name != "encoder"}
    schedule = {name: run.training["loss"][name] for name in ("encoder_learning_rate", "one_cycle") if encoder}
    given = {**encoder, **run.parts, **(run.training["adapter"] or {}), **run.training["settings"], **schedule}
    return {
        name: ", ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in given.items()
        if value not in (None, [], "none")
    }


def _largest_groups(describer: SpeechDescriber) -> dict[str, Any]:
    groups = sorted(describer.groups.items(), key=lambda item: -item[1].rows)
    return dict(groups[:MOST_GROUPS])


def _our_figure(run: RunRecords, metric: str) -> str:
    """Our score beside the published ones: over all seeds where they were evaluated, else of this run."""
    results = run.results or {}
    spread = run.seeds.get(results["split"], {}).get(metric)
    return _mean_and_sd(metric, spread) if spread else _percent(results[metric])


def _mean_and_sd(name: str, spread: Mapping[str, Any]) -> str:
    """Mean and standard deviation of a score, in per cent if it is a share."""
    show = _percent if name.removeprefix("eval_") in METRICS else "{:.4f}".format
    return show(spread["mean"]) if spread["sd"] is None else f"{show(spread['mean'])} ± {show(spread['sd'])}"


def _bounds(thresholds: Sequence[float]) -> str:
    return ", ".join("–" if math.isnan(bound) else f"{bound:.4g}" for bound in thresholds)


def _card_data(name: str, run: RunRecords, licence: str | None) -> ModelCardData:
    """The card's metadata; a base model that is not on the Hub is left out, since its name would lead nowhere."""
    base = str(run.training["base_model"])
    corpus = (run.training["corpus"] or {}).get("name")
    adapter = run.training["adapter"] is not None or run.training["stage"] == 3
    return ModelCardData(
        language="en",
        license=licence,
        library_name="peft" if adapter else "transformers",
        pipeline_tag="feature-extraction" if run.training["stage"] == 1 else _PIPELINE_TAGS[run.kind],
        tags=["speechcue_hf", "emotion-recognition-in-conversation", *([corpus] if corpus else [])],
        base_model=base if HUB_ID.fullmatch(base) else None,
        metrics=["f1", "accuracy", "recall"] if run.results else None,
        model_name=name if run.results else None,
        eval_results=_eval_results(run.results) if run.results else None,
    )


def _eval_results(results: Mapping[str, Any]) -> list[EvalResult]:
    corpus = results["corpus"] or {}
    name = corpus.get("name", "not named")
    return [
        EvalResult(
            task_type="text-classification",
            task_name="Emotion recognition in conversation",
            dataset_type=f"speechcue/{name}" if name in CORPORA else name,
            dataset_name=name,
            dataset_config=corpus.get("config"),
            dataset_split=results["split"],
            dataset_revision=corpus.get("revision"),
            metric_type=_METRIC_TYPES.get(metric, "f1"),
            metric_name=shown,
            metric_value=round(results[metric], 4),
        )
        for metric, shown in METRICS.items()
    ]


def _percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f} %"

"""Model cards, written from what a run recorded and from nothing else: no network, no paths, no invented figure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Set
from importlib.resources import files
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from jinja2 import Environment, PackageLoader, StrictUndefined

from speechcue_hf.corpora.registration import CORPORA
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.runs import read_record
from speechcue_hf.filenames import CONFUSION_FILE, PROMPT_FILE, RESULTS_FILE, TRAINING_FILE
from speechcue_hf.prompts.build import needed_columns
from speechcue_hf.prompts.specification import PromptSpecification, load_prompt

METRICS = {"weighted_f1": "weighted F1", "macro_f1": "macro F1", "accuracy": "accuracy"}

_TEMPLATES = files("speechcue_hf.hub") / "templates"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_CONVERSATION = (
    {
        "turn": 0,
        "speaker": "Ann",
        "gender": "female",
        "text": "I got the job!",
        "biography": "Ann looks forward to her new work.",
        "biography_scope": "history",
        "duration_s": 1.2,
        "speech_description": "This turn is spoken louder and faster than usual.",
        "speech_impression": "The speaker sounds lively.",
        "f0_mean_hz_level": "high",
        "f0_sd_hz_level": "high",
        "f0_range_hz_level": "high",
    },
    {
        "turn": 1,
        "speaker": "Bob",
        "gender": "male",
        "text": "So you are leaving.",
        "biography": "Bob is close to Ann and would like her to stay.",
        "biography_scope": "history",
        "duration_s": 1.4,
        "speech_description": "This turn is spoken more softly and more slowly than usual.",
        "speech_impression": "The speaker sounds subdued.",
        "f0_mean_hz_level": "low",
        "f0_sd_hz_level": "low",
        "f0_range_hz_level": "low",
    },
)


def model_card(folder: Path, *, repo_id: str | None = None, licence: str | None = None) -> ModelCard:
    """Write the card of a run from its records.

    Args:
        folder: What ``speechcue train`` wrote, with ``results.json`` where ``speechcue evaluate`` wrote one.
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
    training = _record(folder, TRAINING_FILE)
    if training is None:
        raise EvaluationError(
            f"{folder} holds no {TRAINING_FILE}: a card describes a model that `speechcue train` made."
        )
    results = _record(folder, RESULTS_FILE)
    if results is not None:
        _check_results(results, training)
    reading = (_encoder_reading if "encoder" in training else _chat_reading)(folder, training, repo_id or ".")
    name = repo_id.split("/")[-1] if repo_id else folder.resolve().name
    card: ModelCard = ModelCard.from_template(
        _card_data(name, training, results, licence),
        template_str=(_TEMPLATES / "model_card.md.jinja").read_text(encoding="utf-8"),
        model_name=name,
        training=training,
        results=results,
        labels=training["labels"]["words"],
        describer=SpeechDescriber.from_pretrained(folder) if reading["hears"] else None,
        **reading,
        licence=licence,
        has_confusion_picture=(folder / CONFUSION_FILE).is_file(),
        percent=_percent,
    )
    return card


def usage_example(prompt: PromptSpecification, labels: Mapping[str, list[str]], *, source: str) -> str:
    """Write a program that asks the model about a conversation of two turns; it runs as it stands.

    Args:
        prompt: The model's prompt; the conversation has the columns it reads.
        labels: ``names`` and ``words`` of the labels.
        source: Id of the model on the Hub, or its folder.

    Returns:
        Python source.
    """
    columns = {*needed_columns(prompt), "dialogue_id", "utterance_id", "turn", "text", "emotion"}
    few_shot = prompt.demonstrations > 0
    return _example("example.py.jinja", columns, {}, source=source, few_shot=few_shot, **labels)


def encoder_example(training: Mapping[str, Any], *, source: str) -> str:
    """Write a program that asks an encoder classifier about a conversation of two turns; it runs as it stands.

    Args:
        training: The model's training record; the conversation has the columns that it reads.
        source: Id of the model on the Hub, or its folder.

    Returns:
        Python source.
    """
    encoder = training["encoder"]
    columns = {"dialogue_id", "utterance_id", "speaker", "text", "emotion", *encoder["cue_names"]}
    columns |= {"speech_description"} if encoder["cues"] == "description" else set()
    columns |= {"biography", "biography_scope"} if encoder["biographies"] != "none" else set()
    values = dict.fromkeys(encoder["cue_names"], 0.5) | {"biography_scope": training["biography_scope"]}
    return _example("encoder_example.py.jinja", columns, values, source=source, **training["labels"])


def _example(name: str, columns: Set[str], values: Mapping[str, Any], **facts: Any) -> str:
    """Fill an example with the columns of the conversation that a model reads, some of them with other values."""
    environment = Environment(
        loader=PackageLoader("speechcue_hf.hub", "templates"), undefined=StrictUndefined, autoescape=False
    )
    environment.filters["literal"] = _literal
    turns = [
        {"dialogue_id": "d", "utterance_id": f"d{turn['turn']}", **turn, **values, "emotion": None}
        for turn in _CONVERSATION
    ]
    shown = [{column: value for column, value in turn.items() if column in columns} for turn in turns]
    return environment.get_template(name).render(turns=shown, **facts)


def _chat_reading(folder: Path, training: Mapping[str, Any], source: str) -> dict[str, Any]:
    """What a chat model is told, and how to ask it."""
    prompt = load_prompt(folder / PROMPT_FILE)
    return {
        "hears": _hears(prompt),
        "tells_biographies": prompt.biography,
        "example": usage_example(prompt, training["labels"], source=source),
    }


def _encoder_reading(folder: Path, training: Mapping[str, Any], source: str) -> dict[str, Any]:
    """What an encoder classifier reads, and how to ask it."""
    encoder = training["encoder"]
    return {
        "hears": encoder["cues"] != "none",
        "tells_biographies": encoder["biographies"] != "none",
        "example": encoder_example(training, source=source),
    }


def _card_data(
    name: str, training: Mapping[str, Any], results: Mapping[str, Any] | None, licence: str | None
) -> ModelCardData:
    """The card's metadata; a base model that is not on the Hub is left out, since its name would lead nowhere."""
    base = str(training["base_model"])
    return ModelCardData(
        language="en",
        license=licence,
        library_name="peft" if training.get("adapter") else "transformers",
        pipeline_tag="text-classification" if "encoder" in training else "text-generation",
        tags=["speechcue_hf", "emotion-recognition-in-conversation"],
        base_model=base if _HUB_ID.fullmatch(base) else None,
        metrics=["f1", "accuracy"] if results else None,
        model_name=name if results else None,
        eval_results=_eval_results(results) if results else None,
    )


def _eval_results(results: Mapping[str, Any]) -> list[EvalResult]:
    corpus = (results["corpus"] or {}).get("name", "not named")
    return [
        EvalResult(
            task_type="text-classification",
            task_name="Emotion recognition in conversation",
            dataset_type=f"speechcue/{corpus}" if corpus in CORPORA else corpus,
            dataset_name=corpus,
            dataset_split=results["split"],
            metric_type="accuracy" if metric == "accuracy" else "f1",
            metric_name=shown,
            metric_value=round(results[metric], 4),
        )
        for metric, shown in METRICS.items()
    ]


def _check_results(results: Mapping[str, Any], training: Mapping[str, Any]) -> None:
    told = ("biography_scope", "biographies") if training.get("biography_scope") else ()
    for key in ("prompt", "describer_sha256", *told):
        if key in results and results[key] != training[key]:
            raise EvaluationError(
                f"{RESULTS_FILE} was scored with {key} {results[key]}, the model was trained with {training[key]}. "
                "Evaluate it again with the prompt and the describer beside it, and biographies made like its own."
            )


def _record(folder: Path, name: str) -> dict[str, Any] | None:
    return read_record(folder / name) if (folder / name).is_file() else None


def _literal(value: Any) -> str:
    """A value as Python source, in double quotes."""
    return "None" if value is None else json.dumps(value, ensure_ascii=False)


def _hears(prompt: PromptSpecification) -> bool:
    return prompt.description or prompt.impression or prompt.context_cues > 0


def _percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f} %"

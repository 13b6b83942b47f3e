"""Evaluation of a model on a described split: prompts, answers, scores, and the facts that make them comparable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from datasets import Dataset

from speechcue_hf.corpora.subset import share_of
from speechcue_hf.environment import library_versions
from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.predictions import match_outputs, predictions_from_outputs, predictions_from_scores
from speechcue_hf.evaluation.report import summarise
from speechcue_hf.inference.scoring import LabelScores, Normalisation, score_labels
from speechcue_hf.inference.shared import score_shared
from speechcue_hf.prompts.biographies import biography_record
from speechcue_hf.prompts.budget import TokenBudget
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.future import future_record
from speechcue_hf.prompts.specification import PromptSpecification

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class InferenceSettings:
    """How answers are read from a model.

    Attributes:
        decode: ``"score"`` judges every label, ``"generate"`` lets the model write.
        normalisation: For scoring: ``"sum"`` or ``"mean"`` over the tokens of label and end token.
        sharing: For scoring: ``"prefix"`` runs common beginnings of prompts once, ``"none"`` each prompt by itself.
        matching: For generation: ``"strict"``, or ``"instructerc"`` for the published repair of outputs.
        batch_size: Prompts in one pass, where each runs by itself.
        tokens_per_pass: Tokens in one pass, where beginnings are shared.
    """

    decode: Literal["score", "generate"] = "score"
    normalisation: Normalisation = "sum"
    sharing: Literal["prefix", "none"] = "prefix"
    matching: str = "strict"
    batch_size: int = 8
    tokens_per_pass: int = 256

    def facts(self) -> dict[str, Any]:
        """What of this can change a result; the rest changes speed and memory only."""
        settings = asdict(self)
        names = ("decode", "normalisation") if self.decode == "score" else ("decode", "matching")
        return {name: settings[name] for name in names}


CLOSED_SET = InferenceSettings()
"""Every label scored, common beginnings of prompts run once."""


def evaluate_model(
    dataset: Dataset,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: PromptSpecification,
    *,
    decoding: InferenceSettings = CLOSED_SET,
    training: Mapping[str, Any] | None = None,
    describer_sha256: str | None = None,
    biographies: Path | None = None,
    token_budget: int | None = None,
    train: Dataset | None = None,
) -> tuple[dict[str, Any], Dataset]:
    """Score a model on the labelled utterances of a split.

    Args:
        dataset: The described split, whole dialogues; turns without a label are history and are not scored.
        model: A causal language model, with or without adapter.
        tokenizer: Its tokenizer, with a chat template.
        prompt: The prompt.
        decoding: How answers are read.
        training: The adapter's ``training.json``, whose prompt, describer, biographies and labels must be those used
            here. None for a model that was not fine-tuned.
        describer_sha256: Fingerprint of the describer that worded the dataset; None for text alone.
        biographies: The record of the dataset's biographies, ``biographies.json``; None if there is none.
        token_budget: Most tokens of prompt and answer; longer prompts lose their oldest turns. None leaves them whole.
        train: The described training split, for a prompt that shows demonstrations. Those of a model that was trained
            on a share of it come from that share.

    Returns:
        The results (scores, and the facts that make them comparable) and the table of predictions.

    Raises:
        EvaluationError: If the model was trained with another prompt, describer, kind of biography or label order,
            nothing is labelled, or the model cannot be scored as asked.
        PromptError: If the dataset lacks what the prompt needs.
    """
    labels = prompt.words(dataset.features["emotion"].names)
    written = biography_record(biographies)
    if training is not None:
        check_training(training, prompt, labels, describer_sha256, written["biographies"])
    budget = None if token_budget is None else TokenBudget(tokenizer, token_budget)
    if train is not None and training is not None:
        train = share_of(train, training["data_percent"], training["seed"])
    rows = build_prompts(dataset, prompt, budget=budget, train=train)
    labelled = rows.filter(lambda emotion: emotion is not None, input_columns="emotion", desc="Labelled rows")
    if not len(labelled):
        raise EvaluationError("No row has an emotion, so there is nothing to compare predictions with.")
    future = future_record(prompt, rows["biography_scope"])
    if training is not None and prompt.biography:
        check_biographies({"scope": training["biography_scope"]}, {"scope": future["biography_scope"]})
    predictions = predict(labelled, model, tokenizer, labels, decoding)
    facts = {
        "unlabelled": len(rows) - len(labelled),
        **decoding.facts(),
        "seed": None if training is None else training["seed"],
        "prompt": {"name": prompt.name, "sha256": prompt.fingerprint},
        "token_budget": token_budget,
        "shortened": sum(count > 0 for count in labelled["turns_dropped"]),
        "describer_sha256": describer_sha256,
        **written,
        **future,
        "libraries": library_versions(),
    }
    return {**summarise(predictions, labels), **facts}, predictions


def predict(
    rows: Dataset,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    labels: Sequence[str],
    decoding: InferenceSettings,
) -> Dataset:
    """Answer prompt–completion rows.

    Args:
        rows: From ``build_prompts``, labelled.
        model: A causal language model, with or without adapter.
        tokenizer: Its tokenizer, with a chat template.
        labels: The label words.
        decoding: How answers are read.

    Returns:
        The table of predictions, in the order of the rows.

    Raises:
        EvaluationError: If the model cannot be scored as asked.
    """
    prompts = list(rows["prompt"])
    if decoding.decode == "generate":
        from speechcue_hf.inference.answers import generate_answers

        outputs = generate_answers(model, tokenizer, prompts, labels, batch_size=decoding.batch_size)
        return predictions_from_outputs(rows, outputs, labels, decoding.matching)
    return predictions_from_scores(rows, score_prompts(model, tokenizer, prompts, labels, decoding))


def score_prompts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[dict[str, str]]],
    labels: Sequence[str],
    decoding: InferenceSettings,
) -> LabelScores:
    """Score labels with the scorer that ``decoding`` asks for; arguments and errors are those of the scorers."""
    normalisation = decoding.normalisation
    if decoding.sharing == "none":
        return score_labels(
            model, tokenizer, prompts, labels, batch_size=decoding.batch_size, normalisation=normalisation
        )
    return score_shared(
        model, tokenizer, prompts, labels, tokens_per_pass=decoding.tokens_per_pass, normalisation=normalisation
    )


def evaluate_predictions(
    predictions: Dataset, labels: Sequence[str], *, matching: str | None = None
) -> tuple[dict[str, Any], Dataset]:
    """Score predictions that were made before.

    Args:
        predictions: The table, from ``read_predictions``.
        labels: The label words, in the order of their class numbers.
        matching: Rule that makes labels of the column ``output``; None takes the column ``prediction`` as it is.

    Returns:
        The results and the table with the predictions that were scored.

    Raises:
        EvaluationError: If the column asked for is missing, or a word is not in the label set.
        ValueError: If there is no such rule.
    """
    column = "prediction" if matching is None else "output"
    if column not in predictions.column_names:
        fix = "Name a matching rule for its outputs." if matching is None else "Leave the matching rule out."
        raise EvaluationError(f"The predictions have no column {column!r}. {fix}")
    if matching is not None:
        matched = match_outputs([output or "" for output in predictions["output"]], labels, matching)
        others = [name for name in predictions.column_names if name != "prediction"]
        predictions = predictions.select_columns(others).add_column("prediction", matched)
    facts = {"decode": "predictions", "matching": matching, "libraries": library_versions()}
    return {**summarise(predictions, labels), **facts}, predictions


def check_training(
    training: Mapping[str, Any],
    prompt: PromptSpecification,
    labels: Sequence[str],
    describer_sha256: str | None,
    biographies: Mapping[str, Any] | None,
) -> None:
    """Refuse to score a model on prompts that it was not trained on.

    Args:
        training: The adapter's ``training.json``.
        prompt: The prompt to score with.
        labels: The dataset's label words, in order.
        describer_sha256: Fingerprint of the describer that worded the dataset.
        biographies: What shaped the dataset's biographies, from ``biography_record``.

    Raises:
        EvaluationError: If prompt, describer, biographies or label order differ; the message names both.
    """
    trained = training["prompt"]
    if trained["sha256"] != prompt.fingerprint:
        raise EvaluationError(
            f"The model was trained with the prompt {trained['name']} ({trained['sha256'][:12]}), this is "
            f"{prompt.name} ({prompt.fingerprint[:12]}). Score it with the prompt.json beside the model."
        )
    hears = prompt.description or prompt.impression or prompt.context_cues > 0
    if hears:
        check_describer(training["describer_sha256"], describer_sha256)
    if prompt.biography:
        check_biographies(training["biographies"], biographies)
    check_labels(training["labels"]["words"], labels)


def check_describer(trained: str | None, found: str | None) -> None:
    """Refuse speech that another describer worded than in training.

    Args:
        trained: Fingerprint of the describer of training.
        found: Fingerprint of the describer that worded the dataset.

    Raises:
        EvaluationError: If they differ.
    """
    if trained != found:
        raise EvaluationError(
            f"The model was trained on speech worded by describer {_short(trained)}, this dataset "
            f"was worded by {_short(found)}. Describe it with the describer.json beside the model."
        )


def check_labels(trained: Sequence[str], found: Sequence[str]) -> None:
    """Refuse other labels than those of training, or the same in another order.

    Args:
        trained: Label words of training, in order.
        found: The dataset's.

    Raises:
        EvaluationError: If they differ.
    """
    if list(trained) != list(found):
        raise EvaluationError(
            f"The model was trained on the labels {', '.join(trained)}, the dataset has {', '.join(found)}. "
            "Cast its emotion column to the model's labels, in their order."
        )


def check_biographies(trained: Mapping[str, Any] | None, found: Mapping[str, Any] | None) -> None:
    """Refuse biographies that were made otherwise than those of training.

    Args:
        trained: What shaped those of training, from ``biography_record``.
        found: What shaped the dataset's.

    Raises:
        EvaluationError: If a fact differs; the message names the first.
    """
    trained, found = trained or {}, found or {}
    for fact in sorted({*trained, *found}):
        if trained.get(fact) != found.get(fact):
            raise EvaluationError(
                f"The model was trained on biographies with {fact} {trained.get(fact)}, those of this dataset have "
                f"{found.get(fact)}. Write them with `speechcue biographies` as biographies.json beside the model says."
            )


def _short(sha256: str | None) -> str:
    return "none" if sha256 is None else sha256[:12]

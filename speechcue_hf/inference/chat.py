"""A chat model as a classifier: it is asked by its prompt, and every label is scored, or it writes its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datasets import Dataset

from speechcue_hf.corpora.subset import share_of
from speechcue_hf.errors import EvaluationError
from speechcue_hf.inference.calibration import blank_rows
from speechcue_hf.inference.classifier import Prediction, scored_predictions
from speechcue_hf.inference.context import ModelContext
from speechcue_hf.inference.questions import AskedByPrompt, Questions, ask_about, shown_of
from speechcue_hf.inference.settings import CLOSED_SET, InferenceSettings, TokenNormalisation
from speechcue_hf.prompts.budget import TokenBudget
from speechcue_hf.prompts.encoding import check_chat
from speechcue_hf.prompts.specification import PromptSpecification
from speechcue_hf.records import TrainingRecord

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from speechcue_hf.inference.scoring import LabelScores


@dataclass(frozen=True)
class ChatClassifier(AskedByPrompt):
    """A chat model, with or without adapter, asked by a prompt.

    Args:
        model: The model.
        tokenizer: Its tokenizer, with a chat template.
        prompt: The prompt.
        names: Names of the emotions, in the order of their class ids.
        token_budget: Most tokens of prompt and answer; longer prompts lose their oldest turns. None leaves them whole.
        train: The described training split, for a prompt that shows demonstrations.
        settings: How labels are read.
        training: How the model was trained.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    prompt: PromptSpecification
    names: tuple[str, ...]
    token_budget: int | None = None
    train: Dataset | None = None
    settings: InferenceSettings = CLOSED_SET
    training: TrainingRecord | None = None

    @classmethod
    def of(cls, model: Any, tokenizer: Any, context: ModelContext) -> ChatClassifier:
        """Put a loaded model together with its prompt, as its context says.

        Raises:
            EvaluationError: If the prompt or the label words are not those of the training, or nothing says which
                emotions there are.
            PromptError: If the chat template garbles prompts or labels.
        """
        prompt, training = context.chosen_prompt(), context.training
        if training is None:
            if context.names is None:
                raise EvaluationError(
                    f"{context.name} has no {TrainingRecord.FILE}, so nothing says which emotions it is to tell apart: "
                    "name them, or give a model that this package trained"
                )
            names, budget, train = tuple(context.names), context.token_budget, context.train
        else:
            names, budget = _trained_names(training, prompt, context), context.token_budget or training.token_budget
            # Of the training split the model has seen this share, and no demonstration may come from the rest.
            train = context.train and share_of(context.train, training.data_percent, training.seed)
        check_chat(tokenizer, prompt.words(names))
        return cls(model, tokenizer, prompt, names, budget, train, context.settings, training)

    @property
    def protocol(self) -> dict[str, Any]:
        """Scored or generated, and the rule that goes with it."""
        if self.settings.decode == "generate":
            return self.settings.protocol("decode", "matching")
        return {**self.settings.protocol("decode", "normalisation"), **self.prior}

    def shown(self, rows: Dataset) -> dict[str, Any]:
        """The prompt, and what it has of later turns."""
        return shown_of(rows, self.prompt, self.token_budget, check_chat(self.tokenizer, self.words))

    def predict(self, rows: Dataset, wanted: Sequence[int] | None = None) -> list[Prediction]:
        """Ask about each utterance; EvaluationError if the model cannot be scored as the settings ask."""
        asked = self._questions(rows, wanted)
        if self.settings.decode == "generate":
            return self._generated(asked.prompts, asked.notes)
        return scored_predictions(self._normalised(rows, asked, wanted), asked.notes, asked.shortened)

    def _questions(self, rows: Dataset, wanted: Sequence[int] | None) -> Questions:
        budget = None if self.token_budget is None else TokenBudget(self.tokenizer, self.token_budget)
        return ask_about(rows, self.prompt, wanted, budget=budget, train=self.train)

    def _normalised(self, rows: Dataset, asked: Questions, wanted: Sequence[int] | None) -> LabelScores:
        normalisation, prior = self.settings.normalisation, self.prior
        if normalisation == "sum" or normalisation == "mean":
            return self._scores(asked.prompts, normalisation)
        blank = self._questions(blank_rows(rows), wanted)
        scores = self._scores(asked.prompts, "sum").beyond(self._scores(blank.prompts, "sum"))
        return scores.with_prior(list(prior["prior"].values())) if prior else scores

    def _scores(self, prompts: Sequence[Any], normalisation: TokenNormalisation) -> LabelScores:
        from speechcue_hf.inference.scoring import score_labels
        from speechcue_hf.inference.shared import score_shared

        settings, task = self.settings, (self.model, self.tokenizer, prompts, self.words)
        if settings.sharing == "none":
            return score_labels(*task, batch_size=settings.batch_size, normalisation=normalisation)
        return score_shared(*task, tokens_per_pass=settings.tokens_per_pass, normalisation=normalisation)

    def _generated(self, prompts: Sequence[Any], notes: Sequence[str | None]) -> list[Prediction]:
        from speechcue_hf.inference.answers import generate_answers, match_outputs

        outputs = generate_answers(self.model, self.tokenizer, prompts, self.words, batch_size=self.settings.batch_size)
        labels = match_outputs(outputs, self.words, self.settings.matching)
        return [
            Prediction(label, None, note, output, shortened=note is not None)
            for label, note, output in zip(labels, notes, outputs, strict=True)
        ]


def _trained_names(training: TrainingRecord, prompt: PromptSpecification, context: ModelContext) -> tuple[str, ...]:
    """Names of the emotions of the training, if prompt and words are its own."""
    if training.labels is None:
        raise EvaluationError(f"{training.FILE} names no labels, so the model was not trained to tell emotions")
    trained = training.prompt or {"name": "none", "sha256": "none"}
    if trained["sha256"] != prompt.fingerprint:
        raise EvaluationError(
            f"{PromptSpecification.FILE}: the model was trained with the prompt {trained['name']} "
            f"({trained['sha256'][:12]}), this is {prompt.name} ({prompt.fingerprint[:12]}). Use the prompt that the "
            "training wrote beside the model."
        )
    names = tuple(training.labels["names"])
    context.check(f"labels in {training.FILE}", training.words, list(prompt.words(names)))
    return names

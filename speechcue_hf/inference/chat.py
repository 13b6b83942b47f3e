"""A chat model as a classifier: it is asked by its prompt, and every label is scored, or it writes its answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from datasets import Dataset

from speechcue_hf.corpora.subset import share_of
from speechcue_hf.errors import EvaluationError
from speechcue_hf.inference.classifier import Prediction, scored_predictions
from speechcue_hf.inference.context import ModelContext
from speechcue_hf.inference.settings import CLOSED_SET, InferenceSettings
from speechcue_hf.prompts.budget import TokenBudget
from speechcue_hf.prompts.build import build_prompts, needed_columns
from speechcue_hf.prompts.dialogue import future_record, included_scope
from speechcue_hf.prompts.encoding import check_chat
from speechcue_hf.prompts.specification import PromptSpecification
from speechcue_hf.records import TrainingRecord

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class ChatClassifier:
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
    def words(self) -> tuple[str, ...]:
        """The words of the prompt."""
        return self.prompt.words(self.names)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the prompt."""
        return tuple(needed_columns(self.prompt))

    @property
    def protocol(self) -> dict[str, Any]:
        """Scored or generated, and the rule that goes with it."""
        rule = "normalisation" if self.settings.decode == "score" else "matching"
        return self.settings.protocol("decode", rule)

    def shown(self, rows: Dataset) -> dict[str, Any]:
        """The prompt, and what it has of later turns."""
        columns = ["utterance_id", "biography", "biography_scope"]
        chosen = rows.select_columns(columns) if self.prompt.biography else ()
        scopes = (included_scope(row, self.prompt) for row in chosen)
        return shown_by_prompt(self.prompt, self.token_budget, scopes, check_chat(self.tokenizer, self.words))

    @property
    def voice(self) -> tuple[str, ...]:
        """The columns of descriptions and levels."""
        return tuple(name for name in self.columns if name.startswith("speech_") or name.endswith("_level"))

    def without_voice(self) -> ChatClassifier | None:
        """The same model with a prompt that tells nothing of the voice; None where the prompt tells nothing else."""
        if self.prompt.audio_only:
            return None
        return replace(self, prompt=replace(self.prompt, description=False, impression=False, context_cues=0))

    def predict(self, rows: Dataset, wanted: Sequence[int] | None = None) -> list[Prediction]:
        """Ask about each utterance; EvaluationError if the model cannot be scored as the settings ask."""
        budget = None if self.token_budget is None else TokenBudget(self.tokenizer, self.token_budget)
        questions = build_prompts(rows, self.prompt, budget=budget, train=self.train)
        if wanted is not None:
            questions = questions.select(wanted)
        prompts = list(questions["prompt"])
        notes = [
            f"{dropped} turns did not fit the prompt" if dropped else None for dropped in questions["turns_dropped"]
        ]
        if self.settings.decode == "generate":
            return self._generated(prompts, notes)
        return scored_predictions(self._scores(prompts), notes, [note is not None for note in notes])

    def _scores(self, prompts: Sequence[Any]) -> Any:
        from speechcue_hf.inference.scoring import score_labels
        from speechcue_hf.inference.shared import score_shared

        settings, task = self.settings, (self.model, self.tokenizer, prompts, self.words)
        if settings.sharing == "none":
            return score_labels(*task, batch_size=settings.batch_size, normalisation=settings.normalisation)
        return score_shared(*task, tokens_per_pass=settings.tokens_per_pass, normalisation=settings.normalisation)

    def _generated(self, prompts: Sequence[Any], notes: Sequence[str | None]) -> list[Prediction]:
        from speechcue_hf.inference.answers import generate_answers, match_outputs

        outputs = generate_answers(self.model, self.tokenizer, prompts, self.words, batch_size=self.settings.batch_size)
        labels = match_outputs(outputs, self.words, self.settings.matching)
        return [
            Prediction(label, None, note, output, shortened=note is not None)
            for label, note, output in zip(labels, notes, outputs, strict=True)
        ]


def shown_by_prompt(
    prompt: PromptSpecification,
    token_budget: int | None,
    scopes: Iterable[str | None],
    template: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a prompt shows a model of rows with some ``biography_scope``: values of :class:`speechcue_hf.records.Shown`.

    ``template`` is what :func:`speechcue_hf.prompts.encoding.check_chat` says of the model's chat template.

    Raises:
        PromptError: If some biographies saw later turns, and some did not.
    """
    return {"prompt": prompt.named, "template": template, "token_budget": token_budget, **future_record(prompt, scopes)}


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

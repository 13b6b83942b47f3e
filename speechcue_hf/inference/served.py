"""A chat model that runs elsewhere as a classifier: behind a server, with a provider, or in vLLM."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np
from datasets import Dataset

from speechcue_hf.errors import EvaluationError
from speechcue_hf.generation.estimate import RequestEstimate, estimate_requests
from speechcue_hf.generation.request import GeneratedText, GenerationRequest, request_key
from speechcue_hf.generation.store import TextStore, generate_missing, open_store, stored_keys, stored_writer
from speechcue_hf.inference.calibration import blank_rows
from speechcue_hf.inference.classifier import Prediction, joined_notes
from speechcue_hf.inference.label_sources import LabelSource
from speechcue_hf.inference.label_ways import Judgement
from speechcue_hf.inference.questions import AskedByPrompt, Questions, ask_about, shown_of
from speechcue_hf.inference.settings import CLOSED_SET, InferenceSettings
from speechcue_hf.prompts.budget import TokenBudget
from speechcue_hf.prompts.specification import PromptSpecification

logger = logging.getLogger(__name__)

STORE_CONTENT = {"name": "emotions", "sha256": "by the content of each prompt"}
"""A store holds answers to whatever prompt was asked: a prompt's own key says what it was."""

_MEASURED = ("score", "first-token")
"""Ways of reading labels that tell how likely they are."""


@dataclass(frozen=True)
class ServedClassifier(AskedByPrompt):
    """A chat model that is asked by a prompt, and that something else runs.

    Answers are kept in a store as soon as they are there, so that a killed run goes on where it stood; without one they
    are kept until the prediction is done. A request that failed keeps its reason, and its utterance has no label.

    Args:
        source: Who answers, with the label words of the prompt.
        prompt: The prompt.
        names: Names of the emotions, in the order of their class ids.
        token_budget: Most tokens of prompt and answer; None leaves prompts whole. It takes a tokenizer.
        train: The described training split, for a prompt that shows demonstrations.
        settings: Says how likelihoods of labels are normalised, and how texts are matched.
        store: File that answers are kept in.
        announce: Is told what is to be asked, before it is.
        spent: Requests and tokens of all answers so far.

    Raises:
        EvaluationError: If there is a token budget and no tokenizer, the source was made for other labels, or a prior
            is asked for and there is no training split.

    Example:
        >>> from speechcue_hf.generation.client import ServerClient
        >>> from speechcue_hf.inference.label_sources import ServerLabels
        >>> labels = ServerLabels(ServerClient("qwen3", base_url="http://localhost:8000/v1"), ["happy", "sad"])
        >>> classifier = ServedClassifier(labels, load_prompt("speechcue_text"), ("happy", "sad"))
        >>> classifier.predict(rows)[0].label  # doctest: +SKIP
        1
    """

    source: LabelSource
    prompt: PromptSpecification
    names: tuple[str, ...]
    token_budget: int | None = None
    train: Dataset | None = None
    settings: InferenceSettings = CLOSED_SET
    store: Path | None = None
    announce: Callable[[RequestEstimate], None] | None = None
    spent: Counter[str] = field(default_factory=Counter, compare=False)

    training: ClassVar[None] = None

    def __post_init__(self) -> None:
        if self.token_budget is not None and self.source.tokenizer is None:
            raise EvaluationError("A token budget is counted by the model's tokenizer: name it with --tokenizer.")
        if self.source.words != self.words:
            raise EvaluationError(f"The source tells of {self.source.words}, and the prompt of {self.words}.")
        # What is lacking for it is said before anything is asked.
        _ = self.prior

    @property
    def protocol(self) -> dict[str, Any]:
        """How labels were read, the rule that goes with it, who answered, and what was spent.

        Where each label is scored prompts are rendered here, so ``template`` says how; else only the server knows.
        """
        decode = self.source.way.decode
        rule: dict[str, Any] = {"template": self.source.template} if decode == "score" else {}
        if decode in _MEASURED:
            rule |= {"normalisation": self.settings.normalisation, **self.prior}
        rule |= {"matching": self.settings.matching} if decode == "generate" else {}
        known = {name: value for name, value in self.source.identity.items() if name not in ("decode", "labels")}
        return {"decode": decode, **rule, "server": {**known, **self.spent}}

    def shown(self, rows: Dataset) -> dict[str, Any]:
        """The prompt, and what it has of later turns."""
        return shown_of(rows, self.prompt, self.token_budget)

    def estimate(self, rows: Dataset, wanted: Sequence[int] | None = None) -> RequestEstimate:
        """What it takes to judge rows, beyond what the store has; nothing is asked."""
        questions, blank = self._questions(rows, wanted)
        return self._estimate([*_requests(questions), *_requests(blank)])

    def predict(self, rows: Dataset, wanted: Sequence[int] | None = None) -> list[Prediction]:
        """Ask about each utterance.

        Raises:
            EvaluationError: If the server cannot be read as was asked for, or probabilities are to be calibrated that
                it does not tell.
            GenerationError: If it cannot be asked at all, or the store is of another model.
        """
        questions, blank = self._questions(rows, wanted)
        asked, asked_blank = _requests(questions), _requests(blank)
        requests = [*asked, *asked_blank]
        if not requests:
            return []
        if self.announce is not None:
            self.announce(self._estimate(requests))
        with self._kept(requests[0]) as kept:
            if asked_blank and self.source.way.decode not in _MEASURED:
                raise EvaluationError(
                    f"Labels are read by {self.source.way.decode}, which tells no probabilities, so none can be "
                    f"calibrated: leave --normalisation {self.settings.normalisation} out."
                )
            generate_missing(requests, self.source, kept, "Asking")
            answers = [kept[request.key] for request in asked]
            baselines = [kept[request.key] for request in asked_blank]
            self._count([kept[key] for key in dict.fromkeys(request.key for request in requests)])
        return self._judged(answers, baselines, questions)

    def _questions(self, rows: Dataset, wanted: Sequence[int] | None) -> tuple[Questions, Questions]:
        """What is asked, and the same left blank where answers are calibrated by it."""
        tokenizer, limit = self.source.tokenizer, self.token_budget
        budget = TokenBudget(tokenizer, limit) if tokenizer is not None and limit is not None else None
        questions = ask_about(rows, self.prompt, wanted, budget=budget, train=self.train)
        if not self.settings.calibrated:
            return questions, Questions([], [], [])
        return questions, ask_about(blank_rows(rows), self.prompt, wanted, budget=budget, train=self.train)

    def _estimate(self, requests: Sequence[GenerationRequest]) -> RequestEstimate:
        stored = stored_keys(self.store) if self.store else set[str]()
        tokenizer, new_tokens = self.source.tokenizer, self.source.new_tokens
        return estimate_requests(requests, max_new_tokens=new_tokens, tokenizer=tokenizer, stored=stored)

    @contextmanager
    def _kept(self, first: GenerationRequest) -> Iterator[TextStore]:
        """The store, opened once it is known how labels are read; what was found out by a request is kept."""
        with TemporaryDirectory(prefix="speechcue-answers-") as folder:
            path = self.store or Path(folder) / "store.jsonl"
            found = self.source.settle(first, stored_writer(path))
            with open_store(path, generator=self.source.identity, prompt=STORE_CONTENT) as store:
                if found is not None and found.key not in store:
                    store.append(found)
                yield store

    def _count(self, answers: Sequence[GeneratedText]) -> None:
        self.spent["requests"] += len(answers)
        for name in ("prompt_tokens", "completion_tokens", "cached_tokens"):
            if counts := [count for answer in answers if (count := getattr(answer, name)) is not None]:
                self.spent[name] += sum(counts)

    def _judged(
        self, answers: Sequence[GeneratedText], baselines: Sequence[GeneratedText], questions: Questions
    ) -> list[Prediction]:
        before: Sequence[GeneratedText | None] = baselines or [None] * len(answers)
        rows = zip(answers, before, questions.notes, questions.shortened, strict=True)
        predictions = [(self._one(answer, baseline), note, cut) for answer, baseline, note, cut in rows]
        return [replace(it, note=joined_notes(note, it.note), shortened=cut) for it, note, cut in predictions]

    def _one(self, answer: GeneratedText, baseline: GeneratedText | None) -> Prediction:
        for one in (answer, baseline):
            if one is not None and one.text is None:
                return Prediction(None, note=one.reason)
        made = self.source.way.judge(answer.text or "")
        if made.label is None or made.log_likelihood is None:
            return Prediction(made.label, note=made.reason, output=made.output)
        blank = None if baseline is None else self.source.way.judge(baseline.text or "")
        shares = self.prior.get("prior")
        return _most_likely(_normalised(made, blank, self.settings, list(shares.values()) if shares else None))


def _requests(questions: Questions) -> list[GenerationRequest]:
    return [
        GenerationRequest(request_key(messages), tuple(messages), dialogue)
        for messages, dialogue in zip(questions.prompts, questions.dialogue_ids, strict=True)
    ]


def _normalised(
    made: Judgement, blank: Judgement | None, settings: InferenceSettings, shares: Sequence[float] | None
) -> list[float | None]:
    """Log-likelihoods by the rule; None where one that it takes was not measured."""
    likely = list(made.log_likelihood or ())
    if settings.normalisation == "mean" and made.tokens is not None:
        return [None if one is None else one / count for one, count in zip(likely, made.tokens, strict=True)]
    if not settings.calibrated:
        return likely
    before = (blank.log_likelihood if blank else None) or (None,) * len(likely)
    prior = [0.0] * len(likely) if shares is None else [math.log(share) if share else -math.inf for share in shares]
    return [
        None if one is None or other is None else one - other + share
        for one, other, share in zip(likely, before, prior, strict=True)
    ]


def _most_likely(likely: Sequence[float | None]) -> Prediction:
    """The likeliest label that was measured, with probabilities if all were."""
    measured = np.array([-np.inf if one is None else one for one in likely])
    if not np.isfinite(measured).any():
        return Prediction(None, note="no label's likelihood is known both with and without the content")
    shares = np.exp(measured - measured.max())
    probabilities = tuple((shares / shares.sum()).tolist()) if None not in likely else None
    return Prediction(int(measured.argmax()), probabilities)

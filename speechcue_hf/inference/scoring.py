"""Closed-set scoring: how likely a language model finds each label as the answer to a prompt.

Nothing is generated and nothing is parsed: every label gets its log-likelihood, so a prediction is always a label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from speechcue_hf.errors import EvaluationError
from speechcue_hf.inference.settings import Normalisation, TokenNormalisation
from speechcue_hf.progress import progress
from speechcue_hf.prompts.encoding import Message, encode_completion, encode_prompts

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PROMPTS_PER_BATCH = 256
ENDING = 4
"""Tokens at the end of a prompt that can change how the answer behind it is cut into tokens."""


@dataclass(frozen=True)
class EncodedPrompts:
    """Prompts and labels as tokens.

    Attributes:
        prompts: Token ids of each rendered prompt, up to where the answer begins.
        completions: For each label the token ids that follow any of the prompts, end token included.
    """

    prompts: list[list[int]]
    completions: list[list[int]]

    @property
    def longest_completion(self) -> int:
        """Tokens of the longest label, end token included."""
        return max(map(len, self.completions))


@dataclass(frozen=True)
class LabelScores:
    """What a model makes of each label for each prompt.

    Attributes:
        labels: The closed set, in the order of the columns.
        log_likelihood: Natural logarithm, shape ``(rows, labels)``: summed over the tokens of label and end token, or
            their mean; or what is left of the sum beyond that of a blank prompt, with the logarithm of a prior or
            without.
        normalisation: ``"sum"``, ``"mean"``, ``"contextual"`` or ``"prior"``.
        tokens: How many tokens the model processed for it.
    """

    labels: tuple[str, ...]
    log_likelihood: np.ndarray
    normalisation: Normalisation
    tokens: int

    @classmethod
    def of(
        cls,
        labels: Sequence[str],
        summed: np.ndarray,
        completions: Sequence[Sequence[int]],
        normalisation: Normalisation,
        tokens: int,
    ) -> LabelScores:
        """Scores from log-likelihoods that are summed over the tokens of each label's completion."""
        lengths = np.array([len(completion) for completion in completions])
        return cls(tuple(labels), summed / lengths if normalisation == "mean" else summed, normalisation, tokens)

    def beyond(self, blank: LabelScores) -> LabelScores:
        """Contextual calibration: how much likelier each label is than after a blank prompt, row by row.

        Probabilities over the labels are divided by those of the blank prompt and scaled to a sum of 1 (Zhao et al.
        2021, "Calibrate Before Use", with their diagonal matrix).
        """
        tokens = self.tokens + blank.tokens
        return LabelScores(self.labels, self.log_likelihood - blank.log_likelihood, "contextual", tokens)

    def with_prior(self, shares: Sequence[float]) -> LabelScores:
        """Calibrated probabilities multiplied by the share that each label has, and scaled to a sum of 1."""
        with np.errstate(divide="ignore"):
            return replace(self, log_likelihood=self.log_likelihood + np.log(shares), normalisation="prior")

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax of the log-likelihoods over the label set, shape ``(rows, labels)``."""
        scaled = np.exp(self.log_likelihood - self.log_likelihood.max(axis=1, keepdims=True))
        return np.asarray(scaled / scaled.sum(axis=1, keepdims=True))

    @property
    def predictions(self) -> np.ndarray:
        """Column of the most likely label, shape ``(rows,)``."""
        return np.asarray(self.log_likelihood.argmax(axis=1))


def score_labels(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[Message]],
    labels: Sequence[str],
    *,
    batch_size: int = 8,
    normalisation: TokenNormalisation = "sum",
) -> LabelScores:
    """Score every label as the completion of every prompt, each prompt by itself.

    One pass runs the prompts and keeps their cache, one pass runs all labels on that shared cache. This works with
    every decoder that has a key-value cache; ``score_shared`` processes fewer tokens where it applies.

    Args:
        model: A causal language model, with or without adapter; it is scored in evaluation mode.
        tokenizer: Its tokenizer, with a chat template.
        prompts: One list of messages for each row.
        labels: The closed set, at least two.
        batch_size: Prompts in one pass; the cache is held once for each label.
        normalisation: ``"sum"`` adds the log-probabilities of a label's tokens, ``"mean"`` averages them.

    Returns:
        Scores in the order of ``prompts``, equal to full forward passes whatever the batch.

    Raises:
        EvaluationError: If the tokenizer has no chat template or a prompt exceeds the model's context.
        ValueError: If there are no prompts, fewer than two labels, or ``normalisation`` is unknown.

    Example:
        >>> prompt = [{"role": "user", "content": "I won! Emotion?"}]
        >>> scores = score_labels(model, tokenizer, [prompt], ["happy", "sad"])
        >>> scores.probabilities.shape
        (1, 2)
    """
    check_label_set(labels, normalisation)
    encoded = encode_for_scoring(model, tokenizer, prompts, labels)
    by_length = sorted(range(len(prompts)), key=lambda row: len(encoded.prompts[row]))
    summed = np.empty((len(prompts), len(labels)))
    with evaluation_mode(model):
        for start in progress(range(0, len(prompts), batch_size), "Scoring labels", "batches"):
            batch = by_length[start : start + batch_size]
            ids, mask = (part.to(model.device) for part in pad([encoded.prompts[row] for row in batch], side="left"))
            likelihood = score_after_prompts(model, {"input_ids": ids, "attention_mask": mask}, encoded.completions)
            summed[batch] = likelihood.cpu().numpy()
    return LabelScores.of(labels, summed, encoded.completions, normalisation, count_tokens(encoded))


def encode_for_scoring(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[Message]],
    labels: Sequence[str],
) -> EncodedPrompts:
    """Tokenise prompts and labels, token for token as in training, and check that they fit the model.

    A prompt's tokens are a prefix of those of prompt and answer, and chat templates end every prompt alike, so the
    labels are tokenised once for each way in which prompts end. Arguments as for ``score_labels``.

    Raises:
        EvaluationError: If the tokenizer has no chat template, labels get other tokens behind another prompt, or a
            prompt with its longest label has more tokens than the model has positions.
        PromptError: If the chat template does not let an answer be told from its prompt.
        ValueError: If there are no prompts.
    """
    if tokenizer.chat_template is None:
        raise EvaluationError(
            "The tokenizer has no chat template, so a prompt cannot be rendered. "
            "Set tokenizer.chat_template to the one the model was trained with."
        )
    if not prompts:
        raise ValueError("there are no prompts to score")
    starts = progress(range(0, len(prompts), PROMPTS_PER_BATCH), "Tokenising prompts", "batches")
    batches = (encode_prompts(tokenizer, prompts[start : start + PROMPTS_PER_BATCH]) for start in starts)
    prompt_ids = [prompt for batch in batches for prompt in batch]
    encoded = EncodedPrompts(prompt_ids, _encode_labels(tokenizer, prompts, prompt_ids, labels))
    _check_context(model, encoded)
    return encoded


def _encode_labels(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[Message]],
    prompt_ids: Sequence[Sequence[int]],
    labels: Sequence[str],
) -> list[list[int]]:
    """Token ids of each label behind any of the prompts."""
    row_of_ending: dict[tuple[int, ...], int] = {}
    for row, ids in enumerate(prompt_ids):
        row_of_ending.setdefault(tuple(ids[-ENDING:]), row)
    answers = [[{"role": "assistant", "content": label}] for label in labels]
    completions = [
        [encode_completion(tokenizer, prompts[row], answer)[1] for answer in answers] for row in row_of_ending.values()
    ]
    for row, found in zip(row_of_ending.values(), completions, strict=True):
        if found != completions[0]:
            raise EvaluationError(
                f"The tokenizer cuts the labels into other tokens behind prompt {row} than behind prompt 0. "
                "Let the chat template end every prompt alike, with a generation prompt."
            )
    return completions[0]


def _check_context(model: PreTrainedModel, encoded: EncodedPrompts) -> None:
    limit = model.config.get_text_config().max_position_embeddings
    for row, prompt in enumerate(encoded.prompts):
        length = len(prompt) + encoded.longest_completion
        if length > limit:
            raise EvaluationError(
                f"Prompt {row} has {length} tokens with its label, the model takes {limit}. "
                "Use a prompt with a shorter history, a token budget, or a model with a longer context."
            )


def check_label_set(labels: Sequence[str], normalisation: str) -> None:
    """Check the arguments that all scorers share.

    Raises:
        ValueError: If there are fewer than two different labels, or ``normalisation`` is unknown.
    """
    if len(set(labels)) != len(labels) or len(labels) < 2:
        raise ValueError(f"scoring needs at least two different labels, got {list(labels)}")
    if normalisation not in ("sum", "mean"):
        raise ValueError(f'normalisation must be "sum" or "mean", got {normalisation!r}')


def count_tokens(encoded: EncodedPrompts) -> int:
    """Tokens the model runs to score each prompt by itself: the prompt, and each label but for its last token."""
    labels = sum(len(completion) - 1 for completion in encoded.completions)
    return sum(len(prompt) + labels for prompt in encoded.prompts)


@contextmanager
def evaluation_mode(model: PreTrainedModel) -> Iterator[None]:
    """Hold a model without dropout and gradients, then put it back as it was."""
    was_training = model.training
    model.train(False)
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)


def pad(sequences: Sequence[Sequence[int]], *, side: Literal["left", "right"]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack token sequences of different length, padded on a side.

    Returns:
        Token ids and their mask (1 for tokens, 0 for padding), both of shape ``(sequences, longest)``.
    """
    rows = [torch.tensor(sequence) for sequence in sequences]
    ids, mask = (
        pad_sequence(parts, batch_first=True, padding_side=side)
        for parts in (rows, [torch.ones_like(row) for row in rows])
    )
    return ids, mask


def score_after_prompts(
    model: PreTrainedModel, prompts: Mapping[str, torch.Tensor], completions: Sequence[Sequence[int]]
) -> torch.Tensor:
    """Summed log-likelihood of each completion of each prompt of a batch.

    Args:
        model: The model, in evaluation mode.
        prompts: Its inputs, padded on the left: ``input_ids`` and ``attention_mask``, both of shape
            ``(prompts, longest)``, and speech for a model that hears.
        completions: Token ids of each completion.

    Returns:
        Shape ``(prompts, completions)``.
    """
    prompt_mask = prompts["attention_mask"]
    rows, n_labels = len(prompt_mask), len(completions)
    completion_ids, completion_mask = (part.to(model.device).repeat(rows, 1) for part in pad(completions, side="right"))
    position_ids = (prompt_mask.cumsum(dim=1) - 1).clamp(min=0)
    prompt = model(**prompts, position_ids=position_ids, use_cache=True, logits_to_keep=1)
    cache = prompt.past_key_values
    cache.batch_repeat_interleave(n_labels)
    seen = prompt_mask.repeat_interleave(n_labels, dim=0)
    # A completion's first token is judged by the prompt's logits, and nothing comes after its last.
    later = model(
        input_ids=completion_ids[:, :-1],
        attention_mask=torch.cat([seen, completion_mask[:, :-1]], dim=1),
        position_ids=seen.sum(dim=1, keepdim=True) + torch.arange(completion_ids.shape[1] - 1, device=model.device),
        past_key_values=cache,
    )
    logits = torch.cat([prompt.logits.repeat_interleave(n_labels, dim=0), later.logits], dim=1).float()
    likelihood = logits.gather(-1, completion_ids.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(dim=-1)
    return (likelihood * completion_mask).sum(dim=1).view(rows, n_labels).double()

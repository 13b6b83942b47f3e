"""Closed-set scoring: how likely a language model finds each label as the answer to a prompt.

Nothing is generated and nothing is parsed: every label gets its log-likelihood, so a prediction is always a label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from speechcue_hf.inference.completions import EncodedPrompts, encode_for_scoring
from speechcue_hf.inference.settings import Normalisation
from speechcue_hf.progress import progress
from speechcue_hf.prompts.encoding import Message

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class LabelScores:
    """What a model makes of each label for each prompt.

    Attributes:
        labels: The closed set, in the order of the columns.
        log_likelihood: Natural logarithm, shape ``(rows, labels)``: summed over the tokens of label and end token, or
            their mean.
        normalisation: ``"sum"`` or ``"mean"``.
        tokens: How many tokens the model processed for it.
    """

    labels: tuple[str, ...]
    log_likelihood: np.ndarray
    normalisation: Normalisation
    tokens: int

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax of the log-likelihoods over the label set, shape ``(rows, labels)``."""
        scaled = np.exp(self.log_likelihood - self.log_likelihood.max(axis=1, keepdims=True))
        return np.asarray(scaled / scaled.sum(axis=1, keepdims=True))

    @property
    def predictions(self) -> np.ndarray:
        """Column of the most likely label, shape ``(rows,)``."""
        return np.asarray(self.log_likelihood.argmax(axis=1))

    @property
    def margins(self) -> np.ndarray:
        """Probability of the best label minus that of the second best, shape ``(rows,)``."""
        ranked = np.sort(self.probabilities, axis=1)
        return np.asarray(ranked[:, -1] - ranked[:, -2])


def score_labels(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[Message]],
    labels: Sequence[str],
    *,
    batch_size: int = 8,
    normalisation: Normalisation = "sum",
) -> LabelScores:
    """Score every label as the completion of every prompt, each prompt by itself.

    One pass runs the prompts and keeps their cache, one pass runs all labels on that shared cache. Batches hold prompts
    of similar length. This works with every decoder that has a key-value cache; ``score_shared`` processes fewer tokens
    where it applies.

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
            likelihood = _score_batch(model, [encoded.prompts[row] for row in batch], encoded.completions)
            summed[batch] = likelihood.cpu().numpy()
    return LabelScores(tuple(labels), normalise(summed, encoded, normalisation), normalisation, count_tokens(encoded))


def check_label_set(labels: Sequence[str], normalisation: str) -> None:
    """Check the arguments that both scorers share.

    Raises:
        ValueError: If there are fewer than two different labels, or ``normalisation`` is unknown.
    """
    if len(set(labels)) != len(labels) or len(labels) < 2:
        raise ValueError(f"scoring needs at least two different labels, got {list(labels)}")
    if normalisation not in ("sum", "mean"):
        raise ValueError(f'normalisation must be "sum" or "mean", got {normalisation!r}')


def normalise(summed: np.ndarray, encoded: EncodedPrompts, normalisation: Normalisation) -> np.ndarray:
    """Turn summed log-likelihoods into those asked for, shape ``(rows, labels)``."""
    if normalisation == "sum":
        return summed
    return np.asarray(summed / np.array([len(completion) for completion in encoded.completions]))


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
    """Stack token sequences of different length; the padding is masked, so its token does not matter.

    Args:
        sequences: Token ids.
        side: Where the padding goes.

    Returns:
        Token ids and their mask (1 for tokens, 0 for padding), both of shape ``(sequences, longest)``.
    """
    longest = max(map(len, sequences))
    ids = torch.zeros((len(sequences), longest), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        place = slice(longest - len(sequence), longest) if side == "left" else slice(0, len(sequence))
        ids[row, place] = torch.tensor(sequence, dtype=torch.long)
        mask[row, place] = 1
    return ids, mask


def _score_batch(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]
) -> torch.Tensor:
    """Summed log-likelihood of each completion of each prompt, shape ``(prompts, completions)``."""
    prompt_ids, prompt_mask = (part.to(model.device) for part in pad(prompts, side="left"))
    return score_after_prompts(model, {"input_ids": prompt_ids, "attention_mask": prompt_mask}, completions)


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
    prompt = model(
        **prompts,
        position_ids=(prompt_mask.cumsum(dim=1) - 1).clamp(min=0),
        use_cache=True,
        logits_to_keep=1,
    )
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
    logits = torch.cat([prompt.logits.repeat_interleave(n_labels, dim=0), later.logits], dim=1)
    likelihood = _token_log_likelihood(logits, completion_ids)
    return (likelihood * completion_mask).sum(dim=1).view(rows, n_labels).double()


def _token_log_likelihood(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Log-probability of each target token."""
    logits = logits.float()
    return logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(dim=-1)

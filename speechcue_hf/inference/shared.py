"""Closed-set scoring that runs every shared beginning once.

The prompts of a dialogue begin alike: instruction, then the conversation so far. Together with the labels they form a
tree of tokens, in which a prompt is a branch off the conversation and a label a branch off its prompt. Each node of the
tree runs once, sees its ancestors only (a 4-D mask) and stands at its depth (position ids), which is what it would see
in a sequence of its own, so the result is that of ``score_labels``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from speechcue_hf.errors import EvaluationError
from speechcue_hf.inference.scoring import (
    EncodedPrompts,
    LabelScores,
    check_label_set,
    encode_for_scoring,
    evaluation_mode,
)
from speechcue_hf.inference.settings import TokenNormalisation
from speechcue_hf.models.token_tree import TokenTree, additive_mask, build_token_tree, why_not_branching
from speechcue_hf.progress import counting
from speechcue_hf.prompts.encoding import Message

if TYPE_CHECKING:
    from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase


def score_shared(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[Message]],
    labels: Sequence[str],
    *,
    tokens_per_pass: int = 256,
    normalisation: TokenNormalisation = "sum",
) -> LabelScores:
    """Score every label as the completion of every prompt, running common beginnings once.

    Give it whole dialogues (a whole test set, best of all): the instruction then runs once for all of them and the
    conversation once for each dialogue. Memory does not grow with the number of prompts, and no token runs twice. The
    model needs full attention in every layer, and an implementation that takes 4-D masks (``"sdpa"`` or ``"eager"``);
    ``tokens_per_pass`` bounds memory and changes no result (256 is fastest on a CPU, a GPU takes more). The other
    arguments, and the result, are those of ``score_labels``.

    Raises:
        EvaluationError: If the model cannot branch, or as for ``score_labels``.
        ValueError: If ``tokens_per_pass`` is not positive, or as for ``score_labels``.
    """
    check_label_set(labels, normalisation)
    if tokens_per_pass < 1:
        raise ValueError(f"tokens_per_pass must be positive, got {tokens_per_pass}")
    if (reason := why_not_branching(model)) is not None:
        raise EvaluationError(
            f"{reason}, so prompts cannot branch. Score each prompt by itself instead: score_labels, or speechcue "
            "evaluate --sharing none."
        )
    encoded = encode_for_scoring(model, tokenizer, prompts, labels)
    tree, judgements = _plan(encoded)
    with evaluation_mode(model):
        likelihood = _run_tree(model, tree, judgements, tokens_per_pass)
    firsts = np.cumsum([0, *map(len, encoded.completions)])[:-1]
    summed = np.add.reduceat(likelihood, firsts, axis=1)
    return LabelScores.of(labels, summed, encoded.completions, normalisation, tokens=len(tree.tokens))


def _plan(encoded: EncodedPrompts) -> tuple[TokenTree, np.ndarray]:
    """The tokens to run, and what to read from them."""
    tree = build_token_tree(
        [prompt + completion[:-1] for prompt in encoded.prompts for completion in encoded.completions]
    )
    targets = [token for completion in encoded.completions for token in completion]
    judgements = np.empty((len(encoded.prompts), len(targets), 2), dtype=int)
    paths = iter(tree.paths)
    for row, prompt in enumerate(encoded.prompts):
        judgements[row, :, 0] = np.concatenate([next(paths)[len(prompt) - 1 :] for _ in encoded.completions])
    judgements[:, :, 1] = targets
    return tree, judgements


def _run_tree(model: PreTrainedModel, tree: TokenTree, judgements: np.ndarray, tokens_per_pass: int) -> np.ndarray:
    """Log-likelihood of each (node, next token) of ``judgements``, shape ``(prompts, tokens)``."""
    from transformers import DynamicCache

    # Prompts that share a beginning, and labels that do, ask for the same judgement more than once.
    requested, place = np.unique(judgements.reshape(-1, 2), axis=0, return_inverse=True)
    likelihood = np.empty(len(requested))
    cache = DynamicCache(config=model.config)
    kept = np.empty(0, dtype=int)
    with counting("Scoring labels", len(tree.tokens), "tokens") as count:
        for start in range(0, len(tree.tokens), tokens_per_pass):
            piece = np.arange(start, min(start + tokens_per_pass, len(tree.tokens)))
            keys = np.concatenate([kept, piece])
            here = slice(*np.searchsorted(requested[:, 0], [piece[0], piece[-1] + 1]))
            likelihood[here] = _run_piece(model, tree, piece, keys, cache, requested[here])
            # Of what has run, the nodes still to come see only the ancestors of the next one.
            followed = tree.ends[keys] > piece[-1] + 1
            _keep_in_cache(cache, torch.as_tensor(np.flatnonzero(followed), device=model.device))
            kept = keys[followed]
            count(len(piece))
    return likelihood[place.reshape(judgements.shape[:2])]


def _run_piece(
    model: PreTrainedModel,
    tree: TokenTree,
    piece: np.ndarray,
    keys: np.ndarray,
    cache: DynamicCache,
    requested: np.ndarray,
) -> np.ndarray:
    """Run some nodes of the tree after those in the cache."""
    tensor = partial(torch.as_tensor, device=model.device)
    judged, logits_row = np.unique(requested[:, 0], return_inverse=True)
    output = model(
        input_ids=tensor(tree.tokens[piece])[None],
        attention_mask=additive_mask(tensor(piece), tensor(keys), tensor(tree.ends[keys]), model.dtype),
        position_ids=tensor(tree.depths[piece])[None],
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=tensor(judged - piece[0]),
    )
    logits = output.logits[0].float()
    rows, targets = tensor(logits_row), tensor(requested[:, 1])
    likelihood = logits[rows, targets] - logits.logsumexp(dim=-1)[rows]
    return np.asarray(likelihood.cpu().numpy())


def _keep_in_cache(cache: DynamicCache, positions: torch.Tensor) -> None:
    """Drop all but some positions from a cache; transformers has no call for any but the last ones."""
    layers: Any = cache.layers
    for layer in layers:
        layer.keys = layer.keys.index_select(-2, positions)
        layer.values = layer.values.index_select(-2, positions)

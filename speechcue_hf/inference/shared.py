"""Closed-set scoring that runs every shared beginning once.

The prompts of a dialogue begin alike: instruction, then the conversation so far. Together with the labels they form a
tree of tokens, in which a prompt is a branch off the conversation and a label a branch off its prompt. Each node of the
tree runs once, sees its ancestors only (a 4-D mask) and stands at its depth (position ids), which is what it would see
in a sequence of its own, so the result is that of ``score_labels``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from operator import eq
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
from speechcue_hf.models.base import has_plain_cache
from speechcue_hf.progress import counting
from speechcue_hf.prompts.encoding import Message

if TYPE_CHECKING:
    from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class TokenTree:
    """Token sequences with common beginnings merged; nodes lie depth first, so a subtree is one interval.

    Attributes:
        tokens: Token id of each node, shape ``(nodes,)``.
        depths: Position of each node in its sequences, shape ``(nodes,)``.
        ends: First node after each node's subtree, shape ``(nodes,)``.
        paths: For each sequence its nodes, in the order the sequences were given.
    """

    tokens: np.ndarray
    depths: np.ndarray
    ends: np.ndarray
    paths: list[np.ndarray]


def build_token_tree(sequences: Sequence[list[int]]) -> TokenTree:
    """Merge the common beginnings of token sequences.

    Args:
        sequences: Token ids; sequences may repeat or continue one another.

    Returns:
        The tree, with one node for each different beginning.

    Example:
        >>> build_token_tree([[5, 6, 7], [5, 6, 8, 9]]).tokens
        array([5, 6, 7, 8, 9])
    """
    tokens: list[int] = []
    depths: list[int] = []
    paths: list[np.ndarray] = [np.empty(0, dtype=int)] * len(sequences)
    previous: list[int] = []
    path = np.empty(0, dtype=int)
    # In sorted order a sequence shares its longest known beginning with the one before it.
    for row in sorted(range(len(sequences)), key=sequences.__getitem__):
        sequence = sequences[row]
        shared = sum(takewhile(bool, map(eq, previous, sequence)))
        new = len(sequence) - shared
        path = paths[row] = np.concatenate([path[:shared], np.arange(len(tokens), len(tokens) + new)])
        tokens.extend(sequence[shared:])
        depths.extend(range(shared, len(sequence)))
        previous = sequence
    return TokenTree(np.array(tokens, dtype=int), np.array(depths, dtype=int), _subtree_ends(depths), paths)


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


def why_not_branching(model: PreTrainedModel) -> str | None:
    """Why a model would ignore the tree's mask and give wrong numbers; None where prompts can branch."""
    if not has_plain_cache(model):
        return f"{type(model).__name__} has layers without full attention"
    implementation = model.config._attn_implementation
    return None if implementation in ("sdpa", "eager") else f'Attention "{implementation}" takes no 4-D mask'


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
    visible = (keys <= piece[:, None]) & (piece[:, None] < tree.ends[keys])
    judged, logits_row = np.unique(requested[:, 0], return_inverse=True)
    output = model(
        input_ids=tensor(tree.tokens[piece])[None],
        attention_mask=_additive_mask(tensor(visible), model.dtype),
        position_ids=tensor(tree.depths[piece])[None],
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=tensor(judged - piece[0]),
    )
    logits = output.logits[0].float()
    rows, targets = tensor(logits_row), tensor(requested[:, 1])
    likelihood = logits[rows, targets] - logits.logsumexp(dim=-1)[rows]
    return np.asarray(likelihood.cpu().numpy())


def _subtree_ends(depths: Sequence[int]) -> np.ndarray:
    """First node after each node's subtree: the next one that is not deeper; shape ``(nodes,)``."""
    ends = np.full(len(depths), len(depths))
    open_nodes: list[int] = []
    for node, depth in enumerate(depths):
        while open_nodes and depths[open_nodes[-1]] >= depth:
            ends[open_nodes.pop()] = node
        open_nodes.append(node)
    return ends


def _additive_mask(visible: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Mask that every attention implementation adds to its scores, shape ``(1, 1, queries, keys)``."""
    return torch.zeros_like(visible, dtype=dtype).masked_fill_(~visible, torch.finfo(dtype).min)[None, None]


def _keep_in_cache(cache: DynamicCache, positions: torch.Tensor) -> None:
    """Drop all but some positions from a cache; transformers has no call for any but the last ones."""
    layers: Any = cache.layers
    for layer in layers:
        layer.keys = layer.keys.index_select(-2, positions)
        layer.values = layer.values.index_select(-2, positions)

"""Closed-set scoring that runs every shared beginning once.

The prompts of a dialogue begin alike: instruction, then the conversation so far. Together with the labels they form a
tree of tokens, in which a prompt is a branch off the conversation and a label a branch off its prompt. Each node of the
tree runs once, sees its ancestors only (a 4-D mask) and stands at its depth (position ids), which is what it would see
in a sequence of its own, so the result is that of ``score_labels``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from speechcue_hf.errors import EvaluationError
from speechcue_hf.inference.completions import EncodedPrompts, encode_for_scoring
from speechcue_hf.inference.scoring import (
    LabelScores,
    check_label_set,
    evaluation_mode,
    normalise,
)
from speechcue_hf.inference.settings import Normalisation
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
    previous: Sequence[int] = ()
    path = np.empty(0, dtype=int)
    # In sorted order a sequence shares its longest known beginning with the one before it.
    for row in sorted(range(len(sequences)), key=sequences.__getitem__):
        sequence = sequences[row]
        shared = _common_prefix_length(previous, sequence)
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
    normalisation: Normalisation = "sum",
) -> LabelScores:
    """Score every label as the completion of every prompt, running common beginnings once.

    Give it whole dialogues (a whole test set, best of all): the instruction then runs once for all of them and the
    conversation once for each dialogue. The tree runs in pieces; between two pieces only the cache of the branch being
    followed is kept, so memory does not grow with the number of prompts and no token runs twice.

    Args:
        model: A causal language model with full attention in every layer and an implementation that takes 4-D masks
            (``"sdpa"`` or ``"eager"``); it is scored in evaluation mode.
        tokenizer: Its tokenizer, with a chat template.
        prompts: One list of messages for each row.
        labels: The closed set, at least two.
        tokens_per_pass: Tokens in one pass; bounds memory and changes no result. 256 is fastest on a CPU, a GPU takes
            more.
        normalisation: ``"sum"`` adds the log-probabilities of a label's tokens, ``"mean"`` averages them.

    Returns:
        Scores in the order of ``prompts``, equal to those of ``score_labels``.

    Raises:
        EvaluationError: If the model cannot branch, the tokenizer has no chat template or a prompt is too long.
        ValueError: If there are no prompts, fewer than two labels, ``normalisation`` is unknown or ``tokens_per_pass``
            is not positive.
    """
    check_label_set(labels, normalisation)
    if tokens_per_pass < 1:
        raise ValueError(f"tokens_per_pass must be positive, got {tokens_per_pass}")
    check_branching(model)
    encoded = encode_for_scoring(model, tokenizer, prompts, labels)
    tree, judgements = _plan(encoded)
    with evaluation_mode(model):
        likelihood = _run_tree(model, tree, judgements, tokens_per_pass)
    firsts = np.cumsum([0, *map(len, encoded.completions)])[:-1]
    summed = np.add.reduceat(likelihood, firsts, axis=1)
    return LabelScores(tuple(labels), normalise(summed, encoded, normalisation), normalisation, tokens=len(tree.tokens))


def check_branching(model: PreTrainedModel) -> None:
    """Refuse models that would ignore the tree's mask and give wrong numbers.

    Raises:
        EvaluationError: If a layer has no plain key-value cache (sliding window, linear attention), or the attention
            implementation takes no 4-D mask.
    """
    if (reason := why_not_branching(model)) is not None:
        raise EvaluationError(
            f"{reason}, so prompts cannot branch. Score each prompt by itself instead: score_labels, or speechcue "
            "evaluate --sharing none."
        )


def why_not_branching(model: PreTrainedModel) -> str | None:
    """Why prompts cannot branch off a shared beginning in a model; None where they can."""
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
    visible = (keys <= piece[:, None]) & (piece[:, None] < tree.ends[keys])
    judged, logits_row = np.unique(requested[:, 0], return_inverse=True)
    output = model(
        input_ids=_row(tree.tokens[piece], model),
        attention_mask=_additive_mask(visible, model),
        position_ids=_row(tree.depths[piece], model),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=torch.as_tensor(judged - piece[0], device=model.device),
    )
    logits = output.logits[0].float()
    rows, targets = (torch.as_tensor(index, device=model.device) for index in (logits_row, requested[:, 1]))
    likelihood = logits[rows, targets] - logits.logsumexp(dim=-1)[rows]
    return np.asarray(likelihood.cpu().numpy())


def _common_prefix_length(first: Sequence[int], second: Sequence[int]) -> int:
    """Count the leading tokens that two sequences share."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(first), len(second)))


def _subtree_ends(depths: Sequence[int]) -> np.ndarray:
    """First node after each node's subtree: the next one that is not deeper; shape ``(nodes,)``."""
    ends = np.full(len(depths), len(depths))
    open_nodes: list[int] = []
    for node, depth in enumerate(depths):
        while open_nodes and depths[open_nodes[-1]] >= depth:
            ends[open_nodes.pop()] = node
        open_nodes.append(node)
    return ends


def _additive_mask(visible: np.ndarray, model: PreTrainedModel) -> torch.Tensor:
    """Mask that every attention implementation adds to its scores, shape ``(1, 1, queries, keys)``."""
    allowed = torch.as_tensor(visible, device=model.device)
    mask = torch.zeros(visible.shape, dtype=model.dtype, device=model.device)
    return mask.masked_fill_(~allowed, torch.finfo(model.dtype).min)[None, None]


def _keep_in_cache(cache: DynamicCache, positions: torch.Tensor) -> None:
    """Drop all but some positions from a cache; transformers has no call for any but the last ones."""
    layers: Any = cache.layers
    for layer in layers:
        layer.keys = layer.keys.index_select(-2, positions)
        layer.values = layer.values.index_select(-2, positions)


def _row(values: np.ndarray, model: PreTrainedModel) -> torch.Tensor:
    return torch.as_tensor(values, device=model.device)[None]

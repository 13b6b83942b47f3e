"""Token sequences with common beginnings merged into a tree, which a model runs as it would run each by itself.

The prompts of a dialogue begin alike: instruction, then the conversation so far. In the tree a prompt is a branch off
the conversation and an answer a branch off its prompt. Each node runs once, sees its ancestors only (a 4-D mask) and
stands at its depth (position ids), which is what it would see in a sequence of its own. Scoring and training share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from operator import eq
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from speechcue_hf.models.base import has_plain_cache

if TYPE_CHECKING:
    from transformers import PreTrainedModel


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


def additive_mask(queries: Tensor, keys: Tensor, ends: Tensor, dtype: torch.dtype) -> Tensor:
    """Mask that lets each node see itself and its ancestors, for attention that adds a mask to its scores.

    Args:
        queries: Places of the nodes that run, shape ``(queries,)``.
        keys: Places of the nodes that are seen, shape ``(keys,)``.
        ends: First place after the subtree of each node that is seen, shape ``(keys,)``.
        dtype: Of the model.

    Returns:
        0 where a node is seen, the least number elsewhere, shape ``(1, 1, queries, keys)``.
    """
    visible = (keys <= queries[:, None]) & (queries[:, None] < ends)
    return torch.zeros_like(visible, dtype=dtype).masked_fill_(~visible, torch.finfo(dtype).min)[None, None]


def why_not_branching(model: PreTrainedModel) -> str | None:
    """Why a model would ignore the tree's mask and give wrong numbers; None where prompts can branch."""
    if not has_plain_cache(model):
        return f"{type(model).__name__} has layers without full attention"
    implementation = model.config._attn_implementation
    return None if implementation in ("sdpa", "eager") else f'Attention "{implementation}" takes no 4-D mask'


def _subtree_ends(depths: Sequence[int]) -> np.ndarray:
    """First node after each node's subtree: the next one that is not deeper; shape ``(nodes,)``."""
    ends = np.full(len(depths), len(depths))
    open_nodes: list[int] = []
    for node, depth in enumerate(depths):
        while open_nodes and depths[open_nodes[-1]] >= depth:
            ends[open_nodes.pop()] = node
        open_nodes.append(node)
    return ends

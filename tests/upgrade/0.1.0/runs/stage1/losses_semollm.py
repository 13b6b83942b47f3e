"""What the first training stage of SEmoLLM minimises, as functions of tensors; the objectives are those of BLIP-2.

Rows of one batch come from all processes, see :mod:`.processes_semollm`: *clips* are counted along one axis, *captions*
along the other, and caption ``i`` is that of clip ``i``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

IGNORED = -100
"""Label of a token that has no loss."""


def clip_caption_similarity(queries: Tensor, captions: Tensor) -> Tensor:
    """How well each caption fits each clip: the best of the clip's queries decides (BLIP-2, arXiv 2301.12597, 3.2).

    Args:
        queries: Projected query outputs of length 1, shape ``(clips, queries, width)``.
        captions: Projected captions of length 1, shape ``(captions, width)``.

    Returns:
        Cosines between -1 and 1, shape ``(clips, captions)``.
    """
    return torch.einsum("iqw,jw->iqj", queries, captions).amax(dim=1)


def same_caption(caption_ids: Tensor) -> Tensor:
    """Which rows of a batch say the same, so that neither is a negative of the other.

    Args:
        caption_ids: Token ids, padded alike, shape ``(rows, tokens)``.

    Returns:
        Shape ``(rows, rows)``, True where both captions have the same tokens; the diagonal is True.
    """
    return (caption_ids[:, None] == caption_ids[None]).all(dim=-1)


def contrastive_loss(similarity: Tensor, same: Tensor, temperature: Tensor, smoothing: float = 0.1) -> Tensor:
    """SCC: clips find their captions and captions their clips among all of the batch.

    All captions that say the same count as right in equal parts. Source: BLIP-2's contrastive objective.

    Args:
        similarity: From :func:`clip_caption_similarity`, shape ``(rows, rows)``.
        same: From :func:`same_caption`, shape ``(rows, rows)``.
        temperature: Learned, positive, shape ``()``.
        smoothing: Share of the target that is spread over all rows, from 0 to 1.

    Returns:
        Mean of both directions in nats, shape ``()``.
    """
    targets = same.to(similarity.dtype)
    targets = targets / targets.sum(dim=1, keepdim=True)
    targets = (1 - smoothing) * targets + smoothing / len(targets)
    logits = similarity / temperature
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)) / 2


def draw_hard_negatives(similarity: Tensor, same: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
    """For each row draw another one that says something else, the more similar the more likely.

    Args:
        similarity: Of each row to those that are drawn from, shape ``(rows, rows)``.
        same: From :func:`same_caption`, shape ``(rows, rows)``.
        temperature: As for :func:`contrastive_loss`.

    Returns:
        The drawn rows, shape ``(rows,)``, and whether there was one to draw, shape ``(rows,)``: where all rows say the
        same there is no negative, and the row drawn is not to be used.
    """
    possible = ~same.all(dim=1)
    logits = (similarity.detach() / temperature.detach()).float().masked_fill(same, float("-inf"))
    logits = logits.masked_fill(~possible[:, None], 0.0)
    return torch.multinomial(logits.softmax(dim=1), 1).squeeze(1), possible


def matching_losses(logits: Tensor, fits: Tensor) -> Tensor:
    """SCM: does this caption belong to this clip, by the mean of what the queries say.

    Args:
        logits: Of *does not fit* and *fits*, shape ``(pairs, queries, 2)``.
        fits: 1 where the pair belongs together, 0 where it does not, shape ``(pairs,)``.

    Returns:
        Loss of each pair in nats, shape ``(pairs,)``.
    """
    return F.cross_entropy(logits.mean(dim=1), fits, reduction="none")


def generation_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """SCG: each token of a caption from those before it.

    Args:
        logits: At each position for the token after it, shape ``(rows, tokens, vocabulary)``.
        labels: The tokens, :data:`IGNORED` where there is no loss, shape ``(rows, tokens)``.

    Returns:
        Loss of each token that has one in nats, shape ``(tokens with a loss,)``.
    """
    logits, labels = logits[:, :-1], labels[:, 1:]
    return F.cross_entropy(logits[labels != IGNORED], labels[labels != IGNORED], reduction="none")


def query_similarity(queries: Tensor) -> Tensor:
    """How alike the queries of a clip have become: 1 where all say the same, so that one would do.

    Args:
        queries: Query outputs, shape ``(clips, queries, width)``, two queries or more.

    Returns:
        Mean cosine over the pairs of different queries of a clip, then over clips, shape ``()``.
    """
    directions = F.normalize(queries.float(), dim=-1)
    count = directions.shape[1]
    # The cosines of all ordered pairs add up to the squared length of the sum; a query with itself gives 1.
    pairs = directions.sum(dim=1).square().sum(dim=-1) - count
    return (pairs / (count * (count - 1))).mean()

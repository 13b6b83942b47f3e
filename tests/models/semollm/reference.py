"""SEmoLLM once more, in small torch functions on a released state dict: what the model is compared with."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

Weights = Mapping[str, Tensor]


def linear(weights: Weights, name: str, states: Tensor) -> Tensor:
    return states @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def norm(weights: Weights, name: str, states: Tensor, epsilon: float) -> Tensor:
    centred = states - states.mean(-1, keepdim=True)
    scaled = centred / (centred.pow(2).mean(-1, keepdim=True) + epsilon).sqrt()
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def attend(
    weights: Weights, name: str, states: Tensor, others: Tensor, heads: int, mask: Tensor | None = None
) -> Tensor:
    """BERT's attention with its output layer; ``mask`` is boolean, shape (states, others), or None."""
    width = states.shape[-1] // heads
    query, key, value = (
        linear(weights, f"{name}.self.{part}", x).view(len(x), heads, width).transpose(0, 1)
        for part, x in (("query", states), ("key", others), ("value", others))
    )
    scores = query @ key.transpose(1, 2) / width**0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    mixed = (scores.softmax(-1) @ value).transpose(0, 1).flatten(1)
    return norm(weights, f"{name}.output.LayerNorm", linear(weights, f"{name}.output.dense", mixed) + states, 1e-12)


def feed_forward(weights: Weights, layer: str, kind: str, states: Tensor) -> Tensor:
    inner = functional.gelu(linear(weights, f"{layer}.intermediate{kind}.dense", states))
    return norm(
        weights,
        f"{layer}.output{kind}.LayerNorm",
        linear(weights, f"{layer}.output{kind}.dense", inner) + states,
        1e-12,
    )


def qformer_queries(weights: Weights, speech: Tensor, heads: int) -> list[Tensor]:
    """The queries before each layer and after the last, for one clip: list of (queries, width)."""
    states = norm(weights, "Qformer.bert.embeddings.LayerNorm", weights["query_tokens"][0], 1e-12)
    seen = [states]
    for number in range(layers(weights)):
        layer = f"Qformer.bert.encoder.layer.{number}"
        states = attend(weights, f"{layer}.attention", states, states, heads)
        if number % 2 == 0:
            states = attend(weights, f"{layer}.crossattention", states, speech, heads)
        states = feed_forward(weights, layer, "_query", states)
        seen.append(states)
    return seen


def qformer_text_after_queries(weights: Weights, speech: Tensor, tokens: Tensor, heads: int) -> Tensor:
    """BLIP-2's caption generation: text that sees the queries of each layer (their cached keys) and earlier text."""
    embedded = weights["Qformer.bert.embeddings.word_embeddings.weight"][tokens]
    embedded = embedded + weights["Qformer.bert.embeddings.position_embeddings.weight"][: len(tokens)]
    states = norm(weights, "Qformer.bert.embeddings.LayerNorm", embedded, 1e-12)
    for number, queries in enumerate(qformer_queries(weights, speech, heads)[:-1]):
        layer = f"Qformer.bert.encoder.layer.{number}"
        mask = torch.ones(len(tokens), len(queries) + len(tokens)).tril(len(queries)).bool()
        states = attend(weights, f"{layer}.attention", states, torch.cat([queries, states]), heads, mask)
        states = feed_forward(weights, layer, "", states)
    return states


def layers(weights: Weights) -> int:
    return 1 + max(int(name.split(".")[4]) for name in weights if name.startswith("Qformer.bert.encoder.layer."))


def speech_tokens(weights: Weights, hidden_states: Tensor, heads: int) -> Tensor:
    """Speech tokens of one clip from the encoder's hidden states, shape (layers, frames, width)."""
    share = weights["layer_weights"].exp() / weights["layer_weights"].exp().sum()
    summed = sum(part * states for part, states in zip(share, hidden_states, strict=True))
    projected = norm(weights, "ln_audio", linear(weights, "projector", summed), 1e-5)
    return linear(weights, "llm_proj", qformer_queries(weights, projected, heads)[-1])


def released_names(adapter: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An adapter's state under the names of the released checkpoint, so that both can be fed the same numbers."""
    renamed = {}
    for name, value in adapter.items():
        name = name.replace("projector.output.", "llm_proj.").replace("projection.0.", "projector.")
        name = name.replace("projection.2.", "ln_audio.").replace("projector.qformer.query_tokens", "query_tokens")
        name = name.replace("projector.qformer.layers.layernorm", "Qformer.bert.embeddings.LayerNorm")
        name = name.replace("projector.qformer.layers.", "Qformer.bert.").replace(
            ".attention.attention.", ".attention.self."
        )
        name = name.replace(".crossattention.attention.", ".crossattention.self.")
        name = name.replace("projector.qformer.", "Qformer.bert.embeddings.")
        renamed[name] = value.clone()
    return renamed

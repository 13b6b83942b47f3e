"""Scores of generated texts against reference texts: transcript error rate and BERTScore."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from speechcue_hf.errors import EvaluationError
from speechcue_hf.words import spoken_words


def transcript_error_rate(references: Sequence[str | None], transcripts: Sequence[str | None]) -> dict[str, Any]:
    """Words that a transcript has wrong, per word that was said (word error rate).

    Case and punctuation do not count. In languages without blanks between words each character counts as one, which
    makes it a character error rate. A clip whose caption quotes nothing counts with all its words wrong; a clip
    without a reference cannot be judged.

    Args:
        references: What was said in each clip; None or empty where that is not known.
        transcripts: What each caption quotes; None where it quotes nothing.

    Returns:
        ``clips`` (judged), ``words`` (said in them), ``substitutions``, ``deletions``, ``insertions``, and
        ``word_error_rate``, which can exceed 1; None where there is nothing to judge.

    Raises:
        EvaluationError: If jiwer is not installed.
        ValueError: If there is another number of references than of transcripts.

    Example:
        >>> transcript_error_rate(["I like it."], ["i like that"])["word_error_rate"]
        0.3333333333333333
    """
    if len(references) != len(transcripts):
        raise ValueError(f"need a transcript for each reference, got {len(transcripts)} and {len(references)}")
    pairs = [
        (" ".join(reference), " ".join(spoken_words(transcript or "")))
        for reference, transcript in zip((spoken_words(it or "") for it in references), transcripts, strict=True)
        if reference
    ]
    if not pairs:
        return {"clips": 0, "words": 0, "word_error_rate": None}
    try:
        import jiwer
    except ImportError as error:
        raise EvaluationError(
            "transcript error rates need jiwer, which is not installed: pip install 'speechcue_hf[audio-model]'"
        ) from error
    counted = jiwer.process_words([said for said, _ in pairs], [heard for _, heard in pairs])
    return {
        "clips": len(pairs),
        "words": counted.hits + counted.substitutions + counted.deletions,
        "substitutions": counted.substitutions,
        "deletions": counted.deletions,
        "insertions": counted.insertions,
        "word_error_rate": counted.wer,
    }


def bert_score(
    references: Sequence[str], texts: Sequence[str], *, model: str, layer: int, batch_size: int = 64
) -> dict[str, Any]:
    """Likeness of meaning: each token is compared with the most similar one of the other text.

    Zhang et al. (2020), BERTScore: evaluating text generation with BERT; without idf weights and without rescaling.
    The tokens that begin and end a text are not counted but can be matched, as in the authors' package.

    Args:
        references: The reference texts.
        texts: The generated texts, in the same order.
        model: The encoder that compares: Hub id or folder.
        layer: Which of its hidden states is compared, 0 being its embeddings; the figures of another model or layer
            mean something else. The paper takes 17 of roberta-large.
        batch_size: Texts in one pass.

    Returns:
        ``precision``, ``recall`` and ``f1``, means over the pairs, and the ``layer``.

    Raises:
        ValueError: If there are no texts, another number of references, or the model has no such layer.
    """
    if len(references) != len(texts) or not texts:
        raise ValueError(f"need a reference for each text and at least one, got {len(references)} and {len(texts)}")
    from transformers import AutoModel, AutoTokenizer

    encoder, tokenizer = AutoModel.from_pretrained(model).eval(), AutoTokenizer.from_pretrained(model)
    if not 0 <= layer <= encoder.config.num_hidden_layers:
        raise ValueError(f"layer must lie between 0 and {encoder.config.num_hidden_layers}, got {layer}")
    scores = []
    for start in range(0, len(texts), batch_size):
        embedded = [_embed(encoder, tokenizer, side[start : start + batch_size], layer) for side in (texts, references)]
        scores += [_precision_recall(*pair) for pair in zip(*embedded, strict=True)]
    precision, recall = np.array(scores).T
    f1 = 2 * precision * recall / np.where(precision + recall > 0, precision + recall, 1)
    means = {"precision": precision, "recall": recall, "f1": f1}
    return {**{name: float(values.mean()) for name, values in means.items()}, "layer": layer}


Embedded = tuple[np.ndarray, np.ndarray]
"""Unit vectors of tokens, shape ``(tokens, hidden)``, and whether each counts, shape ``(tokens,)``."""


def _embed(encoder: Any, tokenizer: Any, texts: Sequence[str], layer: int) -> list[Embedded]:
    import torch

    encoded = tokenizer(list(texts), padding=True, return_special_tokens_mask=True, return_tensors="pt")
    special = encoded.pop("special_tokens_mask").bool().numpy()
    with torch.inference_mode():
        states = encoder(**encoded, output_hidden_states=True).hidden_states[layer].float()
    unit = torch.nn.functional.normalize(states, dim=-1).numpy()
    present = encoded["attention_mask"].bool().numpy()
    return [(unit[row][mask], ~special[row][mask]) for row, mask in enumerate(present)]


def _precision_recall(text: Embedded, reference: Embedded) -> tuple[float, float]:
    """0 where a text has no token of its own."""
    likeness = text[0] @ reference[0].T
    best = (likeness.max(axis=1)[text[1]], likeness.max(axis=0)[reference[1]])
    precision, recall = (float(values.mean()) if values.size else 0.0 for values in best)
    return precision, recall

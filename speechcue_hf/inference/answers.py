"""Free generation, and how a generated text becomes a label or no label.

Closed-set scoring needs none of this; it is here for models that can only generate and for re-scoring old runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from speechcue_hf.progress import progress
from speechcue_hf.prompts.encoding import Message

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def generate_answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[Message]],
    labels: Sequence[str],
    *,
    batch_size: int = 8,
    new_tokens: int | None = None,
) -> list[str]:
    """Let a model answer each prompt greedily.

    Args:
        model: A causal language model, with or without adapter.
        tokenizer: Its tokenizer, with a chat template.
        prompts: One list of messages for each row.
        labels: The closed set; only its longest member matters here.
        batch_size: Prompts in one pass.
        new_tokens: Most tokens of an answer; None allows as many as the longest label takes with its end token.

    Returns:
        The generated text of each row, special tokens left out.

    Raises:
        EvaluationError: If the tokenizer has no chat template or a prompt exceeds the model's context.
    """
    from speechcue_hf.inference.scoring import encode_for_scoring, evaluation_mode, pad

    encoded = encode_for_scoring(model, tokenizer, prompts, labels)
    by_length = sorted(range(len(prompts)), key=lambda row: len(encoded.prompts[row]))
    generate: Any = model.generate
    answers: dict[int, str] = {}
    with evaluation_mode(model):
        for start in progress(range(0, len(prompts), batch_size), "Generating answers", "batches"):
            batch = by_length[start : start + batch_size]
            ids, mask = (part.to(model.device) for part in pad([encoded.prompts[row] for row in batch], side="left"))
            output = generate(
                input_ids=ids,
                attention_mask=mask,
                do_sample=False,
                max_new_tokens=new_tokens or encoded.longest_completion,
                # Every label ends with the token that ends an answer in this chat template.
                eos_token_id=encoded.completions[0][-1],
                pad_token_id=encoded.completions[0][-1],
            )
            texts = tokenizer.batch_decode(output[:, ids.shape[1] :], skip_special_tokens=True)
            answers.update(zip(batch, texts, strict=True))
    return [answers[row] for row in range(len(prompts))]


def match_exactly(output: str, labels: Sequence[str]) -> int | None:
    """The label that an output is, white space around it aside; None for everything else.

    Example:
        >>> match_exactly(" sad ", ["happy", "sad"]), match_exactly("unhappy", ["happy", "sad"])
        (1, None)
    """
    return labels.index(output.strip()) if output.strip() in labels else None


def match_as_instructerc(output: str, labels: Sequence[str]) -> int:
    """The label that the published InstructERC and SpeechCueLLM evaluations read into an output.

    The text is scanned from left to right and the longest label (of less than 12 characters) that starts at a position
    wins; if there is none, the label of least edit distance does, the first one on ties. Any text becomes a label,
    ``"unhappy"`` becomes happy and the empty text the shortest label: use it to re-score published outputs only.

    Example:
        >>> match_as_instructerc("unhappy", ["happy", "sad"]), match_as_instructerc("", ["happy", "sad"])
        (0, 1)
    """
    candidates = [label for label in labels if len(label) < 12]
    for position in range(len(output)):
        found = [label for label in candidates if output.startswith(label, position)]
        if found:
            return labels.index(max(found, key=len))
    distances = [edit_distance(output, label) for label in labels]
    return distances.index(min(distances))


def edit_distance(first: str, second: str) -> int:
    """Levenshtein distance: least number of characters to insert, delete or replace.

    Example:
        >>> edit_distance("happy", "unhappily")
        4
    """
    previous = list(range(len(second) + 1))
    for row, left in enumerate(first, start=1):
        current = [row]
        for column, right in enumerate(second, start=1):
            substitution = previous[column - 1] + (left != right)
            current.append(min(substitution, previous[column] + 1, current[-1] + 1))
        previous = current
    return previous[-1]


MATCHING_RULES: dict[str, Callable[[str, Sequence[str]], int | None]] = {
    "strict": match_exactly,
    "instructerc": match_as_instructerc,
}
"""Ways from a generated text to a label, by the name that results carry: exact, or with the published repair."""


def match_outputs(outputs: Sequence[str], labels: Sequence[str], matching: str) -> list[int | None]:
    """The number of the label that each generated text is read as, or None, by one of ``MATCHING_RULES``.

    Raises:
        ValueError: If there is no such rule.

    Example:
        >>> match_outputs(["sad", "unhappy"], ["happy", "sad"], "strict")
        [1, None]
    """
    if matching not in MATCHING_RULES:
        raise ValueError(f"matching must be one of {sorted(MATCHING_RULES)}, got {matching!r}")
    return [MATCHING_RULES[matching](output, labels) for output in outputs]

"""What a chat model is asked about rows, wherever it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from datasets import Dataset

from speechcue_hf.prompts.budget import TokenBudget
from speechcue_hf.prompts.build import build_prompts, needed_columns
from speechcue_hf.prompts.dialogue import future_record, included_scope
from speechcue_hf.prompts.encoding import Message
from speechcue_hf.prompts.specification import PromptSpecification


@dataclass(frozen=True)
class Questions:
    """Prompts of rows.

    Args:
        prompts: The messages of each.
        dialogue_ids: Of each; prompts of one dialogue begin alike.
        notes: What did not fit into each, or None.
    """

    prompts: list[list[Message]]
    dialogue_ids: list[str]
    notes: list[str | None]

    @property
    def shortened(self) -> list[bool]:
        """Whether each lost some turns."""
        return [note is not None for note in self.notes]


def ask_about(
    rows: Dataset,
    prompt: PromptSpecification,
    wanted: Sequence[int] | None = None,
    *,
    budget: TokenBudget | None = None,
    train: Dataset | None = None,
) -> Questions:
    """Put rows into prompts.

    Args:
        rows: Whole dialogues in speaking order.
        prompt: The prompt.
        wanted: Places of the rows that are asked about; None: all.
        budget: That prompts are shortened to.
        train: The described training split, for a prompt that shows demonstrations.

    Returns:
        A question for each row that is wanted.

    Raises:
        PromptError: If the rows lack what the prompt needs.
        DialogueError: If they are no whole dialogues in speaking order.
    """
    built = build_prompts(rows, prompt, budget=budget, train=train)
    if wanted is not None:
        built = built.select(wanted)
    notes = [f"{dropped} turns did not fit the prompt" if dropped else None for dropped in built["turns_dropped"]]
    return Questions(list(built["prompt"]), list(built["dialogue_id"]), notes)


def voice_columns(prompt: PromptSpecification) -> tuple[str, ...]:
    """The columns of descriptions and levels that a prompt tells."""
    return tuple(name for name in needed_columns(prompt) if name.startswith("speech_") or name.endswith("_level"))


def silent(prompt: PromptSpecification) -> PromptSpecification | None:
    """The same prompt, told nothing of the voice; None where it tells nothing else."""
    return None if prompt.audio_only else replace(prompt, description=False, impression=False, context_cues=0)


def shown_of(
    rows: Dataset,
    prompt: PromptSpecification,
    token_budget: int | None,
    template: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a prompt shows of rows; as :func:`shown_by_prompt`."""
    columns = ["utterance_id", "biography", "biography_scope"]
    chosen = rows.select_columns(columns) if prompt.biography else ()
    return shown_by_prompt(prompt, token_budget, (included_scope(row, prompt) for row in chosen), template)


def shown_by_prompt(
    prompt: PromptSpecification,
    token_budget: int | None,
    scopes: Iterable[str | None],
    template: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a prompt shows a model of rows with some ``biography_scope``: values of :class:`speechcue_hf.records.Shown`.

    ``template`` is what :func:`speechcue_hf.prompts.encoding.check_chat` says of the model's chat template; a server's
    is not known.

    Raises:
        PromptError: If some biographies saw later turns, and some did not.
    """
    return {"prompt": prompt.named, "template": template, "token_budget": token_budget, **future_record(prompt, scopes)}

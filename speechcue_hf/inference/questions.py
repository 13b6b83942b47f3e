"""What a chat model is asked about rows, wherever it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from datasets import Dataset

from speechcue_hf.inference.calibration import named_prior
from speechcue_hf.inference.settings import InferenceSettings
from speechcue_hf.prompts.budget import TokenBudget
from speechcue_hf.prompts.build import build_prompts, needed_columns
from speechcue_hf.prompts.dialogue import future_record, included_scope
from speechcue_hf.prompts.encoding import Message
from speechcue_hf.prompts.specification import PromptSpecification

if TYPE_CHECKING:
    from typing_extensions import Self


class AskedByPrompt:
    """What follows from a classifier's prompt, whoever answers it: a dataclass that has these fields."""

    prompt: PromptSpecification
    names: tuple[str, ...]
    train: Dataset | None
    settings: InferenceSettings

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the prompt."""
        return self.prompt.words(self.names)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the prompt."""
        return tuple(needed_columns(self.prompt))

    @property
    def voice(self) -> tuple[str, ...]:
        """The columns of descriptions and levels."""
        return tuple(name for name in self.columns if name.startswith("speech_") or name.endswith("_level"))

    def without_voice(self) -> Self | None:
        """The same model with a prompt that tells nothing of the voice; None where the prompt tells nothing else."""
        if self.prompt.audio_only:
            return None
        prompt = replace(self.prompt, description=False, impression=False, context_cues=0)
        return cast("Self", replace(cast(Any, self), prompt=prompt))

    @cached_property
    def prior(self) -> dict[str, Any]:
        """The shares of the labels in the training split, where the settings count them.

        Raises:
            EvaluationError: If they do and there is no training split.
        """
        return named_prior(self.settings, self.train, self.names, self.words)


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

"""Few-shot prompts: solved rows of the training split before the question."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset

from speechcue_hf.errors import PromptError
from speechcue_hf.prompts.specification import PromptSpecification


@dataclass(frozen=True)
class Demonstrations:
    """The rows that demonstrations are drawn from.

    All prompts of a dialogue show the same ones, so that they begin alike and are computed once.

    Args:
        rows: Prompt–completion rows of the training split.
        groups: Indices of the labelled rows; each group is to be shown equally often.
        longest: Most labelled rows that a dialogue has.
        count: Demonstrations in each prompt.
        seed: Makes the draw reproducible; each dialogue has its own, whatever the other dialogues.
    """

    rows: Dataset
    groups: Sequence[Sequence[int]]
    longest: int
    count: int
    seed: int

    @classmethod
    def of(cls, rows: Dataset, specification: PromptSpecification) -> Demonstrations:
        """Prepare the draw that a prompt asks for.

        Args:
            rows: Prompt–completion rows of the training split, without demonstrations.
            specification: The prompt.

        Returns:
            The rows, labelled ones grouped by label if the draw is to be balanced.
        """
        labels = {index: label for index, label in enumerate(rows["emotion"]) if label is not None}
        balanced = specification.demonstrations_drawn == "balanced"
        groups: dict[int, list[int]] = {}
        for index, label in labels.items():
            groups.setdefault(label if balanced else 0, []).append(index)
        dialogues = rows["dialogue_id"]
        longest = max(Counter(dialogues[index] for index in labels).values(), default=0)
        ordered = [groups[label] for label in sorted(groups)]
        return cls(rows, ordered, longest, specification.demonstrations, specification.demonstrations_seed)

    def draw(self, dialogue_id: str) -> list[Mapping[str, Any]]:
        """Draw the demonstrations of one dialogue: as many of each group, and what is left over of groups at random.

        Args:
            dialogue_id: The dialogue, none of whose rows is drawn.

        Returns:
            Rows of other dialogues, in random order.

        Raises:
            PromptError: If a group has too few rows in other dialogues.
        """
        random_state = random.Random(f"{self.seed} {dialogue_id}")
        groups = random_state.sample(self.groups, len(self.groups))
        share, left_over = divmod(self.count, max(1, len(groups)))
        drawn: list[Mapping[str, Any]] = []
        for place, group in enumerate(groups):
            # No more rows than the longest dialogue has can be of the dialogue itself.
            sample = random_state.sample(group, min(len(group), share + 1 + self.longest))
            others = [row for row in map(self.rows.__getitem__, sample) if row["dialogue_id"] != dialogue_id]
            drawn += others[: share + (place < left_over)]
        if len(drawn) < self.count:
            raise PromptError(
                f"dialogue {dialogue_id!r} is to be shown {self.count} demonstrations, but the training split has only "
                f"{len(drawn)} in other dialogues, drawn like that: lower demonstrations, or set demonstrations_drawn "
                "to random"
            )
        return random_state.sample(drawn, len(drawn))


def solved_messages(drawn: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Demonstrations as earlier questions and answers of the same conversation."""
    return [message for row in drawn for message in (*row["prompt"], *row["completion"])]

"""What stands around a loaded model: where it comes from, how it was trained, and how it is to be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from speechcue_hf.errors import EvaluationError
from speechcue_hf.inference.settings import CLOSED_SET, InferenceSettings
from speechcue_hf.models.loading import find_beside
from speechcue_hf.prompts.specification import PromptSpecification, load_prompt
from speechcue_hf.records import PROMPT_FILE, PROMPT_TEMPLATE_FILE, Kind, TrainingRecord, read_record


@dataclass(frozen=True)
class ModelContext:
    """Everything that a classifier is made of beside model and tokenizer.

    Args:
        source: Folder or Hub id that the model comes from and its records lie in.
        revision: Its commit on the Hub.
        settings: How answers are read.
        prompt: Preset, prompt file or settings of the prompt of a chat model; None takes the one beside the model.
        names: Names of the emotions in the order of their class ids, for a model that does not know them.
        token_budget: Most tokens of prompt and answer of a chat model; None: as in its training.
        train: The described training split, for a prompt that shows demonstrations.
    """

    source: str | Path
    revision: str | None = None
    settings: InferenceSettings = CLOSED_SET
    prompt: str | Path | PromptSpecification | None = None
    names: Sequence[str] | None = None
    token_budget: int | None = None
    train: Dataset | None = None

    @property
    def name(self) -> str:
        """What errors call the model: its id, or the name of its folder or file."""
        return Path(self.source).name if Path(self.source).exists() else str(self.source)

    def record(self, kind: type[Kind]) -> Kind | None:
        """A record that lies beside the model; None where there is none.

        Raises:
            OSError: If there is no such model.
            RecordError: If it is damaged, or of a newer release.
        """
        path = find_beside(self.source, kind.FILE, self.revision)
        return None if path is None else read_record(kind, path)

    @property
    def training(self) -> TrainingRecord | None:
        """How the model was trained, if something says so."""
        return self.record(TrainingRecord)

    def chosen_prompt(self) -> PromptSpecification:
        """The prompt that is asked for, or that of the training, or our own."""
        if self.prompt is not None:
            return load_prompt(self.prompt)
        path = find_beside(self.source, PROMPT_FILE, self.revision)
        if path is None:
            return load_prompt("speechcue")
        # From the Hub its template comes as a file of its own, into the same folder.
        find_beside(self.source, PROMPT_TEMPLATE_FILE, self.revision)
        return load_prompt(path)

    def refuse_prompts(self, kind: str) -> None:
        """Refuse what only a chat model can take: a prompt, and that texts are to be generated."""
        settings = self.settings
        if self.prompt is not None or settings.decode != "score" or settings.calibrated:
            raise EvaluationError(f"{kind}: leave out prompt, decode and contextual or prior normalisation")

    def check(self, what: str, trained: Any, found: Any) -> None:
        """Refuse files that were not written by one training; what no record names cannot be compared."""
        if trained is not None and trained != found:
            raise EvaluationError(
                f"{what} of {self.name}: the model was trained with {trained}, but here is {found}. Take the files "
                "that the training wrote, or another revision of the repository"
            )

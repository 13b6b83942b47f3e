"""BiosERC's encoder classifier as a classifier: it reads whole dialogues and has a probability for every utterance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset

from speechcue_hf.inference.classifier import Prediction, scored_predictions
from speechcue_hf.inference.context import ModelContext
from speechcue_hf.inference.scoring import LabelScores
from speechcue_hf.inference.settings import CLOSED_SET, InferenceSettings
from speechcue_hf.models.bioserc.dialogues import collate, dialogue_examples, needed_columns
from speechcue_hf.progress import progress
from speechcue_hf.records import TrainingRecord

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from speechcue_hf.models.bioserc import BiosErcForUtteranceClassification


@dataclass(frozen=True)
class EncoderClassifier:
    """An encoder classifier.

    Args:
        model: The model, in evaluation mode.
        tokenizer: Its tokenizer.
        settings: How many dialogues run in one pass.
        training: How the model was trained.
        deaf: Tell it nothing of the voice: its z-scores and descriptions are taken for missing.
    """

    model: BiosErcForUtteranceClassification
    tokenizer: PreTrainedTokenizerBase
    settings: InferenceSettings = CLOSED_SET
    training: TrainingRecord | None = None
    deaf: bool = False

    @classmethod
    def of(cls, model: Any, tokenizer: Any, context: ModelContext) -> EncoderClassifier:
        """Put a loaded model together with how it was trained, as its context says.

        Raises:
            EvaluationError: If the labels in the model's configuration are not those of the training, or it is to be
                asked by a prompt.
        """
        context.refuse_prompts("An encoder classifier reads no prompt and writes no text")
        training = context.training
        trained = None if training is None else (training.labels or {}).get("names")
        context.check("labels in config.json", trained, list(model.config.label_names))
        return cls(model, tokenizer, context.settings, training)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the emotions, in the order of their class ids."""
        return tuple(self.model.config.label_names)

    words = names

    @property
    def columns(self) -> tuple[str, ...]:
        """Texts, and cues and biographies as the model reads them."""
        return tuple(needed_columns(self.model.config))

    @property
    def voice(self) -> tuple[str, ...]:
        """Its z-scores, or the description."""
        return tuple(name for name in self.columns if name == "speech_description" or name.endswith("_z"))

    @property
    def protocol(self) -> dict[str, Any]:
        """It classifies: nothing is scored token by token."""
        return {"decode": "classify"}

    def shown(self, rows: Dataset) -> dict[str, Any]:
        """What the model has of later turns."""
        return {"token_budget": self.model.token_limit, **self.model.config.future_record()}

    def without_voice(self) -> EncoderClassifier:
        """The same model, to which all of its cues are missing."""
        return replace(self, deaf=True)

    def predict(self, rows: Dataset, wanted: Sequence[int] | None = None) -> list[Prediction]:
        """Read whole dialogues."""
        heard = _silenced(rows, self.voice) if self.deaf else rows
        examples = dialogue_examples(heard, self.tokenizer, self.model.config, self.model.token_limit)
        predictions = self.classify(examples)
        return predictions if wanted is None else [predictions[place] for place in wanted]

    def classify(self, examples: Dataset) -> list[Prediction]:
        """Classify the utterances of dialogues that are encoded by ``dialogue_examples``, as tokens or vectors."""
        logits = []
        for start in progress(range(0, len(examples), self.settings.batch_size), "Scoring dialogues", "batches"):
            places = range(start, min(start + self.settings.batch_size, len(examples)))
            collated = collate([examples[place] for place in places])
            del collated["labels"]
            batch = {name: tensor.to(self.model.device) for name, tensor in collated.items()}
            with torch.inference_mode():
                logits.append(self.model(**batch).logits[batch["speakers"] >= 0].float().cpu())
        scores = LabelScores(self.words, torch.cat(logits).log_softmax(-1).numpy(), "sum", tokens=0)
        shortened = [cut for dialogue in examples["shortened"] for cut in dialogue]
        return scored_predictions(scores, ["context did not fit" if cut else None for cut in shortened], shortened)


def _silenced(rows: Dataset, voice: Sequence[str]) -> Dataset:
    """Rows in which nothing was measured."""
    for name in voice:
        rows = rows.remove_columns(name).add_column(name, [None] * len(rows), feature=rows.features[name])
    return rows

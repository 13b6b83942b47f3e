"""Models of every kind asked the same: how likely is each emotion for each utterance of a conversation?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from datasets import Dataset

from speechcue_hf.audio import Clip
from speechcue_hf.evaluation.encoder import predict_dialogues
from speechcue_hf.evaluation.evaluate import CLOSED_SET, InferenceSettings, score_prompts
from speechcue_hf.inference.explain import Explainer
from speechcue_hf.inference.speech_model import decode_clip
from speechcue_hf.models.bioserc.dialogues import dialogue_examples
from speechcue_hf.prompts.budget import TokenBudget
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.specification import PromptSpecification

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from speechcue_hf.models.bioserc import BiosErcForUtteranceClassification


@dataclass(frozen=True)
class Prediction:
    """What a model makes of one utterance.

    Args:
        probabilities: Of the emotions, in the order of their classes; None where the utterance cannot be judged.
        note: What the model did not see or hear of it, or why it cannot be judged; None if there is nothing to say.
    """

    probabilities: list[float] | None
    note: str | None = None


class EmotionClassifier(Protocol):
    """A model with what it needs to read rows."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the emotions, in the order of their classes."""
        ...

    @property
    def words(self) -> tuple[str, ...]:
        """What the model calls them."""
        ...

    @property
    def reads_descriptions(self) -> bool:
        """Whether rows must be measured and described."""
        ...

    @property
    def reads_biographies(self) -> bool:
        """Whether rows must tell biographies."""
        ...

    def judge(self, rows: Dataset) -> list[Prediction]:
        """Judge whole dialogues.

        Args:
            rows: One per utterance, in speaking order, with the columns that the model reads.

        Returns:
            One judgement per row.
        """
        ...


@dataclass(frozen=True)
class ChatClassifier:
    """A chat model, asked by the prompt of its training; every label is scored, nothing is generated.

    Args:
        model: The model, with or without adapter.
        tokenizer: Its tokenizer.
        prompt: The prompt.
        names: Names of the emotions, in the order of their classes.
        token_budget: Most tokens of prompt and answer.
        train: The described training split, for a prompt that shows demonstrations.
        decoding: How labels are scored.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    prompt: PromptSpecification
    names: tuple[str, ...]
    token_budget: int
    train: Dataset | None = None
    decoding: InferenceSettings = CLOSED_SET

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the prompt."""
        return self.prompt.words(self.names)

    @property
    def reads_descriptions(self) -> bool:
        """Whether the prompt tells what is heard."""
        return self.prompt.heard or self.prompt.context_cues > 0

    @property
    def reads_biographies(self) -> bool:
        """Whether the prompt tells biographies."""
        return self.prompt.biography

    def judge(self, rows: Dataset) -> list[Prediction]:
        """Judge whole dialogues."""
        budget = TokenBudget(self.tokenizer, self.token_budget)
        asked = build_prompts(rows, self.prompt, budget=budget, train=self.train)
        scores = score_prompts(self.model, self.tokenizer, list(asked["prompt"]), self.words, self.decoding)
        notes = [f"{dropped} turns did not fit the prompt" if dropped else None for dropped in asked["turns_dropped"]]
        return [Prediction(*pair) for pair in zip(scores.probabilities.tolist(), notes, strict=True)]


@dataclass(frozen=True)
class EncoderClassifier:
    """BiosERC's encoder classifier.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        batch_size: Dialogues in one pass.
    """

    model: BiosErcForUtteranceClassification
    tokenizer: PreTrainedTokenizerBase
    batch_size: int = 8

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the emotions, in the order of their classes."""
        return tuple(self.model.config.label_names)

    @property
    def words(self) -> tuple[str, ...]:
        """Their names."""
        return self.names

    @property
    def reads_descriptions(self) -> bool:
        """Whether the model reads descriptions or z-scores."""
        return bool(self.model.config.cues != "none")

    @property
    def reads_biographies(self) -> bool:
        """Whether the model fuses biographies."""
        return bool(self.model.config.biographies != "none")

    def judge(self, rows: Dataset) -> list[Prediction]:
        """Judge whole dialogues."""
        examples = dialogue_examples(rows, self.tokenizer, self.model.config, self.model.token_limit)
        likely = predict_dialogues(examples, self.model, self.batch_size).softmax(-1).tolist()
        shortened = [cut for dialogue in examples["shortened"] for cut in dialogue]
        notes = ["context did not fit" if cut else None for cut in shortened]
        return [Prediction(*pair) for pair in zip(likely, notes, strict=True)]


@dataclass(frozen=True)
class SpeechClassifier:
    """A SEmoLLM, which hears each clip by itself.

    Args:
        explainer: The model with its questions.
    """

    explainer: Explainer

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the emotions, in the order of their classes."""
        return self.explainer.emotions

    @property
    def words(self) -> tuple[str, ...]:
        """Their names."""
        return self.names

    @property
    def reads_descriptions(self) -> bool:
        """It hears the clip itself."""
        return False

    @property
    def reads_biographies(self) -> bool:
        """It knows nothing of the speaker."""
        return False

    def judge(self, rows: Dataset) -> list[Prediction]:
        """Judge clips, a batch at a time."""
        size = self.explainer.batch_size
        return [
            judgement
            for start in range(0, len(rows), size)
            for judgement in self._judge_clips(rows["audio"][start : start + size])
        ]

    def _judge_clips(self, clips: Sequence[Any]) -> list[Prediction]:
        speech_model = self.explainer.speech_model
        decoded = [decode_clip(clip) for clip in clips]
        heard = [clip for clip in decoded if isinstance(clip, Clip)]
        emotions, task = self.explainer.emotions, self.explainer.recognise
        likely = iter(speech_model.score_emotions(heard, task, emotions).probabilities.tolist() if heard else ())
        return [
            Prediction(next(likely), speech_model.note(clip)) if isinstance(clip, Clip) else Prediction(None, clip)
            for clip in decoded
        ]

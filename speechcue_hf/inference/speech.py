"""A SEmoLLM as a classifier: it hears each clip by itself, and can say why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from datasets import Dataset

from speechcue_hf.audio import Clip, decode
from speechcue_hf.captions.tasks import CaptionTask, caption_task
from speechcue_hf.captions.write import opening
from speechcue_hf.channels import mixed
from speechcue_hf.errors import AudioError, EvaluationError
from speechcue_hf.inference.classifier import Prediction, scored_predictions
from speechcue_hf.inference.context import ModelContext
from speechcue_hf.inference.settings import CLOSED_SET, InferenceSettings
from speechcue_hf.inference.speech_model import LONGEST_READ_S, Audio, SpeechLanguageModel
from speechcue_hf.progress import progress
from speechcue_hf.records import CAPTIONS_FILE, CaptionsRecord, TrainingRecord


@dataclass(frozen=True)
class SpeechClassifier:
    """A speech language model with the questions that it was taught to answer.

    Args:
        speech_model: The model.
        names: Names of the emotions, in the order of their class ids.
        recognise: The task whose question the emotion is scored with.
        explain: The task whose question an explanation answers.
        settings: How answers are read, and whether clips are explained.
        training: How the model was trained.
        deaf: Let it hear silence in place of each clip.
    """

    speech_model: SpeechLanguageModel
    names: tuple[str, ...]
    recognise: CaptionTask
    explain: CaptionTask
    settings: InferenceSettings = CLOSED_SET
    training: TrainingRecord | None = None
    deaf: bool = False

    columns: ClassVar[tuple[str, ...]] = ("utterance_id", "audio")
    voice: ClassVar[tuple[str, ...]] = ("audio",)

    @classmethod
    def of(cls, model: Any, processor: Any, context: ModelContext) -> SpeechClassifier:
        """Put a loaded model together with what it was taught, as its context says.

        Raises:
            EvaluationError: If nothing says which emotions it knows, its captions named other ones than its training
                record, or it is to be asked by a prompt.
        """
        context.refuse_prompts("A model that hears is asked its own question and scored")
        captions, training = context.record(CaptionsRecord), context.training
        recognise, explain = taught_tasks(captions)
        names = (captions.emotions if captions else ()) or tuple(context.names or ())
        if not names:
            raise EvaluationError(
                f"nothing beside {context.name} says which emotions it knows ({CAPTIONS_FILE} is not there, or its "
                "captions name none): name them, --labels neutral angry sad happy (names= in Python)"
            )
        if training is not None:
            context.check(f"emotions in {CAPTIONS_FILE}", training.words or None, list(names))
        speech_model = SpeechLanguageModel(model, processor, context.settings.long_audio)
        return cls(speech_model, names, recognise, explain, context.settings, training)

    @property
    def words(self) -> tuple[str, ...]:
        """Their names."""
        return self.names

    @property
    def protocol(self) -> dict[str, Any]:
        """Sentences that name the emotion are scored."""
        return self.settings.protocol("decode", "normalisation")

    def shown(self, rows: Dataset) -> dict[str, Any]:
        """Its question, and no later turn."""
        return {"prompt": self.recognise.named, "sees_future": False}

    def without_voice(self) -> SpeechClassifier:
        """The same model, which hears silence as long as each clip."""
        return replace(self, deaf=True)

    def predict(self, rows: Dataset, wanted: Sequence[int] | None = None) -> list[Prediction]:
        """Hear clips, a batch at a time, and explain them if the settings ask for it.

        A clip that cannot be decoded has its reason; EvaluationError if a batch does not fit the memory.
        """
        clips = (rows if wanted is None else rows.select(wanted)).select_columns("audio")
        predictions = []
        for start in progress(range(0, len(clips), self.settings.batch_size), "Listening", "batches"):
            decoded = [_decoded(audio) for audio in clips[start : start + self.settings.batch_size]["audio"]]
            answers = iter(self._answer([clip for clip in decoded if isinstance(clip, Clip)]))
            predictions += [next(answers) if isinstance(it, Clip) else Prediction(None, note=it) for it in decoded]
        return predictions

    def _answer(self, clips: list[Clip]) -> list[Prediction]:
        """Predictions for the clips of a batch, of which there may be none."""
        if not clips:
            return []
        model = self.speech_model
        notes = [model.note(clip) for clip in clips]
        if self.deaf:
            clips = [replace(clip, samples=np.zeros_like(clip.samples)) for clip in clips]
        scores = model.score_emotions(clips, self.recognise, self.names, self.settings.normalisation)
        predictions = scored_predictions(scores, notes)
        if not self.settings.explain:
            return predictions
        texts = self._explanations(clips, [self.names[number] for number in scores.predictions])
        return [replace(it, explanation=text) for it, text in zip(predictions, texts, strict=True)]

    def _explanations(self, clips: Sequence[Clip], emotions: Sequence[str]) -> list[str]:
        """Explain emotions that are given, one for each clip, by texts that begin with the sentence that names it."""
        openings = [opening(emotion) for emotion in emotions]
        # A model that was taught to describe a voice apart from its emotion is asked for that alone.
        together = "emotion" in self.explain.parts
        beginnings = openings if together else [""] * len(clips)
        answers = self.speech_model.write_answers(
            clips, self.explain, beginnings, self.settings.new_tokens, self.settings.beams
        )
        return answers if together else [f"{begin} {text}" for begin, text in zip(openings, answers, strict=True)]


def taught_tasks(captions: CaptionsRecord | None) -> tuple[CaptionTask, CaptionTask]:
    """Which tasks a model is asked, by the record of its captions.

    Returns:
        Of the tasks that name the emotion the one with the fewest parts, to recognise it; and of all tasks the one with
        the most, to explain it. Without a record ``emotion`` and ``explanation``.
    """
    tasks = [caption_task(name) for name in (captions.tasks if captions else ("emotion", "explanation"))]
    naming = [task for task in tasks if "emotion" in task.parts] or [caption_task("emotion")]
    recognise = min(naming, key=lambda task: len(task.parts))
    return recognise, max(tasks, key=lambda task: (len(task.parts), "emotion" in task.parts))


def _decoded(audio: Audio | None) -> Clip | str:
    """A clip, or why it cannot be heard."""
    if audio is None:
        return "audio missing"
    try:
        return mixed(decode(audio, limit=LONGEST_READ_S))
    except AudioError as error:
        return str(error)
    except MemoryError:
        return "mixing its channels does not fit the memory"

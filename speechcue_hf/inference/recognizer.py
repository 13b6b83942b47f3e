"""A model with all that it was trained with, put together by one call: emotions of clips and conversations.

A chat model that was not trained on the task is asked as well: its labels are given, and a describer, or one is fitted
on each conversation by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, overload

from datasets import Dataset, Value

from speechcue_hf.biographies.settings import BiographySettings, load_biography_prompt
from speechcue_hf.biographies.write import write_biographies
from speechcue_hf.cues.describe import SpeechDescriber, describe_rows
from speechcue_hf.cues.measure import measure_dataset
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.errors import DescriberError, EvaluationError
from speechcue_hf.generation.client import ServerClient
from speechcue_hf.generation.request import TextGenerator
from speechcue_hf.generation.store import open_store
from speechcue_hf.inference.classifier import (
    EmotionClassifier,
    Prediction,
    clip_notes,
    joined_notes,
    reads_descriptions,
)
from speechcue_hf.inference.context import ModelContext
from speechcue_hf.inference.conversations import Conversation, is_batch, rows_of
from speechcue_hf.inference.label_sources import ServerLabels
from speechcue_hf.inference.loading import as_classifier, load_described
from speechcue_hf.inference.served import ServedClassifier
from speechcue_hf.inference.settings import CLOSED_SET, InferenceSettings
from speechcue_hf.models.loading import hub_commit, load_tokenizer
from speechcue_hf.prompts.specification import PromptSpecification, load_prompt
from speechcue_hf.records import DESCRIBER_FILE, TrainingRecord

logger = logging.getLogger(__name__)

MOST_WRITTEN = 60
"""Characters of what a model wrote that a note quotes."""

_IDENTITY = ("dialogue_id", "utterance_id", "speaker", "text")
_RESULT_COLUMNS = (*_IDENTITY, "speech_description", "biography_note")
"""Columns that results are made of, as far as rows have them."""


@dataclass(frozen=True)
class RecognizedEmotion:
    """What a model makes of one utterance.

    Args:
        dialogue_id: The conversation; ``"conversation"`` for one that came without a name.
        utterance_id: The utterance; ``"turn 0"`` and so on where it came without a name.
        speaker: Who speaks, if known.
        text: What is said.
        emotion: The likeliest emotion; None where the utterance cannot be judged.
        probabilities: Emotion → probability, over the closed set.
        description: The description of the voice, by the describer of the training; None for a model that reads none.
        note: What could not be measured, read or heard, or None.
    """

    dialogue_id: str
    utterance_id: str
    speaker: str | None
    text: str
    emotion: str | None
    probabilities: Mapping[str, float] | None
    description: str | None
    note: str | None

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class EmotionRecognizer:
    """A trained model with the describer, the prompt, the labels and the kind of biography of its training.

    A chat model that was not trained here, :class:`speechcue_hf.inference.served.ServedClassifier` among them, has no
    training; its describer then compares each conversation with itself, later turns included, unless one is given.

    Args:
        classifier: The model.
        training: How it was trained; None for a chat model that was not trained on the task.
        describer: Puts measurements in words; None for a model that reads none, and where it is to be fitted.
        generator: Writes biographies; None where the model reads none or they are given.

    Example:
        >>> recognizer = EmotionRecognizer.from_pretrained("user/adapter")  # doctest: +SKIP
        >>> recognizer("clip.wav", text="I got the job!")[0].emotion  # doctest: +SKIP
        'excited'
    """

    classifier: EmotionClassifier
    training: TrainingRecord | None
    describer: SpeechDescriber | None
    generator: TextGenerator | None = None

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        generator: TextGenerator | None = None,
        train: Dataset | None = None,
        settings: InferenceSettings = CLOSED_SET,
        names: Sequence[str] | None = None,
        prompt: str | Path | PromptSpecification | None = None,
        describer: SpeechDescriber | None = None,
    ) -> EmotionRecognizer:
        """Load a model and what lies beside it, all from one commit.

        Args:
            source: What a training of this package wrote, or its Hub id; with ``names`` any chat model.
            revision: Branch, tag or commit on the Hub.
            generator: Writes the biographies that a model reads, where conversations do not bring their own; it must be
                the one of the training.
            train: The described training split, for a prompt that shows demonstrations.
            settings: How labels are read.
            names: The emotions, for a chat model that was not trained on the task.
            prompt: Of such a model; None takes ours.
            describer: Of such a model; None fits one on each conversation.

        Returns:
            The recognizer.

        Raises:
            OSError: If there is no model of that name, or it may not be read; the message says what to do.
            EvaluationError: If no training record lies beside the model and no emotions are named, both are there, or
                what lies there does not belong together: another describer, prompt or order of labels than those of the
                training, or another generator.
            DescriberError: If the describer that the model needs is not there.
            RecordError: If a record beside the model is damaged, or of a newer release.
        """
        commit = hub_commit(source, revision)
        context = ModelContext(source, commit, settings, prompt=prompt, names=names, train=train)
        return cls._made(context, generator, describer=describer)

    @classmethod
    def from_server(
        cls,
        model: str,
        names: Sequence[str],
        *,
        tokenizer: str | Path | None = None,
        decode: str | None = None,
        prompt: str | Path | PromptSpecification = "speechcue",
        describer: SpeechDescriber | None = None,
        train: Dataset | None = None,
        settings: InferenceSettings = CLOSED_SET,
        store: Path | None = None,
        **client: Any,
    ) -> EmotionRecognizer:
        """Ask a chat model behind an OpenAI-compatible server, or with one of Hugging Face's Inference Providers.

        Args:
            model: Its name there.
            names: The emotions.
            tokenizer: Hub id or folder of its tokenizer, by which each label is scored; None: that way is left out.
            decode: How labels are read, one of :data:`speechcue_hf.inference.label_sources.DECODES`; None takes the
                best that the server knows.
            prompt: The prompt.
            describer: Puts voices in words; None fits one on each conversation.
            train: The described training split, for a prompt that shows demonstrations.
            settings: How likelihoods are normalised, and how texts are matched.
            store: File that answers are kept in, so that nothing is asked twice.
            **client: Other arguments of :class:`speechcue_hf.generation.client.ServerClient`: ``base_url`` or
                ``provider``, ``token``, ``concurrency`` and so on.

        Returns:
            The recognizer; nothing has been asked yet.

        Raises:
            PromptError: If labels cannot be asked for, or the tokenizer's chat template garbles prompts.
            EvaluationError: If each label is to be scored and there is no tokenizer.
            GenerationError: If no server can be asked so.

        Example:
            >>> recognizer = EmotionRecognizer.from_server(
            ...     "Qwen/Qwen3-8B", ["happy", "sad", "neutral"], base_url="http://localhost:8000/v1"
            ... )
            >>> recognizer("clip.wav", text="I got the job!")[0].emotion  # doctest: +SKIP
            'happy'
        """
        specification = load_prompt(prompt)
        source = ServerLabels(
            ServerClient(model, **client),
            specification.words(names),
            tokenizer=None if tokenizer is None else load_tokenizer(tokenizer),
            decode=decode,
            matching=settings.matching,
        )
        served = ServedClassifier(source, specification, tuple(names), train=train, settings=settings, store=store)
        return cls(served, None, describer)

    @classmethod
    def of(
        cls,
        model: Any,
        processor: Any,
        source: str | Path,
        *,
        revision: str | None = None,
        generator: TextGenerator | None = None,
        train: Dataset | None = None,
        settings: InferenceSettings = CLOSED_SET,
    ) -> EmotionRecognizer:
        """Put a loaded model, and its tokenizer or processor, together with what lies beside it in ``source``.

        The other arguments, and the errors, are those of :meth:`from_pretrained`.
        """
        return cls._made(ModelContext(source, revision, settings, train=train), generator, (model, processor))

    @classmethod
    def _made(
        cls,
        context: ModelContext,
        generator: TextGenerator | None,
        loaded: tuple[Any, Any] | None = None,
        describer: SpeechDescriber | None = None,
    ) -> EmotionRecognizer:
        training = context.training
        if training is None and context.names is None:
            raise EvaluationError(
                f"{context.name} has no {TrainingRecord.FILE}, so nothing says how it was trained: give a model that "
                "this package trained, or name the emotions that a chat model is to tell apart (names=, --labels)"
            )
        if training is not None and (context.names is not None or describer is not None):
            raise EvaluationError(
                f"{context.name} was trained to tell {', '.join(training.words)}, with a describer of its own: leave "
                "labels and describer out"
            )
        classifier = as_classifier(*loaded, context) if loaded else load_described(context)
        if training is None:
            return cls(classifier, None, describer, generator)
        if reads_descriptions(classifier):
            describer = SpeechDescriber.from_pretrained(context.source, revision=context.revision)
            context.check(DESCRIBER_FILE, training.describer_sha256, describer.fingerprint)
        if "biography" in classifier.columns and generator is not None:
            trained = (training.biographies or {}).get("writer")
            context.check("generator of biographies", trained, generator.identity)
        return cls(classifier, training, describer, generator)

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions, in the order of their class ids; a chat model's by the words of its prompt."""
        return self.classifier.words

    # A list of turns is one conversation, although a turn alone could be a clip.
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, conversation: Conversation, *, text: str | None = None
    ) -> list[RecognizedEmotion]: ...

    @overload
    def __call__(self, conversation: Sequence[Conversation]) -> list[list[RecognizedEmotion]]: ...

    def __call__(self, conversation: Any, *, text: str | None = None) -> Any:
        """Recognize the emotion of every utterance.

        Clips are measured and described as those of the training were. A clip that cannot be read or measured keeps its
        place, and ``note`` has the reason; a model that reads text as well is then asked without the voice.

        Args:
            conversation: A clip, the turns of a conversation in speaking order, or a folder of conversations, as
                :func:`speechcue_hf.inference.conversations.rows_of` takes them; or a list of paths, of bytes or of
                lists of turns, each of which is a conversation.
            text: What is said in the clip, where one is given.

        Returns:
            One result per utterance, in their order; of several conversations such a list for each.

        Raises:
            AudioError: If there is neither a clip nor a folder of that name.
            EvaluationError: If the model was trained on biographies, and there are neither biographies nor a generator.
            CorpusError: If the folder's metadata is not valid.
            PromptError: If turns lack what the prompt needs, such as a gender.
            ValueError: If a turn says something that has no meaning.
        """
        if text is None and is_batch(conversation):
            return [self._recognize(one) for one in conversation]
        return self._recognize(conversation, text)

    def _recognize(self, conversation: Conversation, text: str | None = None) -> list[RecognizedEmotion]:
        """Recognize the emotions of one conversation."""
        return self.recognize(self.prepare(rows_of(conversation, self.classifier.names, text)))

    def prepare(self, rows: Dataset) -> Dataset:
        """Give rows what the model reads: measured and described as those of the training were, with biographies.

        Args:
            rows: From :func:`speechcue_hf.inference.conversations.rows_of`.

        Raises:
            EvaluationError: As when it is called.
        """
        if self.describer is not None:
            measured = measure_dataset(rows, self.describer.measurement_settings())
            rows = describe_rows(measured, self.describer)
        elif reads_descriptions(self.classifier):
            rows = _described_by_itself(rows)
        return self._with_biographies(rows) if "biography" in self.classifier.columns else rows

    def recognize(self, rows: Dataset) -> list[RecognizedEmotion]:
        """Recognize the emotion of rows that are prepared; one result for each, and errors as when it is called."""
        predictions = self.classifier.predict(rows)
        kept = rows.select_columns([name for name in _RESULT_COLUMNS if name in rows.column_names])
        on_clips = clip_notes(self.classifier, rows)
        return [self._result(*result) for result in zip(kept, on_clips, predictions, strict=True)]

    def _with_biographies(self, rows: Dataset) -> Dataset:
        """Rows with biographies: those that they bring, or those that are written as the training's were."""
        # Of biographies that somebody brings, nobody says that they saw no later turn.
        scope = "dialogue" if self.training is None else self.training.biography_scope
        if {"biography", "biography_scope"} <= set(rows.column_names):
            return rows
        if "biography" in rows.column_names:
            return rows.add_column("biography_scope", [scope] * len(rows), feature=Value("string"))
        if self.training is None:
            raise EvaluationError("the prompt tells biographies of the speakers: give each turn its biography")
        shaped = self.training.biographies or {}
        if self.generator is None:
            raise EvaluationError(
                f"the model was trained on biographies of the speakers (scope {scope}, by "
                f"{(shaped.get('writer') or {}).get('model')}): give each turn its biography, None where there is "
                "none, or pass generator= to from_pretrained"
            )
        settings = _biography_settings(shaped)
        with TemporaryDirectory(prefix="speechcue-biographies-") as folder:
            path = Path(folder) / "store.jsonl"
            with open_store(path, generator=self.generator.identity, prompt=settings.prompt.identity) as store:
                return write_biographies(rows, self.generator, store, settings)

    def _result(self, row: Mapping[str, Any], on_clip: str | None, made: Prediction) -> RecognizedEmotion:
        likely = None if made.probabilities is None else dict(zip(self.labels, made.probabilities, strict=True))
        return RecognizedEmotion(
            **{name: row[name] for name in _IDENTITY},
            emotion=None if made.label is None else self.labels[made.label],
            probabilities=likely,
            description=row.get("speech_description"),
            note=joined_notes(on_clip, row.get("biography_note"), made.note, _no_label(made)),
        )


def _no_label(made: Prediction) -> str | None:
    """What a model wrote instead of a label."""
    if made.label is not None or made.output is None:
        return None
    written = " ".join(made.output.split()).replace(";", ",")
    return f"the model wrote no label but {written[:MOST_WRITTEN]!r}"


def _described_by_itself(rows: Dataset) -> Dataset:
    """Rows whose voices are compared with each other, for want of others; undescribed where none can be measured."""
    settings = MeasurementSettings()
    measured = measure_dataset(rows, settings)
    try:
        # Whatever split these rows came as, nothing else is compared with them.
        describer = SpeechDescriber.fit(Dataset(measured.data, info=measured.info), settings=settings)
    except DescriberError as error:
        logger.warning("No clip could be measured, so nothing is told of the voice (%s)", error)
        texts = dict.fromkeys(("speech_description", "speech_impression"), Value("string"))
        for name, feature in texts.items():
            measured = measured.add_column(name, [None] * len(measured), feature=feature)
        return measured
    logger.warning("No describer is given: voices are compared with each other, those of later turns too.")
    return describe_rows(measured, describer)


def _biography_settings(shaped: Mapping[str, Any]) -> BiographySettings:
    """What biographies must be made from to be like those of the training."""
    if shaped.get("source") != "written":
        raise EvaluationError(
            "the model was trained on published biographies, which nobody here can write: give each turn its biography"
        )
    prompt = load_biography_prompt(shaped["prompt"]["name"])
    if shaped["prompt"] != prompt.identity:
        raise EvaluationError(
            f"the model was trained on biographies that were asked for with {shaped['prompt']}, and this release asks "
            f"with {prompt.identity}: give each turn its biography"
        )
    refresh = {} if shaped.get("refresh") is None else {"refresh": shaped["refresh"]}
    return BiographySettings(scope=shaped["scope"], word_limit=shaped["word_limit"], prompt=prompt, **refresh)

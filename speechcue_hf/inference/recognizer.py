"""A model with all that it was trained with, put together by one call: emotions of clips and conversations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from datasets import Dataset, Features, Value

from speechcue_hf.biographies.settings import BiographySettings, load_biography_prompt
from speechcue_hf.biographies.write import write_biographies
from speechcue_hf.corpora.joining import put_beside
from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.cues.measure import measure_dataset
from speechcue_hf.errors import EvaluationError
from speechcue_hf.generation.request import TextGenerator
from speechcue_hf.generation.store import open_store
from speechcue_hf.inference.classifier import EmotionClassifier, Prediction, reads_descriptions
from speechcue_hf.inference.context import ModelContext
from speechcue_hf.inference.conversations import Conversation, rows_of
from speechcue_hf.inference.loading import as_classifier, load_classifier
from speechcue_hf.inference.settings import CLOSED_SET, InferenceSettings
from speechcue_hf.models.loading import hub_commit
from speechcue_hf.records import DESCRIBER_FILE, TrainingRecord


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

    Args:
        classifier: The model.
        training: How it was trained.
        describer: Puts measurements in words; None for a model that reads none.
        generator: Writes biographies; None where the model reads none or they are given.

    Example:
        >>> recognizer = EmotionRecognizer.from_pretrained("user/adapter")  # doctest: +SKIP
        >>> recognizer("clip.wav", text="I got the job!")[0].emotion  # doctest: +SKIP
        'excited'
    """

    classifier: EmotionClassifier
    training: TrainingRecord
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
    ) -> EmotionRecognizer:
        """Load a model and what lies beside it, all from one commit.

        Args:
            source: What a training of this package wrote (adapter, chat model, encoder classifier or SEmoLLM),
                or the Hub id of such a model, as ``speechcue publish model`` made it.
            revision: Branch, tag or commit on the Hub.
            generator: Writes the biographies that a model reads, where conversations do not bring their own; it must be
                the one of the training.
            train: The described training split, for a prompt that shows demonstrations.
            settings: How labels are read.

        Returns:
            The recognizer.

        Raises:
            OSError: If there is no model of that name, or it may not be read; the message says what to do.
            EvaluationError: If no training record lies beside the model, or what lies there does not belong together:
                another describer, prompt or order of labels than those of the training, or another generator.
            DescriberError: If the describer that the model needs is not there.
            RecordError: If a record beside the model is damaged, or of a newer release.
        """
        commit = hub_commit(source, revision)
        context = ModelContext(source, commit, settings, train=train)
        _check_trained(context)
        return cls._made(load_classifier(source, revision=commit, settings=settings, train=train), context, generator)

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
        """Put a loaded model together with what lies beside it.

        Args:
            model: The model.
            processor: Its tokenizer, or the processor of a SEmoLLM.
            source: Where it was loaded from; the other arguments and errors are those of :meth:`from_pretrained`.
            revision: Branch, tag or commit on the Hub.
            generator: Writes biographies.
            train: The described training split.
            settings: How labels are read.

        Returns:
            The recognizer.
        """
        context = ModelContext(source, revision, settings, train=train)
        _check_trained(context)
        return cls._made(as_classifier(model, processor, context), context, generator)

    @classmethod
    def _made(
        cls, classifier: EmotionClassifier, context: ModelContext, generator: TextGenerator | None
    ) -> EmotionRecognizer:
        training = _check_trained(context)
        describer = None
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

    def __call__(self, conversation: Conversation, *, text: str | None = None) -> list[RecognizedEmotion]:
        """Recognize the emotion of every utterance.

        Clips are measured and described as those of the training were. A clip that cannot be read or measured keeps its
        place, and ``note`` has the reason; a model that reads text as well is then asked without the voice.

        Args:
            conversation: A clip, the turns of a conversation in speaking order, or a folder of conversations, as
                :func:`speechcue_hf.inference.conversations.rows_of` takes them.
            text: What is said in the clip, where one is given.

        Returns:
            One result per utterance, in their order.

        Raises:
            AudioError: If there is neither a clip nor a folder of that name.
            EvaluationError: If the model was trained on biographies, and there are neither biographies nor a generator.
            CorpusError: If the folder's metadata is not valid.
            PromptError: If turns lack what the prompt needs, such as a gender.
            ValueError: If a turn says something that has no meaning.
        """
        rows = rows_of(conversation, self.classifier.names, text)
        if self.describer is not None:
            measured = measure_dataset(rows, self.describer.measurement_settings())
            rows = describe_dataset(measured, self.describer)
        if "biography" in self.classifier.columns:
            rows = self._with_biographies(rows)
        predictions = self.classifier.predict(rows)
        return [self._result(row, made) for row, made in zip(_seen(rows), predictions, strict=True)]

    def _with_biographies(self, rows: Dataset) -> Dataset:
        """Rows with biographies: those that they bring, or those that are written as the training's were."""
        scope = self.training.biography_scope
        if "biography" in rows.column_names:
            return rows if "biography_scope" in rows.column_names else _with_scope(rows, scope)
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

    def _result(self, row: Mapping[str, Any], made: Prediction) -> RecognizedEmotion:
        likely = None if made.probabilities is None else dict(zip(self.labels, made.probabilities, strict=True))
        notes = (row.get("measurement_note"), row.get("biography_note"), made.note)
        return RecognizedEmotion(
            dialogue_id=row["dialogue_id"],
            utterance_id=row["utterance_id"],
            speaker=row["speaker"],
            text=row["text"],
            emotion=None if made.label is None else self.labels[made.label],
            probabilities=likely,
            description=row.get("speech_description"),
            note="; ".join(note for note in notes if note) or None,
        )


def _check_trained(context: ModelContext) -> TrainingRecord:
    """The record of the training, which a recognizer needs."""
    training = context.training
    if training is None:
        raise EvaluationError(
            f"{context.name} has no {TrainingRecord.FILE}, so nothing says how it was trained: give a model that this "
            "package trained"
        )
    return training


def _with_scope(rows: Dataset, scope: str | None) -> Dataset:
    """Rows whose biographies are taken to be of the scope of the training's."""
    scopes = Dataset.from_dict({"biography_scope": [scope] * len(rows)}, Features({"biography_scope": Value("string")}))
    return put_beside(rows, scopes)


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


def _seen(rows: Dataset) -> Dataset:
    """The columns that results are made of."""
    names = ("dialogue_id", "utterance_id", "speaker", "text", "speech_description", "measurement_note")
    return rows.select_columns([name for name in (*names, "biography_note") if name in rows.column_names])

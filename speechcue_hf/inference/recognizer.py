"""A model with all that it was trained with, put together by one call: emotions of clips and conversations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from datasets import Dataset, Features, Value

from speechcue_hf.biographies.settings import BiographySettings, load_biography_prompt
from speechcue_hf.biographies.write import write_biographies
from speechcue_hf.corpora.identity import put_beside
from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.cues.measure import measure_dataset
from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.evaluate import CLOSED_SET, InferenceSettings
from speechcue_hf.evaluation.runs import model_type, prompt_beside, read_record
from speechcue_hf.filenames import DESCRIBER_FILE, PROMPT_FILE, TRAINING_FILE
from speechcue_hf.generation.request import TextGenerator
from speechcue_hf.generation.store import open_store
from speechcue_hf.inference.classifiers import (
    ChatClassifier,
    EmotionClassifier,
    EncoderClassifier,
    Prediction,
    SpeechClassifier,
)
from speechcue_hf.inference.conversations import Conversation, rows_of
from speechcue_hf.inference.explain import Explainer
from speechcue_hf.inference.speech_model import SpeechLanguageModel
from speechcue_hf.models.loading import find_beside, hub_commit, load_encoder, load_model, load_speech_model


class Beside(NamedTuple):
    """Where a model comes from and its records lie.

    Args:
        source: Folder or Hub id.
        revision: Commit on the Hub.
    """

    source: str | Path
    revision: str | None


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
        judge: The model.
        training: Its ``training.json``.
        describer: Puts measurements in words; None for a model that reads none.
        generator: Writes biographies; None where the model reads none or they are given.

    Example:
        >>> recognizer = EmotionRecognizer.from_pretrained("user/adapter")  # doctest: +SKIP
        >>> recognizer("clip.wav", text="I got the job!")[0].emotion  # doctest: +SKIP
        'excited'
    """

    judge: EmotionClassifier
    training: Mapping[str, Any]
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
        decoding: InferenceSettings = CLOSED_SET,
    ) -> EmotionRecognizer:
        """Load a model and what lies beside it, all from one commit.

        Args:
            source: What a training of this package wrote (adapter, chat model, encoder classifier or SEmoLLM),
                or the Hub id of such a model, as ``speechcue publish model`` made it.
            revision: Branch, tag or commit on the Hub.
            generator: Writes the biographies that a model reads, where conversations do not bring their own; it must be
                the one of the training.
            train: The described training split, for a prompt that shows demonstrations.
            decoding: How a chat model's labels are scored.

        Returns:
            The recognizer.

        Raises:
            OSError: If there is no model of that name, or it may not be read; the message says what to do.
            EvaluationError: If no training record lies beside the model, or what lies there does not belong together:
                another describer, prompt or order of labels than those of the training, or another generator.
            DescriberError: If the describer that the model needs is not there or not valid.
        """
        commit = hub_commit(source, revision)
        kind = model_type(source, commit)
        loaders: dict[str | None, Any] = {"bioserc": load_encoder, "semollm": load_speech_model}
        model, processor = loaders.get(kind, load_model)(source, commit)
        return cls.of(model, processor, source, revision=commit, generator=generator, train=train, decoding=decoding)

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
        decoding: InferenceSettings = CLOSED_SET,
    ) -> EmotionRecognizer:
        """Put a loaded model together with what lies beside it.

        Args:
            model: The model.
            processor: Its tokenizer, or the processor of a SEmoLLM.
            source: Where it was loaded from; the other arguments and errors are those of :meth:`from_pretrained`.
            revision: Branch, tag or commit on the Hub.
            generator: Writes biographies.
            train: The described training split.
            decoding: How a chat model's labels are scored.

        Returns:
            The recognizer.
        """
        beside = Beside(source, revision)
        training = _training_record(beside)
        judge = _judge(model, processor, beside, training, train, decoding)
        if judge.reads_biographies and generator is not None:
            _check("generator of biographies", (training["biographies"] or {}).get("writer"), generator.identity)
        return cls(judge, training, _described_by(beside, training) if judge.reads_descriptions else None, generator)

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions, in the order of their classes; a chat model's by the words of its prompt."""
        return self.judge.words

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
        rows = rows_of(conversation, self.judge.names, text)
        if self.describer is not None:
            measured = measure_dataset(rows, self.describer.measurement_settings())
            rows = describe_dataset(measured, self.describer)
        if self.judge.reads_biographies:
            rows = self._with_biographies(rows)
        judgements = self.judge.judge(rows)
        return [self._result(row, judged) for row, judged in zip(_seen(rows), judgements, strict=True)]

    def _with_biographies(self, rows: Dataset) -> Dataset:
        """Rows with biographies: those that they bring, or those that the generator writes as the training's were."""
        scope = self.training["biography_scope"]
        if "biography" in rows.column_names:
            return rows if "biography_scope" in rows.column_names else _with_scope(rows, scope)
        facts = self.training["biographies"] or {}
        if self.generator is None:
            raise EvaluationError(
                f"the model was trained on biographies of the speakers (scope {scope}, by "
                f"{(facts.get('writer') or {}).get('model')}): give each turn its biography, None where there is none, "
                "or pass generator= to from_pretrained"
            )
        settings = _biography_settings(facts)
        with TemporaryDirectory(prefix="speechcue-biographies-") as folder:
            path = Path(folder) / "store.jsonl"
            with open_store(path, generator=self.generator.identity, prompt=settings.prompt.identity) as store:
                return write_biographies(rows, self.generator, store, settings)

    def _result(self, row: Mapping[str, Any], judged: Prediction) -> RecognizedEmotion:
        probabilities = judged.probabilities
        likely = None if probabilities is None else dict(zip(self.labels, probabilities, strict=True))
        notes = (row.get("measurement_note"), row.get("biography_note"), judged.note)
        return RecognizedEmotion(
            dialogue_id=row["dialogue_id"],
            utterance_id=row["utterance_id"],
            speaker=row["speaker"],
            text=row["text"],
            emotion=None if likely is None else max(likely, key=likely.__getitem__),
            probabilities=likely,
            description=row.get("speech_description"),
            note="; ".join(note for note in notes if note) or None,
        )


def _training_record(beside: Beside) -> dict[str, Any]:
    path = find_beside(beside.source, TRAINING_FILE, beside.revision)
    if path is None:
        raise EvaluationError(
            f"{Path(beside.source).name} has no {TRAINING_FILE}, so nothing says how it was trained: give a model that "
            "this package trained"
        )
    return read_record(path)


def _judge(
    model: Any,
    processor: Any,
    beside: Beside,
    training: Mapping[str, Any],
    train: Dataset | None,
    decoding: InferenceSettings,
) -> EmotionClassifier:
    """The model with what it is asked, compared with the record of its training."""
    labels = training.get("labels")
    if model.config.model_type == "semollm":
        explainer = Explainer.of(SpeechLanguageModel(model, processor), beside.source, revision=beside.revision)
        _check("emotions in captions.json", (labels or {}).get("words") or None, list(explainer.emotions))
        _check(DESCRIBER_FILE, training["describer_sha256"], explainer.describer.fingerprint)
        return SpeechClassifier(explainer)
    if labels is None:
        raise EvaluationError(f"{TRAINING_FILE} names no labels, so the model was not trained to tell emotions")
    if model.config.model_type == "bioserc":
        _check("labels in config.json", labels["names"], model.config.label_names)
        return EncoderClassifier(model, processor)
    prompt = prompt_beside(beside.source, beside.revision)
    if prompt is None or prompt.fingerprint != training["prompt"]["sha256"]:
        raise _mismatch(PROMPT_FILE, training["prompt"]["sha256"], prompt and prompt.fingerprint)
    _check("labels in training.json", list(prompt.words(labels["names"])), labels["words"])
    return ChatClassifier(model, processor, prompt, tuple(labels["names"]), training["token_budget"], train, decoding)


def _described_by(beside: Beside, training: Mapping[str, Any]) -> SpeechDescriber:
    """The describer beside a model, if it is that of the training."""
    describer = SpeechDescriber.from_pretrained(beside.source, revision=beside.revision)
    _check(DESCRIBER_FILE, training["describer_sha256"], describer.fingerprint)
    return describer


def _check(what: str, trained: Any, found: Any) -> None:
    """Refuse a repository that does not hold together; what no record names cannot be compared."""
    if trained is not None and trained != found:
        raise _mismatch(what, trained, found)


def _mismatch(what: str, trained: Any, found: Any) -> EvaluationError:
    return EvaluationError(
        f"{what}: the model was trained with {trained}, but here is {found}. Take the files that the training wrote, "
        "or another revision of the repository"
    )


def _with_scope(rows: Dataset, scope: str | None) -> Dataset:
    """Rows whose biographies are taken to be of the scope of the training's."""
    scopes = Dataset.from_dict({"biography_scope": [scope] * len(rows)}, Features({"biography_scope": Value("string")}))
    return put_beside(rows, scopes)


def _biography_settings(facts: Mapping[str, Any]) -> BiographySettings:
    """What biographies must be made from to be like those of the training."""
    if facts.get("source") != "written":
        raise EvaluationError(
            "the model was trained on published biographies, which nobody here can write: give each turn its biography"
        )
    prompt = load_biography_prompt(facts["prompt"]["name"])
    _check("prompt for biographies", facts["prompt"], prompt.identity)
    refresh = {} if facts["refresh"] is None else {"refresh": facts["refresh"]}
    return BiographySettings(scope=facts["scope"], word_limit=facts["word_limit"], prompt=prompt, **refresh)


def _seen(rows: Dataset) -> Dataset:
    """The columns that results are made of."""
    names = ("dialogue_id", "utterance_id", "speaker", "text", "speech_description", "measurement_note")
    return rows.select_columns([name for name in (*names, "biography_note") if name in rows.column_names])

"""Explanations of emotions, each claim beside what Praat measures in the same clip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Value

from speechcue_hf.captions.check import Measured, contradicted
from speechcue_hf.captions.parts import CUE_WORDS, cue_word
from speechcue_hf.captions.reading import read_claims, read_denials, read_genders
from speechcue_hf.corpora.recordings import PART_KEYS, cut_turns, spoken, whole_or_cut
from speechcue_hf.corpora.turn_tables import AUDIO_SUFFIXES, recordings_in
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.errors import EvaluationError
from speechcue_hf.inference.classifier import EmotionClassifier, Prediction, joined_notes
from speechcue_hf.inference.context import ModelContext
from speechcue_hf.inference.loading import load_described
from speechcue_hf.inference.settings import CLOSED_SET, InferenceSettings
from speechcue_hf.inference.speech import SpeechClassifier
from speechcue_hf.inference.speech_model import Audio
from speechcue_hf.models.loading import hub_commit
from speechcue_hf.progress import progress


@dataclass(frozen=True)
class CheckedClaim:
    """A level that an explanation states.

    Args:
        text: The words that state it.
        cue: ``pitch``, ``speed`` or ``volume``.
        stated: The level stated; ``not loud`` for one that is denied.
        measured: The level of Praat's measurement, None where nothing was measured.
        contradicted: Whether the measurement says otherwise.
        end: Where the words end in the explanation, in characters.
    """

    text: str
    cue: str
    stated: str
    measured: str | None
    contradicted: bool
    end: int


@dataclass(frozen=True)
class Explanation:
    """What a model makes of one clip.

    Args:
        clip: What the clip is called.
        emotion: The likeliest emotion; None where the clip cannot be heard.
        probabilities: Emotion → probability, over the closed set.
        explanation: What the model wrote.
        claims: The levels it states.
        note: How a clip is heard that is too long, and what could not be measured, or None.
        error: Why there is no explanation, or None.
    """

    clip: str
    emotion: str | None = None
    probabilities: Mapping[str, float] | None = None
    explanation: str | None = None
    claims: tuple[CheckedClaim, ...] = ()
    note: str | None = None
    error: str | None = None

    @property
    def marked(self) -> str:
        """The explanation with each contradicted claim marked: ``high pitch [measured: low]``."""
        text = self.explanation or ""
        for claim in sorted(self.claims, key=lambda claim: -claim.end):
            if claim.contradicted:
                text = f"{text[: claim.end]} [measured: {claim.measured}]{text[claim.end :]}"
        return text

    def to_dict(self) -> dict[str, Any]:
        """The explanation as JSON values."""
        return {**asdict(self), "claims": [asdict(claim) for claim in self.claims]}


@dataclass(frozen=True)
class Explainer:
    """A classifier that explains, and what its claims are compared with.

    Args:
        classifier: It hears clips, and its settings let it explain.
        describer: How the clips behind the training captions were measured and cut into levels.
    """

    classifier: SpeechClassifier
    describer: SpeechDescriber

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        names: Sequence[str] | None = None,
        revision: str | None = None,
        settings: InferenceSettings = CLOSED_SET,
    ) -> Explainer:
        """Load a model with what lies beside it.

        Args:
            source: A model folder or Hub id with ``describer.json`` and ``captions.json``, which training copies there.
            names: The emotions that it is to tell apart; None: those that it was taught.
            revision: Branch, tag or commit on the Hub.
            settings: How it is asked.

        Returns:
            The explainer.

        Raises:
            EvaluationError: If it is no model that hears, or nothing says which emotions it knows.
            DescriberError: If there is no describer beside the model.
            OSError: If there is no model of that name.
        """
        context = ModelContext(source, hub_commit(source, revision), settings, names=names)
        return cls.of(load_described(context), context)

    @classmethod
    def of(cls, classifier: EmotionClassifier, context: ModelContext) -> Explainer:
        """Put a classifier together with the describer beside its model; errors as of :meth:`from_pretrained`."""
        if not isinstance(classifier, SpeechClassifier):
            raise EvaluationError(f"{context.name} is told of clips and does not hear them: it cannot explain one")
        names = tuple(context.names or classifier.names)
        classifier = replace(classifier, names=names, settings=replace(classifier.settings, explain=True))
        return cls(classifier, SpeechDescriber.from_pretrained(context.source, revision=context.revision))

    def __call__(
        self, clips: Sequence[Audio], *, gender: str | None = None, batch_size: int = CLOSED_SET.batch_size
    ) -> Iterator[Explanation]:
        """Explain clips, a batch at a time.

        Args:
            clips: The clips. One that says ``start``, ``end`` or ``channel`` beside its ``path`` is cut out of its
                recording, by the rules of :func:`speechcue_hf.corpora.recordings.find_parts`.
            gender: Of all speakers, ``"female"`` or ``"male"``, if known. Levels are those of that gender, where the
                describer has them; else those of the gender that the explanation itself states, as the captions of
                training did; else those of all speakers.
            batch_size: Clips that are handed over together.

        Yields:
            One explanation for each clip, in their order; a clip that cannot be decoded has its reason in ``error``.

        Raises:
            ValueError: If times or a channel do not fit their file.
        """
        cut = cut_turns([spoken(clip, _clip_name(clip)) for clip in clips])
        for start in progress(range(0, len(clips), batch_size), "Explaining", "batches"):
            batch = clips[start : start + batch_size]
            names = [_clip_name(clip) for clip in batch]
            heard = [whole_or_cut(clip, next(cut)) for clip in batch]
            predictions = self.classifier.predict(_clip_rows(names, heard))
            for name, clip, prediction in zip(names, heard, predictions, strict=True):
                yield self._checked(name, clip, prediction, gender)

    def _checked(self, name: str, clip: Audio, prediction: Prediction, gender: str | None) -> Explanation:
        """An explanation with each of its claims beside the measurement."""
        if prediction.label is None:
            return Explanation(name, error=prediction.note)
        text = prediction.explanation or ""
        stated = read_genders(text)
        row = self.describer.describe_clip(clip, gender=gender or (min(stated) if len(stated) == 1 else None))
        measured = {cue: cue_word(cue, row, self.describer.levels) for cue in CUE_WORDS}
        names = self.classifier.names
        return Explanation(
            name,
            names[prediction.label],
            dict(zip(names, prediction.probabilities or (), strict=False)),
            text,
            check_claims(text, measured),
            joined_notes(prediction.note, row["measurement_note"]),
        )


def check_claims(explanation: str, measured: Measured) -> tuple[CheckedClaim, ...]:
    """Put each level that an explanation states or denies beside the measured one, in the order of the text.

    Example:
        >>> check_claims("With high pitch.", {"pitch": "low"})[0].contradicted
        True
    """
    return tuple(
        CheckedClaim(
            text=explanation[claim.start : claim.end],
            cue=claim.cue,
            stated=f"not {claim.word}" if claim.denied else claim.word,
            measured=measured.get(claim.cue),
            contradicted=contradicted(claim, measured),
            end=claim.end,
        )
        for claim in sorted([*read_claims(explanation), *read_denials(explanation)], key=lambda claim: claim.start)
    )


def _clip_rows(names: Sequence[str], clips: Sequence[Mapping[str, Any]]) -> Dataset:
    """Rows of clips that nothing else is known of."""
    features = Features({"utterance_id": Value("string"), "audio": {"path": Value("string"), "bytes": Value("binary")}})
    return Dataset.from_dict({"utterance_id": names, "audio": clips}, features=features)


def find_clips(paths: Sequence[Path]) -> list[Path]:
    """Audio files, and those in folders and below, by name; a file that does not exist stays, to be named as such.

    Raises:
        EvaluationError: If a folder holds no audio file.
    """
    found: list[Path] = []
    for path in paths:
        inside = recordings_in(path)
        if path.is_dir() and not inside:
            raise EvaluationError(f"{path} holds no audio file ({', '.join(AUDIO_SUFFIXES)})")
        found += inside if path.is_dir() else [path]
    return found


def _clip_name(clip: Audio) -> str:
    """What a clip is called: its path as given, or ``audio bytes``; of a part of a recording with its times."""
    if not isinstance(clip, Mapping):
        return str(clip)
    part = ", ".join(f"{key} {clip[key]}" for key in PART_KEYS if clip.get(key) is not None)
    name = str(clip.get("path") or "audio bytes")
    return f"{name} ({part})" if part else name

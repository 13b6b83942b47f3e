"""Explanations of emotions, each claim beside what Praat measures in the same clip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from datasets.utils import tqdm

from speechcue_hf.audio import Clip
from speechcue_hf.captions.parts import CUE_WORDS, cue_word
from speechcue_hf.captions.reading import read_claims, read_denials, read_genders
from speechcue_hf.captions.tasks import CaptionTask, caption_task
from speechcue_hf.captions.write import opening
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.faithfulness import contradicted
from speechcue_hf.evaluation.runs import read_record
from speechcue_hf.filenames import CAPTIONS_FILE
from speechcue_hf.inference.speech_model import Audio, SpeechLanguageModel, decode_clip
from speechcue_hf.models.loading import find_beside

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".m4a", ".mp4", ".aac", ".opus", ".webm", ".mkv", ".avi", ".mov")


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
    """A model that explains, and what its claims are compared with.

    Args:
        listener: The model.
        describer: How the clips behind the training captions were measured and cut into levels.
        emotions: The closed set.
        recognise: The task whose question the emotion is scored with.
        explain: The task whose question the explanation answers.
        batch_size: Clips in one pass.
        new_tokens: Most tokens of an explanation.
        beams: Width of the beam search; 1 is greedy.

    Raises:
        ValueError: If ``batch_size`` is not positive.
    """

    speech_model: SpeechLanguageModel
    describer: SpeechDescriber
    emotions: tuple[str, ...]
    recognise: CaptionTask
    explain: CaptionTask
    batch_size: int = 8
    new_tokens: int = 80
    beams: int = 1

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        emotions: Sequence[str] | None = None,
        revision: str | None = None,
        long_audio: Literal["cut", "window"] = "cut",
        **settings: Any,
    ) -> Explainer:
        """Load a model with what lies beside it.

        Args:
            source: A model folder or Hub id with ``describer.json`` and ``captions.json``, which training copies there.
            emotions: The closed set, for a model without ``captions.json``.
            revision: Branch, tag or commit on the Hub.
            long_audio: Whether the model hears the beginning of a long clip or all of it: see
                :class:`SpeechLanguageModel`.
            **settings: ``batch_size``, ``new_tokens`` and ``beams``.

        Returns:
            The explainer.

        Raises:
            EvaluationError: If nothing says which emotions the model knows.
            DescriberError: If there is no describer beside the model.
            ModelError: If it is no SEmoLLM.
            OSError: If there is no model of that name.
        """
        from speechcue_hf.models.loading import load_speech_model

        speech_model = SpeechLanguageModel(*load_speech_model(source, revision), long_audio)
        return cls.of(speech_model, source, emotions=emotions, revision=revision, **settings)

    @classmethod
    def of(
        cls,
        speech_model: SpeechLanguageModel,
        source: str | Path,
        *,
        emotions: Sequence[str] | None = None,
        revision: str | None = None,
        **settings: Any,
    ) -> Explainer:
        """Let a model that is loaded explain; arguments, result and errors as for :meth:`from_pretrained`."""
        describer = SpeechDescriber.from_pretrained(source, revision=revision)
        taught, recognise, explain = caption_facts(source, revision)
        known = tuple(emotions or taught)
        if not known:
            raise EvaluationError(
                f"nothing beside {Path(source).name} says which emotions it knows ({CAPTIONS_FILE} is not there, or "
                "its captions name none): name them, --labels neutral,angry,sad,happy (emotions= in Python)"
            )
        return cls(speech_model, describer, known, recognise, explain, **settings)

    def __call__(self, clips: Sequence[Audio], *, gender: str | None = None) -> Iterator[Explanation]:
        """Explain clips, a batch at a time.

        Args:
            clips: The clips.
            gender: Of all speakers, ``"female"`` or ``"male"``, if known. Levels are those of that gender, where the
                describer has them; else those of the gender that the explanation itself states, as the captions of
                training did; else those of all speakers.

        Yields:
            One explanation for each clip, in their order; a clip that cannot be decoded has its reason in ``error``.
        """
        starts = range(0, len(clips), self.batch_size)
        for start in tqdm(starts, desc="Explaining", unit="batch", disable=len(starts) < 2):
            yield from self._explain_batch(clips[start : start + self.batch_size], gender)

    def write(self, clips: Sequence[Clip], emotions: Sequence[str]) -> list[str]:
        """Explain emotions that are given, one for each clip of a batch.

        A model that was taught to describe a voice apart from its emotion is asked for that, and the sentence that
        names the emotion is put before what it says.

        Args:
            clips: What the model hears.
            emotions: What it is to explain.

        Returns:
            The explanations, each beginning with the sentence that names its emotion.
        """
        openings = [opening(emotion) for emotion in emotions]
        together = "emotion" in self.explain.parts
        beginnings = openings if together else [""] * len(clips)
        answers = self.speech_model.write_answers(clips, self.explain, beginnings, self.new_tokens, self.beams)
        return answers if together else [f"{begin} {text}" for begin, text in zip(openings, answers, strict=True)]

    def _explain_batch(self, clips: Sequence[Audio], gender: str | None) -> Iterator[Explanation]:
        decoded = [decode_clip(clip) for clip in clips]
        heard = [clip for clip in decoded if isinstance(clip, Clip)]
        answers = iter(self._answer(heard) if heard else ())
        for clip, sound in zip(clips, decoded, strict=True):
            name = clip_name(clip)
            yield (
                Explanation(name, error=sound) if isinstance(sound, str) else self._judged(next(answers), clip, gender)
            )

    def _answer(self, clips: Sequence[Clip]) -> list[Explanation]:
        """Emotion and explanation of each clip, not judged yet; the explanation is of the likeliest emotion."""
        scores = self.speech_model.score_emotions(clips, self.recognise, self.emotions)
        named = [self.emotions[number] for number in scores.predictions]
        texts = self.write(clips, named)
        likely = [dict(zip(self.emotions, row, strict=True)) for row in scores.probabilities.tolist()]
        notes = [self.speech_model.note(clip) for clip in clips]
        rows = zip(named, likely, texts, notes, strict=True)
        return [Explanation("", emotion, probabilities, text, note=note) for emotion, probabilities, text, note in rows]

    def _judged(self, answer: Explanation, clip: Audio, gender: str | None) -> Explanation:
        stated = read_genders(answer.explanation or "")
        row = self.describer.describe_clip(clip, gender=gender or (min(stated) if len(stated) == 1 else None))
        measured = {cue: cue_word(cue, row, self.describer.levels) for cue in CUE_WORDS}
        notes = "; ".join(note for note in (answer.note, row["measurement_note"]) if note)
        claims = judge(answer.explanation or "", measured)
        return replace(answer, clip=clip_name(clip), claims=claims, note=notes or None)


def judge(explanation: str, measured: Mapping[str, str | None]) -> tuple[CheckedClaim, ...]:
    """Put each level that an explanation states beside the measured one.

    Args:
        explanation: The text.
        measured: ``pitch``, ``speed`` and ``volume`` in the words of captions; None where not measured.

    Returns:
        The claims, in the order of the text.

    Example:
        >>> judge("With high pitch.", {"pitch": "low"})[0].contradicted
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


def caption_facts(source: str | Path, revision: str | None = None) -> tuple[tuple[str, ...], CaptionTask, CaptionTask]:
    """What a model was taught, from the ``captions.json`` beside it.

    Args:
        source: A model folder or Hub id.
        revision: Branch, tag or commit on the Hub.

    Returns:
        The emotions in the order of their class ids; of the tasks that name the emotion the one with the fewest parts,
        to recognise it; and of all tasks the one with the most, to explain it. Without the file ``emotion`` and
        ``explanation``.
    """
    path = find_beside(source, CAPTIONS_FILE, revision)
    record = {} if path is None else read_record(path)
    tasks = [caption_task(name) for name in record.get("tasks", ("emotion", "explanation"))]
    naming = [task for task in tasks if "emotion" in task.parts] or [caption_task("emotion")]
    recognise = min(naming, key=lambda task: len(task.parts))
    explain = max(tasks, key=lambda task: (len(task.parts), "emotion" in task.parts))
    return tuple(record.get("emotions", ())), recognise, explain


def find_clips(paths: Sequence[Path]) -> list[Path]:
    """Audio files, and those in folders and the folders below, by name.

    Args:
        paths: Files and folders.

    Returns:
        The files; one that does not exist is among them, so that it is named as such.

    Raises:
        EvaluationError: If a folder holds no audio file.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in AUDIO_SUFFIXES and file.is_file())
        if path.is_dir() and not inside:
            raise EvaluationError(f"{path} holds no audio file ({', '.join(AUDIO_SUFFIXES)})")
        found += inside if path.is_dir() else [path]
    return found


def clip_name(clip: Audio) -> str:
    """What a clip is called: its path as given, or ``audio bytes``."""
    return str(clip["path"] or "audio bytes") if isinstance(clip, Mapping) else str(clip)

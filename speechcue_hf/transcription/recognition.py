"""Speech to words with times, by transformers' ``automatic-speech-recognition`` pipeline and any model it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from speechcue_hf.errors import TranscriptionError
from speechcue_hf.transcription.voice_activity import RATE, Span

Samples = npt.NDArray[np.float32]

LONGEST = 28.0
"""In s: what a recognizer is given at once. Whisper hears 30 s."""

_BETWEEN = 0.4
"""In s: silence between stretches of speech that are heard in one window."""


class Word(NamedTuple):
    """A word, or what else the recognizer gives a time: in languages without blanks a character or a few.

    Attributes:
        text: With the blank before it where the language has one.
        start: In s from the beginning of the recording.
        end: In s.
    """

    text: str
    start: float
    end: float


class Window(NamedTuple):
    """Stretches of one recording that are heard together.

    Attributes:
        key: Whose they are, as the caller says.
        spans: Where in the recording.
        samples: At 16 kHz, one array of shape ``(frames,)`` for each stretch.
    """

    key: Any
    spans: Sequence[Span]
    samples: Sequence[Samples]


class Heard(NamedTuple):
    """What was recognized in a window.

    Attributes:
        key: Of the window.
        words: In their order.
        language: Code such as ``en``; None where the recognizer knows none.
    """

    key: Any
    words: list[Word]
    language: str | None


@dataclass(frozen=True)
class SpeechRecognizer:
    """A model that turns speech into words.

    Args:
        pipeline: Of transformers, for ``automatic-speech-recognition``.
        language: Of all that it is given, such as ``en``; None has Whisper find it, recording by recording.
        times: Whether it gives each word a time. One that does not hears stretches of speech one by one.
    """

    pipeline: Any
    language: str | None
    times: bool

    @classmethod
    def from_pretrained(
        cls, model: str | Path, *, revision: str | None = None, language: str | None = None
    ) -> SpeechRecognizer:
        """Load a model, onto the GPU where there is one.

        Args:
            model: Hub id or folder.
            revision: Branch, tag or commit on the Hub.
            language: Code of the language, such as ``en`` or ``de``, as the model calls it.

        Raises:
            OSError: If there is no model of that name.
            TranscriptionError: If it is no recognizer of speech, or does not know the language.
        """
        import torch
        from transformers import pipeline

        device, dtype = ("cuda", torch.float16) if torch.cuda.is_available() else ("cpu", torch.float32)
        try:
            made = pipeline(
                "automatic-speech-recognition",
                model=str(model),
                revision=revision,
                device=device,
                dtype=dtype,
                trust_remote_code=False,
            )
        except (ValueError, KeyError, TypeError) as error:
            raise TranscriptionError(
                f"{Path(model).name} cannot be loaded as a recognizer of speech: {error}"
            ) from error
        _check_language(made, language)
        return cls(made, language, _gives_times(made))

    def __call__(self, windows: Iterable[Window], batch_size: int = 8) -> Iterator[Heard]:
        """Recognize the words of windows, in their order.

        Args:
            windows: Of any number of recordings, those of one recording together.
            batch_size: Windows in one pass.
        """
        waiting = iter(windows)
        languages: dict[Any, str | None] = {}
        while batch := list(islice(waiting, batch_size)):
            for window in batch:
                if window.key not in languages:
                    languages[window.key] = self.language or self._find_language(_joined(window))
            for language, alike in groupby(batch, key=lambda window: languages[window.key]):
                yield from self._recognize(list(alike), language)

    def windows_of(self, spans: Sequence[Span]) -> list[list[Span]]:
        """Stretches of speech in groups that are heard together; alone where words have no times to tell them by."""
        return windows_of(spans) if self.times else [[span] for span in spans]

    def _recognize(self, windows: Sequence[Window], language: str | None) -> Iterator[Heard]:
        """Words of windows in one language."""
        inputs = [{"raw": _joined(window), "sampling_rate": RATE} for window in windows]
        options: dict[str, Any] = {"return_timestamps": "word"} if self.times else {}
        if not self.pipeline.type.startswith("ctc"):
            # The pipeline's own default, five beams, takes five times as long.
            options["generate_kwargs"] = {"num_beams": 1}
        if _knows_languages(self.pipeline):
            options["generate_kwargs"] |= {"language": language, "task": "transcribe"}
        made = self.pipeline(inputs, batch_size=len(inputs), **options)
        for window, result in zip(windows, made, strict=True):
            yield Heard(window.key, self._words(result, window), language)

    def _words(self, result: Mapping[str, Any], window: Window) -> list[Word]:
        """Words with times in the recording."""
        if not self.times:
            text = result["text"].strip()
            return [Word(f" {text}", window.spans[0].start, window.spans[-1].end)] if text else []
        blank = "" if _is_whisper(self.pipeline) else " "
        words = []
        for chunk in result["chunks"]:
            if chunk["text"].strip():
                start, end = chunk["timestamp"]
                start = start or 0.0
                words.append(Word(blank + chunk["text"], *_in_recording(start, end or start, window)))
        return words

    def _find_language(self, samples: Samples) -> str | None:
        """The language that Whisper hears; None for a model that does not tell."""
        if not _knows_languages(self.pipeline):
            return None
        model = self.pipeline.model
        features = self.pipeline.feature_extractor(samples, sampling_rate=RATE, return_tensors="pt").input_features
        token = model.detect_language(features.to(model.device, model.dtype))
        return str(self.pipeline.tokenizer.decode(token[0])).strip("<|>")


def windows_of(spans: Sequence[Span]) -> list[list[Span]]:
    """Stretches of speech in groups that a recognizer hears at once.

    Example:
        >>> [len(window) for window in windows_of([Span(0, 10), Span(12, 25), Span(26, 40)])]
        [2, 1]
    """
    windows: list[list[Span]] = []
    room = 0.0
    for span in spans:
        length = span.end - span.start + _BETWEEN
        if not windows or length > room:
            windows.append([])
            room = LONGEST + _BETWEEN
        windows[-1].append(span)
        room -= length
    return windows


def _joined(window: Window) -> Samples:
    """The sound of a window."""
    gap = np.zeros(round(_BETWEEN * RATE), np.float32)
    parts = [part for samples in window.samples for part in (samples, gap)]
    return np.concatenate(parts[:-1])


def _in_recording(start: float, end: float, window: Window) -> Span:
    """Times in the sound of a window as times in the recording: of the stretch that the word's middle is nearest to."""
    middle, begin = (start + end) / 2, 0.0
    for span, samples in zip(window.spans, window.samples, strict=True):
        length = len(samples) / RATE
        if middle < begin + length + _BETWEEN / 2 or span is window.spans[-1]:
            inside = np.clip([start - begin, end - begin], 0.0, length) + span.start
            return Span(*(round(float(time), 3) for time in inside))
        begin += length + _BETWEEN
    raise ValueError("a window has no stretches")


def _is_whisper(made: Any) -> bool:
    return bool(made.type == "seq2seq_whisper")


def _knows_languages(made: Any) -> bool:
    """Whether it is a Whisper of many languages."""
    return _is_whisper(made) and bool(getattr(made.model.generation_config, "is_multilingual", False))


def _gives_times(made: Any) -> bool:
    """Whether words have times: of CTC always, of Whisper where its attention to time is known, of others never."""
    if _is_whisper(made):
        return getattr(made.model.generation_config, "alignment_heads", None) is not None
    return bool(made.type.startswith("ctc"))


def _check_language(made: Any, language: str | None) -> None:
    """Refuse a language that a model of many does not know."""
    if language is None or not _knows_languages(made):
        return
    known = {token.strip("<|>") for token in made.model.generation_config.lang_to_id}
    if language not in known:
        raise TranscriptionError(f"the model knows no language {language!r}, only {', '.join(sorted(known))}")

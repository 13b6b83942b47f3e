"""How well `speechcue transcribe` finds turns and words, on human speech whose turns are known.

Sentences of LibriVox, read by one person, and digits and cards, said by others, are trimmed to their sound and put
together with known gaps and overlaps: in one channel, and with one speaker a channel. Truth about turns is where the
sentences were put, truth about words is the transcripts of LibriVox (of cards Whisper writes figures).

    python benchmarks/transcribe.py --models /tmp/models

`--models` (or SPEECHCUE_MODELS) has `whisper-base/` and `speech/`, which holds Debian's pocketsphinx-testdata (BSD-2).
Any Hub id can be given as `--model`.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from figures import recorded

from speechcue_hf.evaluation.texts import transcript_error_rate
from speechcue_hf.transcription.recognition import SpeechRecognizer
from speechcue_hf.transcription.settings import TranscriptionSettings
from speechcue_hf.transcription.transcribe import Recording, Transcript, transcribe
from speechcue_hf.transcription.turns import SpokenTurn

RATE = 16_000
TOLERANCE = 0.25
GAPS = (0.7, 1.2, 0.9, 0.8, 1.5, 0.7, 1.0, 0.9, 0.8)
OVERLAPS = (-0.3, 0.8, -0.5, 0.7, -0.4, 0.9, -0.3, 0.8, -0.5)
PAUSES_OF_READERS = -35.0
"""In dB below the loudest 20 ms of a sentence: what is fainter at its ends is no part of it."""


class Sentence(NamedTuple):
    """A sentence: who says it, what, and its sound, trimmed, shape ``(frames,)``."""

    speaker: str
    text: str
    samples: np.ndarray


class Truth(NamedTuple):
    """A sentence in a recording, in s."""

    sentence: Sentence
    channel: int
    start: float
    end: float


def main() -> None:
    """Make the recordings, transcribe each, and print what was right."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--models", type=Path, default=os.environ.get("SPEECHCUE_MODELS"))
    parser.add_argument("--model", help="recognizer (default: whisper-base in --models)")
    arguments = parser.parse_args()
    sentences = read_sentences(arguments.models / "speech")
    recognizer = SpeechRecognizer.from_pretrained(arguments.model or arguments.models / "whisper-base", language="en")
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{platform.processor() or platform.machine()}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("| recording | s | boundary F1 | word error rate, LibriVox | speaker right | CPU s per s |")
    print("|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        # Once, unmeasured: the first pass of a model allocates and compiles.
        run(recognizer, compose(sentences[:1], (), 1), Path(folder), given=False)
        for name, gaps, channels, given in (
            ("one channel, gaps", GAPS, 1, False),
            ("one channel, overlaps", OVERLAPS, 1, False),
            ("one channel, overlaps, turns given", OVERLAPS, 1, True),
            ("a speaker a channel, gaps", GAPS, 2, False),
            ("a speaker a channel, overlaps", OVERLAPS, 2, False),
        ):
            sound, truth = compose(sentences, gaps, channels)
            heard, seconds = run(recognizer, (sound, truth), Path(folder), given=given)
            print(line(name, heard, truth, len(sound) / RATE, seconds), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\nPeak memory {peak:.2f} GiB, of which {loaded:.2f} GiB with the model loaded and nothing heard.")


def read_sentences(speech: Path) -> list[Sentence]:
    """Sentences of LibriVox and cards by turns, so that speakers change."""
    data = next(speech.glob("**/pocketsphinx/test/data"))
    librivox = _listed(data / "librivox", "transcription", "librivox")
    cards = _listed(data / "cards", "cards.transcription", "cards")
    return [sentence for pair in zip(librivox, cards, strict=True) for sentence in pair]


def _listed(folder: Path, transcripts: str, speaker: str) -> list[Sentence]:
    found = []
    for said in (folder / transcripts).read_text().splitlines():
        text, _, name = said.rpartition("(")
        samples, rate = soundfile.read(folder / f"{name.rstrip(')').strip()}.wav")
        if rate != RATE:
            raise ValueError(f"{name}: {rate} Hz, expected {RATE}")
        found.append(Sentence(speaker, text.replace("<s>", "").replace("</s>", "").strip(), trimmed(samples)))
    return found


def trimmed(samples: np.ndarray) -> np.ndarray:
    """A sentence without what is faint at its ends."""
    frame = RATE // 50
    whole = samples[: len(samples) // frame * frame].reshape(-1, frame)
    levels = 10 * np.log10(np.square(whole).mean(axis=1) + 1e-12)
    loud = np.flatnonzero(levels > levels.max() + PAUSES_OF_READERS)
    return samples[loud[0] * frame : (loud[-1] + 1) * frame]


def compose(sentences: Sequence[Sentence], gaps: Sequence[float], channels: int) -> tuple[np.ndarray, list[Truth]]:
    """Put sentences one after the other at one level; faint noise is all over.

    Returns:
        Sound of shape ``(frames, channels)``, and where each sentence is in it.
    """
    truth, place = [], 1.0
    speakers = list(dict.fromkeys(sentence.speaker for sentence in sentences))
    for sentence, gap in zip(sentences, [*gaps[: len(sentences) - 1], 1.0], strict=True):
        end = place + len(sentence.samples) / RATE
        truth.append(Truth(sentence, speakers.index(sentence.speaker) % channels, place, end))
        place = end + gap
    sound = np.random.default_rng(0).normal(0, 3e-4, (round(place * RATE), channels))
    for it in truth:
        first = round(it.start * RATE)
        samples = it.sentence.samples / it.sentence.samples.std() * 0.05
        sound[first : first + len(samples), it.channel] += samples
    return sound.clip(-1, 1), truth


def run(
    recognizer: SpeechRecognizer, made: tuple[np.ndarray, list[Truth]], folder: Path, *, given: bool
) -> tuple[Transcript, float]:
    """Transcribe a recording as the command does; the transcript and CPU seconds."""
    sound, truth = made
    soundfile.write(folder / "made.wav", sound, RATE)
    turns = [SpokenTurn(it.start, it.end, speaker=it.sentence.speaker) for it in truth] if given else None
    before = time.process_time()
    (heard,) = transcribe([Recording("made", folder / "made.wav", turns)], recognizer, TranscriptionSettings())
    return heard, time.process_time() - before


def line(name: str, heard: Transcript, truth: Sequence[Truth], seconds: float, cpu: float) -> str:
    """One row of the table."""
    matched = match(heard.turns, truth)
    speakers = {turn.speaker for turn in heard.turns if turn.speaker}
    right = "–"
    if speakers:
        owners = [(it.sentence.speaker, turn.speaker) for it, own in zip(truth, matched, strict=True) for turn in own]
        # Names are the recording's: each must stand for one speaker, and no speaker have two.
        good = len(set(owners)) == len(speakers) == len({it.sentence.speaker for it in truth})
        right = "100 %" if good else "no"
    judged = [place for place, it in enumerate(truth) if it.sentence.speaker == "librivox"]
    references = [truth[place].sentence.text for place in judged]
    texts = [" ".join(turn.text for turn in matched[place]) for place in judged]
    # "ill-disposed" and "ill disposed" are the same words.
    error = transcript_error_rate(references, [text.replace("-", " ") for text in texts])["word_error_rate"]
    if len(heard.turns) < len(truth):
        # Turns that run together have words of both.
        error = None
    cells = (
        name,
        f"{seconds:.0f}",
        f"{boundary_f1(heard.turns, truth):.3f}",
        "–" if error is None else f"{error:.1%}",
        right,
        f"{cpu / seconds:.2f}",
    )
    return f"| {' | '.join(cells)} |"


def match(turns: Sequence[SpokenTurn], truth: Sequence[Truth]) -> list[list[SpokenTurn]]:
    """The turns of each sentence: a turn is of the one that it has most in common with."""
    matched: list[list[SpokenTurn]] = [[] for _ in truth]
    for turn in turns:
        common = [
            min(turn.end, it.end) - max(turn.start, it.start) - 100.0 * (turn.channel not in (None, it.channel))
            for it in truth
        ]
        matched[int(np.argmax(common))].append(turn)
    return matched


def boundary_f1(turns: Sequence[SpokenTurn], truth: Sequence[Truth]) -> float:
    """F1 of beginnings and ends that are right within 0.25 s, each matched once, channel by channel."""
    hits = 0
    channels = {turn.channel for turn in turns}
    for channel in channels:
        own = [it for it in truth if channel is None or it.channel == channel]
        for edge in ("start", "end"):
            left = [getattr(it, edge) for it in own]
            for turn in turns:
                near = [time for time in left if abs(time - getattr(turn, edge)) <= TOLERANCE]
                if turn.channel == channel and near:
                    left.remove(min(near, key=lambda time: abs(time - getattr(turn, edge))))
                    hits += 1
    return hits / (len(turns) + len(truth))


if __name__ == "__main__":
    with recorded("transcribe"):
        main()

"""Whether an engine gives Praat's numbers: every cue of many clips by both, and the pitch frame by frame.

    python benchmarks/equality.py [--engine torch] [FOLDER OF RECORDINGS ...]

It needs espeak-ng for the voices it makes.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from figures import recorded
from scipy.signal import resample_poly

from speechcue_hf import MeasurementSettings, measure_speech
from speechcue_hf.audio import decode
from speechcue_hf.cues.contours import PitchSettings
from speechcue_hf.cues.engines import ENGINES, EngineName, load_engine

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.cues.measure_clips import as_bytes, has_espeak, say, voice
from tests.cues.test_fast import CLIPS
from tests.cues.test_speechcuellm import SYNTHETIC

Row = dict[str, Any]

RATES = (8000, 16000, 22050, 44100, 48000)
TEXTS = (
    "No!",
    "Where were you? I waited for two hours.",
    "Well, okay, let us see what he wants.",
    "I can not believe it!",
)
VOICES = ("en-us", "en-us+f2", "en-us+m3", "en-us+m7", "en-us+f4", "en-gb+klatt2", "en-us+croak", "de+f4")
SETTINGS = {
    "the paper's eight": MeasurementSettings.speechcuellm(),
    "our default and HNR": MeasurementSettings(groups=(*MeasurementSettings().groups, "hnr")),
}
RELATIVE, ABSOLUTE = 1e-6, 1e-5
"""A number is equal within a millionth of itself, or a hundred-thousandth of its unit."""


def spoken(count: int) -> Iterator[Row]:
    """Utterances of espeak-ng at all rates, pitches and speeds, with and without noise."""
    rng = np.random.default_rng(0)
    for i, (rate, text, name) in enumerate(islice(product(RATES, TEXTS, VOICES), count)):
        speech, own = soundfile.read(
            io.BytesIO(say(text, name, "-p", 10 + i * 17 % 90, "-s", 110 + i * 23 % 160)["bytes"])
        )
        samples = resample_poly(speech, rate, own)
        noise = rng.normal(0, 10 ** rng.uniform(-5, -1.5), len(samples)) if i % 3 else 0
        yield as_bytes(np.clip(samples + noise, -1, 1), rate)


def synthetic(count: int) -> Iterator[Row]:
    """Buzzes from 60 to 500 Hz that glide and swell, with pauses of digital silence and noise of all levels."""
    rng = np.random.default_rng(1)
    for i in range(count):
        rate, seconds = RATES[i % len(RATES)], rng.uniform(0.15, 2.0)
        low, high = np.sort(rng.uniform(60, 500, 2))
        f0 = np.linspace(low, high, round(seconds * rate))[:: rng.choice([-1, 1])]
        samples = voice(f0, seconds, rate, rng.uniform(0.001, 0.3), rng.uniform(1, 7), 10 ** rng.uniform(-5, -1), i)
        if i % 4 == 0:
            samples[len(samples) // 3 : len(samples) // 2] = 0
        yield as_bytes(np.clip(samples, -1, 1), rate, "FLOAT" if i % 2 else "PCM_16")


def noise_and_silence(count: int) -> Iterator[Row]:
    """White and red noise of all levels, clicks, constants and digital silence."""
    rng = np.random.default_rng(2)
    for i in range(count):
        rate = RATES[i % len(RATES)]
        samples = rng.normal(0, 10 ** rng.uniform(-4, -0.5), round(rng.uniform(0.1, 1.0) * rate))
        if i % 5 == 1:
            samples = np.cumsum(samples) / 100
        if i % 5 == 2:
            samples = np.where(np.arange(len(samples)) % (rate // 7) == 0, 0.5, 0.0)
        if i % 5 == 3:
            samples = np.full(len(samples), 0.1 * (i % 2))
        yield as_bytes(np.clip(samples, -1, 1), rate)


def of_the_tests() -> Iterator[Row]:
    """The clips that the tests hold against Praat."""
    for make in CLIPS.values():
        samples, rate = make()
        yield as_bytes(samples, rate, "FLOAT")
    for edge in SYNTHETIC.values():
        yield as_bytes(*edge())


def recordings(folder: Path, count: int) -> Iterator[Row]:
    """Recordings below a folder, evenly chosen."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".wav", ".ogg", ".flac"))
    for path in paths[:: max(1, len(paths) // count)][:count]:
        yield {"path": str(path), "bytes": None}


def compare(kind: str, rows: list[Row], engine: EngineName) -> list[str]:
    """Print the rows of the table for clips of one kind.

    Returns:
        What is unequal, in words.
    """
    apart = []
    for title, settings in SETTINGS.items():
        numbers = missing = unequal = 0
        largest = 0.0
        for audio in rows:
            theirs = measure_speech({"audio": audio}, settings)
            ours = measure_speech({"audio": audio}, replace(settings, engine=engine))
            for column, value in theirs.items():
                other = ours[column]
                if not isinstance(value, float) or not isinstance(other, float):
                    missing += value != other
                    continue
                numbers += 1
                largest = max(largest, abs(other - value) / max(abs(value), 1.0))
                if abs(other - value) > max(RELATIVE * abs(value), ABSOLUTE):
                    unequal += 1
                    apart.append(f"{kind}, {title}: {column} is {other!r} and not {value!r}")
        print(f"| {kind} | {title} | {len(rows)} | {numbers:,} | {unequal} | {missing} | {largest:.1e} |", flush=True)
    frames, flipped, apart_by = _pitch_frames(rows, engine)
    counts = f"{len(rows)} | {frames:,} | {flipped[1]} | {flipped[0]}"
    print(f"| {kind} | pitch frame by frame | {counts} | {apart_by:.1e} |", flush=True)
    return apart


def _pitch_frames(rows: list[Row], name: EngineName) -> tuple[int, tuple[int, int], float]:
    """Voiced frames, those voiced by one engine alone and those further apart than 1e-4, the largest distance."""
    engines = load_engine("praat"), load_engine(name)
    frames = voicing = far = 0
    largest = 0.0
    for audio in rows:
        clip = decode(audio)
        if clip.samples.shape[1] < 0.05 * clip.rate:
            continue
        theirs, ours = (engine.pitch(clip.samples, clip.rate, PitchSettings()).values for engine in engines)
        both = (theirs > 0) & (ours > 0)
        voicing += int(((theirs > 0) != (ours > 0)).sum())
        distances = np.abs(ours[both] / theirs[both] - 1)
        frames, far = frames + int(both.sum()), far + int((distances > 1e-4).sum())
        largest = max(largest, float(distances.max(initial=0)))
    return frames, (voicing, far), largest


def main() -> None:
    """Print the table, and what is unequal."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("folders", nargs="*", type=Path, help="folders of recordings")
    parser.add_argument("--made", type=int, default=510, help="clips that are made")
    parser.add_argument("--recordings", type=int, default=100, help="recordings taken of each folder")
    parser.add_argument(
        "--engine", choices=ENGINES[1:], default="fast", help="held against Praat (default: %(default)s)"
    )
    arguments = parser.parse_args()
    third = arguments.made // 3
    kinds: dict[str, Callable[[], Iterator[Row]]] = {
        "espeak-ng": lambda: spoken(min(third, len(RATES) * len(TEXTS) * len(VOICES)) if has_espeak() else 0),
        "synthetic voices": lambda: synthetic(arguments.made - 2 * third + max(0, third - 160)),
        "noise, clicks, silence": lambda: noise_and_silence(third),
        "clips of the tests": of_the_tests,
    }
    for folder in arguments.folders:
        kinds[folder.name] = lambda folder=folder: recordings(folder, arguments.recordings)
    print("| clips | numbers | clips | compared | unequal | missing in one | furthest apart |")
    print("|---|---|---:|---:|---:|---:|---:|", flush=True)
    apart = [line for kind, clips in kinds.items() for line in compare(kind, list(clips()), arguments.engine)]
    print("", *apart, sep="\n")


if __name__ == "__main__":
    with recorded("equality_torch" if "torch" in sys.argv else "equality"):
        main()

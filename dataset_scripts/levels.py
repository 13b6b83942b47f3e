# /// script
# requires-python = ">=3.10"
# dependencies = ["speechcue_hf"]
# ///
"""Make a corpus whose pitch, speed and volume are known: espeak-ng speaks each sentence with levels drawn at random.

The corpus has the layout of ``speechcue/folder``, with the level words of captions in the columns ``pitch``, ``speed``
and ``volume``. No sentence is in two splits. The emotion follows from the levels by a rule, :func:`emotion_of`,
so that it can be heard and nothing else tells it; it says nothing about people. It needs espeak-ng on the system.

Example:
    python dataset_scripts/levels.py data/levels
"""

from __future__ import annotations

import argparse
import csv
import itertools
import random
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import soundfile
from demo import RATE, Manner, Voice, speak

VOICES = {
    "Nora": Voice("female", "en-us+f2", pitch=45, pitch_range=90, words_per_minute=170, amplitude=75),
    "Maya": Voice("female", "en-us+f3", pitch=55, pitch_range=90, words_per_minute=185, amplitude=85),
    "Sam": Voice("male", "en-us+m3", pitch=55, pitch_range=90, words_per_minute=175, amplitude=85),
    "Victor": Voice("male", "en-us+m7", pitch=38, pitch_range=90, words_per_minute=160, amplitude=75),
}
PITCH = {"low": -26, "normal": 0, "high": 26}
"""Added to the pitch setting of the voice."""
SPEED = {"slow": 0.72, "normal": 1.0, "fast": 1.45}
"""Factor on its words per minute."""
VOLUME = {"quiet": 0.15, "normal": 0.45, "loud": 1.4}
"""Factor on its amplitude: about 10 dB between levels."""

WHO = ("my brother", "the teacher", "our neighbour", "a friend", "the driver", "her mother", "that man", "the doctor")
DID = ("found", "lost", "bought", "sold", "forgot", "painted", "fixed", "carried", "wanted", "dropped")
WHAT = ("a red bicycle", "the old map", "two tickets", "some bread", "the green door", "a small boat", "an umbrella")
COUNTS = {"train": 800, "validation": 100, "test": 240}


def emotion_of(pitch: str, speed: str, volume: str) -> str:
    """The emotion that levels stand for in this corpus; each follows from two levels."""
    if volume == "loud" and speed == "fast":
        return "angry"
    if pitch == "high" and volume != "quiet":
        return "happy"
    return "sad" if pitch == "low" and volume != "loud" else "neutral"


def draw_rows(counts: dict[str, int], seed: int) -> list[dict[str, str]]:
    """Draw sentences, voices and levels.

    Args:
        counts: Utterances of each split.
        seed: Of the draw.

    Returns:
        The rows of the metadata.
    """
    draw = random.Random(seed)
    sentences = [" ".join(words).capitalize() + "." for words in itertools.product(WHO, DID, WHAT)]
    draw.shuffle(sentences)
    splits = [split for split, count in counts.items() for _ in range(count)]
    return [_draw_row(draw, split, place, sentences) for place, split in enumerate(splits)]


def _draw_row(draw: random.Random, split: str, place: int, sentences: Sequence[str]) -> dict[str, str]:
    levels = [draw.choice(list(levels)) for levels in (PITCH, SPEED, VOLUME)]
    speaker = draw.choice(list(VOICES))
    # More utterances than sentences: training takes its own again, with other levels.
    own = {"validation": sentences[:50], "test": sentences[50:170]}.get(split, sentences[170:])
    return {
        "file_name": f"audio/{split}_{place:04d}.flac",
        "dialogue_id": f"{split}_{place:04d}",
        "utterance_id": f"{split}_{place:04d}",
        "split": split,
        "speaker": speaker,
        "gender": VOICES[speaker].gender,
        "emotion": emotion_of(*levels),
        "text": draw.choice(own),
        **dict(zip(("pitch", "speed", "volume"), levels, strict=True)),
    }


def _speak_row(folder: Path, row: dict[str, str]) -> None:
    manner = Manner(PITCH[row["pitch"]], 1.0, SPEED[row["speed"]], VOLUME[row["volume"]])
    soundfile.write(folder / row["file_name"], speak(row["text"], VOICES[row["speaker"]], manner), RATE)


def make(folder: Path, counts: dict[str, int], seed: int) -> None:
    """Write ``metadata.csv`` and ``audio/`` into a folder; clips made before are replaced.

    Args:
        folder: Folder of the corpus; it is made.
        counts: Utterances of each split.
        seed: Of the draw.
    """
    shutil.rmtree(folder / "audio", ignore_errors=True)
    (folder / "audio").mkdir(parents=True)
    rows = draw_rows(counts, seed)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda row: _speak_row(folder, row), rows))
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("folder", type=Path, help="folder of the corpus to write")
    parser.add_argument("--seed", type=int, default=0, help="of sentences, voices and levels")
    for name, count in COUNTS.items():
        parser.add_argument(f"--{name}", type=int, default=count, help=f"utterances of {name}")
    chosen = vars(parser.parse_args())
    make(chosen["folder"], {name: chosen[name] for name in COUNTS}, chosen["seed"])

# /// script
# requires-python = ">=3.10"
# dependencies = ["speechcue_hf"]
# ///
"""Make the demo corpus: espeak-ng performs ``demo_scripts.csv``, its manner set by the emotion.

Each script is performed six times, and each of its sentences is said once in every emotion, so the words tell nothing:
what tells is the manner alone. No speaker and no sentence is in two splits.

The corpus has the layout of ``speechcue/folder``: ``metadata.csv`` beside ``audio/``. It needs espeak-ng on the system
(``apt-get install espeak-ng``); the version that spoke is recorded in ``maker.json``, and the same version gives the
same corpus. Texts and clips are CC0.

Example:
    python dataset_scripts/demo.py speechcue_hf/corpora/demo_data
    python dataset_scripts/demo.py my_demo --push-to-hub me/demo
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import logging
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, groupby, islice
from operator import itemgetter
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt
import soundfile
from datasets import load_dataset
from scipy.signal import resample_poly

from speechcue_hf import write_dataset
from speechcue_hf.commands.publish import add_push_arguments, push

SCRIPTS = Path(__file__).with_name("demo_scripts.csv")
RATE = 16_000
SILENCE = 0.003
"""Amplitude (full scale 1) below which the start and the end of a clip are cut off."""
COMPRESSION = 0.97
"""Of the Opus encoder, from 0 to 1: about 16 kbit/s."""


@dataclass(frozen=True)
class Voice:
    """A speaker as espeak-ng options.

    Attributes:
        gender: ``female`` or ``male``.
        name: Voice and variant (``-v``).
        pitch: Pitch setting of neutral speech, 0 to 99 (``-p``).
        pitch_range: Width of its pitch movement in percent of what the variant has (SSML ``prosody range``).
        words_per_minute: Rate of neutral speech (``-s``).
        amplitude: Amplitude of neutral speech, 0 to 200 (``-a``).
    """

    gender: str
    name: str
    pitch: int
    pitch_range: int
    words_per_minute: int
    amplitude: int


@dataclass(frozen=True)
class Manner:
    """What an emotion does to a voice.

    Attributes:
        pitch: Added to the pitch setting.
        pitch_range: Factor on the width of the pitch movement.
        rate: Factor on the words per minute.
        loudness: Factor on the amplitude.
    """

    pitch: int
    pitch_range: float
    rate: float
    loudness: float


VOICES = {
    "train": {
        "Sam": Voice("male", "en-us+m3", pitch=50, pitch_range=90, words_per_minute=170, amplitude=34),
        "Nora": Voice("female", "en-us+f2", pitch=50, pitch_range=90, words_per_minute=170, amplitude=28),
        "Victor": Voice("male", "en-us+m7", pitch=52, pitch_range=80, words_per_minute=170, amplitude=29),
        "Maya": Voice("female", "en-us+f3", pitch=48, pitch_range=70, words_per_minute=170, amplitude=32),
        "Tom": Voice("male", "en-us+m1", pitch=57, pitch_range=110, words_per_minute=170, amplitude=37),
        "Ruth": Voice("female", "en-us+f1", pitch=55, pitch_range=110, words_per_minute=175, amplitude=28),
        "Omar": Voice("male", "en-us+m5", pitch=50, pitch_range=110, words_per_minute=170, amplitude=37),
        "Lena": Voice("female", "en-us+linda", pitch=31, pitch_range=150, words_per_minute=175, amplitude=28),
    },
    "validation": {
        "Paul": Voice("male", "en-us+adam", pitch=53, pitch_range=100, words_per_minute=170, amplitude=38),
        "Ida": Voice("female", "en-us+f5", pitch=46, pitch_range=100, words_per_minute=175, amplitude=34),
        "Jonas": Voice("male", "en-us+m2", pitch=47, pitch_range=140, words_per_minute=170, amplitude=41),
        "Clara": Voice("female", "en-us+Alicia", pitch=27, pitch_range=80, words_per_minute=190, amplitude=36),
    },
    "test": {
        "Felix": Voice("male", "en-us+m6", pitch=51, pitch_range=110, words_per_minute=170, amplitude=34),
        "Hanna": Voice("female", "en-us+f4", pitch=55, pitch_range=120, words_per_minute=175, amplitude=27),
        "Martin": Voice("male", "en-us+m4", pitch=62, pitch_range=90, words_per_minute=180, amplitude=34),
        "Olga": Voice("female", "en-us+belinda", pitch=33, pitch_range=150, words_per_minute=165, amplitude=26),
    },
}
MANNERS = {
    "happy": Manner(pitch=34, pitch_range=2.0, rate=1.0, loudness=1.0),
    "sad": Manner(pitch=-14, pitch_range=0.6, rate=0.85, loudness=0.25),
    "neutral": Manner(pitch=0, pitch_range=1.0, rate=1.0, loudness=1.0),
    "angry": Manner(pitch=0, pitch_range=1.0, rate=1.1, loudness=3.2),
    "excited": Manner(pitch=16, pitch_range=1.3, rate=1.5, loudness=1.35),
    "frustrated": Manner(pitch=-4, pitch_range=0.5, rate=0.6, loudness=0.9),
}
TAKES = len(MANNERS)
"""Of each script: in each take a sentence is said in another emotion."""


def speak(text: str, voice: Voice, manner: Manner) -> npt.NDArray[np.float64]:
    """One utterance, silence at both ends cut off.

    Args:
        text: What to say.
        voice: Who says it.
        manner: How.

    Returns:
        Samples at 16 kHz, full scale at -1 and 1, shape ``(frames,)``.

    Raises:
        subprocess.CalledProcessError: If espeak-ng fails.
    """
    options = {
        "-v": voice.name,
        "-p": voice.pitch + manner.pitch,
        "-s": round(voice.words_per_minute * manner.rate),
        "-a": round(voice.amplitude * manner.loudness),
    }
    command = ["espeak-ng", "-m", "-z", "--stdout", *(str(part) for option in options.items() for part in option)]
    width = round(voice.pitch_range * manner.pitch_range)
    ssml = f'<speak><prosody range="{width}%">{escape(text)}</prosody></speak>'
    wav = subprocess.run([*command, ssml], check=True, capture_output=True).stdout
    samples, rate = soundfile.read(io.BytesIO(wav))
    heard = np.flatnonzero(np.abs(samples) > SILENCE)
    return np.asarray(resample_poly(samples[heard[0] : heard[-1] + 1], RATE, rate))


def espeak_version() -> str:
    """Version of the espeak-ng on this system, such as ``1.51``."""
    line = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True).stdout
    return line.removeprefix("eSpeak NG text-to-speech: ").split()[0]


def perform(script: str, take: int, lines: Sequence[Mapping[str, str]], cast: Sequence[str]) -> list[dict[str, str]]:
    """Who says each line of a script in one of its takes, and how.

    Args:
        script: Name of the script.
        take: From 0; over the takes 0 to 5 each line is said once in every emotion.
        lines: The script's lines, with ``split`` and ``text``.
        cast: The two speakers, who take turns.

    Returns:
        The rows of the metadata, without the times. Clips are numbered through the takes.
    """
    rows = []
    for turn, line in enumerate(lines):
        utterance_id = f"{script}_{take * len(lines) + turn:02d}"
        speaker = cast[turn % 2]
        rows.append(
            {
                "file_name": f"audio/{utterance_id}.ogg",
                "dialogue_id": f"{script}_take{take + 1}",
                "utterance_id": utterance_id,
                "split": line["split"],
                "speaker": speaker,
                "gender": VOICES[line["split"]][speaker].gender,
                "emotion": list(MANNERS)[(take + turn) % TAKES],
                "text": line["text"],
            }
        )
    return rows


def perform_all() -> Iterator[tuple[list[dict[str, str]], list[float]]]:
    """Every take of every script, with the pause (s, negative: overlap) before each of its turns."""
    with SCRIPTS.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    casts = {split: cycle(pairs(list(voices))) for split, voices in VOICES.items()}
    for script, group in groupby(lines, key=itemgetter("script")):
        said = list(group)
        # A pair's second take is three emotions on, an odd number: so that each of the two speaks in all of them.
        chosen = list(islice(casts[said[0]["split"]], TAKES // 2))
        for take in range(TAKES):
            yield perform(script, take, said, chosen[take % len(chosen)]), [float(line["pause"]) for line in said]


def pairs(speakers: Sequence[str]) -> list[tuple[str, str]]:
    """All pairs of speakers, one speaker's apart: neighbours first, then those two seats away, and so on.

    Example:
        >>> pairs(["A", "B", "C"])
        [('A', 'B'), ('B', 'C'), ('C', 'A'), ('A', 'C'), ('B', 'A'), ('C', 'B')]
    """
    count = len(speakers)
    return [
        (first, speakers[(place + seats) % count]) for seats in range(1, count) for place, first in enumerate(speakers)
    ]


def speak_dialogue(rows: Sequence[Mapping[str, str]], pauses: Sequence[float], folder: Path) -> list[dict[str, str]]:
    """Speak the turns of a dialogue into ``audio/``.

    Args:
        rows: From :func:`perform`.
        pauses: How long after the end of the turn before each turn starts, in s.
        folder: Folder of the corpus; ``audio/`` must be there.

    Returns:
        The rows with ``start`` and ``end``.
    """
    spoken, end = [], 0.0
    for row, pause in zip(rows, pauses, strict=True):
        samples = speak(row["text"], VOICES[row["split"]][row["speaker"]], MANNERS[row["emotion"]])
        soundfile.write(
            folder / row["file_name"], samples, RATE, format="OGG", subtype="OPUS", compression_level=COMPRESSION
        )
        start = end + pause
        end = start + len(samples) / RATE
        spoken.append({**row, "start": f"{start:.3f}", "end": f"{end:.3f}"})
    return spoken


def make(folder: Path) -> None:
    """Write ``metadata.csv``, ``maker.json`` and ``audio/`` into a folder; clips made before are replaced.

    Args:
        folder: Folder of the corpus; it is made.
    """
    shutil.rmtree(folder / "audio", ignore_errors=True)
    (folder / "audio").mkdir(parents=True)
    rows = [row for turns, pauses in perform_all() for row in speak_dialogue(turns, pauses, folder)]
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    record = {
        "espeak_ng": espeak_version(),
        "voices": {name: asdict(voice) for voices in VOICES.values() for name, voice in voices.items()},
        "emotions": {name: asdict(manner) for name, manner in MANNERS.items()},
    }
    (folder / "maker.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def publish(folder: Path, arguments: argparse.Namespace) -> None:
    """Load the corpus that was made, prepare it beside its folder, and publish it.

    Args:
        folder: From :func:`make`.
        arguments: Parsed.
    """
    prepared = folder.with_name(f"{folder.name}-prepared")
    write_dataset(load_dataset("speechcue/folder", data_dir=str(folder)), prepared)
    push(prepared, arguments)


def main() -> None:
    """Make the corpus, and publish it with ``--push-to-hub``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("folder", type=Path, help="folder of the corpus to write")
    add_push_arguments(parser)
    parser.set_defaults(licence="cc0-1.0")
    arguments = parser.parse_args()
    make(arguments.folder)
    if arguments.push_to_hub:
        publish(arguments.folder, arguments)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main()

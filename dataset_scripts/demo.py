# /// script
# requires-python = ">=3.10"
# dependencies = ["speechcue_hf"]
# ///
"""Make the demo corpus: espeak-ng speaks ``demo_dialogues.csv``, its voice coloured by the emotion.

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
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt
import soundfile
from datasets import load_dataset
from scipy.signal import resample_poly

from speechcue_hf import write_dataset
from speechcue_hf.commands.publish import add_push_arguments, push

DIALOGUES = Path(__file__).with_name("demo_dialogues.csv")
RATE = 16_000
SILENCE = 0.003
"""Amplitude (full scale 1) below which the start and the end of a clip are cut off."""


@dataclass(frozen=True)
class Voice:
    """A speaker as espeak-ng options.

    Attributes:
        gender: ``female`` or ``male``.
        name: Voice and variant (``-v``).
        pitch: Pitch setting of neutral speech, 0 to 99 (``-p``).
        words_per_minute: Rate of neutral speech (``-s``).
        amplitude: Amplitude of neutral speech, 0 to 200 (``-a``).
    """

    gender: str
    name: str
    pitch: int
    words_per_minute: int
    amplitude: int


@dataclass(frozen=True)
class Colour:
    """What an emotion does to a voice.

    Attributes:
        pitch: Added to the pitch setting.
        rate: Factor on the words per minute.
        loudness: Factor on the amplitude.
        pitch_range: Width of the pitch movement in percent of the voice's own (SSML ``prosody range``).
    """

    pitch: int
    rate: float
    loudness: float
    pitch_range: int


VOICES = {
    "Nora": Voice("female", "en-us+f2", pitch=45, words_per_minute=170, amplitude=75),
    "Maya": Voice("female", "en-us+f3", pitch=55, words_per_minute=185, amplitude=85),
    "Sam": Voice("male", "en-us+m3", pitch=55, words_per_minute=175, amplitude=85),
    "Victor": Voice("male", "en-us+m7", pitch=38, words_per_minute=160, amplitude=75),
}
COLOURS = {
    "happy": Colour(pitch=12, rate=1.08, loudness=1.1, pitch_range=140),
    "sad": Colour(pitch=-14, rate=0.78, loudness=0.6, pitch_range=45),
    "neutral": Colour(pitch=0, rate=1.0, loudness=1.0, pitch_range=90),
    "angry": Colour(pitch=8, rate=1.12, loudness=1.45, pitch_range=125),
    "excited": Colour(pitch=22, rate=1.22, loudness=1.25, pitch_range=180),
    "frustrated": Colour(pitch=4, rate=0.92, loudness=1.2, pitch_range=75),
}


def speak(text: str, voice: Voice, colour: Colour) -> npt.NDArray[np.float64]:
    """One utterance, silence at both ends cut off.

    Args:
        text: What to say.
        voice: Who says it.
        colour: How.

    Returns:
        Samples at 16 kHz, full scale at -1 and 1, shape ``(frames,)``.

    Raises:
        subprocess.CalledProcessError: If espeak-ng fails.
    """
    options = {
        "-v": voice.name,
        "-p": voice.pitch + colour.pitch,
        "-s": round(voice.words_per_minute * colour.rate),
        "-a": round(voice.amplitude * colour.loudness),
    }
    command = ["espeak-ng", "-m", "-z", "--stdout", *(str(part) for option in options.items() for part in option)]
    ssml = f'<speak><prosody range="{colour.pitch_range}%">{escape(text)}</prosody></speak>'
    wav = subprocess.run([*command, ssml], check=True, capture_output=True).stdout
    samples, rate = soundfile.read(io.BytesIO(wav))
    heard = np.flatnonzero(np.abs(samples) > SILENCE)
    return np.asarray(resample_poly(samples[heard[0] : heard[-1] + 1], RATE, rate))


def espeak_version() -> str:
    """Version of the espeak-ng on this system, such as ``1.51``."""
    line = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True).stdout
    return line.removeprefix("eSpeak NG text-to-speech: ").split()[0]


def speak_dialogues(folder: Path) -> list[dict[str, str]]:
    """Speak every turn of ``demo_dialogues.csv`` into ``audio/``.

    Args:
        folder: Folder of the corpus; ``audio/`` must be there.

    Returns:
        The rows of the metadata. A turn starts its ``pause`` (s, negative: overlap) after the end of the one before.
    """
    with DIALOGUES.open(encoding="utf-8", newline="") as file:
        turns = list(csv.DictReader(file))
    rows: list[dict[str, str]] = []
    for turn in turns:
        said = [row for row in rows if row["dialogue_id"] == turn["dialogue_id"]]
        utterance_id = f"{turn['dialogue_id']}_{len(said):02d}"
        file_name = f"audio/{utterance_id}.ogg"
        voice = VOICES[turn["speaker"]]
        samples = speak(turn["text"], voice, COLOURS[turn["emotion"]])
        soundfile.write(folder / file_name, samples, RATE, format="OGG", subtype="OPUS")
        start = float(turn["pause"]) + (float(said[-1]["end"]) if said else 0.0)
        rows.append(
            {
                "file_name": file_name,
                "dialogue_id": turn["dialogue_id"],
                "utterance_id": utterance_id,
                "split": turn["split"],
                "speaker": turn["speaker"],
                "gender": voice.gender,
                "emotion": turn["emotion"],
                "start": f"{start:.3f}",
                "end": f"{start + len(samples) / RATE:.3f}",
                "text": turn["text"],
            }
        )
    return rows


def make(folder: Path) -> None:
    """Write ``metadata.csv``, ``maker.json`` and ``audio/`` into a folder; clips made before are replaced.

    Args:
        folder: Folder of the corpus; it is made.
    """
    shutil.rmtree(folder / "audio", ignore_errors=True)
    (folder / "audio").mkdir(parents=True)
    rows = speak_dialogues(folder)
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    record = {
        "espeak_ng": espeak_version(),
        "voices": {name: asdict(voice) for name, voice in VOICES.items()},
        "emotions": {name: asdict(colour) for name, colour in COLOURS.items()},
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

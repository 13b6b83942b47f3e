"""CPU time to turn a described corpus into prompt–completion rows, with description and context cues.

    SPEECHCUE_CORPORA=... python benchmarks/prompts.py

MELD's texts come from the folder ``meld`` in SPEECHCUE_CORPORA. IEMOCAP is licensed to each user, so its place is taken
by as many rows of the same shape: 151 dialogues of 7,433 utterances, 11 words each. Descriptions are those of one clip.
"""

from __future__ import annotations

import csv
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Dataset, Features, Value, disable_caching, disable_progress_bars
from figures import recorded

from speechcue_hf import build_prompts

MELD = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
IEMOCAP = ("happy", "sad", "neutral", "angry", "excited", "frustrated")
SPOKEN = {
    "duration_s": 2.0,
    "speech_description": "Target speech characteristics: high volume with low variation, very low pitch with moderate "
    "variation, moderate speaking rate.",
    "f0_mean_hz_level": "very_low",
    "f0_sd_hz_level": "medium",
    "f0_range_hz_level": "medium",
}
LIMITS = {"iemocap": 1.5, "meld": 2.5}
REPETITIONS = 3


def meld(folder: Path) -> list[dict[str, Any]]:
    """All rows of MELD's csv files."""
    rows: list[dict[str, Any]] = []
    for split in ("train", "dev", "test"):
        with (folder / "meld" / f"{split}_sent_emo.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                dialogue = f"{split}_dia{row['Dialogue_ID']}"
                turn = rows[-1]["turn"] + 1 if rows and rows[-1]["dialogue_id"] == dialogue else 0
                rows.append(utterance(dialogue, turn, row["Speaker"], None, row["Utterance"], row["Emotion"]))
    return rows


def iemocap() -> list[dict[str, Any]]:
    """As many rows as IEMOCAP's six classes have, in as many dialogues."""
    lengths = [7433 // 151 + (dialogue < 7433 % 151) for dialogue in range(151)]
    text = "Well, I don't know what you want me to do here."
    return [
        utterance(f"Ses{dialogue}", turn, "FM"[turn % 2], ("female", "male")[turn % 2], text, IEMOCAP[turn % 6])
        for dialogue, length in enumerate(lengths)
        for turn in range(length)
    ]


def utterance(dialogue: str, turn: int, speaker: str, gender: str | None, text: str, emotion: str) -> dict[str, Any]:
    """One described row."""
    return {
        "dialogue_id": dialogue,
        "utterance_id": f"{dialogue}_{turn}",
        "turn": turn,
        "speaker": speaker,
        "gender": gender,
        "text": text,
        "emotion": emotion,
        **SPOKEN,
    }


def stored(rows: list[dict[str, Any]], emotions: tuple[str, ...], folder: Path) -> Dataset:
    """The rows as a dataset on disk, so that results go to disk as a user's do."""
    kinds = {"turn": Value("int32"), "duration_s": Value("float64"), "emotion": ClassLabel(names=list(emotions))}
    features = Features(dict.fromkeys(rows[0], Value("string")) | kinds)
    Dataset.from_list(rows, features=features).save_to_disk(folder)
    return Dataset.load_from_disk(str(folder))


def cpu_seconds(dataset: Dataset, prompt: str | dict[str, Any]) -> float:
    """Least CPU time of three builds."""
    times = []
    for _ in range(REPETITIONS):
        start = time.process_time()
        build_prompts(dataset, prompt)
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    """Print the table."""
    disable_progress_bars()
    disable_caching()
    corpora = {"iemocap": (iemocap(), IEMOCAP), "meld": (meld(Path(os.environ["SPEECHCUE_CORPORA"])), MELD)}
    print("corpus   rows    prompt                               CPU s   limit")
    with tempfile.TemporaryDirectory() as folder:
        for corpus, (rows, emotions) in corpora.items():
            dataset = stored(rows, emotions, Path(folder) / corpus)
            cued = {"extends": f"speechcuellm_{corpus}", "context_cues": 3}
            for name, prompt in (("speechcuellm, with context cues", cued), ("speechcue", "speechcue")):
                seconds = cpu_seconds(dataset, prompt)
                print(f"{corpus:8} {len(rows):6,}  {name:36} {seconds:5.2f}   {LIMITS[corpus]}")


if __name__ == "__main__":
    with recorded("prompts"):
        main()

"""The published MELD measurements as measured rows, joined with their speakers by id."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

from datasets import Dataset, NamedSplit

COLUMNS = {
    "duration": "duration_s",
    "avg_intensity": "intensity_mean_db",
    "intensity_variation": "intensity_sd_db",
    "avg_pitch": "f0_mean_hz",
    "pitch_std": "f0_sd_hz",
    "pitch_range": "f0_range_hz",
    "articulation_rate": "articulation_rate_per_s",
    "mean_hnr": "hnr_mean_db",
}


def folder() -> Path | None:
    """Where the development data lie, None without them."""
    corpora = os.environ.get("SPEECHCUE_CORPORA")
    return None if corpora is None else Path(corpora) / "meld"


def read_csv(name: str) -> list[dict[str, str]]:
    with open(folder() / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def clip_id(filename: str) -> tuple[int, int]:
    dialogue, utterance = re.fullmatch(r"dia(\d+)_utt(\d+)\.wav", filename).groups()
    return int(dialogue), int(utterance)


def measured_rows(split: str) -> Dataset:
    """Clips without a row in the corpus have no speaker; train dia556_utt6 is Ross, as in the published file."""
    speakers = {
        (int(row["Dialogue_ID"]), int(row["Utterance_ID"])): row["Speaker"] for row in read_csv(f"{split}_sent_emo.csv")
    }
    if split == "train":
        speakers[556, 6] = "Ross"
    clips = sorted(read_csv(f"{split}_audio_features.csv"), key=lambda row: clip_id(row["filename"]))
    rows, turns = [], {}
    for clip in clips:
        dialogue, _ = clip_id(clip["filename"])
        turns[dialogue] = turns.get(dialogue, -1) + 1
        row = {name: float(clip[published]) if clip[published] else None for published, name in COLUMNS.items()}
        row |= {"utterance_id": clip["filename"], "dialogue_id": f"{split}_dia{dialogue}", "turn": turns[dialogue]}
        rows.append(row | {"speaker": speakers.get(clip_id(clip["filename"])), "gender": None})
    return Dataset.from_list(rows, split=NamedSplit({"dev": "validation"}.get(split, split)))

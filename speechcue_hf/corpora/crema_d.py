"""CREMA-D: 91 actors say twelve sentences in six emotions, English.

Cao et al. (2014), CREMA-D: Crowd-sourced emotional multimodal actors dataset, IEEE Transactions on Affective Computing
5(4), 377-390. Open Database License 1.0, https://github.com/CheyneyComputerScience/CREMA-D, of which are read::

    AudioWAV/1001_IEO_ANG_HI.wav        actor, sentence, emotion that was asked for, strength; 7,442 clips
    VideoDemographics.csv               the sex of each actor

The label is the emotion that the actor was asked for, not what the crowd heard. One clip is named ``1040_ITH_SAD_X``.
The release has no split: here actors 1001 to 1063 are ``train``, 1064 to 1077 ``validation`` and 1078 to 1091 ``test``.
Each clip is a dialogue of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from datasets import Value

from speechcue_hf.corpora.builder import CorpusBuilder
from speechcue_hf.corpora.check import ALL
from speechcue_hf.corpora.release import FIX, compare_counts, csv_rows, named_clips, read_utf8, report, split_of
from speechcue_hf.corpora.schema import SPLITS, Utterance
from speechcue_hf.errors import CorpusError

EMOTIONS = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
STRENGTHS = {"LO": "low", "MD": "medium", "HI": "high", "XX": None, "X": None}
SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
CLIPS = "AudioWAV"
ACTORS_FILE = "VideoDemographics.csv"
LAST_ACTORS = {"train": 1063, "validation": 1077, "test": 1091}

_NAME = re.compile(
    rf"(?P<actor>10[0-8]\d|109[01])_(?P<sentence>{'|'.join(SENTENCES)})_(?P<emotion>{'|'.join(EMOTIONS)})"
    rf"_(?P<strength>{'|'.join(STRENGTHS)})"
)


class CremaDBuilder(CorpusBuilder):
    """The sound of CREMA-D."""

    CORPUS = "crema_d"
    LABELS = tuple(EMOTIONS.values())
    EXTRAS: ClassVar = {"intensity": Value("string"), "language": Value("string")}

    def read(self, data_dir: Path) -> dict[str, list[Utterance]]:
        """The clips of each actor."""
        clips = sorted((data_dir / CLIPS).glob("1*.wav"))
        if not clips:
            raise CorpusError(
                f"{data_dir} holds no {CLIPS}/1001_DFA_ANG_XX.wav: give data_dir= the repository's folder"
            )
        genders = _read_genders(data_dir / ACTORS_FILE, self.config.verify)
        splits: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
        for clip, name in named_clips(clips, _NAME, self.config.verify):
            splits[split_of(int(name["actor"]), LAST_ACTORS)].append(_utterance(clip, name, genders))
        compare_counts(
            self.CORPUS, self.config.name, splits, dict.fromkeys([*splits, ALL], data_dir), self.config.verify
        )
        return {split: utterances for split, utterances in splits.items() if utterances}


def watched(data_dir: Path) -> list[Path]:
    """The folder of the clips, and the table of the actors."""
    return [data_dir / CLIPS, data_dir / ACTORS_FILE]


def _read_genders(file: Path, verify: bool) -> Mapping[str, str]:
    """Actor → gender."""
    if not file.is_file():
        report([f"{file} is missing, so no actor's gender is known"], verify)
        return {}
    genders = {}
    for line, row in csv_rows(file, read_utf8(file)):
        gender = str(row.get("Sex")).lower()
        if not row.get("ActorID") or gender not in ("male", "female"):
            raise CorpusError(f"{file}, line {line}: expected ActorID and Sex, Male or Female, found {row}: {FIX}")
        genders[str(row["ActorID"])] = gender
    return genders


def _utterance(clip: Path, name: re.Match[str], genders: Mapping[str, str]) -> Utterance:
    return Utterance(
        dialogue_id=clip.stem,
        utterance_id=clip.stem,
        text=SENTENCES[name["sentence"]],
        emotion=EMOTIONS[name["emotion"]],
        speaker=name["actor"],
        gender=genders.get(name["actor"]),
        clip=clip,
        extras={"intensity": STRENGTHS[name["strength"]], "language": "en"},
    )

"""RAVDESS: 24 actors say two sentences in eight emotions and two strengths, English; the speech, not the songs.

Livingstone and Russo (2018), The Ryerson Audio-Visual Database of Emotional Speech and Song, PLoS ONE 13(5): e0196391.
CC BY-NC-SA 4.0, https://zenodo.org/records/1188976 (``Audio_Speech_Actors_01-24.zip``: 1,440 clips, 60 of each actor).
The name of a clip, ``Actor_12/03-01-06-01-02-01-12.wav``, says modality (03: sound), channel (01: speech), emotion,
strength, sentence, repetition and actor; even actors are women. The release has no split: here actors 1 to 16 are
``train``, 17 to 20 ``validation`` and 21 to 24 ``test``, half of each women. Each clip is a dialogue of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from datasets import Value

from speechcue_hf.corpora.builder import CorpusBuilder
from speechcue_hf.corpora.check import ALL
from speechcue_hf.corpora.release import compare_counts, named_clips, split_of
from speechcue_hf.corpora.schema import SPLITS, Utterance
from speechcue_hf.errors import CorpusError

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
"""In the order of their numbers in the names, from 01."""
SENTENCES = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
STRENGTHS = {"01": "normal", "02": "strong"}
UNPACKED = "Audio_Speech_Actors_01-24"
LAST_ACTORS = {"train": 16, "validation": 20, "test": 24}

_NAME = re.compile(
    r"03-01-0(?P<emotion>[1-8])-(?P<strength>0[12])-(?P<sentence>0[12])-(?P<time>0[12])-(?P<actor>[01]\d|2[0-4])"
)


class RavdessBuilder(CorpusBuilder):
    """The speech of RAVDESS."""

    CORPUS = "ravdess"
    LABELS = EMOTIONS
    EXTRAS: ClassVar = {"intensity": Value("string"), "repetition": Value("int32"), "language": Value("string")}

    def read(self, data_dir: Path) -> dict[str, list[Utterance]]:
        """The clips of each actor."""
        clips = sorted(clip for folder in _actors(data_dir) for clip in folder.glob("03-01-*.wav"))
        if not clips:
            raise CorpusError(
                f"{data_dir} holds no Actor_01/03-01-01-01-01-01-01.wav: give data_dir= the unpacked release"
            )
        splits: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
        for clip, name in named_clips(clips, _NAME, self.config.verify):
            splits[split_of(int(name["actor"]), LAST_ACTORS)].append(_utterance(clip, name))
        compare_counts(
            self.CORPUS, self.config.name, splits, dict.fromkeys([*splits, ALL], data_dir), self.config.verify
        )
        return {split: utterances for split, utterances in splits.items() if utterances}


def watched(data_dir: Path) -> list[Path]:
    """The folders of the actors."""
    return list(_actors(data_dir))


def _actors(data_dir: Path) -> Iterator[Path]:
    for folder in (data_dir, data_dir / UNPACKED):
        yield from sorted(path for path in folder.glob("Actor_[0-9][0-9]") if path.is_dir())


def _utterance(clip: Path, name: re.Match[str]) -> Utterance:
    return Utterance(
        dialogue_id=clip.stem,
        utterance_id=clip.stem,
        text=SENTENCES[name["sentence"]],
        emotion=EMOTIONS[int(name["emotion"]) - 1],
        speaker=f"Actor_{name['actor']}",
        gender="male" if int(name["actor"]) % 2 else "female",
        clip=clip,
        extras={"intensity": STRENGTHS[name["strength"]], "repetition": int(name["time"]), "language": "en"},
    )

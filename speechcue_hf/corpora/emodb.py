"""EmoDB, the Berlin database: ten actors say ten sentences in seven emotions, German.

Burkhardt et al. (2005), A database of German emotional speech, Interspeech, 1517-1520; http://emodb.bilderbar.info.
CC0-1.0, as its authors publish it with audEERING (https://audeering.github.io/datasets/datasets/emodb.html, which also
counts 535 clips). The name of a clip, ``wav/03a01Fa.wav``, says speaker, sentence, emotion (by its German word) and
version. The split is by speaker, as audEERING's: its page counts 304 clips to train and 231 to test and does not name
the speakers: speakers 12, 14, 15 and 16 give these counts, as a few other sets would. Each clip is a
dialogue of its own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from datasets import Value

from speechcue_hf.corpora.builder import CorpusBuilder
from speechcue_hf.corpora.check import ALL
from speechcue_hf.corpora.release import compare_counts, named_clips
from speechcue_hf.corpora.schema import Utterance
from speechcue_hf.errors import CorpusError

EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
WOMEN = ("08", "09", "13", "14", "16")
MEN = ("03", "10", "11", "12", "15")
TEST_SPEAKERS = ("12", "14", "15", "16")
CLIPS = "wav"

_NAME = re.compile(
    rf"(?P<speaker>{'|'.join(sorted(WOMEN + MEN))})(?P<sentence>{'|'.join(SENTENCES)})"
    rf"(?P<emotion>[{''.join(EMOTIONS)}])(?P<version>[a-z]?)"
)


class EmoDBBuilder(CorpusBuilder):
    """EmoDB as released."""

    CORPUS = "emodb"
    LABELS = tuple(EMOTIONS.values())
    EXTRAS: ClassVar = {"language": Value("string")}

    def read(self, data_dir: Path) -> dict[str, list[Utterance]]:
        """The clips of each speaker."""
        clips = sorted((data_dir / CLIPS).glob("[01]*.wav"))
        if not clips:
            raise CorpusError(f"{data_dir} holds no {CLIPS}/03a01Fa.wav: give data_dir= the unpacked release")
        splits: dict[str, list[Utterance]] = {"train": [], "test": []}
        for clip, name in named_clips(clips, _NAME, self.config.verify):
            splits["test" if name["speaker"] in TEST_SPEAKERS else "train"].append(_utterance(clip, name))
        compare_counts(
            self.CORPUS, self.config.name, splits, dict.fromkeys([*splits, ALL], data_dir), self.config.verify
        )
        return {split: utterances for split, utterances in splits.items() if utterances}


def watched(data_dir: Path) -> list[Path]:
    """The folder of the clips."""
    return [data_dir / CLIPS]


def _utterance(clip: Path, name: re.Match[str]) -> Utterance:
    return Utterance(
        dialogue_id=clip.stem,
        utterance_id=clip.stem,
        text=SENTENCES[name["sentence"]],
        emotion=EMOTIONS[name["emotion"]],
        speaker=name["speaker"],
        gender="female" if name["speaker"] in WOMEN else "male",
        clip=clip,
        extras={"language": "de"},
    )

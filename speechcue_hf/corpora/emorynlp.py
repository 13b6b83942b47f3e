"""EmoryNLP: scenes of the series Friends with seven emotions, text only.

Zahiri and Choi (2018), Emotion detection on TV show transcripts with sequence-based convolutional neural networks,
https://arxiv.org/abs/1708.04299. Apache-2.0. Two forms of it are read:

* ``emorynlp_{train,dev,test}_final.csv`` from https://github.com/declare-lab/MELD (``data/emorynlp``), the 9,489
  utterances with subtitle times on which results are published;
* ``emotion-detection-{trn,dev,tst}.json`` from https://github.com/emorynlp/emotion-detection, all 12,606 utterances.

When both lie in one folder the csv is read.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from datasets import List, Value

from speechcue_hf.corpora.builder import CorpusBuilder
from speechcue_hf.corpora.release import compare_counts, csv_rows, first_existing, read_utf8, report
from speechcue_hf.corpora.schema import Utterance
from speechcue_hf.errors import CorpusError

EMOTIONS = ("Joyful", "Mad", "Peaceful", "Neutral", "Sad", "Powerful", "Scared")
CSV_FILES = {
    "train": "emorynlp_train_final.csv",
    "validation": "emorynlp_dev_final.csv",
    "test": "emorynlp_test_final.csv",
}
JSON_FILES = {
    "train": "emotion-detection-trn.json",
    "validation": "emotion-detection-dev.json",
    "test": "emotion-detection-tst.json",
}
_EXPECTED = "the file differs from the release, download it again"


class EmoryNLPBuilder(CorpusBuilder):
    """EmoryNLP in either of its forms; ``speaker`` is the first of an utterance's ``speakers``."""

    CORPUS = "emorynlp"
    LABELS = EMOTIONS
    EXTRAS: ClassVar = {"speakers": List(Value("string"))}

    def read(self, data_dir: Path) -> dict[str, list[Utterance]]:
        """The utterances of each split."""
        names, parse = _form_in(data_dir)
        files: dict[str, Path] = {}
        for split, name in names.items():
            candidates = _candidates(data_dir, name)
            if file := first_existing(candidates):
                files[split] = file
            else:
                report([f"{candidates[0]} is missing"], self.config.verify)
        splits = {split: parse(file) for split, file in files.items()}
        compare_counts(self.CORPUS, self.config.name, splits, files, self.config.verify)
        return splits


def _candidates(data_dir: Path, name: str) -> list[Path]:
    """Where a file may lie: in the folder, or where the repositories that release it have it."""
    return [folder / name for folder in (data_dir, data_dir / "json", data_dir / "data" / "emorynlp")]


def _form_in(data_dir: Path) -> tuple[Mapping[str, str], Callable[[Path], list[Utterance]]]:
    """Split name → file name of the form of the corpus in a folder, and what reads one."""
    for names, parse in ((CSV_FILES, _parse_csv), (JSON_FILES, _parse_json)):
        if any(first_existing(_candidates(data_dir, name)) for name in names.values()):
            return names, parse
    raise CorpusError(
        f"{data_dir} holds neither {CSV_FILES['train']} nor {JSON_FILES['train']}: "
        "give data_dir= the folder with these files, from https://github.com/declare-lab/MELD (data/emorynlp) "
        "or https://github.com/emorynlp/emotion-detection (json)"
    )


def watched(data_dir: Path) -> list[Path]:
    """The annotation files of both forms, wherever they may lie."""
    names = (*CSV_FILES.values(), *JSON_FILES.values())
    return [path for name in names for path in _candidates(data_dir, name)]


def _parse_csv(file: Path) -> list[Utterance]:
    """Utterances of a ``emorynlp_*_final.csv``."""
    utterances = []
    for number, (_, row) in enumerate(csv_rows(file, read_utf8(file)), start=1):
        try:
            scene = f"s{int(row['Season']):02d}_e{int(row['Episode']):02d}_c{int(row['Scene_ID']):02d}"
            utterances.append(
                _utterance(
                    dialogue_id=scene,
                    utterance_id=f"{scene}_u{int(row['Utterance_ID']):03d}",
                    text=row["Utterance"],
                    speakers=ast.literal_eval(row["Speaker"]),
                    emotion=row["Emotion"],
                    start=_seconds(row["Start_Time"]),
                    end=_seconds(row["End_Time"]),
                )
            )
        except KeyError as error:
            raise CorpusError(f"{file} has no column {error}: {_EXPECTED}") from error
        except (ValueError, TypeError, SyntaxError, LookupError, AttributeError, RecursionError, MemoryError) as error:
            raise CorpusError(f"{file}, row {number} cannot be read ({error}): {_EXPECTED}") from error
    return utterances


def _parse_json(file: Path) -> list[Utterance]:
    """Utterances of an ``emotion-detection-*.json``."""
    try:
        scenes = [scene for episode in json.loads(read_utf8(file))["episodes"] for scene in episode["scenes"]]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise CorpusError(f"{file} does not hold episodes with scenes ({error!r}): {_EXPECTED}") from error
    utterances = []
    for scene in scenes:
        try:
            utterances += [
                _utterance(
                    dialogue_id=scene["scene_id"],
                    utterance_id=entry["utterance_id"],
                    text=entry["transcript"],
                    speakers=entry["speakers"],
                    emotion=entry["emotion"],
                )
                for entry in scene["utterances"]
            ]
        except (LookupError, TypeError, ValueError) as error:
            name = scene.get("scene_id") if isinstance(scene, dict) else scene
            raise CorpusError(f"{file}, scene {name} cannot be read ({error!r}): {_EXPECTED}") from error
    return utterances


def _utterance(speakers: list[str], emotion: str, **known: Any) -> Utterance:
    for name in ("dialogue_id", "utterance_id"):
        if not isinstance(known[name], str):
            raise ValueError(f"{name} {known[name]!r:.60} is no text")
    if emotion not in EMOTIONS:
        raise ValueError(f"emotion {emotion!r} is not one of {', '.join(EMOTIONS)}")
    speaker = speakers[0] if speakers else None
    return Utterance(emotion=emotion, speaker=speaker, extras={"speakers": speakers}, **known)


def _seconds(time: str) -> float:
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d\.\d+)", time)
    if match is None:
        raise ValueError(f"time {time!r} is not of the form 00:09:34.865")
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)

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
import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import List, Value

from speechcue_hf.corpora.builder import CorpusBuilder
from speechcue_hf.corpora.release import compare_counts, first_existing, read_utf8, report
from speechcue_hf.corpora.schema import Utterance
from speechcue_hf.errors import CorpusError

EMOTIONS = ("Joyful", "Mad", "Peaceful", "Neutral", "Sad", "Powerful", "Scared")


class EmoryNLPBuilder(CorpusBuilder):
    """EmoryNLP in either of its forms."""

    CORPUS = "emorynlp"

    def emotions(self) -> Sequence[str]:
        """The seven emotions, in the order of the published class ids."""
        return EMOTIONS

    def extras(self) -> Mapping[str, Any]:
        """All speakers of an utterance; ``speaker`` is the first of them."""
        return {"speakers": List(Value("string"))}

    def read(self, data_dir: Path) -> dict[str, list[Utterance]]:
        """The utterances of each split.

        Raises:
            CorpusError: If a row cannot be read, or (``verify``) a file is missing or has other counts.
        """
        form = _form_in(data_dir)
        files: dict[str, Path] = {}
        for split in form.files:
            if file := first_existing(form.candidates(data_dir, split)):
                files[split] = file
            else:
                report(f"{form.candidates(data_dir, split)[0]} is missing", self.config.verify)
        splits = {split: form.parse(file) for split, file in files.items()}
        compare_counts(self.CORPUS, self.config.name, splits, files, self.config.verify)
        return splits


@dataclass(frozen=True)
class Form:
    """One of the forms in which the corpus is released.

    Attributes:
        files: Split name → file name.
        parse: Reads one file.
    """

    files: Mapping[str, str]
    parse: Callable[[Path], list[Utterance]]

    def candidates(self, data_dir: Path, split: str) -> list[Path]:
        """Where the file of a split may lie: in the folder, or where the repositories that release it have it."""
        folders = (data_dir, data_dir / "json", data_dir / "data" / "emorynlp")
        return [folder / self.files[split] for folder in folders]


def _form_in(data_dir: Path) -> Form:
    """The form of the corpus in a folder."""
    for form in (CSV_FORM, JSON_FORM):
        if any(first_existing(form.candidates(data_dir, split)) for split in form.files):
            return form
    raise CorpusError(
        f"{data_dir} holds neither {CSV_FORM.files['train']} nor {JSON_FORM.files['train']}: "
        "give data_dir= the folder with these files, from https://github.com/declare-lab/MELD (data/emorynlp) "
        "or https://github.com/emorynlp/emotion-detection (json)"
    )


def watched(data_dir: Path) -> list[Path]:
    """Files whose change makes a new cache entry.

    Args:
        data_dir: Folder of the corpus.

    Returns:
        The annotation files of both forms, where they may lie.
    """
    return [path for form in (CSV_FORM, JSON_FORM) for split in form.files for path in form.candidates(data_dir, split)]


def _parse_csv(file: Path) -> list[Utterance]:
    """Utterances of a ``emorynlp_*_final.csv``."""
    utterances = []
    for number, row in enumerate(csv.DictReader(io.StringIO(read_utf8(file), newline="")), start=1):
        try:
            scene = f"s{int(row['Season']):02d}_e{int(row['Episode']):02d}_c{int(row['Scene_ID']):02d}"
            utterance = _utterance(
                dialogue_id=scene,
                utterance_id=f"{scene}_u{int(row['Utterance_ID']):03d}",
                text=row["Utterance"],
                speakers=ast.literal_eval(row["Speaker"]),
                emotion=row["Emotion"],
                start=_seconds(row["Start_Time"]),
                end=_seconds(row["End_Time"]),
            )
        except KeyError as error:
            raise CorpusError(f"{file} has no column {error}: {_EXPECTED}") from error
        except (ValueError, TypeError, SyntaxError) as error:
            raise CorpusError(f"{file}, row {number} cannot be read ({error}): {_EXPECTED}") from error
        utterances.append(utterance)
    return utterances


def _parse_json(file: Path) -> list[Utterance]:
    """Utterances of an ``emotion-detection-*.json``."""
    try:
        scenes = [scene for episode in json.loads(read_utf8(file))["episodes"] for scene in episode["scenes"]]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
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
        except (KeyError, TypeError, ValueError) as error:
            name = scene.get("scene_id") if isinstance(scene, dict) else scene
            raise CorpusError(f"{file}, scene {name} cannot be read ({error!r}): {_EXPECTED}") from error
    return utterances


def _utterance(
    dialogue_id: str,
    utterance_id: str,
    text: str,
    speakers: list[str],
    emotion: str,
    start: float | None = None,
    end: float | None = None,
) -> Utterance:
    if emotion not in EMOTIONS:
        raise ValueError(f"emotion {emotion!r} is not one of {', '.join(EMOTIONS)}")
    return Utterance(
        dialogue_id=dialogue_id,
        utterance_id=utterance_id,
        text=text,
        emotion=emotion,
        speaker=speakers[0] if speakers else None,
        start=start,
        end=end,
        extras={"speakers": speakers},
    )


def _seconds(time: str) -> float:
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d\.\d+)", time)
    if match is None:
        raise ValueError(f"time {time!r} is not of the form 00:09:34.865")
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


_EXPECTED = "the file differs from the release, download it again"

CSV_FORM = Form(
    files={
        "train": "emorynlp_train_final.csv",
        "validation": "emorynlp_dev_final.csv",
        "test": "emorynlp_test_final.csv",
    },
    parse=_parse_csv,
)
JSON_FORM = Form(
    files={
        "train": "emotion-detection-trn.json",
        "validation": "emotion-detection-dev.json",
        "test": "emotion-detection-tst.json",
    },
    parse=_parse_json,
)

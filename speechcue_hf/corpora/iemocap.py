"""IEMOCAP: five sessions of two actors each, scripted and improvised dialogues; https://sail.usc.edu/iemocap/.

``data_dir`` is the folder ``IEMOCAP_full_release``, of which this loader reads::

    Session{1..5}/dialog/transcriptions/<dialogue>.txt     every turn, in speaking order
    Session{1..5}/dialog/EmoEvaluation/<dialogue>.txt      labels and ratings, sorted by name
    Session{1..5}/sentences/wav/<dialogue>/<utterance>.wav

Of 10,086 turns 47 carry an ``XX`` number: transcribed, but neither labelled nor cut into clips. Two ids are given
twice; the second turn of the same id has ``_2`` behind it. Sorting by start time would break 57 dialogues; the order of
the transcription is the order of the dialogue. Configs:

* ``erc-6``: six emotions, the split of emotion recognition in conversation (test is Session 5). Undecided turns count
  as happy where at least two annotators named Happiness first (53 turns).
* ``ser-4``: neutral, angry, sad and happy (excited merged in). ``fold=1..5``, which must be given, leaves that session
  out: it is the test split and the other four are the training split. There is no validation split.
* ``all``: every transcribed turn with the label of the release, in the split of ``erc-6``; null for ``XX`` turns.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from datasets import List, Value

from speechcue_hf.corpora.builder import CorpusBuilder, CorpusConfig
from speechcue_hf.corpora.check import ALL
from speechcue_hf.corpora.release import FIX, compare_counts, first_of, read_utf8, report
from speechcue_hf.corpora.schema import SPLITS, Utterance
from speechcue_hf.errors import CorpusError

SESSIONS = ("Session1", "Session2", "Session3", "Session4", "Session5")
LABELS = {
    "hap": "happy",
    "sad": "sad",
    "neu": "neutral",
    "ang": "angry",
    "exc": "excited",
    "fru": "frustrated",
    "sur": "surprised",
    "fea": "fearful",
    "dis": "disgusted",
    "oth": "other",
    "xxx": "undecided",
}
EMOTIONS = {
    "erc-6": ("happy", "sad", "neutral", "angry", "excited", "frustrated"),
    "ser-4": ("neutral", "angry", "sad", "happy"),
    "all": tuple(LABELS.values()),
}
VALIDATION_DIALOGUES = {
    "Ses01M_impro01",
    "Ses01M_script03_1",
    "Ses02F_impro02",
    "Ses02F_impro07",
    "Ses02M_script01_2",
    "Ses03F_impro01",
    "Ses03M_impro02",
    "Ses03M_impro08a",
    "Ses03M_script02_2",
    "Ses03M_script03_2",
    "Ses04F_impro07",
    "Ses04F_script02_1",
}
RATINGS = ("valence", "arousal", "dominance")

_TURN = re.compile(
    r"(?P<id>Ses\d\d[FM]_\w+_(?P<letter>[FM])(?:\d+|XX\d*))"
    r" \[(?:(?P<start>\d+\.\d+)-(?P<end>\d+\.\d+)|[^\]]*)\]: ?(?P<text>.*)"
)
_BLOCK = re.compile(r"\[[\d. -]+\]\t(?P<id>\S+)\t(?P<label>\S+)\t\[(?P<ratings>[\d., ]+)\]\s*")
_CATEGORIES = re.compile(r"C-\w+:\s*(?P<names>[^\t(]*)")


@dataclass
class IemocapConfig(CorpusConfig):
    """Configuration of ``speechcue/iemocap``.

    Args:
        fold: Of ``ser-4``, which needs it: the session that is left out for the test, 1 to 5.
    """

    fold: int | None = None


class IemocapBuilder(CorpusBuilder):
    """IEMOCAP as a ``datasets`` builder."""

    BUILDER_CONFIG_CLASS = IemocapConfig
    BUILDER_CONFIGS: ClassVar[Sequence[IemocapConfig]] = [
        IemocapConfig(name="erc-6", description="six emotions, test is Session 5"),
        IemocapConfig(name="ser-4", description="four emotions, one session left out (fold=1..5)"),
        IemocapConfig(name="all", description="every transcribed turn, eleven labels"),
    ]
    DEFAULT_CONFIG_NAME = "erc-6"
    CORPUS = "iemocap"
    EXTRAS: ClassVar = {**dict.fromkeys(RATINGS, Value("float64")), "annotator_categories": List(Value("string"))}

    def emotions(self) -> Sequence[str]:
        """The labels of the config."""
        return EMOTIONS[self.config.name]

    def read(self, data_dir: Path) -> dict[str, list[Utterance]]:
        """The utterances of each split; ``ser-4`` must have a ``fold`` from 1 to 5, and no other config one."""
        _check_fold(self.config.name, self.config.fold)
        transcriptions = _annotation_files(data_dir, "transcriptions")
        if not transcriptions:
            raise CorpusError(
                f"{data_dir} holds no Session1/dialog/transcriptions/Ses01F_impro01.txt nor any other transcription: "
                "give data_dir the folder IEMOCAP_full_release"
            )
        turns = [turn for path in transcriptions for turn in _read_dialogue(path)]
        splits = _task_splits(turns, self.config.name, self.config.fold)
        report(_turn_problems(turns, data_dir), self.config.verify)
        folders = dict.fromkeys([*splits, ALL], data_dir)
        compare_counts(self.CORPUS, self.config.name, splits, folders, self.config.verify)
        return splits


def watched(data_dir: Path) -> Iterator[Path]:
    """The folders of the transcriptions, of the evaluations and of each dialogue's clips."""
    for session in SESSIONS:
        yield data_dir / session / "dialog/transcriptions"
        yield data_dir / session / "dialog/EmoEvaluation"
        yield from sorted((data_dir / session / "sentences/wav").glob("Ses*"))


def _annotation_files(data_dir: Path, kind: str) -> list[Path]:
    """The files of one kind, in the order of the dialogues."""
    return [path for session in SESSIONS for path in sorted((data_dir / session / "dialog" / kind).glob("Ses*.txt"))]


def _read_dialogue(transcription: Path) -> list[Utterance]:
    """Read one dialogue."""
    session = transcription.parents[2]
    clips = session / "sentences/wav" / transcription.stem
    evaluation_file = session / "dialog/EmoEvaluation" / transcription.name
    evaluations = _parse_evaluations(evaluation_file) if evaluation_file.is_file() else {}
    unlabelled = (None, dict.fromkeys((*RATINGS, "annotator_categories")))
    turns = []
    times: Counter[str] = Counter()
    for turn in _parse_transcription(transcription, clips):
        name = turn.utterance_id
        emotion, extras = evaluations.get(name, unlabelled)
        times[name] += 1
        unique = name if times[name] == 1 else f"{name}_{times[name]}"
        turns.append(replace(turn, utterance_id=unique, emotion=emotion, extras=extras))
    return turns


def _parse_transcription(path: Path, clips: Path) -> Iterator[Utterance]:
    """The turns of a transcription."""
    for number, line in enumerate(read_utf8(path).splitlines(), start=1):
        match = _TURN.fullmatch(line.rstrip())
        if match is not None:
            yield _turn(match, path.stem, clips)
        elif line.startswith("Ses"):
            raise CorpusError(
                f"{path}, line {number}: expected '<turn> [<start>-<end>]: <text>', found {line[:60]!r}: {FIX}"
            )


def _parse_evaluations(path: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """The labels of a dialogue."""
    evaluations: dict[str, tuple[str, dict[str, Any]]] = {}
    categories: list[str] = []
    for number, line in enumerate(read_utf8(path).splitlines(), start=1):
        if block := _BLOCK.fullmatch(line):
            categories = []
            evaluations[block["id"]] = _evaluation(block, categories, f"{path}, line {number}")
        elif named := _CATEGORIES.match(line):
            categories.append(named["names"].strip().rstrip(";"))
        elif line.startswith("["):
            raise CorpusError(
                f"{path}, line {number}: expected '[<start> - <end>] <turn> <label> [<three ratings>]', "
                f"found {line[:60]!r}: {FIX}"
            )
    return evaluations


def _check_fold(config: str, fold: int | None) -> None:
    """Refuse a fold that does not fit the config; results on IEMOCAP mean little without saying which was tested."""
    if config == "ser-4" and fold not in range(1, 6):
        raise ValueError(
            f"fold={fold} for config 'ser-4': say which session is left out for the test, fold=1 to fold=5 "
            "(--fold on the command line); results are means over all five"
        )
    if config != "ser-4" and fold is not None:
        raise ValueError(f"fold={fold} for config {config!r}: only 'ser-4' has folds, leave it out")


def _task_splits(turns: Iterable[Utterance], config: str, fold: int | None) -> dict[str, list[Utterance]]:
    """The utterances of a task, labelled for it and divided into its splits."""
    names = ("train", "test") if config == "ser-4" else SPLITS
    splits: dict[str, list[Utterance]] = {name: [] for name in names}
    for turn in turns:
        labelled = replace(turn, emotion=_task_emotion(turn, config))
        if config == "all" or labelled.emotion in EMOTIONS[config]:
            if fold is None:
                split = erc_split(turn.dialogue_id)
            else:
                split = "test" if turn.dialogue_id.startswith(f"Ses0{fold}") else "train"
            splits[split].append(labelled)
    return splits


def _task_emotion(turn: Utterance, config: str) -> str | None:
    """The emotion of a turn as a task counts it."""
    if config == "ser-4" and turn.emotion == "excited":
        return "happy"
    if config == "erc-6" and turn.emotion == "undecided":
        first_named = [names.split(";")[0] for names in turn.extras["annotator_categories"]]
        return "happy" if first_named.count("Happiness") >= 2 else turn.emotion
    return turn.emotion


def erc_split(dialogue_id: str) -> str:
    """The split of a dialogue, such as ``Ses01F_impro01``, in emotion recognition in conversation."""
    if dialogue_id.startswith("Ses05"):
        return "test"
    return "validation" if dialogue_id in VALIDATION_DIALOGUES else "train"


def _turn_problems(turns: Sequence[Utterance], data_dir: Path) -> list[str]:
    """What the transcriptions, the evaluations and the clips of a release lack of each other."""
    transcribed = {turn.utterance_id for turn in turns}
    dialogues = {turn.dialogue_id for turn in turns}
    absent = [f"{data_dir / session} is missing" for session in SESSIONS if not (data_dir / session).is_dir()]
    unread = [
        f"{folder.parents[2]}/dialog/transcriptions/{folder.name}.txt is missing, its clips are there"
        for folder in sorted(data_dir.glob("Session?/sentences/wav/Ses*"))
        if folder.name not in dialogues
    ]
    unlabelled = [
        f"{data_dir}/Session{turn.dialogue_id[4]}/dialog/EmoEvaluation/{turn.dialogue_id}.txt: "
        f"expected a block for turn {turn.utterance_id}, found none"
        for turn in turns
        if turn.emotion is None and "XX" not in turn.utterance_id
    ]
    untranscribed = [
        f"{path.parents[1]}/transcriptions/{path.name}: expected a line for turn {name}, found none"
        for path in _annotation_files(data_dir, "EmoEvaluation")
        for name in _parse_evaluations(path)
        if name not in transcribed
    ]
    silent = [f"{turn.clip} is missing" for turn in turns if turn.clip is not None and not turn.clip.is_file()]
    return [line for kind in (absent, unread, unlabelled, untranscribed, silent) for line in first_of(kind)]


def _turn(match: re.Match[str], dialogue: str, clips: Path) -> Utterance:
    clip = clips / f"{match['id']}.wav"
    return Utterance(
        dialogue_id=dialogue,
        utterance_id=match["id"],
        text=match["text"],
        speaker=f"{dialogue[:5]}_{match['letter']}",
        gender="female" if match["letter"] == "F" else "male",
        clip=None if "XX" in match["id"] and not clip.is_file() else clip,
        start=float(match["start"]) if match["start"] else None,
        end=float(match["end"]) if match["end"] else None,
    )


def _evaluation(block: re.Match[str], categories: list[str], where: str) -> tuple[str, dict[str, Any]]:
    if block["label"] not in LABELS:
        raise CorpusError(
            f"{where}, turn {block['id']}: expected one of {', '.join(LABELS)}, found {block['label']!r}: {FIX}"
        )
    try:
        ratings = [float(rating) for rating in block["ratings"].split(",")]
    except ValueError:
        ratings = []
    if len(ratings) != len(RATINGS):
        raise CorpusError(f"{where}, turn {block['id']}: expected three ratings, found [{block['ratings']}]: {FIX}")
    return LABELS[block["label"]], {**dict(zip(RATINGS, ratings, strict=True)), "annotator_categories": categories}

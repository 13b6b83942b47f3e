"""The dialogues in the data files of the papers, to check a copy of a corpus against: what was said, and its label.

Read are BiosERC's ``<corpus>.<train|valid|test>.json``, ``{dialogue: {"labels", "sentences", ...}}``, and the pickles
of InstructERC and SpeechCueLLM (``iemocap.pkl``, ``meld.pkl``, ``EmoryNLP.pkl``): a list of tables by dialogue, of
which the second has the labels and the third (of MELD the fourth) the sentences, and of the ids of the train, test and
validation dialogues. A label is a number, in the order of this package's loaders (IEMOCAP: config ``erc-6``).
"""

from __future__ import annotations

import io
import json
import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechcue_hf.corpora.joining import letters
from speechcue_hf.corpora.release import first_of
from speechcue_hf.corpora.schema import Utterance, dialogues_of
from speechcue_hf.errors import CorpusError

SPLIT_NAMES = {"train": "train", "validation": "valid", "test": "test"}
"""Split → what BiosERC's file names call it."""

_ORDER_IN_PICKLES = ("train", "test", "validation")
_DOWNLOAD = "download it again"

Turns = Sequence[tuple[str, int]]
"""What was said and its label, turn by turn."""


@dataclass(frozen=True)
class PaperDialogues:
    """The dialogues of one split in a file.

    Args:
        file: Name of the file.
        split: ``train``, ``validation`` or ``test``.
        dialogues: The file's name of a dialogue → its turns.
    """

    file: str
    split: str
    dialogues: Mapping[str, Turns]


def read_dialogues(path: Path) -> list[PaperDialogues]:
    """Read a data file of one of the papers.

    Of a pickle nothing but plain data is read: one that names any class or function is refused before anything of it is
    looked up, so that no code in it runs.

    Args:
        path: ``<corpus>.<train|valid|test>.json`` or a ``.pkl``.

    Returns:
        Its splits.

    Raises:
        CorpusError: If it is none of these files, or is damaged.
    """
    if not path.is_file():
        raise CorpusError(f"{path} is no file: give a data file of BiosERC (.json) or InstructERC (.pkl)")
    if path.suffix == ".json":
        return [_read_json(path)]
    if path.suffix in (".pkl", ".pickle"):
        return _read_pickle(path)
    raise CorpusError(f"{path} is neither .json nor .pkl: give a data file of BiosERC or InstructERC")


def match_dialogues(ids: Sequence[str], theirs: Sequence[str]) -> dict[str, str] | None:
    """Find the dialogues of a split in a file that names them in a way of its own.

    A dialogue of the file is the one of that id; else the one whose id ends in the same numbers (``7`` is
    ``train_dia7``, ``4_8_7`` is ``s04_e08_c07``); else, if the file has as many dialogues as the split, the one at the
    same place.

    Args:
        ids: Dialogues of the split, in order.
        theirs: Dialogues of the file, in order.

    Returns:
        Dialogue id → dialogue of the file; None if they are not of one another.

    Example:
        >>> match_dialogues(["s04_e08_c07", "s04_e08_c08"], ["4_8_8", "4_8_7"])
        {'s04_e08_c08': '4_8_8', 's04_e08_c07': '4_8_7'}
    """
    if set(theirs) <= set(ids):
        return {name: name for name in theirs}
    numbers = [_numbers(name) for name in theirs]
    length = len(numbers[0])
    known = {_numbers(own)[-length:]: own for own in ids}
    alike = length > 0 and len(known) == len(ids) and len(set(numbers)) == len(numbers)
    if alike and set(numbers) <= set(known):
        return {known[number]: name for number, name in zip(numbers, theirs, strict=True)}
    return dict(zip(ids, theirs, strict=True)) if len(theirs) == len(ids) else None


def differences_from(
    splits: Mapping[str, Sequence[Utterance]], emotions: Sequence[str], paper: PaperDialogues
) -> list[str]:
    """What a corpus as read says otherwise than a file of a paper, one line for each kind: the first, and how many.

    Args:
        splits: Split name → utterances, dialogues whole and in speaking order.
        emotions: The label names, in the order of their class ids.
        paper: From :func:`read_dialogues`.
    """
    dialogues = {turns[0].dialogue_id: turns for turns in dialogues_of(splits.get(paper.split, ()))}
    found = match_dialogues(list(dialogues), list(paper.dialogues))
    if found is None:
        return [
            f"{paper.file}, {paper.split}: its {len(paper.dialogues):,} dialogues are not the {len(dialogues):,} here"
        ]
    absent = [f"{paper.file}, {paper.split}: has no dialogue {own}" for own in dialogues if own not in found]
    lengths, texts, labels = [], [], []
    for own, name in found.items():
        turns, published = dialogues[own], paper.dialogues[name]
        where = f"{paper.file}, {paper.split}: dialogue {own} ({name} there)"
        if len(turns) != len(published):
            lengths.append(f"{where} has {len(turns)} turns here and {len(published)} there")
            continue
        for turn, (text, label) in zip(turns, published, strict=True):
            if letters(turn.text) != letters(text):
                texts.append(f"{where}, {turn.utterance_id}: {turn.text!r:.60} here, {text!r:.60} there")
            theirs = emotions[label] if 0 <= label < len(emotions) else f"number {label}"
            if turn.emotion != theirs:
                labels.append(f"{where}, {turn.utterance_id}: {turn.emotion} here, {theirs} there")
    return [line for kind in (absent, lengths, texts, labels) for line in first_of(kind)]


def read_table(path: Path) -> dict[str, Any]:
    """Read a JSON file that is a table by dialogue.

    Raises:
        CorpusError: If it is none.
    """
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{path} is no JSON ({error}): {_DOWNLOAD}") from error
    if not isinstance(content, dict):
        raise CorpusError(f"{path} is a {type(content).__name__} and no table of dialogues: {_DOWNLOAD}")
    return content


def _numbers(name: str) -> tuple[str, ...]:
    return tuple(number.lstrip("0") for number in re.findall(r"\d+", name))


def _read_json(path: Path) -> PaperDialogues:
    splits = {short: split for split, short in SPLIT_NAMES.items()}
    split = splits.get(path.stem.rpartition(".")[2])
    if split is None:
        raise CorpusError(f"{path.name} is not of the form <corpus>.<{'|'.join(splits)}>.json, which tells the split")
    dialogues = {}
    for name, entry in read_table(path).items():
        if not isinstance(entry, dict):
            raise CorpusError(f"{path}: dialogue {name} is no table with sentences and labels: {_DOWNLOAD}")
        dialogues[name] = _turns(entry.get("sentences"), entry.get("labels"), path, name)
    return PaperDialogues(path.name, split, _not_empty(dialogues, path))


class _PlainData(pickle.Unpickler):
    """Reads numbers, texts, lists and tables, and nothing that must be looked up."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse every class and function."""
        raise pickle.UnpicklingError(f"it names {module}.{name}, and a pickle that names code may run it")


def _read_pickle(path: Path) -> list[PaperDialogues]:
    # What a damaged or hostile file makes of the opcodes is any of these. Texts of Python 2 are one byte a letter.
    wrong = (pickle.UnpicklingError, EOFError, ValueError, LookupError, AttributeError, TypeError, OverflowError)
    try:
        content: Any = _PlainData(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except (*wrong, MemoryError, RecursionError) as error:
        raise CorpusError(
            f"{path} cannot be read as plain data ({error}): take the one with texts and labels"
        ) from error
    if not isinstance(content, list | tuple) or len(content) not in (6, 7):
        raise CorpusError(f"{path} holds no list of labels, sentences and ids as InstructERC's do: {_DOWNLOAD}")
    labels, sentences, ids = content[1], content[-4], content[-3:]
    if not isinstance(labels, dict) or not isinstance(sentences, dict) or not all(isinstance(it, list) for it in ids):
        raise CorpusError(f"{path} holds no labels, sentences and ids where InstructERC's do: {_DOWNLOAD}")
    found = []
    for split, names in zip(_ORDER_IN_PICKLES, ids, strict=True):
        if not all(isinstance(name, str | int) for name in names):
            raise CorpusError(f"{path}: the dialogues of {split} have no names: {_DOWNLOAD}")
        dialogues = {str(name): _turns(sentences.get(name), labels.get(name), path, str(name)) for name in names}
        found.append(PaperDialogues(path.name, split, _not_empty(dialogues, path)))
    return found


def _turns(sentences: Any, labels: Any, path: Path, name: str) -> Turns:
    if not isinstance(sentences, list) or not all(isinstance(text, str) for text in sentences):
        raise CorpusError(f"{path}: the sentences of dialogue {name[:60]} are no list of texts: {_DOWNLOAD}")
    if not isinstance(labels, list) or not all(isinstance(label, int) for label in labels):
        raise CorpusError(f"{path}: the labels of dialogue {name[:60]} are no list of numbers: {_DOWNLOAD}")
    if len(sentences) != len(labels):
        raise CorpusError(f"{path}: dialogue {name[:60]} has {len(sentences)} sentences and {len(labels)} labels")
    return list(zip(sentences, labels, strict=True))


def _not_empty(dialogues: Mapping[str, Turns], path: Path) -> Mapping[str, Turns]:
    if not dialogues:
        raise CorpusError(f"{path} holds no dialogues: {_DOWNLOAD}")
    return dialogues

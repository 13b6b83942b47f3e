"""BiosERC's own JSON (https://github.com/yingjie7/BiosERC): published biographies into a dataset, and back.

Beside ``<corpus>.<train|valid|test>.json``, ``{dialogue: {"labels", "sentences", "genders"}}``, lies
``<corpus>.<split>_spdescV2_<llm>.json``, ``{dialogue: [the biography of each utterance's speaker]}``. Those biographies
were written from whole dialogues, their future included; some repeat the prompt, which is taken out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict

from speechcue_hf import __version__
from speechcue_hf.biographies.cleaning import clean_biography
from speechcue_hf.biographies.requests import Row, dialogues_of
from speechcue_hf.biographies.settings import BiographySettings
from speechcue_hf.biographies.write import biography_counts, with_biographies
from speechcue_hf.corpora.joining import letters
from speechcue_hf.corpora.paper_dialogues import SPLIT_NAMES, match_dialogues, read_table
from speechcue_hf.errors import CorpusError
from speechcue_hf.records import BiographiesRecord

MARK = "_spdescV2_"
NOT_PUBLISHED = "no biographies were given for this split"


@dataclass(frozen=True)
class PublishedBiographies:
    """Biographies of one split, as published.

    Args:
        split: ``train``, ``validation`` or ``test``.
        llm: The model that wrote them, as the file name says.
        dialogues: Dialogue of the file → for each utterance its sentence and the biography of its speaker.
    """

    split: str
    llm: str
    dialogues: Mapping[str, Sequence[tuple[str, str]]]


def read_published(path: Path) -> PublishedBiographies:
    """Read published biographies with the sentences that they belong to.

    Args:
        path: ``<corpus>.<split>_spdescV2_<llm>.json``; ``<corpus>.<split>.json`` lies in the same folder or in the one
            above.

    Returns:
        The biographies.

    Raises:
        CorpusError: If the name is of another form, a file is missing or damaged, or the two do not fit.
    """
    name, mark, llm = path.stem.partition(MARK)
    splits = {short: split for split, short in SPLIT_NAMES.items()}
    short = name.rpartition(".")[2]
    if not mark or short not in splits:
        raise CorpusError(f"{path.name} is not of the form <corpus>.<train|valid|test>{MARK}<llm>.json")
    biographies = read_table(path)
    beside = next(filter(Path.is_file, (folder / f"{name}.json" for folder in path.parents[:2])), None)
    if beside is None:
        raise CorpusError(
            f"{path} needs {name}.json beside it or in the folder above: it holds the sentences to check against"
        )
    data = read_table(beside)
    dialogues = {}
    for dialogue, entries in biographies.items():
        texts = _checked_texts(entries, path, dialogue)
        said = data[dialogue].get("sentences") if isinstance(data.get(dialogue), dict) else data.get(dialogue, [])
        sentences = _checked_texts(said, beside, dialogue)
        if len(sentences) != len(texts):
            raise CorpusError(
                f"{path}: dialogue {dialogue} has {len(texts)} biographies and {len(sentences)} sentences in "
                f"{name}.json: the files are not of one release"
            )
        dialogues[dialogue] = list(zip(sentences, texts, strict=True))
    return PublishedBiographies(splits[short], llm, dialogues)


def join_published(dataset: DatasetDict, published: Sequence[PublishedBiographies]) -> DatasetDict:
    """Give rows their published biographies, by dialogue and turn; each sentence is checked, none is looked up.

    Dialogues that the file names in a way of its own are found by
    :func:`speechcue_hf.corpora.paper_dialogues.match_dialogues`.

    Args:
        dataset: The splits, dialogues whole and in speaking order.
        published: Biographies of some or all of them; the rows of other splits get none, with a note.

    Returns:
        The dataset with the biography columns, cleaned as written ones are: ``biography_scope`` is ``"dialogue"``,
        ``biography_key`` null.

    Raises:
        CorpusError: If a split or dialogue is not there or is given twice, or a sentence differs from the row's text.
    """
    given = {part.split: part for part in published}
    if len(given) < len(published):
        files = ", ".join(f"{part.split} by {part.llm}" for part in published)
        raise CorpusError(f"a split is given more than once ({files}): name one file for each split")
    if unknown := sorted(set(given) - set(map(str, dataset))):
        raise CorpusError(f"there are biographies of the split {unknown[0]!r}, which the dataset does not have")
    return DatasetDict({split: _join_split(rows, given.get(str(split))) for split, rows in dataset.items()})


def published_record(dataset: DatasetDict, published: Sequence[PublishedBiographies]) -> BiographiesRecord:
    """Say where the biographies that were joined to a dataset come from, and how many there are."""
    return BiographiesRecord(
        source="published",
        scope="dialogue",
        sees_future=True,
        writer={"model": ", ".join(sorted({part.llm for part in published}))},
        files={part.split: sha256(json.dumps(dict(part.dialogues)).encode()).hexdigest() for part in published},
        rows={str(split): biography_counts(rows) for split, rows in dataset.items()},
        package_version=__version__,
    )


def write_published(dataset: DatasetDict, folder: Path, *, corpus: str, llm: str) -> list[Path]:
    """Write a dataset with biographies as BiosERC's files.

    Args:
        dataset: Splits ``train``, ``validation`` or ``test`` with the shared columns and ``biography``.
        folder: Where to; it is made if need be.
        corpus: What the file names call it: ``iemocap``, ``meld`` or ``emorynlp``. The speakers of ``iemocap`` are
            told by gender, F or M; those of others by a one-hot vector in order of appearance.
        llm: The model that wrote the biographies.

    Returns:
        The files: for each split data and biographies.

    Raises:
        CorpusError: If a row has no label, no biography or (``iemocap``) no gender, or a split has another name.

    Example:
        >>> files = write_published(paper, Path("bioserc"), corpus="meld", llm="Llama-3-70B")
        >>> [file.name for file in files if "test" in file.name]
        ['meld.test.json', 'meld.test_spdescV2_Llama-3-70B.json']
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for split, rows in dataset.items():
        if split not in SPLIT_NAMES:
            raise CorpusError(f"BiosERC has no split {split!r}, only {', '.join(SPLIT_NAMES)}: rename it")
        data, biographies = _split_content(rows, corpus)
        name = f"{corpus}.{SPLIT_NAMES[split]}"
        for path, content in ((folder / f"{name}.json", data), (folder / f"{name}{MARK}{llm}.json", biographies)):
            path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
            files.append(path)
    return files


def _join_split(rows: Dataset, published: PublishedBiographies | None) -> Dataset:
    dialogues = dialogues_of(rows)
    if published is None:
        entries: list[tuple[str | None, str | None]] = [(None, NOT_PUBLISHED)] * len(rows)
    else:
        ids, theirs = [dialogue[0]["dialogue_id"] for dialogue in dialogues], list(published.dialogues)
        found = match_dialogues(ids, theirs)
        if found is None:
            raise CorpusError(
                f"the {len(theirs)} dialogues of the published biographies ({', '.join(theirs[:3])} ...) are not the "
                f"{len(ids)} of the split {published.split!r} ({', '.join(ids[:3])} ...): take the release they were "
                "made from"
            )
        entries = [part for dialogue in dialogues for part in _join_dialogue(dialogue, found, published)]
    lengths = [len(dialogue) for dialogue in dialogues for _ in dialogue]
    columns: dict[str, list[Any]] = {
        "biography": [text for text, _ in entries],
        "biography_note": [note for _, note in entries],
        "biography_scope": ["dialogue"] * len(entries),
        "biography_turns": [length if text else None for length, (text, _) in zip(lengths, entries, strict=True)],
        "biography_key": [None] * len(entries),
    }
    return with_biographies(rows, columns)


def _join_dialogue(
    dialogue: Sequence[Row], found: Mapping[str, str], published: PublishedBiographies
) -> list[tuple[str | None, str | None]]:
    """Biography and note of each row of a dialogue."""
    own = dialogue[0]["dialogue_id"]
    if own not in found:
        return [(None, f"no biographies were published for dialogue {own}")] * len(dialogue)
    entries = published.dialogues[found[own]]
    if len(entries) != len(dialogue):
        raise CorpusError(
            f"dialogue {own!r} has {len(dialogue)} turns, its published one ({found[own]}) {len(entries)}: "
            "take the release the biographies were made from"
        )
    for row, (sentence, _) in zip(dialogue, entries, strict=True):
        if letters(row["text"] or "") != letters(sentence):
            raise CorpusError(
                f"turn {row['turn']} of dialogue {own!r} is {row['text']!r}, but the published sentence of dialogue "
                f"{found[own]} is {sentence!r}: take the release the biographies were made from"
            )
    # The released code leaves the prompt in where it looks for another one.
    paper = BiographySettings.bioserc()
    question = paper.prompt.messages((), {"speaker": None, "number": 0}, paper.word_limit)[-1]["content"]
    return [clean_biography(text, question, paper.word_limit) for _, text in entries]


def _split_content(rows: Dataset, corpus: str) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """What the data file and the biography file of a split hold."""
    data: dict[str, Any] = {}
    biographies: dict[str, list[str]] = {}
    speakers: dict[str, dict[str | None, int]] = {}
    needed = ["dialogue_id", "turn", "speaker", "gender", "text", "emotion", "biography"]
    required = ["emotion", "biography", *(["gender"] if corpus == "iemocap" else [])]
    for row in rows.select_columns([column for column in needed if column in rows.column_names]):
        if missing := [column for column in required if row.get(column) is None]:
            raise CorpusError(
                f"turn {row['turn']} of dialogue {row['dialogue_id']!r} has no {missing[0]}, which BiosERC's files "
                "need: write out labelled dialogues with biographies of the whole dialogue"
            )
        numbers = speakers.setdefault(row["dialogue_id"], {})
        number = numbers.setdefault(row["speaker"], len(numbers))
        entry = data.setdefault(row["dialogue_id"], {"labels": [], "sentences": [], "genders": []})
        entry["labels"].append(row["emotion"])
        entry["sentences"].append(row["text"])
        entry["genders"].append(row["gender"][0].upper() if corpus == "iemocap" else number)
        biographies.setdefault(row["dialogue_id"], []).append(row["biography"])
    if corpus != "iemocap":
        most = max(map(len, speakers.values()), default=0)
        for entry in data.values():
            entry["genders"] = [[int(place == number) for place in range(most)] for number in entry["genders"]]
    return data, biographies


def _checked_texts(texts: Any, path: Path, dialogue: str) -> list[str]:
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise CorpusError(f"{path}: dialogue {dialogue} is no list of texts: download it again")
    return texts

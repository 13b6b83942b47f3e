"""Ways round the licences, put together by chance: what may not leave does not arrive on the Hub."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict, concatenate_datasets

from speechcue_hf.corpora.parquet import read_dataset, write_dataset
from speechcue_hf.errors import SpeechcueError
from speechcue_hf.hub.publish_dataset import publish_dataset
from speechcue_hf.records import write_record
from tests.campaign.fault import Fault
from tests.campaign.surroundings import HUB
from tests.corpora import trees
from tests.hub.guarded import OWN, changed, iemocap_described, prepared

Attempt = Callable[[Random, Path], Iterator[str]]
Row = dict[str, Any]

NAME = "tester/out"
CUES = ["dialogue_id", "utterance_id", "turn", "audio_status", "intensity_mean_db", "speech_description"]
CUES += ["speech_impression", "intensity_mean_db_level", "intensity_mean_db_z"]
TEXTS = [turn.text for turns in trees.IEMOCAP_DIALOGUES.values() for turn in turns if len(turn.text) > 5]
CASES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "lower": str.lower,
    "upper": str.upper,
    "swapped": str.swapcase,
}
MARKS = ("_", "-", " ", "", ".", "__", "/")
WRITINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "full width": lambda text: "".join(chr(ord(it) + 0xFEE0) if "!" <= it <= "~" else it for it in text),
    "characters that nobody sees": lambda text: "\u200b".join(text),
    "percent signs": lambda text: "".join(f"%{byte:02X}" if byte < 48 else chr(byte) for byte in text.encode()),
    "base64": lambda text: base64.b64encode(f"utterance {text}".encode()).decode(),
    "JSON": lambda text: json.dumps({"id": text}),
    "JSON in JSON": lambda text: json.dumps({"id": json.dumps({"id": text})}),
    "escapes": lambda text: "".join(f"\\u{ord(it):04x}" for it in text),
    "HTML": lambda text: "".join(f"&#{ord(it)};" for it in text),
}
KINDS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "a list": lambda name: ["a", name],
    "a list of lists": lambda name: [[name], ["b"]],
    "a table": lambda name: {"from": {"id": name}},
    "a list of tables": lambda name: [{"id": name}],
    "bytes": str.encode,
}


def ready(folder: Path) -> Attempt:
    """A small release, prepared and described."""
    release = trees.iemocap(folder)
    return partial(attempt, release, iemocap_described(release, folder))


def attempt(release: Path, cues: Path, random: Random, folder: Path) -> Iterator[str]:
    """One way round."""
    HUB.clear()
    way = random.choice([disguised, disguised, loaded_otherwise, smuggled, smuggled])
    yield from way(release, cues, random, folder)


def refused(folders: list[Path], **options: Any) -> None:
    """Publish; a refusal is right, and so is what holds nothing of the release's words and clips.

    Raises:
        Fault: If words or clips arrive.
    """
    with suppress(SpeechcueError):
        publish_dataset(folders, NAME, **options)
    files = HUB.files("dataset", NAME) if ("dataset", NAME) in HUB.repositories else {}
    told = said_in(files)
    if words := [text for text in TEXTS if text in told or normal(text) in normal(told)]:
        raise Fault("leak", f"transcripts arrived: {words[:3]}")
    if any(b"RIFF" in data or b"fLaC" in data for data in files.values()):
        raise Fault("leak", "clips arrived")


def said_in(files: dict[str, bytes]) -> str:
    """All that the files of a repository say; cards and records of the package have no transcript in them."""
    rows = [pq.read_table(io.BytesIO(data)).to_pylist() for name, data in files.items() if name.endswith(".parquet")]
    rest = [data.decode(errors="replace") for name, data in files.items() if not name.endswith(".parquet")]
    return repr(rows) + "\n".join(rest)


def normal(text: str) -> str:
    return "".join(it for it in text.lower() if it.isalnum())


# Rows that do not say where they come from


def disguised(release: Path, cues: Path, random: Random, folder: Path) -> Iterator[str]:
    """One column, or several, still tells of the release, in another spelling."""
    columns = random.sample(["dialogue_id", "utterance_id", "speaker", "audio", "more"], random.choice([1, 1, 2, 4]))
    # Of a speaker alone, with letters before the name, nothing is left that nobody else would write.
    spelt, does = spelling(random, glued=columns != ["speaker"])
    kind = random.choice([*KINDS])
    yield f"{does}, in {', '.join(columns)}{f' as {kind}' if 'more' in columns else ''}"
    rows = changed(cues.with_name("iemocap"), folder / "rows", partial(disguise, spelt, columns, KINDS[kind]))
    if random.random() < 0.3:
        yield "among rows of somebody's own"
        rows = mixed(rows, folder)
    if random.random() < 0.3:
        shutil.move(rows, folder / "kept")
        rows = folder / "kept"
        (rows / "corpus.json").unlink()
    refused([rows], everybody_is_licensed=random.random() < 0.5)


def spelling(random: Random, glued: bool) -> tuple[Callable[[str], str], str]:
    case, mark, writing = random.choice([*CASES]), random.choice(MARKS), random.choice([*WRITINGS])
    before = random.choice(["", f"{word(random)}-", f"{word(random)}_", word(random) if glued else ""])
    after = random.choice(["", f"-{word(random)}", f"_{word(random)}", word(random) if glued else ""])

    def spelt(name: str) -> str:
        return WRITINGS[writing](f"{before}{CASES[case](name).replace('_', mark)}{after}")

    return spelt, f"{case} case, {mark!r} for underscores, {before!r} before and {after!r} after, {writing}"


def word(random: Random) -> str:
    return "".join(random.choices("abcxyz0189_", k=random.randrange(1, 8)))


def disguise(spelt: Callable[[str], str], columns: list[str], kind: Callable[[str], Any], row: Row) -> Row:
    number = sum(map(ord, row["utterance_id"]))
    hidden = {"dialogue_id": f"d{sum(map(ord, row['dialogue_id']))}", "utterance_id": f"u{number}", "speaker": None}
    told = {"dialogue_id": spelt(row["dialogue_id"]), "utterance_id": spelt(row["utterance_id"])}
    told["speaker"] = spelt(row["speaker"])
    changed_row = {**row, **hidden, **{name: value for name, value in told.items() if name in columns}}
    path = spelt(row["utterance_id"]) + ".wav" if "audio" in columns else f"{number}.wav"
    changed_row["audio"] = row["audio"] and {**row["audio"], "path": path}
    return {**changed_row, "more": kind(told["utterance_id"])} if "more" in columns else changed_row


def mixed(rows: Path, folder: Path) -> Path:
    """One row of the release at the end of some of somebody's own."""
    foreign = read_dataset(rows)["train"].select([0])
    own = {"dialogue_id": ["mine"] * 9, "utterance_id": [f"mine{row}" for row in range(9)], "text": ["Well, well."] * 9}
    table = Dataset.from_dict({**own, **{name: [None] * 9 for name in foreign.column_names if name not in own}})
    write_dataset(DatasetDict(train=concatenate_datasets([table.cast(foreign.features), foreign])), folder / "mixed")
    write_record(OWN, folder / "mixed")
    return folder / "mixed"


# The release through other loaders


def loaded_otherwise(release: Path, cues: Path, random: Random, folder: Path) -> Iterator[str]:
    """The release's clips, or its words, as somebody's own folder or list."""
    root = Path(shutil.copytree(release, folder / "a" / random.choice(["mine", "IEMOCAP", "corpora/x", "Session1"])))
    clips = sorted(root.rglob("Ses*.wav"))
    change = random.choice(["as they are", "moved", "renamed", "links", "moved and prefixed"])
    loader = random.choice(["folder", "wav_list"])
    yield f"{loader}, {change}, in {root.relative_to(folder)}"
    case = CASES[random.choice([*CASES])]
    source = random.choice([root, *([root.parent] if change != "moved" else [])])
    if change == "renamed":
        clips = [path.rename(path.with_name(f"{place}.wav")) for place, path in enumerate(clips)]
    elif change != "as they are":
        source = folder / "conversation"
        source.mkdir()
        before = f"{word(random)}_" if "prefixed" in change else ""
        moved = [
            source / (f"{place}.wav" if change == "links" else before + case(path.name))
            for place, path in enumerate(clips)
        ]
        for path, place in zip(clips, moved, strict=True):
            place.symlink_to(path) if change == "links" else shutil.copyfile(path, place)
        clips = moved
    out = prepared(loader, LOADERS[loader](source, clips), folder / "out")
    refused([out])


def as_folder(source: Path, clips: list[Path]) -> Path:
    with (source / "metadata.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "dialogue_id", "utterance_id", "text"])
        table.writerows([os.path.relpath(path, source), "d", place, TEXTS[0]] for place, path in enumerate(clips))
    return source


def as_list(source: Path, clips: list[Path]) -> Path:
    lines = [f"{place}\t{os.path.relpath(path, source)}\n" for place, path in enumerate(clips)]
    (source / "train.tsv").write_text("".join(lines))
    return source


LOADERS = {"folder": as_folder, "wav_list": as_list}


# Columns that may leave, with something else in them


def smuggled(release: Path, cues: Path, random: Random, folder: Path) -> Iterator[str]:
    """A column that may leave holds a transcript, in another spelling."""
    column = random.choice(["dialogue_id", "utterance_id", "audio_status", *CUES[5:8]])
    does = random.choice([*SMUGGLED])
    rows = random.choice(["all", "one"])
    yield f"a transcript {does} in {column} of {rows}"

    def put(row: Row) -> Row:
        if rows == "one" and not row["utterance_id"].endswith("impro01_M000"):
            return row
        return {**row, column: SMUGGLED[does](row[column] or "", row["text"])}

    refused([changed(cues, folder / "rows", put)], columns=CUES)


SMUGGLED: dict[str, Callable[[str, str], str]] = {
    "alone": lambda value, text: text,
    "after": lambda value, text: f"{value} {text}",
    "before": lambda value, text: f"{text} {value}",
    "in capitals": lambda value, text: text.upper(),
    "with underscores": lambda value, text: f"{value}_{'_'.join(text.split())}",
    "with zeros between": lambda value, text: "\u200b".join(text),
    "with blanks between": lambda value, text: " ".join(text),
    "within": lambda value, text: value[: len(value) // 2] + text + value[len(value) // 2 :],
    "in brackets": lambda value, text: f"{value} ({text})",
}

"""Mutated annotations of corpora and of people's own recordings: rows, or a refusal that names the file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from speechcue_hf.corpora.parquet import read_dataset
from tests.campaign.commands import speechcue
from tests.campaign.fault import Fault
from tests.campaign.mutations import bits_flipped, cut, mutated, piece_doubled, piece_lost, piece_overwritten
from tests.corpora import test_emorynlp, trees

Attempt = Callable[[Random, Path], Iterator[str]]

CELLS = ("", " ", "x", "-1", "0", "NaN", "1e999", "9" * 400, "None", "null", "[", "[[[", "{}", "[1]", "'a'", "()", "\0")
CELLS += ("\ud7ff", "\u202e", "\ufeff", "a\nb", "a\rb", '"', "=1+1", "../../x.wav", "a/b", "\\", "C:\\x", "%s%n", "𝒳")
VALUES = (None, True, -1, 0.5, 10**30, 1e308, float("nan"), "", "x", "\ud800", [], ["a"], [None], {}, {"a": {"b": []}})


def ready(folder: Path) -> Attempt:
    """Nothing is to be made."""
    return attempt


def attempt(random: Random, folder: Path) -> Iterator[str]:
    """A small release with one file changed is prepared."""
    name = random.choice([*CORPORA])
    corpus, root, files = CORPORA[name](folder / "release")
    path = random.choice(files)
    data, does = mutate(random, path)
    path.write_bytes(data)
    yield f"{name}, {path.name}: {does}"
    options = ["--no-verify"] if corpus in ("meld", "iemocap", "emorynlp") else []
    said = speechcue("prepare", corpus, "--data-dir", root, *options, "-o", folder / "prepared")
    if said.code:
        if not any(it in said.text for it in (path.name, str(root), "utterance", "split")):
            raise Fault("traceback", f"a refusal names no file: {said.text}")
        return
    rows = sum(map(len, read_dataset(folder / "prepared").values()))
    counted = sum(json.loads((folder / "prepared" / "corpus.json").read_text())["utterances"].values())
    if not rows or rows != counted:
        raise Fault("lost row", f"{counted} rows are counted, and {rows} are there")
    if "cell" in does or "value" in does:
        expected = sum(ROWS[name])
        # A cell may name another split or end a quotation, but never make a row vanish.
        if rows < expected and "line" not in does:
            raise Fault("lost row", f"{expected} rows became {rows}:\n{said.text}")


def mutate(random: Random, path: Path) -> tuple[bytes, str]:
    """The file's bytes with a change that suits its kind, or any."""
    data = path.read_bytes()
    if path.suffix == ".csv" and random.random() < 0.5:
        return cell_changed(random, data)
    if path.suffix in (".json", ".jsonl") and random.random() < 0.5:
        return value_changed(random, data, path.suffix)
    changes = [cut, bits_flipped, piece_lost, piece_doubled, piece_overwritten, encoded_otherwise, character_replaced]
    return mutated(random, data, [*changes, lines_shuffled, line_lost, line_doubled, number_grown, quotes_lost])


def cell_changed(random: Random, data: bytes) -> tuple[bytes, str]:
    """One cell of a table, or of its header, says something else."""
    rows = list(csv.reader(io.StringIO(data.decode())))
    row, column, value = random.randrange(len(rows)), random.randrange(len(rows[0])), random.choice(CELLS)
    rows[row][column] = value
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    where = "name of a column" if row == 0 else "cell"
    return file.getvalue().encode(), f"{where} ({row}, {column}) is {value[:20]!r}"


def value_changed(random: Random, data: bytes, suffix: str) -> tuple[bytes, str]:
    """One value of JSON is another, or gone."""
    lines = [json.loads(line) for line in (data.split(b"\n") if suffix == ".jsonl" else [data]) if line]
    node = random.choice(lines)
    while True:
        key = random.choice([*node] if isinstance(node, dict) else range(len(node)))
        if isinstance(node[key], dict | list) and node[key] and random.random() < 0.8:
            node = node[key]
            continue
        break
    if random.random() < 0.2:
        del node[key]
        does = f"key {key!r} gone"
    else:
        node[key] = random.choice(VALUES)
        does = f"key {key!r} is {str(node[key])[:20]!r}"
    return "\n".join(json.dumps(line) for line in lines).encode(), does


def encoded_otherwise(random: Random, data: bytes) -> bytes:
    text = data.decode(errors="replace")
    return text.encode(random.choice(["utf-16", "utf-32", "utf-8-sig", "cp1252", "utf-16-le"]), errors="replace")


def character_replaced(random: Random, data: bytes) -> bytes:
    """As spreadsheets and editors do, everywhere."""
    old, new = random.choice(
        [
            (b",", b";"),
            (b",", b"\t"),
            (b"\n", b"\r"),
            (b"\r\n", b"\n"),
            (b":", b"."),
            (b"[", b"("),
            (b"[", b"[" * 9000),
            (b"'", b"{"),
            (b"_", b"-"),
            (b" ", b"\xc2\xa0"),
            (b"0", b"x"),
            (b"1", b"1" * 400),
            (b"\t", b" "),
            (b"{", b""),
        ]
    )
    return data.replace(old, new)


def lines_shuffled(random: Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    random.shuffle(lines)
    return b"\n".join(lines)


def line_lost(random: Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    del lines[random.randrange(len(lines))]
    return b"\n".join(lines)


def line_doubled(random: Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    place = random.randrange(len(lines))
    return b"\n".join([*lines[: place + 1], *lines[place:]])


def number_grown(random: Random, data: bytes) -> bytes:
    places = [place for place, byte in enumerate(data) if chr(byte).isdigit()]
    if not places:
        return data
    place = random.choice(places)
    return data[:place] + random.choice([b"-", b"9" * 30, b"1e", b".", b"\xd9\xa3"]) + data[place:]


def quotes_lost(random: Random, data: bytes) -> bytes:
    return data.replace(b'"', b"", random.randrange(1, 9))


# The releases


def meld(root: Path) -> tuple[str, Path, list[Path]]:
    folder = trees.meld(root, media=False)
    return "meld", folder, sorted(folder.glob("*.csv"))


def iemocap(root: Path) -> tuple[str, Path, list[Path]]:
    folder = trees.iemocap(root)
    return "iemocap", folder, sorted(path for path in folder.rglob("Ses*.txt") if "_cat" not in path.name)


def emorynlp_csv(root: Path) -> tuple[str, Path, list[Path]]:
    test_emorynlp.write_csv(root)
    return "emorynlp", root, sorted(root.glob("*.csv"))


def emorynlp_json(root: Path) -> tuple[str, Path, list[Path]]:
    test_emorynlp.write_json(root)
    return "emorynlp", root, sorted(root.glob("*.json"))


def libritts(root: Path) -> tuple[str, Path, list[Path]]:
    folder = trees.libritts(root)
    return "libritts", folder, [folder / "speakers.tsv", *sorted(folder.rglob("*.txt"))]


def own_csv(root: Path) -> tuple[str, Path, list[Path]]:
    _own_clips(root)
    rows = [["file_name", "dialogue_id", "speaker", "emotion", "text", "start", "end", "split"]]
    rows += [
        [
            f"{row}.wav",
            f"d{row // 2}",
            "AB"[row % 2],
            ("happy", "sad")[row % 2],
            "Hello, you",
            row,
            row + 0.4,
            "train" if row < 4 else "test",
        ]
        for row in range(6)
    ]
    with (root / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return "folder", root, [root / "metadata.csv"]


def own_jsonl(root: Path) -> tuple[str, Path, list[Path]]:
    _own_clips(root)
    rows = [
        {
            "file_name": f"{row}.wav",
            "utterance_id": f"u{row}",
            "text": "Hi",
            "emotion": ("happy", "sad")[row % 2],
            "dialogue_id": "d",
            "speaker": "Ann",
            "more": {"a": [row]},
        }
        for row in range(6)
    ]
    (root / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return "folder", root, [root / "metadata.jsonl"]


def wav_list(root: Path) -> tuple[str, Path, list[Path]]:
    _own_clips(root)
    (root / "train.tsv").write_text("".join(f"clip{row}\t{row}.wav\n" for row in range(6)))
    return "wav_list", root, [root / "train.tsv"]


def _own_clips(root: Path) -> None:
    root.mkdir(parents=True)
    for row in range(6):
        (root / f"{row}.wav").write_bytes(trees.wav(0.5))


CORPORA = {
    it.__name__: it for it in (meld, iemocap, emorynlp_csv, emorynlp_json, libritts, own_csv, own_jsonl, wav_list)
}
ROWS = {
    "meld": [len(rows) for rows in trees.MELD_ROWS.values()],
    "iemocap": [len(turns) for turns in trees.IEMOCAP_DIALOGUES.values()],
    "emorynlp_csv": [len(turns) for turns in test_emorynlp.TURNS.values()],
    "emorynlp_json": [len(turns) for turns in test_emorynlp.TURNS.values()],
    "libritts": [len(trees.LIBRITTS_TEXTS)],
    "own_csv": [6],
    "own_jsonl": [6],
    "wav_list": [6],
}

"""Secrets and paths in whatever may be uploaded, written in whatever way: none passes the scan."""

from __future__ import annotations

import json
import string
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pyarrow.parquet as pq

from speechcue_hf.errors import PublishingError
from speechcue_hf.hub.scan import check_files
from tests.campaign.fault import Fault
from tests.hub.test_scan import WRITINGS, arrow_columns, picture, weights

Attempt = Callable[[Random, Path], Iterator[str]]

LETTERS = string.ascii_letters + string.digits
AROUND = ("", "It was trained with ", "a\n\n", "key: ", "é ", "word " * 50, "日本 ")
DEEP = ("escaped JSON", "JSON in JSON in JSON", "base64", "full width", "characters that nobody sees", "UTF-16", "HTML")
"""Ways of writing that are put into one another; each alone is tried, too."""


def ready(folder: Path) -> Attempt:
    """Nothing is to be made."""
    return attempt


def attempt(random: Random, folder: Path) -> Iterator[str]:
    """A secret is put into a file that would be uploaded, and the same file without it passes."""
    kind, secret = random.choice([*SECRETS.items()])
    told = secret(random)
    container = random.choice([*CONTAINERS])
    writing, text = written(random, told) if container in TEXTS else ("as it is", told)
    yield f"a secret {kind}, {writing}, in {container}"
    path = CONTAINERS[container](random, folder, text)
    try:
        check_files([path])
    except PublishingError as error:
        if told in str(error):
            raise Fault("leak", f"the refusal shows the secret: {error}") from None
        return
    raise Fault("leak", f"{path.name} passes the scan: {told[:6]}…")


def written(random: Random, secret: str) -> tuple[str, str | bytes]:
    """The secret in a text, in one way of writing or in two."""
    text = random.choice(AROUND) + secret + random.choice(["", " .", "\n", '", "b": 1'])
    names = [random.choice([*WRITINGS])]
    if random.random() < 0.3:
        names = [random.choice(DEEP[:3]), random.choice(DEEP)]
    held: str | bytes = text
    for name in names:
        held = WRITINGS[name](held if isinstance(held, str) else held.decode("latin-1"))
    return ", in ".join(names), held


def drawn(random: Random, count: int, letters: str = LETTERS) -> str:
    return "".join(random.choices(letters, k=count))


SECRETS: dict[str, Callable[[Random], str]] = {
    "of the Hub": lambda random: "hf_" + drawn(random, 34, string.ascii_letters),
    "of OpenAI": lambda random: "sk-proj-" + drawn(random, 48),
    "of Anthropic": lambda random: "sk-ant-api03-" + drawn(random, 48),
    "of GitHub": lambda random: "ghp_" + drawn(random, 36),
    "of GitLab": lambda random: "glpat-" + drawn(random, 20),
    "of Amazon": lambda random: "AKIA" + drawn(random, 16, string.ascii_uppercase + "234567"),
    "of Google": lambda random: "AIza" + drawn(random, 35),
    "of Slack": lambda random: f"xoxb-{drawn(random, 12, string.digits)}-{drawn(random, 12)}",
    "of npm": lambda random: "npm_" + drawn(random, 36),
    "of NVIDIA": lambda random: "nvapi-" + drawn(random, 48),
    "in an address": lambda random: f"https://ann:{drawn(random, 12)}@example.org/data",
    "in a header": lambda random: f"Authorization: Bearer {drawn(random, 24)}",
    "that is a home": lambda random: random.choice(["/home/", "/Users/"]) + drawn(random, 8).lower() + "/corpora/x.wav",
    "that is a home of Windows": lambda random: f"C:\\Users\\{drawn(random, 8)}\\corpora",
}


def in_text(random: Random, folder: Path, text: str | bytes) -> Path:
    path = folder / random.choice(["README.md", "training.json", "prompt.jinja", "modeling.py", "notes.txt", "a.yaml"])
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def in_json(random: Random, folder: Path, text: str | bytes) -> Path:
    path = folder / "results.json"
    told = text if isinstance(text, str) else text.decode("latin-1")
    path.write_text(
        json.dumps({"a": [{"b": {told: 1} if random.random() < 0.3 else told}]}, ensure_ascii=random.random() < 0.5)
    )
    return path


def in_rows(random: Random, folder: Path, text: str) -> Path:
    path = folder / "train-00000-of-00001.parquet"
    pq.write_table(arrow_columns(text)[random.choice([*arrow_columns(text)])], path)
    return path


def in_picture(random: Random, folder: Path, text: str) -> Path:
    data = text.encode()
    kind, chunk = random.choice(
        [
            (b"tEXt", b"Comment\0" + data),
            (b"zTXt", b"C\0\0" + zlib.compress(data)),
            (b"eXIf", b"MM\0*" + data),
            (b"iTXt", b"C\0\1\0\0\0" + zlib.compress(data)),
            (b"prVt", data),
        ]
    )
    path = folder / "confusion_matrix.png"
    path.write_bytes(picture(kind, chunk))
    return path


def in_weights(random: Random, folder: Path, text: str) -> Path:
    path = folder / "model.safetensors"
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    path.write_bytes(weights(random.choice([{"__metadata__": {"a": text}}, {text: entry}])) + struct.pack("<f", 1.0))
    return path


TEXTS = {"a text": in_text, "JSON": in_json}
CONTAINERS: dict[str, Callable[[Random, Path, str], Path]] = {
    **TEXTS,
    "rows": in_rows,
    "a picture": in_picture,
    "weights": in_weights,
}

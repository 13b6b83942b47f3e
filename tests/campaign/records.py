"""Mutated records and rows, read by the commands that read them: it works all the same, or it names the file."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from tests.campaign.annotations import VALUES
from tests.campaign.commands import speechcue
from tests.campaign.fault import Fault
from tests.campaign.mutations import bits_flipped, cut, mutated, piece_doubled, piece_lost, piece_overwritten
from tests.campaign.surroundings import LISTENER

Attempt = Callable[[Random, Path], Iterator[str]]

FROZEN = Path(__file__).parents[1] / "upgrade" / "0.1.0"
NOT_JSON = [b"", b"null", b"[]", b"3", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"{}", b'{"a": NaN}']
STRINGS = ("../../corpus.json", "/etc/passwd", "{{ 1/0 }}", "{% for a in range(10**9) %}{% endfor %}", "a" * 100_000)
STRINGS += ("", "\0", "\ud7ff", "<script>", "---\n# a", "{% include '/etc/passwd' %}", "http://127.0.0.1:{port}/a")

Line = list[Any]

DATA_COMMANDS: dict[str, list[Line]] = {
    "measured": [["describe", "data/measured", "-o", "out", "--describer", "data/described"]],
    "prepared": [["measure", "data/prepared", "-o", "out"]],
    "described": [
        ["describe", "data/measured", "-o", "out", "--describer", "data/described"],
        ["describe", "data/described", "-o", "out", "--describer", "data/described"],
        ["export", "data/described", "-o", "out", "--to", "llama-factory"],
        ["probe", "data/described", "-o", "out"],
        ["caption", "data/described", "-o", "out"],
        ["plot", "data/described", "-o", "out.png", "--describer", "data/described"],
        ["evaluate", "data/described", "--model", "runs/encoders/seed-1", "-o", "out"],
        ["publish", "dataset", "data/described", "--repo-id", "tester/data"],
    ],
    "biographies": [
        ["evaluate", "data/biographies", "--model", "runs/chat", "-o", "out"],
        ["intervene", "data/biographies", "--model", "runs/chat", "-o", "out"],
        ["export", "data/biographies", "-o", "out", "--to", "llama-factory", "--prompt", "speechcue_biography"],
        ["biographies", "data/described", "-o", "data/biographies", "--model", "models/chat", "--max-new-tokens", "12"],
    ],
    "emotion": [["export", "data/emotion", "-o", "out", "--to", "llama-factory"]],
    "heard": [["evaluate", "data/heard", "--audio", "data/prepared", "--model", "runs/stage3", "-o", "out"]],
}
RUN_COMMANDS: dict[str, list[Line]] = {
    "chat": [
        ["card", "runs/chat"],
        ["evaluate", "data/biographies", "--model", "runs/chat", "-o", "out"],
        ["predict", "conversations", "--model", "runs/chat"],
        ["publish", "model", "runs/chat", "--repo-id", "tester/model", "--licence", "apache-2.0"],
        ["compare", "runs/chat", "runs/chat"],
    ],
    "encoders/seed-1": [
        ["card", "runs/encoders/seed-1"],
        ["evaluate", "data/described", "--model", "runs/encoders/seed-1", "-o", "out"],
        ["evaluate", "data/described", "--model", "runs/encoders", "-o", "out"],
        ["predict", "conversations", "--model", "runs/encoders/seed-1"],
        ["compare", "runs/encoders/seed-1", "runs/encoders/seed-2"],
        ["ensemble", "runs/encoders/seed-1", "runs/encoders/seed-2", "-o", "out"],
        ["intervene", "data/described", "--model", "runs/encoders/seed-1", "-o", "out"],
    ],
    "encoders": [["card", "runs/encoders"], ["publish", "model", "runs/encoders", "--repo-id", "tester/model"]],
    "stage2": [["card", "runs/stage2"], ["explain", "conversations", "--model", "runs/stage3"]],
    "stage3": [
        ["card", "runs/stage3"],
        ["predict", "conversations", "--model", "runs/stage3"],
        ["explain", "conversations", "--model", "runs/stage3"],
        ["evaluate", "data/heard", "--audio", "data/prepared", "--model", "runs/stage3", "-o", "out"],
    ],
}
COMMANDS = {f"data/{name}": lines for name, lines in DATA_COMMANDS.items()}
COMMANDS |= {f"runs/{name}": lines for name, lines in RUN_COMMANDS.items()}
KINDS = (".json", ".jsonl", ".jinja", ".parquet", ".safetensors")
LEARNT = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")
"""Files of transformers, which reads them itself."""


def ready(folder: Path) -> Attempt:
    """Nothing is to be made: what 0.1.0 wrote is changed."""
    return attempt


def attempt(random: Random, folder: Path) -> Iterator[str]:
    """One file of a dataset folder or a run is changed, and a command reads it."""
    root = frozen_in(folder / "work")
    place = random.choice([*COMMANDS])
    paths = sorted(it for it in (root / place).iterdir() if it.suffix in KINDS and it.name not in LEARNT)
    # Records are what is attacked; rows and weights have checks of their own.
    path = random.choices(paths, [4 if it.suffix in (".json", ".jinja", ".jsonl") else 1 for it in paths])[0]
    data, does = mutate(random, path)
    path.unlink()
    path.write_bytes(data)
    line = random.choice(COMMANDS[place])
    yield f"{place}/{path.name}: {does}; {line[0]}"
    before = os.getcwd()
    os.chdir(root)
    try:
        said = speechcue(*line)
    finally:
        os.chdir(before)
    if "root:x:" in said.text or any("root:x:" in it.read_text(errors="replace") for it in written(root)):
        raise Fault("leak", "/etc/passwd was read")
    if said.code and not said.text.strip():
        raise Fault("traceback", "it failed without a word")


def frozen_in(root: Path) -> Path:
    """A copy of the frozen set, with the links to base models that the release made."""
    shutil.copytree(FROZEN, root, ignore=shutil.ignore_patterns("cards", "expected", "published", "stage1", "killed"))
    (root / "runs" / "chat" / "base_model").symlink_to(root / "models" / "chat")
    (root / "runs" / "stage3" / "base_model").symlink_to(root / "runs" / "stage2")
    return root


def written(root: Path) -> list[Path]:
    folder = root / "out"
    return [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []


def mutate(random: Random, path: Path) -> tuple[bytes, str]:
    data = path.read_bytes()
    if path.suffix == ".json" and random.random() < 0.8:
        if random.random() < 0.1:
            chosen = random.choice(NOT_JSON)
            return chosen, f"is {chosen[:20]!r}"
        return value_changed(random, json.loads(data))
    return mutated(random, data, [cut, bits_flipped, piece_lost, piece_doubled, piece_overwritten])


def value_changed(random: Random, values: Any) -> tuple[bytes, str]:
    """One value, however deep, is gone or another, or there is one more."""
    values = copy.deepcopy(values)
    places = [place for place in nodes(values) if place]
    place = random.choice(places)
    node = values
    for key in place[:-1]:
        node = node[key]
    match random.randrange(6):
        case 0:
            del node[place[-1]]
            does = "gone"
        case 1 if isinstance(node, dict):
            node[random.choice(["x", "", "extends", "template", "auto_map", "format_version"])] = value(random)
            does = "has one more beside it"
        case 2:
            other = values
            for key in random.choice(places):
                other = other[key]
            node[place[-1]] = copy.deepcopy(other)
            does = "is another of the file's values"
        case _:
            node[place[-1]] = value(random)
            does = f"is {str(node[place[-1]])[:30]!r}"
    return json.dumps(values).encode(), f"{'.'.join(map(str, place))} {does}"


def value(random: Random) -> Any:
    if random.random() < 0.4:
        return random.choice(STRINGS).replace("{port}", str(LISTENER.port))
    return random.choice(VALUES)


def nodes(values: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Places of all values in JSON; of long lists and tables the first ones."""
    yield place
    if isinstance(values, dict):
        for key in [*values][:40]:
            yield from nodes(values[key], (*place, key))
    elif isinstance(values, list):
        for index in range(min(3, len(values))):
            yield from nodes(values[index], (*place, index))

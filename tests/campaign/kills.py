"""Kills at random points of every command that writes, each followed by the same command again.

A command runs in a forked process that kills itself just before its n-th change to a file of the case, or at any time.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from random import Random
from typing import Any

import pyarrow.parquet as pq

import speechcue_hf
from speechcue_hf.cli import UNFORESEEN, main
from tests.campaign.fault import Fault
from tests.campaign.records import frozen_in
from tests.campaign.servers import serving
from tests.generation.openai_server import ChatServer

Attempt = Callable[[Random, Path], Iterator[str]]

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "open")
DEADLINE = 150.0
"""Seconds for one command."""
COMMANDS: dict[str, list[str]] = {
    "prepare": ["prepare", "folder", "--data-dir", "conversations", "-o", "out"],
    "measure": ["measure", "data/prepared", "-o", "out"],
    "measure, a shard": ["measure", "data/prepared", "-o", "out", "--shard", "1", "--num-shards", "2"],
    "describe": ["describe", "data/measured", "-o", "out", "--describer", "data/described"],
    "describe, again": ["describe", "data/paper", "-o", "data/described", "--describer", "data/paper"],
    "caption": ["caption", "data/described", "-o", "out"],
    "biographies": [
        "biographies",
        "data/described",
        "-o",
        "out",
        "--model",
        "m",
        "--refresh",
        "2",
        "--server",
        "SERVER",
    ],
    "export": ["export", "data/described", "-o", "out", "--to", "llama-factory"],
    "evaluate": ["evaluate", "data/described", "--model", "runs/encoders/seed-1", "-o", "out"],
    "evaluate, seeds": ["evaluate", "data/described", "--model", "runs/encoders", "-o", "out"],
    "predict": ["predict", "conversations", "--model", "runs/chat", "-o", "out/found.jsonl"],
    "ensemble": ["ensemble", "runs/encoders/seed-1", "runs/encoders/seed-2", "-o", "out"],
    "compare": ["compare", "runs/encoders/seed-1", "runs/encoders/seed-2", "-o", "out/comparison.json"],
    "card": ["card", "runs/chat"],
    "train": ["train", "data/described", "--config", "recipes/encoder.yaml", "-o", "out", "max_steps=2"],
    "train, chat": ["train", "data/biographies", "--config", "recipes/chat.yaml", "-o", "out", "max_steps=2"],
    "recipes": ["recipes", "quickstart", "-o", "out.yaml"],
}
WEIGHTS = [2, 6, 3, 5, 4, 4, 6, 3, 2, 2, 2, 2, 1, 1, 2, 2, 1]


def ready(folder: Path) -> Attempt:
    """Libraries are imported once; no command runs here, so that no thread is lost by forking."""
    import parselmouth  # noqa: F401
    import torch
    import trl  # noqa: F401

    for module in walk_packages(speechcue_hf.__path__, "speechcue_hf."):
        # What an extra brings that is not installed is not killed either.
        with suppress(ImportError):
            import_module(module.name)
    torch.set_num_threads(1)
    folder.mkdir(parents=True)
    frozen(folder / "whole")
    return partial(attempt, folder / "whole", {})


def frozen(folder: Path) -> Path:
    root = frozen_in(folder)
    for path in (root / "recipes").glob("*.yaml"):
        path.write_text(path.read_text(encoding="utf-8").replace("made-elsewhere", "."), encoding="utf-8")
    return root


def attempt(
    whole: Path, known: dict[str, tuple[int, float, dict[str, Any]]], random: Random, folder: Path
) -> Iterator[str]:
    """A command is killed, its results are read, and it is run again."""
    name = random.choices([*COMMANDS], WEIGHTS)[0]
    line = COMMANDS[name]
    # What a command writes without a kill is made by the same process for every case, in a place of the same name.
    if name not in known:
        root = frozen(folder / "work")
        started = time.monotonic()
        code, said, steps = run(root, line)
        if code:
            raise AssertionError(f"{name} does not work without a kill: {said}")
        known[name] = (steps, time.monotonic() - started, content(root))
        shutil.rmtree(root)
    steps, seconds, expected = known[name]
    root = frozen(folder / "work")
    kills = [random.randrange(steps + 1) if random.random() < 0.8 else random.uniform(0, seconds)]
    kills += [random.randrange(steps + 1)] * (random.random() < 0.3)
    for moment in kills:
        yield f"{name}: killed before change {moment}" if isinstance(moment, int) else f"{name}: after {moment:.2f} s"
        code, said, _ = run(root, line, moment)
        if code == UNFORESEEN:
            raise Fault("traceback", f"on what the kill before left: {said}")
    check_read(root, expected)
    code, said, _ = run(root, line)
    if code == UNFORESEEN:
        raise Fault("traceback", said)
    if code and not refusal_is_clear(said):
        # All was done before the kill, if there was one: then there is nothing to go on with.
        yield "refused"
    elif code:
        return
    compare(expected, content(root), line)


def refusal_is_clear(said: str) -> bool:
    return bool(re.search(r"--resume|remove|finish it|another folder|choose|overwrite|resume_from_checkpoint", said))


def run(root: Path, line: list[str], moment: float | None = None) -> tuple[int, str, int]:
    """Run a command in a forked process; its exit code (negative: killed), what it said, and its changes to files."""
    with serving(ChatServer()) if "SERVER" in line else nothing() as server:
        told = root.parent / "said"
        child = os.fork()
        if child == 0:
            _child(root, [server.base_url if part == "SERVER" else part for part in line], moment, told)
        code = _wait(child)
    said, _, steps = told.read_text(errors="replace").rpartition("\n") if code >= 0 else ("", "", "0")
    return code, said, int(steps or 0)


class nothing:
    def __enter__(self) -> Any:
        return None

    def __exit__(self, *error: object) -> None:
        pass


def _child(root: Path, line: list[str], moment: float | None, told: Path) -> None:
    """The forked process: never returns."""
    os.setsid()
    changes, out = 0, io.StringIO()

    def watch(event: str, details: tuple[object, ...]) -> None:
        nonlocal changes
        if event not in CHANGES or (event == "open" and not {"w", "a", "x"} & set(str(details[1]))):
            return
        if any(isinstance(it, str | os.PathLike) and is_ours(root, os.fspath(it)) for it in details[:2]):
            if isinstance(moment, int) and changes == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            changes += 1

    os.chdir(root)
    if isinstance(moment, float):
        threading.Timer(moment, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
    code = UNFORESEEN
    try:
        sys.addaudithook(watch)
        with redirect_stdout(out), redirect_stderr(out):
            code = main(["-v", *line])
    except BaseException as error:
        out.write(f"\n{type(error).__name__}: {error}")
    finally:
        text = out.getvalue()[-4000:]
        count, moment = changes, None
        told.write_text(f"{text}\n{count}", errors="replace")
        os._exit(code)


def is_ours(root: Path, path: str) -> bool:
    return not os.path.isabs(path) or path.startswith(str(root))


def _wait(child: int) -> int:
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise Fault("hang", f"it takes more than {DEADLINE:.0f} s")


# What is there


def content(root: Path) -> dict[str, Any]:
    """Every file of a tree: rows and records as what they say, and of others that they are there."""
    found: dict[str, Any] = {}
    for path in sorted(it for it in root.rglob("*") if it.is_file() and "base_model" not in it.parts):
        name = path.relative_to(root).as_posix()
        if path.suffix == ".parquet":
            found[name] = pq.read_table(path).to_pylist()
        elif path.suffix in (".json", ".jsonl", ".md", ".txt", ".yaml"):
            found[name] = path.read_bytes()
        else:
            found[name] = path.stat().st_size if path.suffix == ".safetensors" else True
    return found


def check_read(root: Path, expected: dict[str, Any]) -> None:
    """A reader takes what is whole, or nothing.

    Raises:
        Fault: If it takes rows that are not those of a whole writing.
    """
    from speechcue_hf.corpora.writing import check_whole, own_files
    from speechcue_hf.errors import SpeechcueError

    for folder in (root / "out", root / "data" / "described"):
        if not folder.is_dir():
            continue
        try:
            check_whole(folder)
            files = [path for paths in own_files(folder).values() for path in paths]
        except SpeechcueError:
            continue
        new, old = dict(expected), content_of_frozen(root)
        states = [
            all(pq.read_table(it).to_pylist() == kind.get(it.relative_to(root).as_posix()) for it in files)
            for kind in (new, old)
        ]
        if files and not any(states):
            raise Fault("lost row", f"{folder.name} is read, although it is not whole: {[it.name for it in files]}")


def content_of_frozen(root: Path) -> dict[str, Any]:
    whole = root.parents[1] / "ready" / "whole"
    return {
        it.relative_to(whole).as_posix(): pq.read_table(it).to_pylist() for it in whole.glob("data/described/*.parquet")
    }


VARYING = re.compile(
    rb'"(runtime|seconds|date|time|epoch|[a-z_]*runtime|[a-z_]*per_second|train_loss|grad_norm)": ?[^,}\n]+'
)


def compare(expected: dict[str, Any], found: dict[str, Any], line: list[str]) -> None:
    """What is there after a kill and the same command again is what it writes without a kill.

    Raises:
        Fault: If files are missing, left over, or say something else.
    """
    missing = sorted(set(expected) - set(found))
    # What a killed process had begun to write stays beside as a hidden file, which nothing reads.
    left = sorted(
        name
        for name in set(found) - set(expected)
        if not name.endswith(".lock") and not Path(name).name.startswith(".")
    )
    differing = [name for name in expected if name in found and said_by(expected[name]) != said_by(found[name])]
    if missing or left or differing:
        raise Fault(
            "lost row", f"{line[0]}: missing {missing[:5]}, left over {left[:5]}, other {sorted(differing)[:5]}"
        )


def said_by(value: Any) -> Any:
    return sorted(VARYING.sub(b"", value).split(b"\n")) if isinstance(value, bytes) else value

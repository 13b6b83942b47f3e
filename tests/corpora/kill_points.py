"""Writes dataset folders and is killed at every single step of it; prints how many steps there were.

    python -m tests.corpora.kill_points FOLDER once|again|shards|together

Each run is a forked process that kills itself (SIGKILL) just before its n-th change to the file system, for n = 0, 1, 2
and so on until it survives. Nothing here imports a library with threads, so that forking is safe and quick.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from speechcue_hf.corpora.writing import check_whole, end_writing, join_writing, own_files, whole_folder
from speechcue_hf.errors import CorpusError

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "open")
SPLITS = ("test", "train", "validation")
COMMAND = "speechcue describe data/measured -o data/described"


def write(folder: Path, words: str, shards: int = 1) -> None:
    with whole_folder(folder, COMMAND, replaces=["corpus.json", "biographies.json"]) as unfinished:
        for name in names(shards):
            (unfinished / name).write_text(words)
        (unfinished / "corpus.json").write_text("{}")


def write_shards(folder: Path, words: str, shard: int | None = None, shards: int = 1) -> None:
    unfinished = join_writing(folder, COMMAND, names(shards))
    for name in names(shards) if shard is None else [f"{it}-0000{shard}-of-0000{shards}.parquet" for it in SPLITS]:
        if not any((place / name).exists() for place in (unfinished, folder)):
            (unfinished / f"{name}.part").write_text(words)
            (unfinished / f"{name}.part").rename(unfinished / name)
    if all(any((place / name).exists() for place in (unfinished, folder)) for name in names(shards)):
        end_writing(folder, names(shards))


def names(shards: int) -> list[str]:
    return [f"{split}-0000{index}-of-0000{shards}.parquet" for split in SPLITS for index in range(shards)]


def forked(action: Callable[[], None], steps: int | None = None) -> int:
    """Start the action in a process that is killed before that step; the process."""
    if child := os.fork():
        return child
    taken = 0

    def count(event: str, details: tuple[object, ...]) -> None:
        nonlocal taken
        if event in CHANGES and not (event == "open" and "w" not in str(details[1])):
            if taken == steps:
                os.kill(os.getpid(), signal.SIGKILL)
            taken += 1

    sys.addaudithook(count)
    action()
    os._exit(0)


def survives(action: Callable[[], None], steps: int | None = None) -> bool:
    _, status = os.waitpid(forked(action, steps), 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the writer failed"
    return not os.WIFSIGNALED(status)


def content(folder: Path) -> dict[str, str]:
    """File → words of what a reader takes; nothing where it takes none."""
    try:
        check_whole(folder)
    except CorpusError as error:
        assert COMMAND in str(error), error
        return {}
    return {path.name: path.read_text() for paths in own_files(folder).values() for path in paths}


def at_every_step(folder: Path, action: Callable[[], None], before: dict[str, str], after: dict[str, str]) -> int:
    """A killed writer leaves what was there, or nothing that is taken; the next one finishes."""
    for steps in range(1000):
        shutil.rmtree(folder, ignore_errors=True)
        if before:
            write(folder, "old", shards=2)
            (folder / "biographies.json").write_text("{}")
            (folder / "mine.txt").write_text("stays")
        done = survives(action, steps)
        found = content(folder)
        assert found in ({}, before, after), (steps, found)
        assert not done or found == after
        assert survives(action) and content(folder) == after, (steps, content(folder))
        left = {path.name for path in folder.iterdir()} - set(after) - {"corpus.json"}
        assert left <= {"mine.txt"} and bool(left) == bool(before), (steps, left)
        if done:
            return steps
    raise AssertionError("it never ends")


def together(folder: Path) -> int:
    """Four jobs start at once, each with a shard, or two with all of it, and the folder appears once, whole."""
    for _ in range(25):
        shutil.rmtree(folder, ignore_errors=True)
        jobs = [forked(lambda shard=shard: write_shards(folder, "new", shard, 4)) for shard in range(4)]
        assert all(os.waitpid(job, 0)[1] == 0 for job in jobs)
        assert content(folder) == dict.fromkeys(sorted(names(4)), "new")
        assert {path.name for path in folder.iterdir()} == set(names(4))
    for _ in range(10):
        shutil.rmtree(folder, ignore_errors=True)
        jobs = [forked(lambda words=words: write(folder, words)) for words in ("one", "two")]
        for job in jobs:
            os.waitpid(job, 0)
        assert content(folder) in [dict.fromkeys(sorted(names(1)), words) for words in ("one", "two")]
        assert {path.name for path in folder.iterdir()} == {*names(1), "corpus.json"}
    return 100


if __name__ == "__main__":
    place, new = Path(sys.argv[1]), dict.fromkeys(names(1), "new")
    old = dict.fromkeys(sorted(names(2)), "old")
    match sys.argv[2]:
        case "once":
            print(at_every_step(place, lambda: write(place, "new"), {}, new))
        case "again":
            print(at_every_step(place, lambda: write(place, "new"), old, new))
        case "shards":
            print(at_every_step(place, lambda: write_shards(place, "new"), {}, new))
        case "together":
            print(together(place))

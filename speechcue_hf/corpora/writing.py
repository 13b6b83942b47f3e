"""How a dataset folder is written: it appears whole, and until then it says which command finishes it.

What is being written lies in ``.unfinished`` inside the folder, where neither this package nor ``load_dataset`` looks
for rows. Once all of it is there, that folder is renamed to ``.publishing`` and its files move to their places; a run
that was killed in between is finished by the next one. A reader takes no folder with ``.publishing``.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from speechcue_hf.errors import CorpusError, RecordError
from speechcue_hf.records import CORPUS_FILE, PREDICTIONS_FILE, CorpusIdentity, find_record, read_json, write_json

logger = logging.getLogger(__name__)

UNFINISHED = ".unfinished"
PUBLISHING = ".publishing"
STATE_FILE = "writing.json"
"""In either: the command that finishes the folder, and the Parquet files that it will have."""
LOCK = ".writing.lock"
PATIENCE = 2.0
"""Seconds until a folder that another run writes is given up; the last moves of a writing take less."""
_OWN_NAME = re.compile(r"(?P<split>[^.].*)-\d{5}-of-\d{5}\.parquet")
_SAVED_TO_DISK = ("dataset_dict.json", "state.json")
"""Of these ``save_to_disk`` writes one, and readers take such a folder for its rows."""


@contextmanager
def whole_folder(folder: Path, command: str | None = None, replaces: Sequence[str] = ()) -> Iterator[Path]:
    """Write a dataset folder that appears only once all of it is written; an error leaves the folder as it was.

    Args:
        folder: The dataset folder; Parquet files of an earlier writing go, other files stay.
        command: The command line that finishes the folder, should this run be killed.
        replaces: Records of an earlier writing that go too, where this one writes none of that name.

    Yields:
        The folder to write into.

    Raises:
        CorpusError: If the folder holds splits or files that would be taken for a part of what is written, or if
            another run is writing it.
    """
    with _alone(folder):
        _finish(folder)
        check_splits_of(folder)
        unfinished = folder / UNFINISHED
        shutil.rmtree(unfinished, ignore_errors=True)
        _begin(folder, {"command": command})
        try:
            yield unfinished
            files = [path.name for path in unfinished.glob("*.parquet")]
            _publish(folder, files, replaces)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def join_writing(folder: Path, command: str, files: Sequence[str]) -> Path:
    """Begin to write a dataset folder, or go on with what a killed run or another job began.

    Args:
        folder: The dataset folder.
        command: The command line that finishes it.
        files: Names of all Parquet files that it will have.

    Returns:
        The folder to write into; :func:`end_writing` ends it once all files are there.

    Raises:
        CorpusError: If other files are being written there.
    """
    unfinished = folder / UNFINISHED
    with _one_at_a_time(folder):
        _finish(folder)
        if not unfinished.is_dir():
            _begin(folder, {"command": command, "files": sorted(files)})
    if _state(unfinished).get("files") != sorted(files):
        raise CorpusError(
            f"{folder} has an unfinished writing of other files in it: {_fix(unfinished)}, or remove {unfinished}"
        )
    return unfinished


def end_writing(
    folder: Path, files: Sequence[str], replaces: Sequence[str] = (), add: Callable[[Path], None] | None = None
) -> None:
    """Let a folder appear whose files are all written. Of several jobs that come to this end one does it.

    Args:
        folder: The dataset folder.
        files: Names of its Parquet files; those of an earlier writing that were kept are in their places.
        replaces: Records of an earlier writing that go, where none of that name is written.
        add: Writes the records into the folder that it is given.

    Raises:
        CorpusError: If the folder holds splits or files that would be taken for a part of what is written.
    """
    with _one_at_a_time(folder):
        if (folder / UNFINISHED).is_dir():
            if add:
                add(folder / UNFINISHED)
            _publish(folder, files, replaces)
        # Whoever waits for it makes another, finds nothing left to do, and removes that as well.
        (folder / LOCK).unlink(missing_ok=True)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Of several jobs one at a time; the system gives the lock back when a job is killed."""
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

    folder.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(folder / LOCK):
        yield


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Of several runs that would write the whole folder one; the others are refused."""
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            held.enter_context(WeakFileLock(folder / LOCK, timeout=PATIENCE))
        except TimeoutError as error:
            raise CorpusError(
                f"{folder} is being written by another run: wait until it has ended, or choose another folder"
            ) from error
        held.callback((folder / LOCK).unlink, missing_ok=True)
        yield


def _begin(folder: Path, state: Mapping[str, Any]) -> None:
    """Make the folder for what is written; it appears with its state in it."""
    for path in folder.glob(f"{UNFINISHED}.*"):
        shutil.rmtree(path, ignore_errors=True)
    begun = folder / f"{UNFINISHED}.{uuid4().hex}"
    write_json(state, begun / STATE_FILE)
    begun.rename(folder / UNFINISHED)


def _publish(folder: Path, files: Sequence[str], replaces: Sequence[str]) -> None:
    """Move what was written to its place, and remove what is not of it: other Parquet files, and records by name."""
    unfinished = folder / UNFINISHED
    check_splits_of(folder, files)
    _tell_of_fewer(folder)
    gone = [name for name in replaces if not (unfinished / name).exists()]
    state = {"command": _state(unfinished).get("command"), "files": sorted(files), "gone": gone}
    write_json(state, unfinished / STATE_FILE)
    unfinished.rename(folder / PUBLISHING)
    _finish(folder)


def _finish(folder: Path) -> None:
    """Bring to its end a move that a killed run had begun: all that it moves is whole."""
    publishing = folder / PUBLISHING
    if _is_begun(publishing):
        state = read_json(publishing / STATE_FILE, f"remove {publishing}, and write the folder again")
        for path in publishing.iterdir():
            # A name with a dot is of a file that a killed run had not written to its end.
            if not path.name.startswith(".") and path.name != STATE_FILE:
                os.replace(path, folder / path.name)
        there = {path.name for paths in own_files(folder).values() for path in paths}
        stale = there - set(state["files"]) if state["files"] else ()
        for name in (*stale, *state["gone"]):
            (folder / name).unlink(missing_ok=True)
        (publishing / STATE_FILE).unlink()
    shutil.rmtree(publishing, ignore_errors=True)


def _is_begun(publishing: Path) -> bool:
    """Whether files are still to be moved; the state goes last."""
    return (publishing / STATE_FILE).is_file()


def check_whole(folder: Path) -> None:
    """Refuse a dataset folder that is not complete; the rows of an earlier writing stay readable while a new one runs.

    Raises:
        CorpusError: If it is not complete; the message names the command that finishes it.
    """
    publishing, unfinished = folder / PUBLISHING, folder / UNFINISHED
    if _is_begun(publishing):
        raise CorpusError(f"{folder} is not complete, its writing was cut: {_fix(publishing)}")
    if unfinished.is_dir():
        if not parquet_in(folder):
            raise CorpusError(f"{folder} is not complete{_missing(unfinished)}: {_fix(unfinished)}")
        logger.warning(
            "%s holds the rows of an earlier writing; a later one is not complete: %s", folder, _fix(unfinished)
        )


def check_splits_of(folder: Path, files: Sequence[str] = ()) -> None:
    """Refuse to write beside other splits or files, which would be taken for a part of the dataset.

    Args:
        folder: The dataset folder.
        files: Names of the Parquet files that are to be written, where they are known yet.

    Raises:
        CorpusError: If the folder holds another split, Parquet of another name, or what ``save_to_disk`` wrote.
    """
    others = [path.name for path in parquet_in(folder) if not own_split(path.name)]
    others += [name for name in _SAVED_TO_DISK if (folder / name).is_file()]
    if others:
        raise CorpusError(
            f"{folder} holds {others[0]}, which is no part of this dataset and would be read with it: "
            "remove it, or choose another folder"
        )
    splits = dict.fromkeys(split for name in files if (split := own_split(name)))
    if splits and (foreign := sorted(set(own_files(folder)) - set(splits))):
        raise CorpusError(
            f"{folder} holds the split {foreign[0]!r} of an earlier writing, which is no part of this dataset "
            f"({', '.join(map(str, splits))}): remove it, or choose another folder"
        )


def own_split(name: str) -> str | None:
    """The split that a file name of our own writing says, such as ``train-00000-of-00001.parquet``; else None."""
    own = _OWN_NAME.fullmatch(name)
    return own["split"] if own else None


def own_files(folder: Path) -> dict[str, list[Path]]:
    """Split name → its files of our own writing, by name."""
    files: dict[str, list[Path]] = {}
    for path in parquet_in(folder):
        if split := own_split(path.name):
            files.setdefault(split, []).append(path)
    return files


def parquet_in(folder: Path) -> list[Path]:
    """Parquet of rows in a folder, by name; predictions, which may lie beside rows, are none."""
    return sorted(path for path in folder.glob("*.parquet") if path.name[0] != "." and path.name != PREDICTIONS_FILE)


def _missing(unfinished: Path) -> str:
    """Which files are still to be written, where that is known."""
    expected = _state(unfinished).get("files") or []
    missing = [name for name in expected if not (unfinished / name).exists()]
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return f" ({', '.join(missing[:3])}{more} missing)" if missing else ""


def _fix(place: Path) -> str:
    """How the folder is finished. A file that came with it may say anything: only a command of ours is passed on."""
    command = _state(place).get("command")
    ours = isinstance(command, str) and command.startswith("speechcue ") and command.isprintable()
    return f"finish it with `{command}`" if ours else "write it again"


def _state(place: Path) -> dict[str, Any]:
    try:
        return read_json(place / STATE_FILE, "")
    except (OSError, RecordError):
        return {}


def _tell_of_fewer(folder: Path) -> None:
    """Say aloud where a record that is about to be replaced counts more rows of the same corpus."""
    with suppress(RecordError):
        before, now = (find_record(CorpusIdentity, place) for place in (folder, folder / UNFINISHED))
        if before is None or now is None or (before.corpus, before.config) != (now.corpus, now.config):
            return
        for split, count in before.utterances.items():
            if (written := now.utterances.get(split, 0)) < count:
                logger.warning(
                    "%s counted %d rows of split %s in %s, this writing has %d",
                    folder,
                    count,
                    split,
                    CORPUS_FILE,
                    written,
                )

"""Runs commands in this process, and tells errors of the package from those that nobody foresaw."""

from __future__ import annotations

import io
import logging
import re
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

from speechcue_hf.cli import UNFORESEEN, main
from speechcue_hf.errors import SpeechcueError
from tests.campaign.fault import Fault

NAMES_A_FILE = re.compile(r"[\w/-]\.(json|jsonl|parquet|safetensors|csv|jinja)\b")
PACKAGE = str(Path(__file__).parents[2] / "speechcue_hf")


class Said(NamedTuple):
    code: int
    text: str


class _LastError(logging.Handler):
    """Keeps the error that a command logs as it ends."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.name == "root":
            self.error = record.exc_info[1]


def speechcue(*arguments: object) -> Said:
    """Run a command.

    Raises:
        Fault: If it ends in an error that nobody foresaw: exit code 3, or an error of a library that was passed on as
            it was, which names no file, place and fix.
    """
    line = ["-v", *map(str, arguments)]
    out, kept = io.StringIO(), _LastError()
    logging.getLogger().addHandler(kept)
    try:
        with redirect_stdout(out), redirect_stderr(out):
            code = main(line)
    except SystemExit as error:
        raise AssertionError(f"the campaign calls a command wrongly: {line}: {out.getvalue()}") from error
    finally:
        logging.getLogger().removeHandler(kept)
    if code == UNFORESEEN or (code and kept.error is not None and passed_on(kept.error)):
        assert kept.error is not None
        told = "".join(traceback.format_exception(kept.error)[-12:])
        raise Fault("traceback", f"speechcue {' '.join(line)}\n{told}")
    return Said(code, out.getvalue())


def expect(*arguments: object) -> Said:
    """Run a command that must succeed: nothing that it is given keeps it from its work as a whole.

    Raises:
        Fault: As of :func:`speechcue`, or if it fails.
    """
    said = speechcue(*arguments)
    if said.code:
        raise Fault("lost row", f"speechcue {' '.join(map(str, arguments))} failed as a whole:\n{said.text[-2000:]}")
    return said


def passed_on(error: BaseException) -> bool:
    """Whether a library's error reached the command's edge in its own words."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, SpeechcueError):
            return False
        cause = cause.__cause__
    # An error of the system names the file itself, and so do most of transformers.
    if isinstance(error, OSError) and (error.filename is not None or NAMES_A_FILE.search(str(error))):
        return False
    frames = traceback.extract_tb(error.__traceback__)
    return not (frames and frames[-1].filename.startswith(PACKAGE))

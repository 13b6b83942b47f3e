"""The last look at what goes out: no token, no user name and no path of this machine in any file."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from speechcue_hf.errors import PublishingError

_TOKEN = re.compile(rb"\b(?:hf_[A-Za-z0-9]{30,}|sk-[A-Za-z0-9_-]{20,}|ghp_[A-Za-z0-9]{30,}|AKIA[A-Z0-9]{16})\b")
_HOME = re.compile(rb"(?:/home/|/Users/|[A-Z]:\\\\?Users\\\\?)[\w.-]+")
_SHORTEST_NAME = 5
"""Of a user name that is looked for; ``root`` or ``ann`` stand in ordinary text."""

_BINARY = frozenset({".safetensors", ".png", ".ogg", ".wav", ".flac"})
_ROWS_AT_A_TIME = 1024


def check_files(files: Sequence[Path], folders: Sequence[Path] = ()) -> None:
    """Refuse files that tell of this machine or of its user.

    Args:
        files: What is to be uploaded; Parquet is read row by row, model weights and media are not text and pass.
        folders: Folders of this machine whose path must not appear, beside home and the working folder.

    Raises:
        PublishingError: If a file holds a token, the user's name or a local path; it names the file and what was found,
            but never shows a token.
    """
    patterns = [("a path of this machine", _HOME), *_local(folders)]
    for path in files:
        for text in _texts(path):
            if _TOKEN.search(text):
                raise PublishingError(f"{path.name} holds an access token: revoke it, and take it out of the file")
            for what, pattern in patterns:
                if found := pattern.search(text):
                    raise PublishingError(
                        f"{path.name} holds {what} ({found[0].decode(errors='replace')!r}): take it out, "
                        "or make the file again with the command that wrote it"
                    )


def _local(folders: Sequence[Path]) -> Iterator[tuple[str, re.Pattern[bytes]]]:
    """What is looked for on this machine in particular."""
    for folder in {Path.home(), Path.cwd(), *(path.absolute() for path in folders)}:
        if len(folder.parts) > 1:
            yield "a path of this machine", re.compile(re.escape(str(folder).encode()) + rb"(?![\w.-])")
    user = getpass.getuser()
    if len(user) >= _SHORTEST_NAME:
        yield "the name of this machine's user", re.compile(rb"\b" + re.escape(user.encode()) + rb"\b")


def _texts(path: Path) -> Iterator[bytes]:
    """What a file says, a Parquet file in its metadata and in every string; clips are not text."""
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            yield b"\n".join((file.schema_arrow.metadata or {}).values())
            for batch in file.iter_batches(_ROWS_AT_A_TIME):
                for column in batch.columns:
                    yield from _strings(column)
    elif path.suffix not in _BINARY:
        yield path.read_bytes()


def _strings(column: pa.Array) -> Iterator[bytes]:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield "\n".join(text for text in column.to_pylist() if text is not None).encode()
    elif pa.types.is_struct(kind):
        for field in column.flatten():
            yield from _strings(field)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _strings(column.flatten())

"""All that a file, a table or a value says as text, for whoever searches it, whatever its type and place."""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import json
import re
import struct
import unicodedata
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from speechcue_hf.errors import PublishingError

Texts = Iterator[tuple[str, str]]
"""Where it stands, and what it says."""

ROWS_AT_A_TIME = 1024
_PNG = b"\x89PNG\r\n\x1a\n"
_EDGE = 4096
"""Bytes of either end of a clip or of other data, where formats keep names and comments."""

_LAYERS = 8
"""Times that a text is unescaped, or decoded: JSON in JSON in JSON."""

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|\\([\"'/\\nrtbf])")
_BLANKS = dict.fromkeys("nrtbf", " ")
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_RUN = re.compile(r"[\x20-\x7e]{8,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")


def texts_of_file(path: Path) -> Texts:
    """What a file says: a Parquet file in its rows, names and metadata, a picture and weights in their metadata.

    Raises:
        PublishingError: If it is not what its name says.
    """
    if path.suffix == ".parquet":
        yield from _texts_of_parquet(path)
    elif path.suffix == ".safetensors":
        yield "metadata", _header_of_weights(path)
    elif path.suffix == ".png":
        yield "metadata", "\n".join(_texts_of_png(path))
    else:
        yield "", as_text(path.read_bytes())


def read_table(path: Path) -> pa.Table:
    """Read a Parquet file.

    Raises:
        PublishingError: If it is none, or only a part of one.
    """
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise PublishingError(f"{path.name} is no whole Parquet file ({error}): make it again") from error


def texts_of_table(table: pa.Table) -> Texts:
    """What the rows of a table say, column by column, whatever the type of the column."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        for part in column.chunks:
            if text := "\n".join(_strings(part)):
                yield f"column {name}", text


def as_text(data: bytes) -> str:
    """Bytes as text: zeros part fields, or stand between the Latin letters of UTF-16 and UTF-32, which follow then."""
    text = data.replace(b"\0", b"\n").decode("utf-8", errors="replace")
    together = data.replace(b"\0", b"").decode("utf-8", errors="replace")
    return f"{text}\n{together}" if b"\0" in data else text


def readings(text: str) -> list[str]:
    r"""A text as it stands, and as whoever unescapes, decodes or normalises it reads it.

    Example:
        >>> readings(r"hf\u005fabc")[-1]
        'hf_abc'
    """
    found = _unescapings(text)
    for _ in range(_LAYERS):
        if not (hidden := "\n".join(_decoded(found[-1]))):
            break
        found += _unescapings(hidden)
    return found


def _unescapings(text: str) -> list[str]:
    """A text as it stands, and after each layer of escapes that is taken from it."""
    found = [text]
    for _ in range(_LAYERS):
        plain = _ESCAPE.sub(_unescaped, found[-1]) if "\\" in found[-1] else found[-1]
        plain = unquote(plain) if "%" in plain else plain
        plain = html.unescape(plain) if "&" in plain else plain
        if "\0" in plain:
            # UTF-16 that was read as Latin letters begins with its mark, which would be taken for a part of a word.
            plain = plain.replace("\0", "").replace("ÿþ", "\n").replace("þÿ", "\n")
        plain = plain if plain.isascii() else _UNSEEN.sub("", unicodedata.normalize("NFKC", plain))
        if plain == found[-1]:
            break
        found.append(plain)
    return found


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else _BLANKS.get(match[3], match[3])


def _decoded(text: str) -> Iterator[str]:
    """What is written in base64."""
    for match in _BASE64.finditer(text):
        run = match[0].rstrip("=").replace("-", "+").replace("_", "/")
        try:
            data = base64.b64decode(run + "=" * (-len(run) % 4), validate=True)
        except binascii.Error:
            continue
        marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        said = data.decode("utf-16", errors="replace") if marked else as_text(data)
        if "\ufffd" not in said and "".join(_UNSEEN.sub("", said).split()).isprintable():
            yield said


def _texts_of_parquet(path: Path) -> Texts:
    try:
        with pq.ParquetFile(path) as file:
            yield "metadata", "\n".join(_texts_of_schema(file.schema_arrow))
            for batch in file.iter_batches(ROWS_AT_A_TIME):
                yield from texts_of_table(pa.Table.from_batches([batch]))
    except (pa.ArrowException, OSError) as error:
        raise PublishingError(f"{path.name} is no whole Parquet file ({error}): make it again") from error


def _texts_of_schema(schema: Any) -> Iterator[str]:
    """Names of columns and of what lies in them, and everybody's metadata."""
    for key, value in (schema.metadata or {}).items():
        yield f"{as_text(key)}: {as_text(value)}"
    yield from (str(field) for field in schema)
    yield from (as_text(value) for field in schema for pair in (field.metadata or {}).items() for value in pair)


def _strings(array: Any) -> Iterator[str]:
    """All texts in an array; data that is none is read at its ends."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        yield from _strings(array.storage)
    elif pa.types.is_dictionary(kind):
        yield from _strings(array.dictionary)
    elif pa.types.is_run_end_encoded(kind):
        yield from _strings(array.values)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        yield from (text for text in array.to_pylist() if text)
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        for start, stop in ((0, _EDGE), (-_EDGE, None)):
            yield from (run for data in pc.binary_slice(array, start, stop).to_pylist() for run in _runs(data))
    elif pa.types.is_fixed_size_binary(kind) or pa.types.is_binary_view(kind):
        ends = (data and data[:_EDGE] + data[-_EDGE:] for data in array.to_pylist())
        yield from (run for data in ends for run in _runs(data))
    elif pa.types.is_struct(kind):
        for field in array.flatten():
            yield from _strings(field)
    elif pa.types.is_map(kind):
        yield from _strings(array.keys)
        yield from _strings(array.items)
    elif pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind) or hasattr(array, "flatten"):
        inner = array.flatten()
        if inner is not array and inner.type != kind:
            yield from _strings(inner)


def _runs(data: bytes | None) -> list[str]:
    """What can be read among bytes, or all of them where they are a text."""
    if not data:
        return []
    text = as_text(data)
    return [text] if text.isprintable() else _RUN.findall(text)


def _header_of_weights(path: Path) -> str:
    """The header of a safetensors file: names of tensors, and metadata."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = file.read(length if length < path.stat().st_size else 0).decode("utf-8")
        json.loads(header)
    except (struct.error, ValueError, RecursionError) as error:
        raise PublishingError(
            f"{path.name} is no file of weights in safetensors ({error}): save the model again with "
            "model.save_pretrained(folder)"
        ) from error
    return header


def _texts_of_png(path: Path) -> Iterator[str]:
    """What a picture holds beside its pixels: comments, compressed ones too, and whatever follows its end."""
    data = path.read_bytes()
    if not data.startswith(_PNG):
        raise PublishingError(f"{path.name} is no PNG picture: draw it again with the command that drew it")
    place = len(_PNG)
    while place + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        if kind not in (b"IDAT", b"PLTE"):
            yield from _texts_of_chunk(kind, data[place + 8 : place + 8 + length])
        place += length + 12
        if kind == b"IEND":
            break
    yield as_text(data[place:])


def _texts_of_chunk(kind: bytes, chunk: bytes) -> Iterator[str]:
    yield as_text(kind + b" " + chunk)
    for start in (place + 1 for place, byte in enumerate(chunk[:200]) if byte == 0):
        # The keyword ends in a zero; the method of compression, of which there is one, is another.
        try:
            yield as_text(zlib.decompressobj().decompress(chunk[start:].lstrip(b"\0\1"), 1 << 20))
        except zlib.error:
            continue

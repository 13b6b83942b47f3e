"""Whether a file is shorter than it says itself: a download, a copy or a recording that was broken off."""

from __future__ import annotations

import io
import struct
from typing import IO

_COUNTING_ERROR = 44
"""In bytes: some recorders count their header (of a wav 36 or 44 bytes) as sound."""
_MOST_CHUNKS = 1000
_MOST_BOXES = 100_000
"""Of an mp4: one in fragments has two for each."""
_FIRST_BOXES = (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"wide", b"free", b"skip")
_UNKNOWN_LENGTH = 0x7FFF0000
"""Lengths from here on are what a stream writes that cannot know its length; so is 0."""
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_LARGEST_HEADER = 2**16
"""In bytes, of asf: as far as its properties are looked for."""
_LARGEST_PAGE = 65307
"""In bytes, of Ogg."""
_LAST_PAGE = 4
"""Flag of the page that ends an Ogg stream."""


def ends_early(file: IO[bytes]) -> bool:
    r"""Whether the end of the sound is missing, by what the container says of its own length.

    RIFF (wav, avi) and FORM (aiff) say how long their sound is, mp4 and mov how long each of their boxes, tta how long
    each of its frames, asf (wma) how long the file is, and Ogg marks its last page. Of the others only a decoder knows;
    they count as whole here. So does an mp4 in fragments that ends with one, where nothing says that another follows.

    Args:
        file: Any file, open for reading; it is rewound.

    Example:
        >>> ends_early(io.BytesIO(b"RIFF\x2c\x10\0\0WAVEdata\0\x10\0\0" + bytes(2048)))
        True
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] in (b"RIFF", b"FORM"):
        early = _sound_is_cut(file, size, "<4sI" if head[:4] == b"RIFF" else ">4sI")
    elif head[4:8] in _FIRST_BOXES:
        early = _box_is_cut(file, size)
    elif head[:4] == b"0&\xb2u":
        early = _asf_is_cut(file, size)
    elif head[:4] == b"TTA1":
        early = _frame_is_cut(file, size)
    else:
        early = head[:4] == b"OggS" and not _has_last_page(file, size)
    file.seek(0)
    return early


def tells_its_length(file: IO[bytes]) -> bool:
    """Whether an mp3 says how many frames it has; else its length is guessed from its first frame. Rewinds the file."""
    file.seek(0)
    head = file.read(10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:
        # Seven bits in each byte.
        start = 10 + sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    file.seek(start)
    frame = file.read(4096)
    file.seek(0)
    return any(tag in frame for tag in (b"Xing", b"Info", b"VBRI"))


def ogg_positions(file: IO[bytes]) -> tuple[int, int, int | None]:
    """With how many samples the first page with sound ends by what it says, and the last; zeros where it is no Ogg.

    The third number is the rate of these samples where it is not that of the sound: Opus counts at 48 kHz.

    libsndfile passes over a page that is damaged in silence, and takes a file for shorter than it is. Rewinds the file.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(_LARGEST_PAGE)
    file.seek(max(0, size - _LARGEST_PAGE))
    first, last = (_positions(pages) if head[:4] == b"OggS" else [] for pages in (head, file.read()))
    file.seek(0)
    rate = 48_000 if b"OpusHead" in head else None
    return (first[0], last[-1], rate) if first and last else (0, 0, rate)


def _positions(pages: bytes) -> list[int]:
    """What pages say of how many samples end with them, those of headers left out; a damaged one may be among them."""
    found = []
    place = pages.find(b"OggS")
    while place >= 0 and len(pages) >= place + 14:
        (position,) = struct.unpack_from("<q", pages, place + 6)
        if position > 0:
            found.append(position)
        place = pages.find(b"OggS", place + 4)
    return found


def _sound_is_cut(file: IO[bytes], size: int, layout: str) -> bool:
    """Whether the chunk with the sound claims more bytes than the file has."""
    place = 12
    for _ in range(_MOST_CHUNKS):
        if place + 8 > size:
            break
        file.seek(place)
        name, length = struct.unpack(layout, file.read(8))
        if name in (b"data", b"SSND") or (name == b"LIST" and file.read(4) == b"movi"):
            return bool(length < _UNKNOWN_LENGTH and place + 8 + length > size + _COUNTING_ERROR)
        # Chunks begin at even places.
        place += 8 + length + length % 2
    return place > size


def _box_is_cut(file: IO[bytes], size: int) -> bool:
    """Whether a box of an mp4 claims more bytes than are left; the last one may go on to the end, whatever that is."""
    place = 0
    for _ in range(_MOST_BOXES):
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            return bool(head)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        # What is no box is no end of one either: some programs leave zeros behind the last.
        if length < 8 or not head[4:8].isascii():
            return False
        place += length
        if place >= size:
            return place > size
    return False


def _asf_is_cut(file: IO[bytes], size: int) -> bool:
    """Whether an asf is shorter than the file that its properties tell of; those of a broadcast know no length."""
    file.seek(0)
    head = file.read(_LARGEST_HEADER)
    place = head.find(_ASF_PROPERTIES)
    if place < 0 or len(head) < place + 92:
        return False
    (claimed,) = struct.unpack_from("<Q", head, place + 40)
    (flags,) = struct.unpack_from("<I", head, place + 88)
    return bool(claimed > size and not flags & 1)


def _frame_is_cut(file: IO[bytes], size: int) -> bool:
    """Whether a tta is shorter than its frames, whose lengths follow its header."""
    file.seek(10)
    rate, samples = struct.unpack("<II", file.read(8).ljust(8, b"\0"))
    # 256 / 245 s of sound each.
    count = -(-samples // max(1, 256 * rate // 245))
    start = 22 + 4 * count + 4
    if start > size:
        return True
    file.seek(22)
    return bool(start + sum(struct.unpack(f"<{count}I", file.read(4 * count))) > size)


def _has_last_page(file: IO[bytes], size: int) -> bool:
    """Whether the last page of an Ogg file is whole and marked as the last."""
    file.seek(max(0, size - _LARGEST_PAGE))
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return False
    whole = 27 + page[26] + sum(page[27 : 27 + page[26]])
    return len(page) >= whole and bool(page[5] & _LAST_PAGE)

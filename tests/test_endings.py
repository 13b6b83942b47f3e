import io
import struct

import pytest

from speechcue_hf.endings import ends_early, tells_its_length


def riff(claimed, held, before=b""):
    sound = b"data" + struct.pack("<I", claimed) + bytes(held)
    return b"RIFF" + struct.pack("<I", 4 + len(before) + len(sound)) + b"WAVE" + before + sound


def box(name, held):
    return struct.pack(">I4s", 8 + held, name) + bytes(held)


def tta(frames, held):
    """A header for sound at 245 Hz, of which a frame has 256 samples, and frames of 100 bytes."""
    head = b"TTA1" + struct.pack("<HHHII", 1, 1, 16, 245, min(256 * frames, 2**32 - 1)) + bytes(4)
    return head + struct.pack("<I", 100) * min(frames, 9) + bytes(4) + bytes(held)


@pytest.mark.parametrize(
    ("content", "early"),
    [
        (riff(1000, 1000), False),
        (riff(1000, 500), True),
        # Recorders that count their header as sound.
        (riff(1044, 1000), False),
        # Streams, which cannot know their length.
        (riff(0, 1000), False),
        (riff(0xFFFFFFFF, 1000), False),
        (riff(0x7FFFF000, 1000), False),
        (riff(1000, 500, b"LIST" + struct.pack("<I", 4) + b"INFO"), True),
        (riff(1000, 1000, b"junk" + struct.pack("<I", 3) + bytes(4)), False),
        # A chunk before the sound that never ends.
        (b"RIFF\x00\x10\x00\x00WAVELIST" + struct.pack("<I", 5000) + bytes(100), True),
        (b"FORM\x00\x00\x10\x00AIFFSSND" + struct.pack(">I", 1000) + bytes(500), True),
        (b"FORM\x00\x00\x10\x00AIFFSSND" + struct.pack(">I", 500) + bytes(500), False),
        (box(b"ftyp", 8) + box(b"moov", 100) + box(b"mdat", 500), False),
        ((box(b"ftyp", 8) + box(b"moov", 100) + box(b"mdat", 500))[:-1], True),
        ((box(b"ftyp", 8) + box(b"moov", 100) + box(b"mdat", 500))[:130], True),
        # To the end, whatever that is; and a length of 64 bits.
        (box(b"ftyp", 8) + struct.pack(">I4s", 0, b"mdat") + bytes(100), False),
        (box(b"ftyp", 8) + struct.pack(">I4sQ", 1, b"mdat", 116) + bytes(100), False),
        (box(b"ftyp", 8) + struct.pack(">I4sQ", 1, b"mdat", 117) + bytes(100), True),
        # Zeros behind the last.
        (box(b"ftyp", 8) + box(b"mdat", 8) + bytes(100), False),
        (tta(3, 300), False),
        (tta(3, 300)[:-1], True),
        (tta(3, 300)[:25], True),
        (tta(2**31, 0), True),
        (b"OggS", True),
        (b"", False),
        (b"anything else", False),
    ],
)
def test_what_a_container_says_of_its_length(content, early):
    file = io.BytesIO(content)
    assert ends_early(file) is early
    assert file.tell() == 0


def test_a_file_of_empty_chunks_is_given_up_soon():
    class Counting(io.BytesIO):
        reads = 0

        def read(self, *size):
            self.reads += 1
            return super().read(*size)

    file = Counting(b"RIFF\0\0\0\0WAVE" + bytes(10**6))
    assert not ends_early(file)
    assert file.reads < 2000


def test_an_mp3_tells_its_length_behind_its_tags():
    frame = b"\xff\xfb\x90\x00" + bytes(32) + b"Xing" + bytes(400)
    tag = b"ID3\x03\x00\x00" + bytes([0, 0, 2, 0]) + bytes(256)
    for content, tells in ((frame, True), (tag + frame, True), (frame.replace(b"Xing", b"none"), False)):
        assert tells_its_length(io.BytesIO(content)) is tells

"""Changes of bytes that suit any file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

Change = Callable[[Random, bytes], bytes]


def mutated(random: Random, data: bytes, changes: Sequence[Change]) -> tuple[bytes, str]:
    """The data after one change or two, and what they were."""
    chosen = random.choices(changes, k=random.choice([1, 1, 1, 2]))
    for change in chosen:
        if data:
            data = change(random, data)
    return data, ", ".join(change.__name__.replace("_", " ") for change in chosen)


def cut(random: Random, data: bytes) -> bytes:
    return data[: random.randrange(len(data))]


def bits_flipped(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice([1, 2, 5, 20, 200])):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def piece_lost(random: Random, data: bytes) -> bytes:
    start, end = piece(random, data)
    return data[:start] + data[end:]


def piece_doubled(random: Random, data: bytes) -> bytes:
    start, end = piece(random, data)
    return data[:end] + data[start:end] * random.choice([1, 1, 10]) + data[end:]


def piece_overwritten(random: Random, data: bytes) -> bytes:
    start, end = piece(random, data)
    filled = random.choice([b"\0", b"\xff", b"x", None])
    return data[:start] + (random.randbytes(end - start) if filled is None else filled * (end - start)) + data[end:]


def piece(random: Random, data: bytes) -> tuple[int, int]:
    """Beginning and end of a part, most often a small one."""
    start = random.randrange(len(data))
    return start, min(len(data), start + random.choice([1, 4, 16, 100, 1000, len(data)]))

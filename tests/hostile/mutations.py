"""Good videos made bad, the same way for the same seed and number.

A mutant is one good file with one kind of damage: bits flipped, bytes zeroed, cut, doubled, swapped,
headers and tables of the container damaged, known fields set to absurd values, two files joined, or
the name of another format.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HEAD = 4096
ABSURD = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
ENDINGS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".flv", ".gif", ".ogv", ".3gp", ".ts", ".jpg", ".m3u8", ".txt", "")


@dataclass(frozen=True, slots=True)
class Good:
    """A good video.

    Attributes:
        weight: how often it is taken; what is large or long is taken rarely.
    """

    path: Path
    data: bytes
    weight: float


@dataclass(frozen=True, slots=True)
class Mutant:
    """A file that was good; `number` and the seed make it again."""

    number: int
    source: str
    kind: str
    ending: str
    data: bytes

    @property
    def name(self) -> str:
        """A file name of its own."""
        return f"{self.number:05d}-{self.kind}{self.ending}"


@dataclass(frozen=True, slots=True)
class Field:
    """A number of a container.

    Attributes:
        mark: bytes that it lies behind.
        at: bytes from the mark's begin to the number's.
        size: bytes of the number, big-endian unless `little`.
    """

    mark: bytes
    at: int
    size: int = 4
    little: bool = False


FIELDS = (
    # ISO base media: sizes of boxes, then numbers in them
    *(Field(mark, -4) for mark in (b"ftyp", b"moov", b"trak", b"mdia", b"stbl", b"mdat", b"stsd", b"stsz", b"moof")),
    *(Field(b"mvhd", at) for at in (16, 20)),
    *(Field(b"mdhd", at) for at in (16, 20)),
    *(Field(b"tkhd", at) for at in (16, 24, 40, 44, 60, 80, 84)),
    *(Field(b"stts", at) for at in (8, 12, 16)),
    *(Field(b"ctts", at) for at in (8, 12, 16)),
    *(Field(b"stsz", at) for at in (8, 12, 16, 20)),
    *(Field(b"stsc", at) for at in (8, 12, 16)),
    *(Field(b"stco", at) for at in (8, 12, 16)),
    *(Field(b"elst", at) for at in (8, 12, 16, 20)),
    *(Field(entry, at, 2) for entry in (b"avc1", b"hvc1", b"hev1", b"av01", b"mp4v") for at in (28, 30)),
    *(Field(mark, at, 1) for mark in (b"avcC", b"hvcC", b"av1C", b"esds") for at in (4, 5, 8, 9, 12, 25)),
    # Matroska: element, its length, then its value
    *(Field(mark, 1, 1) for mark in (b"\xb0", b"\xba")),
    *(Field(mark, 2, 2) for mark in (b"\xb0", b"\xba")),
    Field(b"\x2a\xd7\xb1", 4, 3),
    Field(b"\x44\x89", 3, 4),
    Field(b"\x23\xe3\x83", 4, 4),
    Field(b"\x63\xa2", 2, 1),
    *(Field(mark, 4) for mark in (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b")),
    Field(b"\x1f\x43\xb6\x75", 4),
    *(Field(b"\xa3", at, 1) for at in (1, 2, 3, 4, 5)),
    # AVI, GIF, FLV, Ogg
    *(Field(b"avih", at, little=True) for at in (4, 8, 24, 28, 40, 44)),
    *(Field(b"strh", at, little=True) for at in (28, 32, 40, 44)),
    *(Field(b"strf", at, little=True) for at in (4, 8, 12, 16)),
    *(Field(b"GIF8", at, 2, little=True) for at in (6, 8)),
    *(Field(b"\x00\x2c", at, 2, little=True) for at in (2, 4, 6, 8)),
    *(Field(b"FLV", at, 1) for at in (4, 8)),
    *(Field(b"\x09\x00", at, 3) for at in (1, 4)),
    *(Field(b"OggS", at, little=True) for at in (6, 10, 14, 18, 26)),
    *(Field(b"\x80theora", at, 2) for at in (10, 12)),
)  # fmt: skip


def goods(folder: Path, budget: int = 60_000) -> list[Good]:
    """The videos below `folder`; a file of `budget` bytes or less has weight 1, a larger one less by its size."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        found.append(Good(path.relative_to(folder), data, min(1.0, (budget / len(data)) ** 0.5)))
    return found


def mutant(seed: int, number: int, videos: Sequence[Good]) -> Mutant:
    """The `number`-th mutant of a seed."""
    chance = random.Random(f"{seed}/{number}")
    (video,) = chance.choices(videos, [v.weight for v in videos])
    kind = chance.choice(list(KINDS))
    ending = video.path.suffix
    if kind == "renamed":
        ending = chance.choice([e for e in ENDINGS if e != ending])
    other = chance.choice(videos).data
    return Mutant(number, str(video.path), kind, ending, KINDS[kind](chance, bytearray(video.data), other))


def _bursts(chance: random.Random, data: bytearray, _: bytes) -> bytes:
    for _burst in range(chance.randint(1, 20)):
        _flip(chance, data, 0, len(data), chance.randint(1, 64))
    return bytes(data)


def _bits(chance: random.Random, data: bytearray, _: bytes) -> bytes:
    for _bit in range(chance.randint(1, 50)):
        _flip(chance, data, 0, len(data), 1)
    return bytes(data)


def _truncated(chance: random.Random, data: bytearray, _: bytes) -> bytes:
    low, high = chance.choice([(0, 64), (0, HEAD), (0, len(data)), (len(data) // 2, len(data)), (-64, len(data))])
    return bytes(data[: chance.randint(max(0, low if low >= 0 else len(data) + low), min(high, len(data)))])


def _zeroed(chance: random.Random, data: bytearray, _: bytes) -> bytes:
    for _range in range(chance.randint(1, 4)):
        at, size = _range_of(chance, data, 10)
        data[at : at + size] = bytes(size)
    return bytes(data)


def _doubled(chance: random.Random, data: bytearray, _: bytes) -> bytes:
    at, size = _range_of(chance, data, 4)
    to = chance.choice([at + size, chance.randrange(len(data) + 1)])
    return bytes(data[:to]) + bytes(data[at : at + size]) + bytes(data[to:])


def _removed(chance: random.Random, data: bytearray, _: bytes) -> bytes:
    for _range in range(chance.randint(1, 3)):
        at, size = _range_of(chance, data, 10)
        del data[at : at + size]
    return bytes(data)


def _swapped(chance: random.Random, data: bytearray, _: bytes) -> bytes:
    first, size = _range_of(chance, data, 10)
    second = chance.randrange(len(data) - size + 1)
    one, other = bytes(data[first : first + size]), bytes(data[second : second + size])
    data[first : first + size] = other
    data[second : second + size] = one
    return bytes(data)


def _head(chance: random.Random, data: bytearray, _: bytes) -> bytes:
    for _burst in range(chance.randint(1, 8)):
        _flip(chance, data, 0, min(HEAD, len(data)), chance.randint(1, 8))
    return bytes(data)


def _tables(chance: random.Random, data: bytearray, _: bytes) -> bytes:
    """Damage in what describes the rest: `moov`, the EBML head and tracks, or the file's head."""
    moov = data.find(b"moov")
    begin = moov if moov >= 0 else 0
    end = begin + (int.from_bytes(data[moov - 4 : moov], "big") if moov >= 4 else HEAD)
    for _burst in range(chance.randint(1, 12)):
        _flip(chance, data, begin, min(end, len(data)), chance.randint(1, 4))
    return bytes(data)


def _fields(chance: random.Random, data: bytearray, _: bytes) -> bytes:
    there = [field for field in FIELDS if field.mark in data]
    for field in chance.sample(there, min(len(there), chance.randint(1, 3))):
        places = _places(data, field.mark)
        at = chance.choice(places[:8]) + field.at
        value = chance.choice([*ABSURD, chance.getrandbits(32)]) & (256**field.size - 1)
        if 0 <= at <= len(data) - field.size:
            data[at : at + field.size] = value.to_bytes(field.size, "little" if field.little else "big")
    return bytes(data)


def _joined(chance: random.Random, data: bytearray, other: bytes) -> bytes:
    at = chance.choice([len(data), chance.randrange(len(data) + 1)])
    return bytes(data[:at]) + other[: 512 * 1024] + bytes(data[at:])


def _renamed(chance: random.Random, data: bytearray, _: bytes) -> bytes:
    if chance.random() < 0.5:
        _flip(chance, data, 0, min(HEAD, len(data)), 4)
    return bytes(data)


def _floats(chance: random.Random, data: bytearray, _: bytes) -> bytes:
    """Not-a-numbers and infinities where a container may have floating point: Matroska's and FLV's durations."""
    marks = [mark for mark in (b"\x44\x89\x88", b"\x44\x89\x84", b"duration\x00", b"framerate\x00") if mark in data]
    for mark in marks:
        value = chance.choice([float("nan"), float("inf"), -1.0, 1e308, 1e-308])
        at = data.find(mark) + len(mark)
        packed = struct.pack(">f", min(value, 3e38)) if mark.endswith(b"\x84") else struct.pack(">d", value)
        data[at : at + len(packed)] = packed
    if not marks:
        return _fields(chance, data, b"")
    return bytes(data)


KINDS: dict[str, Callable[[random.Random, bytearray, bytes], bytes]] = {
    "bursts": _bursts,
    "bits": _bits,
    "truncated": _truncated,
    "zeroed": _zeroed,
    "doubled": _doubled,
    "removed": _removed,
    "swapped": _swapped,
    "head": _head,
    "tables": _tables,
    "fields": _fields,
    "floats": _floats,
    "joined": _joined,
    "renamed": _renamed,
}


def _flip(chance: random.Random, data: bytearray, begin: int, end: int, size: int) -> None:
    """Flip a bit, or all kinds of bits, of `size` bytes somewhere in a range."""
    at = chance.randrange(begin, max(begin + 1, end))
    for place in range(at, min(at + size, end, len(data))):
        data[place] ^= 1 << chance.randrange(8) if size == 1 else chance.randrange(1, 256)


def _range_of(chance: random.Random, data: bytearray, share: int) -> tuple[int, int]:
    """Begin and size of a range of at most that share of the data, small ones as often as large ones."""
    most = max(1, len(data) // share)
    size = min(most, 1 << chance.randrange(max(1, most.bit_length())))
    return chance.randrange(max(1, len(data) - size)), size


def _places(data: bytearray, mark: bytes) -> list[int]:
    places, at = [], data.find(mark)
    while at >= 0 and len(places) < 64:
        places.append(at)
        at = data.find(mark, at + 1)
    return places

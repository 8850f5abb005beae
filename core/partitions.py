"""On which partition a key lies: murmur2, as all Kafka clients here have it."""

from __future__ import annotations

_SEED, _M, _R, _MASK = 0x9747B28C, 0x5BD1E995, 24, 0xFFFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """Number of the partition on which every record with this key lies.

    >>> partition_of(b"00000000-0000-0000-0000-000000000007", 4)
    0
    """
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    mixed = _SEED ^ len(data)
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * _M & _MASK
        word ^= word >> _R
        mixed = (mixed * _M ^ word * _M) & _MASK
    if whole < len(data):
        mixed = ((mixed ^ int.from_bytes(data[whole:], "little")) * _M) & _MASK
    mixed ^= mixed >> 13
    mixed = mixed * _M & _MASK
    return mixed ^ mixed >> 15

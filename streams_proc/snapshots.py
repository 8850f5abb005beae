"""Snapshots of a stage's state: their bytes, and which of a partition's is the newest."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from core import log
from core.errors import SnapshotError

VERSION = 1
_KEY = re.compile(rb"[0-9]+/[0-9]+/[0-9A-Za-z_-]+")
_log = log.get(__name__)


class Envelope(msgspec.Struct, frozen=True):
    """What surrounds a handler's bytes.

    Attributes:
        version: of this envelope; the handler's bytes carry their own.
        next: offset of the first record that is not in the state.
        data: the handler's bytes, compressed; None when it had nothing to keep.
    """

    version: int
    next: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A partition's state, and where reading goes on."""

    key: bytes
    next: int
    data: bytes | None


def key_of(partition: int, generation: int, writer: str) -> bytes:
    """Key of one writer's snapshots in one generation, so that no other can overwrite them.

    The writer is in it because a static member that comes back keeps the generation's number.
    """
    return f"{partition}/{generation}/{writer}".encode()


def encode(next_offset: int, data: bytes | None) -> bytes:
    """Bytes of a snapshot."""
    packed = None if data is None else zlib.compress(data, 1)
    return msgspec.msgpack.encode(Envelope(VERSION, next_offset, packed))


def decode(key: bytes, value: bytes) -> Snapshot:
    """Read a snapshot. Raises SnapshotError."""
    try:
        envelope = msgspec.msgpack.decode(value, type=Envelope)
        if envelope.version != VERSION:
            raise SnapshotError(f"snapshot {key.decode()} has version {envelope.version}; this program reads {VERSION}")
        return Snapshot(key, envelope.next, None if envelope.data is None else zlib.decompress(envelope.data))
    except (msgspec.DecodeError, zlib.error) as error:
        raise SnapshotError(f"snapshot {key.decode(errors='replace')} cannot be read: {error}") from error


def newest(records: Iterable[tuple[bytes, bytes | None]]) -> tuple[Snapshot | None, tuple[bytes, ...]]:
    """The snapshot with the highest next offset, and the keys of all that live.

    Not the last record: a zombie may write an older one after a newer. What lies under a key that is no snapshot's
    is nobody's state, and left alone.

    Args:
        records: key and value in log order; a later record of a key replaces the earlier.
    """
    living = dict(records)
    for key in [key for key in living if not _KEY.fullmatch(key)]:
        if living.pop(key) is not None:
            _log.warning("not_a_snapshot", key=key.decode(errors="replace"))
    values = {key: value for key, value in living.items() if value is not None}
    snapshots = [decode(key, value) for key, value in values.items()]
    return max(snapshots, key=lambda s: s.next, default=None), tuple(values)

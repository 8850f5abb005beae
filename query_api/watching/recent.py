"""The newest frame of each stream, and what was tracked last, as they came."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import msgspec

from query_api.watching.tails import Heard

MOST_BYTES = 64 * 1024**2


class Tag(msgspec.Struct, frozen=True):
    """A message, as far as it says what it is."""

    message: str


_from_msgpack = msgspec.msgpack.Decoder(Tag)
_from_json = msgspec.json.Decoder(Tag)


class Recent:
    """So that whoever comes to a still scene need not wait for it to move; bounded in bytes.

    Args:
        frames: the topic of the frames; all others hold what was tracked.
    """

    def __init__(self, frames: str, most_bytes: int = MOST_BYTES) -> None:
        self._frames = frames
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[str, bytes], Heard] = OrderedDict()

    def keep(self, heard: Heard) -> None:
        """Take note of a record; a run that begins makes the frames before it old."""
        match self._kind(heard):
            case "run_begin":
                self._drop((heard.topic, heard.key))
            case "frame" | "frame_tracks":
                self._drop((heard.topic, heard.key))
                self._kept[heard.topic, heard.key] = heard
                self._bytes += len(heard.value or b"")
                while self._bytes > self._most_bytes:
                    self._drop(next(iter(self._kept)))

    def of(self, key: bytes) -> Iterator[Heard]:
        """The newest frame under this key, then what was tracked last, as far as they are known."""
        found = [heard for (_, other), heard in self._kept.items() if other == key]
        yield from sorted(found, key=lambda heard: heard.topic != self._frames)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._bytes = 0

    def _kind(self, heard: Heard) -> str:
        decode = _from_msgpack.decode if heard.topic == self._frames else _from_json.decode
        try:
            return decode(heard.value or b"").message
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return ""

    def _drop(self, place: tuple[str, bytes]) -> None:
        gone = self._kept.pop(place, None)
        if gone is not None:
            self._bytes -= len(gone.value or b"")

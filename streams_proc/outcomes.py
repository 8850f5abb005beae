"""Small helpers that every handler needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from core.bounds import check_key
from core.errors import Handling, SightlineError, handling_of
from core.ids import StreamId
from streams_proc.stage import Poison, Record


class OfStream(Protocol):
    """A message: all of them are of a stream."""

    @property
    def stream_id(self) -> StreamId:
        """Whose it is, and its record's key."""
        ...


T = TypeVar("T", bound=OfStream)


def decode_each(records: Sequence[Record], decode: Callable[[Record], T]) -> list[T | Poison]:
    """Each record's message, or its poison when no contract of its topic reads it, or its key is another's."""
    messages: list[T | Poison] = []
    for record in records:
        try:
            message = decode(record)
            check_key(record.key, message.stream_id)
            messages.append(message)
        except SightlineError as error:
            if handling_of(error) is not Handling.DEAD_LETTER:
                raise
            messages.append(Poison(error))
    return messages

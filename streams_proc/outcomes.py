"""Small helpers that every handler needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from core.errors import Handling, SightlineError, handling_of
from streams_proc.stage import Poison, Record

T = TypeVar("T")


def decode_each(records: Sequence[Record], decode: Callable[[Record], T]) -> list[T | Poison]:
    """Each record's message, or its poison when no contract of its topic reads it."""
    messages: list[T | Poison] = []
    for record in records:
        try:
            messages.append(decode(record))
        except SightlineError as error:
            if handling_of(error) is not Handling.DEAD_LETTER:
                raise
            messages.append(Poison(error))
    return messages

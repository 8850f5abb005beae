"""Small helpers that every handler needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from core.errors import PoisonError
from streams_proc.stage import Poison, Record

T = TypeVar("T")


def decode_each(records: Sequence[Record], decode: Callable[[Record], T]) -> list[T | Poison]:
    """Each record's message, or its poison when no contract of its topic reads it."""
    messages: list[T | Poison] = []
    for record in records:
        try:
            messages.append(decode(record))
        except PoisonError as error:
            messages.append(Poison(error))
    return messages

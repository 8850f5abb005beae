"""Pages of long lists, and the opaque cursor that continues them.

A cursor holds the sort key of the last row that was given, so rows that arrive meanwhile neither
shift nor repeat a page; and a digest of the question, so it cannot be used with another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from core.errors import InvalidInput

T = TypeVar("T")
Key = tuple[int | float | str, ...]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a list.

    Attributes:
        next_cursor: continues after the last row; None when there were no more rows.
    """

    items: tuple[T, ...]
    next_cursor: str | None = None


class _Cursor(msgspec.Struct, frozen=True, array_like=True):
    digest: str
    key: tuple[int | float | str, ...]


_decoder = msgspec.json.Decoder(_Cursor)


def digest(*question: object) -> str:
    """Short digest of what was asked; equal questions have equal ones."""
    return hashlib.blake2s(repr(question).encode(), digest_size=6).hexdigest()


def encode_cursor(question: str, key: Key) -> str:
    """Opaque text for the row of this sort key, under a question's digest."""
    return base64.urlsafe_b64encode(msgspec.json.encode(_Cursor(question, key))).decode().rstrip("=")


def decode_cursor(cursor: str, question: str, types: Sequence[type]) -> Key:
    """The sort key in `cursor`.

    Args:
        types: of the key's parts, in order.

    Raises:
        InvalidInput: it is no cursor, or one of another question.
    """
    try:
        read = _decoder.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise InvalidInput("the cursor is not one that this service gave", "cursor") from error
    if read.digest != question:
        raise InvalidInput("the cursor belongs to another question; filters must stay the same", "cursor")
    if [type(part) for part in read.key] != list(types):
        raise InvalidInput("the cursor is not one that this service gave", "cursor")
    return read.key


def page_of(rows: Sequence[T], limit: int, question: str, key: Callable[[T], Key]) -> Page[T]:
    """A page out of up to ``limit + 1`` rows: the one too many says that there is a next page."""
    if len(rows) <= limit:
        return Page(tuple(rows))
    kept = tuple(rows[:limit])
    return Page(kept, encode_cursor(question, key(kept[-1])))

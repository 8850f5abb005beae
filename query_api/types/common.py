"""Types that several surfaces share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from core.errors import InvalidInput

MAX_MS = 10_413_791_999_999
Moment = Annotated[int, Meta(ge=0, le=MAX_MS)] | Annotated[datetime, Meta(tz=True)]
"""A point in time: milliseconds since the epoch, or RFC 3339."""
Limit = Annotated[int, Meta(ge=1, le=1000, description="rows of a page")]
Cursor = Annotated[str, Meta(max_length=2000, description="`next_cursor` of the page before")]
PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
"""No control characters: databases, terminals and headers choke on them."""
Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=PRINTABLE)]
Url = Annotated[str, Meta(min_length=1, max_length=4096)]
Rate = Annotated[float, Meta(ge=0.0, le=1000.0, description="frames a second to analyse; 0: every frame")]


class NoParams(Struct, frozen=True, forbid_unknown_fields=True):
    """No query parameters."""


def moment_ms(moment: int | datetime) -> int:
    """Milliseconds since the epoch."""
    return moment if isinstance(moment, int) else int(moment.timestamp() * 1000)


def span_ms(begin: int | datetime | None, end: int | datetime | None) -> tuple[int | None, int | None]:
    """`from` and `to` in milliseconds since the epoch. Raises InvalidInput when they are the wrong way round."""
    from_ms = None if begin is None else moment_ms(begin)
    to_ms = None if end is None else moment_ms(end)
    if from_ms is not None and to_ms is not None and to_ms < from_ms:
        raise InvalidInput("it lies before from", "to")
    return from_ms, to_ms

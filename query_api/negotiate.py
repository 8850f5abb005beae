"""Choosing an answer's type by the Accept header, ranges, and conditional requests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import falcon
import falcon.asgi

from core.errors import InvalidInput
from query_api.refusals import NotAcceptable, RangeUnsatisfiable, WrongAccept

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
MAX_DIGITS = 19


def choose(req: falcon.asgi.Request, offered: Sequence[str]) -> str:
    """The best of `offered`; the first when all are welcome. Raises NotAcceptable."""
    chosen = _best(req, offered)
    if chosen is None:
        raise NotAcceptable(f"the answer can be {', '.join(offered)}")
    return chosen


def choose_for_agent(req: falcon.asgi.Request, offered: Sequence[str]) -> str:
    """As `choose`, but raises WrongAccept, as the agent surface has it."""
    chosen = _best(req, offered)
    if chosen is None:
        raise WrongAccept(f"Bad/incomplete input data: Accept can be {', '.join(offered)}")
    return chosen


def _best(req: falcon.asgi.Request, offered: Sequence[str]) -> str | None:
    try:
        return falcon.mediatypes.best_match(offered, req.accept) or None
    except (falcon.errors.InvalidMediaType, falcon.errors.InvalidMediaRange):
        return None


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes from `start` to before `end` of `size`; `partial` when they are not all."""

    start: int
    end: int
    size: int
    partial: bool

    @property
    def content_range(self) -> str:
        """Value of Content-Range."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


def piece_of(header: str | None, size: int) -> Piece:
    """The bytes that a Range header asks for; several ranges, or another unit, mean all of them.

    Raises:
        InvalidInput: numbers that no file has.
        RangeUnsatisfiable: it begins after the end.
    """
    whole = Piece(0, size, size, partial=False)
    found = _RANGE.fullmatch(header.replace(" ", "")) if header else None
    if found is None or not (found[1] or found[2]):
        return whole
    if len(found[1]) > MAX_DIGITS or len(found[2]) > MAX_DIGITS:
        raise InvalidInput("the range's numbers are too large", "Range")
    if not found[1]:
        start, end = max(0, size - int(found[2])), size
    else:
        start = int(found[1])
        end = min(size, int(found[2]) + 1) if found[2] else size
        if found[2] and int(found[2]) < start:
            return whole
    if start >= end:
        raise RangeUnsatisfiable(size)
    return Piece(start, end, size, partial=True)


def unchanged(req: falcon.asgi.Request, etag: str) -> bool:
    """Whether If-None-Match names `etag`."""
    given = req.get_header("If-None-Match") or ""
    return any(one.strip().removeprefix("W/") in {etag, "*"} for one in given.split(",") if one.strip())

"""Whom to tell of a stream, looked up where it is kept and remembered for some seconds."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from core import log
from core.errors import NotFound
from core.ids import StreamId
from core.messages import StreamSpec
from core.profile import StreamProfile, profile_of
from streams_proc.attempt import Backoff, attempt
from streams_proc.notify import NAME

MOST = 20_000
_log = log.get(__name__)


class StreamRow(Protocol):
    """A stream as the control database has it."""

    @property
    def spec(self) -> StreamSpec:
        """Its definition."""
        ...

    @property
    def extra(self) -> dict[str, Any]:
        """What is kept with it."""
        ...


class Streams(Protocol):
    """The part of the control store that knows streams. Blocking."""

    def stream(self, stream_id: StreamId) -> StreamRow:
        """One stream. Raises NotFound."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """What is told of a stream beside what has happened, and to whom.

    Attributes:
        analytics: names of the analytics, in their order.
    """

    account_id: str
    analytics: tuple[str, ...]
    profile: StreamProfile


class Profiles:
    """Remembers each stream for `kept_s` seconds, also that it is deleted.

    Args:
        clock: seconds that only grow.
    """

    def __init__(
        self,
        streams: Streams,
        kept_s: float,
        backoff: Backoff = Backoff(),  # noqa: B008  # frozen
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._streams = streams
        self._kept_s = kept_s
        self._backoff = backoff
        self._clock = clock
        self._kept: OrderedDict[StreamId, tuple[float, Known | None]] = OrderedDict()

    async def of(self, stream: StreamId) -> Known | None:
        """The stream, or None when it is deleted; a database that does not answer is waited for."""
        found = self._kept.get(stream)
        if found is not None and found[0] > self._clock():
            return found[1]
        known = await attempt(lambda: asyncio.to_thread(self._read, stream), NAME, backoff=self._backoff)
        self._kept[stream] = (self._clock() + self._kept_s, known)
        self._kept.move_to_end(stream)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return known

    def _read(self, stream: StreamId) -> Known | None:
        try:
            row = self._streams.stream(stream)
        except NotFound:
            return None
        try:
            profile = profile_of(row.extra)
        except msgspec.ValidationError as error:
            _log.error("a stream's callbacks cannot be read", stream_id=str(stream), reason=str(error))
            profile = StreamProfile()
        return Known(row.spec.account_id, tuple(a.name for a in row.spec.analytics), profile)

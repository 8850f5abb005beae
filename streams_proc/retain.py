"""Deleting what is older, or more, than is to be kept.

Findings of streams grow old; those of a task stay until the task is deleted. The rows of frames stay too, for the
ledger is made of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from core import log
from core.clock import Clock, now_ms, wall_clock
from core.ids import StreamId
from streams_proc.attempt import Backoff, attempt

EVERY_S = 20.0
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
STREAMS_AT_ONCE = 500
PICTURES_AT_ONCE = 1000
_log = log.get(__name__)


class Rules(Protocol):
    """What is to be kept; 0 sets no limit."""

    @property
    def days(self) -> int:
        """Of detections, tracks, pictures, vectors and events."""
        ...

    @property
    def event_days(self) -> int:
        """Of events."""
        ...

    @property
    def most_events(self) -> int:
        """Of each stream."""
        ...


class Records(Protocol):
    """The part of the control store that says what is to be kept. Blocking."""

    def retention(self) -> Rules:
        """The rules as they stand."""
        ...

    def retained_streams(self) -> Sequence[StreamId]:
        """The streams that they are about."""
        ...


class Findings(Protocol):
    """The part of the analytics store that deletes. Blocking; each says whether there was anything to delete."""

    def delete_before(self, streams: Sequence[StreamId], before_ms: int) -> bool:
        """Detections, places of tracks, tracks and views of before then."""
        ...

    def delete_events_before(self, streams: Sequence[StreamId], before_ms: int) -> bool:
        """Events that were last told of before then."""
        ...

    def delete_events_beyond(self, streams: Sequence[StreamId], most: int) -> bool:
        """Of each stream all events but the newest so many."""
        ...

    def old_pictures(self, streams: Sequence[StreamId], before_ms: int, *, after: str, limit: int) -> Sequence[str]:
        """Media keys of pictures taken before then, in their order, those after `after`."""
        ...

    def purge_deleted(self) -> Any:
        """Take what was deleted off the disks; heavy."""
        ...


class Vectors(Protocol):
    """The part of the embedding store that deletes. Blocking."""

    def delete_before(self, streams: Sequence[StreamId], before_ms: int) -> None:
        """Views taken before then."""
        ...


class Pictures(Protocol):
    """The part of the media store that deletes. Blocking."""

    def delete(self, key: str) -> None:
        """Remove a key."""
        ...


class Retain:
    """Holds the stores to the rules: each hour, and as soon as the rules have changed.

    Pictures and vectors go before the rows that name them, so that a round which breaks off is made up for by the next.

    Args:
        findings: the analytics store, which is connected when it is first needed.
    """

    def __init__(
        self,
        records: Records,
        findings: Callable[[], Findings],
        vectors: Vectors,
        pictures: Pictures,
        clock: Clock = wall_clock,
    ) -> None:
        self._records = records
        self._findings = findings
        self._vectors = vectors
        self._pictures = pictures
        self._clock = clock
        self._done: tuple[tuple[int, int, int], int] | None = None
        self._purged_on = -1

    def retain(self) -> None:
        """Delete what is due. Raises StoreUnavailable."""
        rules = self._records.retention()
        wanted = (rules.days, rules.event_days, rules.most_events)
        now = now_ms(self._clock)
        due = (wanted, now // HOUR_MS)
        if due == self._done:
            return
        if any(wanted):
            streams = self._records.retained_streams()
            erased = False
            for at in range(0, len(streams), STREAMS_AT_ONCE):
                erased |= self._delete(streams[at : at + STREAMS_AT_ONCE], rules, now)
            if erased:
                _log.info("old findings are deleted", days=rules.days, event_days=rules.event_days)
                self._purge(now)
        self._done = due

    def _delete(self, streams: Sequence[StreamId], rules: Rules, now: int) -> bool:
        erased = False
        if rules.days:
            before = now - rules.days * DAY_MS
            self._delete_pictures(streams, before)
            self._vectors.delete_before(streams, before)
            erased |= self._findings().delete_before(streams, before)
        days = min((days for days in (rules.days, rules.event_days) if days), default=0)
        if days:
            erased |= self._findings().delete_events_before(streams, now - days * DAY_MS)
        if rules.most_events:
            erased |= self._findings().delete_events_beyond(streams, rules.most_events)
        return erased

    def _delete_pictures(self, streams: Sequence[StreamId], before_ms: int) -> None:
        after = ""
        while keys := self._findings().old_pictures(streams, before_ms, after=after, limit=PICTURES_AT_ONCE):
            for key in keys:
                self._pictures.delete(key)
            after = keys[-1]

    def _purge(self, now: int) -> None:
        """Once a day: it rewrites much."""
        if self._purged_on != now // DAY_MS:
            self._findings().purge_deleted()
            self._purged_on = now // DAY_MS

    async def run(self, backoff: Backoff) -> None:
        """Retain for ever; a store that does not answer is waited for."""
        while True:
            await backoff.sleep(EVERY_S)
            await attempt(lambda: asyncio.to_thread(self.retain), "control", backoff=backoff)

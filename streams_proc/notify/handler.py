"""notify: events, changes of streams' states and ends of tasks, told to those who are kept with the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from core import log
from core.clock import Clock, now_ms, wall_clock
from core.errors import BadMessage
from core.messages import Event, RunEnd, StreamChange, TaskEnd, decode_change, decode_event, decode_task_end
from core.metrics import counter
from core.profile import Callback, TaskCallback, WebSocketCallback
from core.topics import Topics
from streams_proc.letter import letter_of
from streams_proc.notify import NAME
from streams_proc.notify.conditions import all_hold
from streams_proc.notify.deliveries import Deliveries, type_of
from streams_proc.notify.failures import Undelivered
from streams_proc.notify.notices import Notice, notice_of, receivers
from streams_proc.notify.notifications import Notifications
from streams_proc.notify.profiles import Known, Profiles
from streams_proc.notify.turns import Turns
from streams_proc.outcomes import decode_each
from streams_proc.stage import Outcome, Output, Poison, Record

ONLY = "sightline_callbacks"
"""Header of a dead letter: places of the callbacks that were given up, which a replay makes and no others."""

LATE_MS = 60_000
"""Whoever is told of a record that is so old has waited for this stage, not the stage for whoever is told."""

Message = Event | RunEnd | StreamChange | TaskEnd
_log = log.get(__name__)


class NotifyHandler:
    """A record is answered when each of its callbacks was taken, or given up.

    What is given up is a dead letter by a way of its own: it does not stop the stage, however often it happens,
    because the receivers of the others have done nothing wrong.
    """

    def __init__(
        self,
        topics: Topics,
        profiles: Profiles,
        deliveries: Deliveries,
        notifications: Notifications,
        clock: Clock = wall_clock,
    ) -> None:
        self._topics = topics
        self._profiles = profiles
        self._deliveries = deliveries
        self._notifications = notifications
        self._clock = clock
        self._turns = Turns()

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """The letter about each record of which a callback was given up."""
        return await asyncio.gather(*map(self._one, records))

    async def _one(self, record: Record) -> Outcome:
        (message,) = decode_each((record,), self._read)
        if isinstance(message, Poison):
            return message
        if isinstance(message, RunEnd) or (isinstance(message, Event) and message.ephemeral):
            return ()
        # callbacks are begun in the records' order, also where the stream has to be looked up first
        async with self._turns.turn(message.stream_id):
            known = await self._profiles.of(message.stream_id)
            calls = [] if known is None else self._begin(message, known, _only(record), self._late(record))
        failed = [why for why in await asyncio.gather(*calls) if why is not None]
        return (self._letter(record, failed),) if failed else ()

    def _read(self, record: Record) -> Message:
        if record.topic == self._topics.events:
            return decode_event(record.value)
        if record.topic == self._topics.stream_changes:
            return decode_change(record.value)
        if record.topic == self._topics.task_ends:
            return decode_task_end(record.value)
        raise BadMessage(f"{record.topic} is no topic that is told of")

    def _begin(
        self, message: Event | StreamChange | TaskEnd, known: Known, only: frozenset[int] | None, late: bool
    ) -> list[asyncio.Task[tuple[int, str] | None]]:
        callbacks = receivers(message, known)
        wanted = [(i, c) for i, c in enumerate(callbacks) if c.enable and (only is None or i in only)]
        if not wanted:
            return []
        notice = notice_of(message, known)
        return [
            asyncio.create_task(self._make(place, callback, notice, late))
            for place, callback in wanted
            if all_hold(callback.conditions, notice.body)
        ]

    def _late(self, record: Record) -> bool:
        return now_ms(self._clock) - record.timestamp_ms > LATE_MS

    async def _make(
        self, place: int, callback: Callback | TaskCallback, notice: Notice, patient: bool
    ) -> tuple[int, str] | None:
        """The callback's place and why it was given up; None when it was taken."""
        if isinstance(callback, WebSocketCallback):
            await self._notifications.publish(notice)
            return None
        failure = await self._deliveries.make(callback, notice, patient=patient)
        if failure is None:
            return None
        kind, stream = type_of(callback), str(notice.stream_id)
        _log.warning("callback given up", type=kind, stream_id=stream, ce_id=notice.ce_id, reason=str(failure))
        return place, f"callback {place} ({kind}): {failure.reason}: {failure}"

    def _letter(self, record: Record, failed: Sequence[tuple[int, str]]) -> Output:
        error = Undelivered("; ".join(why for _, why in failed))
        counter("sightline_dead_letters_total").labels(NAME, type(error).__name__).inc()
        places = ",".join(str(place) for place, _ in failed)
        marked = replace(record, headers={**record.headers, ONLY: places.encode()})
        return letter_of(self._topics.dead_letters, NAME, marked, error)


def _only(record: Record) -> frozenset[int] | None:
    """The places that a replayed letter names; None: all."""
    named = record.headers.get(ONLY)
    if named is None:
        return None
    return frozenset(int(place) for place in named.split(b",") if place.isdigit())

"""Making callbacks: again while they fail for now, and never so that one receiver holds up another.

Few callbacks of one receiver are under way at once, and a bounded number has a place to wait. How long one may take
from then on is bounded too, because the stage cannot commit past it: `delivery_s` after the receiver has last taken
anything, `longest_s` in any case. Without a place a callback is given up at once, so that a receiver that is too slow
for what it asked for does not fill the stage; what waited on Kafka while the stage was away is no fault of its
receiver, and waits for a place as well.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from core.metrics import counter, histogram
from core.profile import HttpCallback, KafkaCallback, TelegramCallback
from core.settings import Notify
from streams_proc.attempt import Backoff
from streams_proc.notify import NAME
from streams_proc.notify.failures import Refused, Unreachable
from streams_proc.notify.notices import Notice
from streams_proc.notify.turns import Turns

FIRST_S = 0.5
LONGEST_S = 15.0
FEW = 256
"""Callbacks that may wait for a receiver of which the last one was given up."""
Outward = HttpCallback | KafkaCallback | TelegramCallback
"""Callbacks that leave the machine."""


class Sender(Protocol):
    """Makes callbacks of one type."""

    async def send(self, callback: Any, notice: Notice, timeout_s: float) -> None:
        """Make one; it is taken on return.

        Raises:
            Unreachable: it may be taken later; after `timeout_s` at the latest.
            Refused: it never will.
        """
        ...


@dataclass(slots=True)
class Receiver:
    """Somebody who is told.

    Attributes:
        slots: for the callbacks that are under way.
        places: for those that are not finished; `held` are taken.
        open: callbacks that have asked for a place.
        took: when it last took one.
        dead: it did not take the last one in time.
        ready_at: it has asked not to be asked before.
    """

    slots: asyncio.Semaphore
    places: asyncio.Semaphore
    held: int = 0
    open: int = 0
    took: float = float("-inf")
    dead: bool = False
    ready_at: float = float("-inf")


class Deliveries:
    """Makes each callback in its receiver's turn.

    Args:
        senders: by the callback's type.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        senders: Mapping[type, Sender],
        limits: Notify,
        backoff: Backoff = Backoff(),  # noqa: B008  # frozen
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._senders = senders
        self._limits = limits
        self._backoff = backoff
        self._clock = clock
        self._receivers: dict[Hashable, Receiver] = {}
        self._turns = Turns()

    async def make(self, callback: Outward, notice: Notice, *, patient: bool = False) -> Unreachable | Refused | None:
        """Make a callback; why it was given up, or None when it was taken.

        Calls for one receiver and lane are made in the order in which this is entered.

        Args:
            patient: wait for a place where there is none.
        """
        kind, key, entered = type_of(callback), identity(callback), self._clock()
        receiver = self._receivers.setdefault(key, self._receiver())
        receiver.open += 1
        try:
            failure = await self._placed(receiver, callback, notice, patient)
        finally:
            receiver.open -= 1
            if not receiver.open:  # receivers with nothing open take no memory
                self._receivers.pop(key, None)
        counter("sightline_callbacks_total").labels(kind, "delivered" if failure is None else failure.reason).inc()
        if failure is None:
            histogram("sightline_callback_seconds").labels(kind).observe(self._clock() - entered)
        return failure

    def _receiver(self) -> Receiver:
        return Receiver(asyncio.Semaphore(self._limits.at_once), asyncio.Semaphore(self._limits.waiting))

    async def _placed(
        self, receiver: Receiver, callback: Outward, notice: Notice, patient: bool
    ) -> Unreachable | Refused | None:
        full = Unreachable("queue_full", f"{receiver.open - 1} callbacks wait for it")
        if receiver.places.locked() and not patient:
            return full
        async with receiver.places:
            if receiver.dead and receiver.held >= FEW:
                return full
            receiver.held += 1
            try:
                begun = self._clock()
                async with self._turns.turn((identity(callback), notice.lane)):
                    failure = await self._make(receiver, callback, notice, begun)
            finally:
                receiver.held -= 1
        receiver.dead = isinstance(failure, Unreachable)
        return failure

    async def _make(
        self, receiver: Receiver, callback: Outward, notice: Notice, begun: float
    ) -> Unreachable | Refused | None:
        failure = Unreachable("timeout", "its turn did not come in time")
        failures = 0
        while True:
            if receiver.ready_at >= self._until(receiver, begun):
                return failure if failures else Unreachable("too_many", "it asks not to be asked for so long")
            if (pause := receiver.ready_at - self._clock()) > 0:
                await self._backoff.sleep(pause)
                continue
            async with receiver.slots:
                left = self._until(receiver, begun) - self._clock()
                if left <= 0:
                    return failure
                try:
                    await self._senders[type(callback)].send(callback, notice, min(left, longest_s(callback)))
                except Refused as refused:
                    return refused
                except Unreachable as unreachable:
                    failure = unreachable
                else:
                    receiver.took = self._clock()
                    return None
            failures += 1
            counter("sightline_stage_retries_total").labels(NAME, failure.reason).inc()
            if failure.after_s > 0:
                receiver.ready_at = max(receiver.ready_at, self._clock() + failure.after_s)
            pause = min(LONGEST_S, FIRST_S * 2 ** min(failures - 1, 16)) * (0.5 + self._backoff.jitter() / 2)
            if failures >= self._limits.attempts or self._clock() + pause >= self._until(receiver, begun):
                return failure
            await self._backoff.sleep(pause)

    def _until(self, receiver: Receiver, begun: float) -> float:
        """When a callback is given up: a receiver that takes others is waited for longer than one that takes none."""
        return min(begun + self._limits.longest_s, max(begun, receiver.took) + self._limits.delivery_s)


def type_of(callback: Outward) -> str:
    """Its type as requests name it."""
    return str(callback.__struct_config__.tag)


def identity(callback: Outward) -> Hashable:
    """Equal for callbacks that one receiver gets."""
    match callback:
        case HttpCallback():
            return "http", callback.url
        case KafkaCallback():
            return "kafka", callback.servers, callback.topic, callback.username
        case TelegramCallback():
            return "telegram", callback.token


def longest_s(callback: Outward) -> float:
    """Seconds that one attempt may take by the callback's own words."""
    return float("inf") if isinstance(callback, KafkaCallback) else callback.timeout_s

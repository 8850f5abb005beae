"""What happens in streams, told to all who listen: one reader of a topic for the whole worker."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from core import log
from core.bounds import check_key
from core.errors import BadMessage
from core.ids import StreamId
from core.messages import (
    Event,
    Notification,
    RunEnd,
    StreamStatus,
    decode_event,
    decode_notification,
    decode_status,
)
from core.settings import Kafka
from core.topics import Topics
from query_api.refusals import Busy
from query_api.watching.attended import Attended
from query_api.watching.offsets import token_of
from query_api.watching.tails import Heard, Partition, Span, Tail, Tails

logger = log.get(__name__)
LINGER_S = 10.0
MOST_BYTES = 16 * 1024**2
"""Of the records that wait for one listener."""

_EVERY = b""
"""In the place of a key: of those who listen to all streams."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Told:
    """What a record says, the same object for all who hear of it.

    Attributes:
        partition, number: of its record: where it lies.
        offset: from where a listener would go on after it.
        size: bytes of its record.
    """

    said: Event | Notification
    partition: int
    number: int
    offset: str
    size: int


@dataclass(frozen=True, slots=True)
class State:
    """A stream's run stands so."""

    status: StreamStatus


@dataclass(frozen=True, slots=True)
class Over:
    """All events of a run have been told."""

    end: RunEnd


Item: TypeAlias = Told | State | Over


Read: TypeAlias = Callable[[Heard], Event | Notification | RunEnd | None]
"""What a record says; None where nobody is told of it. Raises BadMessage."""


@dataclass(frozen=True, slots=True)
class Feed:
    """What a channel tells.

    Attributes:
        topic: whose records are told, and can be told again from an offset.
        states: topic of the states of streams, told as they come; None: they are not told.
    """

    topic: str
    read: Read
    states: str | None = None

    @classmethod
    def events(cls, topics: Topics) -> Feed:
        """Events, and how the streams stand."""
        return cls(topics.events, _event, topics.stream_status)

    @classmethod
    def notifications(cls, topics: Topics) -> Feed:
        """What callbacks of the type ``luna-ws-notification`` tell."""
        return cls(topics.notifications, _notification)


class Subscription:
    """What waits for one listener, bounded.

    Args:
        stream: of whose records; None for those of all streams.
        most: items that may wait.
    """

    def __init__(self, stream: StreamId | None, most: int) -> None:
        self.stream = stream
        self.overflowed = asyncio.Event()
        self.ended = False
        self._most = most
        self._bytes = 0
        self._items: deque[tuple[Item, int]] = deque()
        self._changed = asyncio.Event()

    @property
    def key(self) -> bytes:
        """Of the records that it wants."""
        return _EVERY if self.stream is None else str(self.stream).encode()

    def offer(self, item: Item, size: int) -> bool:
        """Let it wait; False when there is no room, and then nothing waits any more."""
        if len(self._items) >= self._most or (self._items and self._bytes + size > MOST_BYTES):
            self._items.clear()
            self.overflowed.set()
            return False
        self._items.append((item, size))
        self._bytes += size
        self._changed.set()
        return True

    def end(self) -> None:
        """Nothing more will come."""
        self.ended = True
        self._changed.set()

    async def next(self, timeout_s: float) -> Item | None:
        """What has waited longest; None when nothing comes in time. Raises Busy when nothing ever will."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        while not self._items:
            if self.ended:
                raise Busy("the service is being stopped, or cannot read; go on from the last offset")
            if loop.time() >= until:
                return None
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._changed.wait()
        item, size = self._items.popleft()
        self._bytes -= size
        return item


class Channel:
    """The one reader, and who listens.

    Args:
        linger_s: how long it reads on when the last listener has left.
    """

    def __init__(self, kafka: Kafka, tails: Tails, feed: Feed, *, linger_s: float = LINGER_S) -> None:
        self.feed = feed
        self._partitions = kafka.partitions
        self._tails = tails
        self._attended = Attended(self._open, lambda: None, linger_s)
        self._listeners: dict[bytes, set[Subscription]] = {}
        self._positions: dict[int, int] = {}

    @property
    def positions(self) -> Mapping[int, int]:
        """Of each partition of the feed's topic, the next offset that will be told."""
        return self._positions

    async def attend(self) -> None:
        """Have the reader run; once `leave` must follow. Raises as `Tails.open`."""
        self._attended.attend()
        try:
            await self._attended.open()
        except BaseException:
            self._attended.leave()
            raise

    def leave(self) -> None:
        """One less attends."""
        self._attended.leave()

    def add(self, subscription: Subscription) -> None:
        """From the positions of this moment on it is told everything."""
        if not self._attended.running:  # it was lost since `attend`
            subscription.end()
        self._listeners.setdefault(subscription.key, set()).add(subscription)

    def remove(self, subscription: Subscription) -> None:
        """It is told nothing more."""
        known = self._listeners.get(subscription.key, set())
        known.discard(subscription)
        if not known:
            self._listeners.pop(subscription.key, None)

    def begun(self, spans: Mapping[Partition, Span]) -> None:
        """See `Hearer.begun`."""
        self._positions = {number: span.begin for (topic, number), span in spans.items() if topic == self.feed.topic}

    def take(self, records: Sequence[Heard]) -> None:
        """Tell those who listen."""
        for heard in records:
            if heard.topic == self.feed.topic:
                self._positions[heard.partition] = heard.offset + 1
                self._record(heard)
            else:
                self._state(heard)

    def ended(self) -> None:
        """See `Hearer.ended`."""
        self._attended.lost()
        for listeners in self._listeners.values():
            for subscription in listeners:
                subscription.end()

    async def _open(self) -> Tail:
        topics = filter(None, (self.feed.topic, self.feed.states))
        back = {(topic, number): 0 for topic in topics for number in range(self._partitions)}
        return await self._tails.open(back, self, lost="earliest")

    def _record(self, heard: Heard) -> None:
        of_stream, of_all = self._listeners.get(heard.key, set()), self._listeners.get(_EVERY, set())
        if not of_stream and not of_all:
            return
        item = item_of(heard, self.feed.read, self._positions)
        if isinstance(item, Told):
            self._tell({*of_stream, *of_all}, item, item.size)
        elif item is not None:
            self._tell({*of_stream}, item, 0)

    def _state(self, heard: Heard) -> None:
        listeners = self._listeners.get(heard.key)
        if listeners:
            try:
                status = decode_status(heard.value)
                check_key(heard.key, status.stream_id)
            except BadMessage as error:
                _passed_over(heard, error)
                return
            self._tell({*listeners}, State(status), 0)

    def _tell(self, listeners: set[Subscription], item: Item, size: int) -> None:
        for subscription in listeners:
            if not subscription.offer(item, size):
                self.remove(subscription)


def item_of(heard: Heard, read: Read, positions: Mapping[int, int]) -> Told | Over | None:
    """A record of a feed's topic; None for what is told to nobody.

    Args:
        positions: where whoever has heard it stands.
    """
    try:
        said = read(heard)
        if said is None:
            return None
        check_key(heard.key, said.stream_id)
    except BadMessage as error:
        _passed_over(heard, error)
        return None
    if isinstance(said, RunEnd):
        return Over(said)
    return Told(said, heard.partition, heard.offset, token_of(positions), len(heard.value or b""))


def _event(heard: Heard) -> Event | RunEnd | None:
    message = decode_event(heard.value)
    return None if message.ephemeral else message  # an analysis that is answered once tells whoever asked for it


def _notification(heard: Heard) -> Notification:
    return decode_notification(heard.value)


def _passed_over(heard: Heard, error: BadMessage) -> None:
    logger.warning("a record is passed over", topic=heard.topic, offset=heard.offset, error=str(error))

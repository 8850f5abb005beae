"""The two lanes: batch waits for room, live gives up its oldest frame.

A lane numbers the frames it hands over, so `seq` has no gap on Kafka whatever is given up.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from core.errors import Backlogged, Oversized, RunStopped
from core.ids import Seq
from core.messages import AnalyticsChanged, Frame, encode_frame
from ingest.backlog import Backlog
from ingest.ledger import Ledger
from ingest.publisher import Publisher

WAIT_S = 0.02
RECORD_OVERHEAD = 1024


class Lane(Protocol):
    """Takes read frames, in order."""

    def put(self, frame: Frame) -> None:
        """Take a frame whose `seq` is not set yet. Raises BrokerUnavailable."""

    def change(self, change: AnalyticsChanged) -> None:
        """Say what a run is to do, before the next frame; its `seq` is not set yet. Raises BrokerUnavailable."""

    def drain(self) -> None:
        """Until every frame taken is handed over and acknowledged, or given up. Raises BrokerUnavailable."""

    def pump(self) -> None:
        """Hand over what waits, while no frame comes. Raises BrokerUnavailable."""


class Numbering:
    """Gives frames their `seq` and hands them over; what is too large for the broker is dropped."""

    def __init__(self, publisher: Publisher, backlog: Backlog, ledger: Ledger, next_seq: int, max_bytes: int) -> None:
        self.publisher = publisher
        self.backlog = backlog
        self._ledger = ledger
        self._next = next_seq
        self._max_bytes = max_bytes
        self._held, self._held_s = 0, 0.0

    def blocked(self, frame: Frame) -> bool:
        """Whether there is no room for `frame` now. Raises BrokerUnavailable."""
        size = len(frame.jpeg) + RECORD_OVERHEAD
        return not self.publisher.room(size) or self.backlog.full(size)

    def give_up(self, frame: Frame) -> None:
        """`frame` is not sent: what it says of frames held back before it, the next one says, too."""
        self._held += frame.held
        self._held_s += frame.held_s

    def send(self, frame: Frame) -> None:
        """Hand `frame` over under the next number. Raises BrokerUnavailable."""
        numbered = msgspec.structs.replace(frame, seq=Seq(self._next))
        if self._held:
            held_s = round(frame.held_s + self._held_s, 6)
            numbered = msgspec.structs.replace(numbered, held=frame.held + self._held, held_s=held_s)
        value = encode_frame(numbered)
        if len(value) + RECORD_OVERHEAD > self._max_bytes:
            self.give_up(frame)
            self._ledger.dropped(Oversized)
            return
        self._held, self._held_s = 0, 0.0
        self._next += 1
        self.publisher.frame(numbered, value)
        self.backlog.published(len(value))

    def change(self, change: AnalyticsChanged) -> None:
        """Hand over a change, in front of the next number. Raises BrokerUnavailable."""
        self.publisher.changed(msgspec.structs.replace(change, seq=Seq(self._next)))


class BatchLane:
    """Waits until there is room.

    Args:
        wait: lets time pass, and says whether to go on waiting.
    """

    def __init__(self, numbering: Numbering, ledger: Ledger, wait: Callable[[float], bool]) -> None:
        self._numbering = numbering
        self._ledger = ledger
        self._wait = wait

    def put(self, frame: Frame) -> None:
        """Hand over when there is room; not at all when the run is being stopped meanwhile."""
        while self._numbering.blocked(frame):
            if not self._wait(WAIT_S):
                self._ledger.dropped(RunStopped)
                return
        self._numbering.send(frame)

    def change(self, change: AnalyticsChanged) -> None:
        """Hand it over."""
        self._numbering.change(change)

    def pump(self) -> None:
        """Nothing waits here."""

    def drain(self) -> None:
        """Until all is acknowledged."""
        self._numbering.publisher.flush()


class LiveLane:
    """Never makes the camera wait: frames without room queue up to `bound` bytes, then the oldest goes."""

    def __init__(self, numbering: Numbering, ledger: Ledger, bound: int) -> None:
        self._numbering = numbering
        self._ledger = ledger
        self._bound = bound
        self._queue: deque[Frame] = deque()
        self._bytes = 0
        self._lock = threading.Lock()

    def put(self, frame: Frame) -> None:
        """Take the frame, hand over what there is room for, and give up what does not fit."""
        with self._lock:
            self._queue.append(frame)
            self._bytes += len(frame.jpeg)
        self.pump()
        with self._lock:
            while self._bytes > self._bound and len(self._queue) > 1:
                oldest = self._queue.popleft()
                self._bytes -= len(oldest.jpeg)
                self._numbering.give_up(oldest)
                self._ledger.dropped(Backlogged)

    def change(self, change: AnalyticsChanged) -> None:
        """Hand it over; what waits comes after it."""
        with self._lock:
            self._numbering.change(change)

    def pump(self) -> None:
        """Hand over waiting frames while there is room; called while no frame comes, too."""
        with self._lock:
            while self._queue and not self._numbering.blocked(self._queue[0]):
                frame = self._queue.popleft()
                self._bytes -= len(frame.jpeg)
                self._numbering.send(frame)

    def drain(self) -> None:
        """Hand over what there is room for at once; what is left is given up, and the rest acknowledged."""
        self.pump()
        with self._lock:
            while self._queue:
                self._queue.popleft()
                self._ledger.dropped(Backlogged)
            self._bytes = 0
        self._numbering.publisher.flush()

"""Who may run next: live before batch, and no more waiting than can be answered for."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from itertools import count

URGENT = 0
STANDING_BACK_S = 1.0
"""What is not urgent stands back for so long after an urgent request."""


class GateFull(Exception):
    """Too many images wait already."""


class Gate:
    """Lets requests through to the batch scheduler, in order of urgency, then of arrival.

    What the scheduler holds cannot be overtaken any more, so it is given no more than it can run
    at once, and the rest waits here. While urgent requests come, one that is not goes in only when
    nothing else runs: an urgent one then shares the processor with a single other, or with none.
    All calls are made on one event loop.

    Args:
        running: images inside at once; a larger single request goes in alone.
        waiting: images that may wait; beyond them `enter` raises GateFull.
    """

    def __init__(self, running: int, waiting: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._running = running
        self._waiting = waiting
        self._clock = clock
        self._urgent_at = -STANDING_BACK_S
        self._inside = 0
        self._queued = 0
        self._order = count()
        self._heap: list[tuple[int, int, int, asyncio.Future[None]]] = []

    @property
    def idle(self) -> bool:
        """True when nothing runs and nothing waits."""
        return self._inside == 0 and self._queued == 0

    async def enter(self, images: int, urgency: int) -> None:
        """Wait for room; a lower `urgency` goes first. Raises GateFull at once when too many wait."""
        if urgency == URGENT:
            self._urgent_at = self._clock()
        if (not self._heap or urgency < self._heap[0][0]) and self._fits(images, urgency):
            self._inside += images
            return
        if self._queued + images > self._waiting:
            raise GateFull(f"{self._queued} images are waiting; {self._waiting} are the most")
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._heap, (urgency, next(self._order), images, turn))
        self._queued += images
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(images)
            else:
                self._queued -= images
            self._admit()
            raise

    def leave(self, images: int) -> None:
        """Give the room back."""
        self._inside -= images
        self._admit()

    def _fits(self, images: int, urgency: int) -> bool:
        if self._inside == 0:
            return True
        if urgency != URGENT and self._clock() - self._urgent_at < STANDING_BACK_S:
            return False
        return self._inside + images <= self._running

    def _admit(self) -> None:
        while self._heap:
            urgency, _, images, turn = self._heap[0]
            if turn.cancelled():
                heapq.heappop(self._heap)
                continue
            if not self._fits(images, urgency):
                return
            heapq.heappop(self._heap)
            self._queued -= images
            self._inside += images
            turn.set_result(None)

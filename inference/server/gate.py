"""Who may run next: live before batch, and no more waiting than can be answered for."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from core.messages import Lane

STANDING_BACK_S = 1.0
"""Batch requests stand back for so long after the last live one has left."""
PATIENCE_S = 2.0
"""However many live requests come, a batch request goes in this often."""


class GateFull(Exception):
    """Too many images wait already."""


@dataclass(frozen=True, slots=True)
class _Turn:
    lane: Lane
    images: int
    since: float
    come: asyncio.Event


class Gate:
    """Lets requests through to the batch scheduler: live before batch, then in the order they came.

    What the scheduler holds cannot be overtaken any more, so it is given no more than it can run
    at once, and the rest waits here. While live requests come, one of a batch goes in only when
    nothing else runs: a live one then shares the processor with a single other, or with none.
    Live requests that leave no gap at all let one of a batch by every `PATIENCE_S`.
    All calls are made on one event loop.

    Args:
        running: images inside at once; a larger single request goes in alone.
        waiting: images that may wait, live ones and those of batches each; beyond them `enter` raises GateFull.
    """

    def __init__(self, running: int, waiting: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._running = running
        self._waiting = waiting
        self._clock = clock
        self._inside = 0
        self._live_inside = 0
        self._live_left_at = -STANDING_BACK_S
        self._batch_entered_at = -PATIENCE_S
        self._turns: dict[Lane, deque[_Turn]] = {"live": deque(), "batch": deque()}

    @property
    def idle(self) -> bool:
        """True when nothing runs and nothing waits."""
        return self._inside == 0 and not any(self._turns.values())

    async def enter(self, images: int, lane: Lane) -> None:
        """Wait for room. Raises GateFull at once when too many wait."""
        turn = _Turn(lane, images, self._clock(), asyncio.Event())
        others = sum(turn.images for turn in self._turns[lane])
        self._turns[lane].append(turn)
        self._admit()
        if turn.come.is_set():
            return
        if others + images > self._waiting:
            self._turns[lane].remove(turn)
            raise GateFull(f"{others} images are waiting; {self._waiting} are the most")
        try:
            await turn.come.wait()
        except asyncio.CancelledError:
            if turn.come.is_set():
                self.leave(images, lane)
            else:
                self._turns[lane].remove(turn)
                self._admit()
            raise

    def leave(self, images: int, lane: Lane) -> None:
        """Give the room back."""
        self._inside -= images
        if lane == "live":
            self._live_inside -= images
            self._live_left_at = self._clock()
        self._admit()

    def _admit(self) -> None:
        while (turn := self._next()) is not None and self._fits(turn):
            self._turns[turn.lane].popleft()
            self._inside += turn.images
            if turn.lane == "live":
                self._live_inside += turn.images
            else:
                self._batch_entered_at = self._clock()
            turn.come.set()

    def _next(self) -> _Turn | None:
        live, batch = self._turns["live"], self._turns["batch"]
        if batch and (not live or self._impatient(batch[0])):
            return batch[0]
        return live[0] if live else None

    def _fits(self, turn: _Turn) -> bool:
        if self._inside == 0:
            return True
        if turn.lane == "batch" and self._live_is_near() and not self._impatient(turn):
            return False
        return self._inside + turn.images <= self._running

    def _live_is_near(self) -> bool:
        return (
            self._live_inside > 0 or bool(self._turns["live"]) or self._clock() - self._live_left_at < STANDING_BACK_S
        )

    def _impatient(self, turn: _Turn) -> bool:
        """Whether a batch request has waited `PATIENCE_S`, and for as long none has gone in."""
        return self._clock() - max(turn.since, self._batch_entered_at) >= PATIENCE_S

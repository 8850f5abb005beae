"""What runs while somebody attends to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from query_api.watching.tails import Tail


class Attended:
    """A reader that is begun with the first who attends and ended with the last, a little later.

    Args:
        opening: begins the reader.
        closed: told when it was ended because nobody attended.
        linger_s: how long it goes on for whoever comes back, as one who asks for a picture each second does.
    """

    def __init__(self, opening: Callable[[], Awaitable[Tail]], closed: Callable[[], None], linger_s: float) -> None:
        self._opening = opening
        self._closed = closed
        self._linger_s = linger_s
        self._lock = asyncio.Lock()
        self._attending = 0
        self._tail: Tail | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        """Whether there is a reader."""
        return self._tail is not None

    def attend(self) -> None:
        """One more attends; `open` must follow, and once `leave`."""
        self._attending += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def open(self) -> None:
        """Begin the reader unless it runs. Raises what beginning it raises."""
        async with self._lock:
            if self._tail is None:
                self._tail = await self._opening()

    def leave(self) -> None:
        """One less attends."""
        self._attending -= 1
        if self._attending > 0:
            return
        if self._linger_s > 0:
            self._timer = asyncio.get_running_loop().call_later(self._linger_s, self._end)
        else:
            self._end()

    def lost(self) -> None:
        """The reader has ended by itself; the next `open` begins another."""
        self._tail = None

    def _end(self) -> None:
        self._timer = None
        if self._attending == 0 and self._tail is not None:
            self._tail.close()
            self._tail = None
            self._closed()

"""An event loop that is stepped by hand: no wall clock, no threads, the same order every time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class SteppedLoop(asyncio.SelectorEventLoop):
    """Time passes only in `pass_time`; what is given to a thread is done at once."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # as a thread would hand it over
            future.set_exception(error)
        return future

    def settle(self) -> None:
        """Until nothing can go on."""
        for _ in range(10_000):
            self.call_soon(self.stop)
            self.run_forever()
            if not self._ready:  # type: ignore[attr-defined]
                return
        raise AssertionError("it never comes to rest: something is busy without waiting")

    def pass_time(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        until = self._now + seconds
        while True:
            self.settle()
            timers = [t.when() for t in self._scheduled if not t.cancelled() and t.when() <= until]  # type: ignore[attr-defined]
            if not timers:
                break
            self._now = max(self._now, min(timers))
        self._now = until
        self.settle()

    def end(self) -> None:
        """Cancel what is left and close."""
        for task in asyncio.all_tasks(self):
            task.cancel()
        self.settle()
        self.close()

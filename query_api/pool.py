"""Blocking calls of the stores, off the event loop, with a bound on how many wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from query_api.refusals import Busy

P = ParamSpec("P")
T = TypeVar("T")
_END = object()


class Pool:
    """Threads for blocking calls.

    Args:
        threads: calls at once.
        waiting: calls that may wait for a thread; one more is refused.
        timeout_s: longest wait for an answer. The thread itself cannot be stopped, and stays
            counted until it is through.
    """

    def __init__(self, threads: int, waiting: int, timeout_s: float) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="store")
        self._room = threads + waiting
        self._timeout_s = timeout_s

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `call` returns. Raises Busy when there is no room, or no answer in time."""
        future = self.begin(call, *args, **kwargs)
        try:
            return await asyncio.wait_for(asyncio.shield(future), self._timeout_s)
        except TimeoutError as error:
            raise Busy(f"no answer from the stores within {self._timeout_s:g} s") from error

    def begin(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """`call`, for whoever need not wait for it. Raises Busy when there is no room."""
        if self._room <= 0:
            raise Busy("too many requests wait for the stores")
        self._room -= 1
        future = asyncio.get_running_loop().run_in_executor(self._executor, lambda: call(*args, **kwargs))
        future.add_done_callback(self._done)
        return future

    async def iterate(self, items: Iterator[T]) -> AsyncIterator[T]:
        """The items of a blocking iterator."""
        while True:
            item = await self.run(next, items, _END)
            if item is _END:
                return
            yield item  # type: ignore[misc]  # the marker was excluded

    def _done(self, future: asyncio.Future[T]) -> None:
        self._room += 1
        if not future.cancelled():
            future.exception()

    def close(self) -> None:
        """Refuse further calls; those that run are not waited for."""
        self._executor.shutdown(wait=False, cancel_futures=True)

"""Blocking calls of the stores, off the event loop, with a bound on how many wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from query_api.refusals import Busy

P = ParamSpec("P")
T = TypeVar("T")
_END = object()


@dataclass(slots=True)
class _Turn:
    """A shared call that runs; `next` is the answer of the one that follows it, where somebody waits for that."""

    next: asyncio.Future[Any] | None = None


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
        self._shared: dict[Hashable, _Turn] = {}

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `call` returns. Raises Busy when there is no room, or no answer in time."""
        return await self._answer(self.begin(call, *args, **kwargs))

    async def share(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `run`, for a call that only reads: one for all who ask for the same while it has not begun.

        Who asks while it runs is answered by the next one, so nobody hears of an earlier state than the one in which
        he asked.
        """
        key = (call, args, tuple(sorted(kwargs.items())))
        turn = self._shared.get(key)
        if turn is None:
            turn = self._shared[key] = _Turn()
            answer = asyncio.get_running_loop().create_future()
            self._begin_shared(key, answer, lambda: call(*args, **kwargs))
        else:
            answer = turn.next = turn.next or asyncio.get_running_loop().create_future()
        shared: T = await self._answer(answer)
        return shared

    async def _answer(self, future: asyncio.Future[T]) -> T:
        try:
            return await asyncio.wait_for(asyncio.shield(future), self._timeout_s)
        except TimeoutError as error:
            raise Busy(f"no answer from the stores within {self._timeout_s:g} s") from error

    def _begin_shared(self, key: Hashable, answer: asyncio.Future[Any], call: Callable[[], Any]) -> None:
        def done(running: asyncio.Future[Any]) -> None:
            if running.cancelled():
                answer.cancel()
            elif (error := running.exception()) is not None:
                answer.set_exception(error)
            else:
                answer.set_result(running.result())
            go_on()

        def go_on() -> None:
            if not answer.cancelled():
                answer.exception()  # heard, whether anybody still waits or not
            following, self._shared[key].next = self._shared[key].next, None
            if following is None:
                del self._shared[key]
            else:
                self._begin_shared(key, following, call)

        try:
            self.begin(call).add_done_callback(done)
        except Exception as error:  # without room, or without a thread: nobody may wait for it for ever
            answer.set_exception(error)
            go_on()

    def begin(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """`call`, for whoever need not wait for it. Raises Busy when there is no room."""
        if self._room <= 0:
            raise Busy("too many requests wait for the stores")
        future = asyncio.get_running_loop().run_in_executor(self._executor, lambda: call(*args, **kwargs))
        self._room -= 1
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

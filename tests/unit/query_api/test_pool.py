"""The pool refuses what it has no room for, and does not wait for ever."""

from __future__ import annotations

import asyncio
import threading

import pytest

from query_api.pool import Pool
from query_api.refusals import Busy


def test_it_answers_and_passes_errors_on() -> None:
    async def run() -> None:
        pool = Pool(1, 1, 10)
        assert await pool.run(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await pool.run(divmod, 7, 0)
        assert [item async for item in pool.iterate(iter("abc"))] == ["a", "b", "c"]
        pool.close()

    asyncio.run(run())


def test_it_has_room_for_so_many() -> None:
    async def run() -> None:
        pool, release = Pool(1, 1, 10), threading.Event()
        waiting = [asyncio.create_task(pool.run(release.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Busy, match="too many"):
            await pool.run(int)
        release.set()
        assert await asyncio.gather(*waiting) == [True, True]
        assert await pool.run(int) == 0
        pool.close()

    asyncio.run(run())


def test_it_does_not_wait_for_ever() -> None:
    async def run() -> None:
        pool, release = Pool(1, 0, 0.01), threading.Event()
        with pytest.raises(Busy, match="no answer"):
            await pool.run(release.wait)
        with pytest.raises(Busy, match="too many"):
            await pool.run(int)
        release.set()
        pool.close()

    asyncio.run(run())


class Store:
    """Tells how often it was asked, once it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.begun, self.let = threading.Event(), threading.Event()

    def look(self, _: str) -> int:
        self.asked += 1
        state = self.asked
        self.begun.set()
        self.let.wait(10)
        if state == 3:
            raise ZeroDivisionError
        return state


def test_who_asks_the_same_is_answered_by_one_call_that_begins_after_he_asked() -> None:
    async def run() -> None:
        pool, store = Pool(4, 4, 10), Store()
        first = asyncio.create_task(pool.share(store.look, "a"))
        assert await pool.run(store.begun.wait, 10)
        others = [asyncio.create_task(pool.share(store.look, "a")) for _ in range(20)]
        await asyncio.sleep(0)
        others[0].cancel()  # the others are answered all the same
        store.let.set()
        assert await first == 1
        assert await asyncio.gather(*others[1:]) == [2] * 19
        assert store.asked == 2
        with pytest.raises(ZeroDivisionError):
            await pool.share(store.look, "a")
        assert await asyncio.gather(pool.share(store.look, "a"), pool.share(store.look, "b")) == [4, 5]
        pool.close()

    asyncio.run(run())


def test_a_shared_call_without_room_is_refused_and_leaves_nothing_behind() -> None:
    async def run() -> None:
        pool, store = Pool(1, 0, 10), Store()
        running = asyncio.create_task(pool.run(store.look, "a"))
        await asyncio.sleep(0)
        with pytest.raises(Busy, match="too many"):
            await pool.share(store.look, "b")
        store.let.set()
        assert await running == 1
        assert await pool.share(store.look, "b") == 2
        pool.close()

    asyncio.run(run())


def test_a_shared_call_that_cannot_begin_leaves_nothing_behind() -> None:
    async def run() -> None:
        pool = Pool(1, 0, 10)
        pool.close()
        for _ in range(2):
            with pytest.raises(RuntimeError, match="shutdown"):
                await pool.share(len, ())

    asyncio.run(run())

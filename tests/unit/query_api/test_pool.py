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

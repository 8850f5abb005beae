from __future__ import annotations

import asyncio
import threading

import pytest

from core.errors import BrokerUnavailable
from streams_proc.publish import Tally


def test_nothing_on_its_way_is_confirmed() -> None:
    asyncio.run(Tally().confirmed())


def test_confirmed_waits_for_the_last_answer_from_another_thread() -> None:
    async def scene() -> None:
        tally = Tally()
        tally.add()
        tally.add()
        waiting = asyncio.create_task(tally.confirmed())
        tally.settle(None)
        await asyncio.sleep(0)
        assert not waiting.done()
        thread = threading.Thread(target=tally.settle, args=(None,))
        thread.start()
        await waiting
        thread.join()

    asyncio.run(scene())


def test_an_output_that_was_given_up_is_an_error_even_when_others_arrive() -> None:
    async def scene() -> None:
        tally = Tally()
        tally.add()
        tally.add()
        tally.settle("timed out")
        tally.settle(None)
        with pytest.raises(BrokerUnavailable, match="timed out"):
            await tally.confirmed()

    asyncio.run(scene())


def test_an_answer_after_the_wait_was_cancelled_harms_nobody() -> None:
    tally = Tally()

    async def scene() -> None:
        tally.add()
        waiting = asyncio.create_task(tally.confirmed())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)

    asyncio.run(scene())
    tally.settle(None)

from __future__ import annotations

import asyncio

from streams_proc.gather import Gather, Held
from streams_proc.pressure import Pressure
from streams_proc.stage import TopicPartition
from tests.unit.streams_proc.stage_fakes import no_pressure, record


def offsets(held: list[Held] | None) -> list[tuple[str, int]]:
    assert held is not None
    return [(each.record.topic, each.record.offset) for each in held]


def test_what_came_first_is_taken_first() -> None:
    async def scene() -> None:
        gather = Gather(no_pressure())
        for offset, topic in ((0, "a"), (0, "b"), (1, "a")):
            gather.put(Held(1, record(offset, topic=topic)))
        assert offsets(await gather.take(2)) == [("a", 0), ("b", 0)]
        assert offsets(await gather.take(2)) == [("a", 1)]

    asyncio.run(scene())


def test_a_full_batch_does_not_linger() -> None:
    async def scene() -> None:
        gather = Gather(no_pressure())
        taking = asyncio.create_task(gather.take(2, linger_s=3600))
        await asyncio.sleep(0)
        gather.put(Held(1, record(0)))
        await asyncio.sleep(0)
        assert not taking.done()
        gather.put(Held(1, record(1)))
        assert len(await taking or ()) == 2

    asyncio.run(scene())


def test_a_part_is_given_once_the_linger_is_over() -> None:
    async def scene() -> None:
        gather = Gather(no_pressure())
        gather.put(Held(1, record(0)))
        assert len(await gather.take(8, linger_s=0.001) or ()) == 1

    asyncio.run(scene())


def test_nobody_lingers_after_a_record_that_closes() -> None:
    async def scene() -> None:
        gather = Gather(no_pressure(), lambda record: record.value == b"end")
        gather.put(Held(1, record(0)))
        taking = asyncio.create_task(gather.take(8, linger_s=3600))
        await asyncio.sleep(0)
        assert not taking.done()
        gather.put(Held(1, record(1, value=b"end")))
        assert offsets(await taking) == [("in", 0), ("in", 1)]
        gather.put(Held(1, record(2)))
        lingering = asyncio.create_task(gather.take(8, linger_s=3600))
        await asyncio.sleep(0)
        assert not lingering.done(), "the end was taken with the others"
        lingering.cancel()

    asyncio.run(scene())


def test_nobody_lingers_while_no_more_is_fetched() -> None:
    async def scene() -> None:
        gather = Gather(Pressure(lambda tp: None, lambda tp: None, most_bytes=1000))
        gather.put(Held(1, record(0, value=b"x" * 600)))
        taking = asyncio.create_task(gather.take(8, linger_s=3600))
        await asyncio.sleep(0)
        assert not taking.done()
        gather.put(Held(1, record(1, value=b"x" * 600)))
        assert len(await taking or ()) == 2

    asyncio.run(scene())


def test_waiting_ends_empty_and_closing_ends_with_nothing() -> None:
    async def scene() -> None:
        gather = Gather(no_pressure())
        assert await gather.take(8, wait_s=0.0) == []
        taking = asyncio.create_task(gather.take(8))
        await asyncio.sleep(0)
        gather.close()
        assert await taking is None
        gather.put(Held(1, record(0)))
        assert await gather.take(8) is None

    asyncio.run(scene())


def test_bytes_that_wait_are_bounded_topic_by_topic() -> None:
    paused: list[TopicPartition] = []
    resumed: list[TopicPartition] = []

    async def scene() -> None:
        gather = Gather(Pressure(paused.append, resumed.append, most_bytes=1000))
        gather.put(Held(1, record(0, topic="live", value=b"x" * 100)))
        gather.put(Held(1, record(0, topic="batch", value=b"x" * 600)))
        assert paused == []
        gather.put(Held(1, record(1, topic="batch", value=b"x" * 600)))
        gather.put(Held(1, record(0, 1, topic="batch", value=b"x" * 100)))
        assert paused == [TopicPartition("batch", 0), TopicPartition("batch", 1)]
        await gather.take(1)
        assert resumed == []
        await gather.take(2)
        assert set(resumed) == set(paused)

    asyncio.run(scene())


def test_dropping_gives_the_bytes_back() -> None:
    resumed: list[TopicPartition] = []
    gather = Gather(Pressure(lambda tp: None, resumed.append, most_bytes=10))
    gather.put(Held(1, record(0, value=b"x" * 20)))
    gather.drop()
    assert resumed == [TopicPartition("in", 0)]

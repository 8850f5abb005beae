"""Readers of partitions: on threads of their own, heard on the event loop, and never the end of it."""

from __future__ import annotations

import asyncio
import os
import queue
import signal
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from core.errors import BrokerUnavailable
from core.settings import Kafka
from query_api.refusals import Busy
from query_api.serving import before_stopping
from query_api.watching import tails
from query_api.watching.tails import Heard, KafkaTails, Partition, Span
from tests.unit.query_api.watching import until

WHERE: Partition = ("events", 2)


class Message:
    def __init__(self, offset: int, error: Any = None) -> None:
        self._offset, self._error = offset, error

    def error(self) -> Any:
        return self._error

    def topic(self) -> str:
        return WHERE[0]

    def partition(self) -> int:
        return WHERE[1]

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes:
        return b"k"

    def value(self) -> bytes:
        return b"v"


class Consumer:
    """What librdkafka would do with these messages and failures."""

    def __init__(self, broken: bool = False) -> None:
        self.coming: queue.Queue[Message | Exception] = queue.Queue()
        self.broken = broken
        self.assigned: list[Any] = []
        self.closed = threading.Event()

    def get_watermark_offsets(self, _: Any, timeout: float) -> tuple[int, int]:
        if self.broken:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return 3, 100

    def assign(self, places: list[Any]) -> None:
        self.assigned = places

    def poll(self, timeout: float) -> Message | None:
        try:
            found = self.coming.get(timeout=min(timeout, 0.01)) if timeout else self.coming.get_nowait()
        except queue.Empty:
            return None
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        self.closed.set()


class Hearing:
    """What was told, and on which threads."""

    def __init__(self) -> None:
        self.spans: Mapping[Partition, Span] = {}
        self.heard: list[Heard] = []
        self.over = 0
        self.threads: set[int] = set()
        self.fails = False

    def begun(self, spans: Mapping[Partition, Span]) -> None:
        self.spans = spans

    def take(self, records: Sequence[Heard]) -> None:
        self.threads.add(threading.get_ident())
        self.heard += records
        if self.fails:
            raise RuntimeError("cannot")

    def ended(self) -> None:
        self.over += 1


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Consumer:
    made = Consumer()
    monkeypatch.setattr(tails.clients, "consumer", lambda *_, **__: made)
    return made


def test_records_are_heard_on_the_loop_in_order(consumer: Consumer) -> None:
    async def test() -> None:
        hearing = Hearing()
        tail = await KafkaTails(Kafka()).open({WHERE: 10}, hearing, lost="latest")
        assert hearing.spans == {WHERE: Span(90, 100)}
        assert [place.offset for place in consumer.assigned] == [90]
        for offset in range(90, 95):
            consumer.coming.put(Message(offset))
            consumer.coming.put(Message(0, KafkaError(KafkaError._ALL_BROKERS_DOWN)))
        await until(lambda: len(hearing.heard) == 5)
        assert [heard.offset for heard in hearing.heard] == list(range(90, 95))
        assert hearing.heard[0] == Heard("events", 2, 90, b"k", b"v")
        assert hearing.threads == {threading.get_ident()}
        tail.close()
        await until(consumer.closed.is_set)
        assert hearing.over == 0, "who closes it knows"

    asyncio.run(test())


def test_no_further_back_than_what_is_kept(consumer: Consumer) -> None:
    async def test() -> None:
        hearing = Hearing()
        tail = await KafkaTails(Kafka()).open({WHERE: 1000}, hearing, lost="latest")
        assert hearing.spans == {WHERE: Span(3, 100)}
        tail.close()

    asyncio.run(test())


def test_a_broker_that_does_not_answer_is_said_to_who_opens(consumer: Consumer) -> None:
    consumer.broken = True

    async def test() -> None:
        hearing = Hearing()
        with pytest.raises(BrokerUnavailable):
            await KafkaTails(Kafka()).open({WHERE: 0}, hearing, lost="latest")
        await until(consumer.closed.is_set)
        assert hearing.over == 0

    asyncio.run(test())


def test_a_reader_that_fails_ends_and_says_so(consumer: Consumer) -> None:
    async def test() -> None:
        hearing = Hearing()
        await KafkaTails(Kafka()).open({WHERE: 0}, hearing, lost="latest")
        consumer.coming.put(KafkaException(KafkaError(KafkaError._FATAL)))
        await until(lambda: hearing.over)
        await until(consumer.closed.is_set)
        assert hearing.over == 1

    asyncio.run(test())


def test_a_batch_that_cannot_be_taken_is_not_the_end(consumer: Consumer) -> None:
    async def test() -> None:
        hearing = Hearing()
        hearing.fails = True
        tail = await KafkaTails(Kafka()).open({WHERE: 0}, hearing, lost="latest")
        consumer.coming.put(Message(100))
        await until(lambda: hearing.heard)
        hearing.fails = False
        consumer.coming.put(Message(101))
        await until(lambda: len(hearing.heard) == 2)
        tail.close()

    asyncio.run(test())


def test_a_service_that_stops_ends_its_readers_and_opens_no_more(consumer: Consumer) -> None:
    async def test() -> None:
        hearing, opened = Hearing(), KafkaTails(Kafka())
        await opened.open({WHERE: 0}, hearing, lost="latest")
        opened.close()
        assert hearing.over == 1
        await until(consumer.closed.is_set)
        with pytest.raises(Busy):
            await opened.open({WHERE: 0}, hearing, lost="latest")

    asyncio.run(test())


def test_what_has_no_end_is_ended_before_the_server_waits_for_it() -> None:
    told: list[str] = []
    before = signal.signal(signal.SIGTERM, lambda *_: told.append("server"))

    async def test() -> None:
        before_stopping(lambda: told.append("answers"))
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: len(told) == 2)

    try:
        asyncio.run(test())
    finally:
        signal.signal(signal.SIGTERM, before)
    assert sorted(told) == ["answers", "server"]

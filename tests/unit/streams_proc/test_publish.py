from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from core.errors import BrokerUnavailable, FatalError
from core.settings import Kafka
from streams_proc import publish
from streams_proc.publish import KafkaPublisher, Tally
from streams_proc.stage import Output


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


class FakeProducer:
    """A producer whose first record is refused when it is polled; what is purged is reported too."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.queue: list[tuple[bytes, Callable[..., None]]] = []
        self.sent: list[bytes] = []
        self.refused = threading.Event()

    def produce(self, topic: str, *, value: bytes, on_delivery: Callable[..., None], **_: Any) -> None:
        self.queue.append((value, on_delivery))
        self.sent.append(value)

    def poll(self, timeout: float) -> int:
        if self.queue and not self.refused.is_set():
            self.queue.pop(0)[1](KafkaError(KafkaError._MSG_TIMED_OUT), None)
            self.refused.set()
        else:
            self.refused.wait(0.001)
        return 0

    def purge(self, **_: Any) -> None:
        queue, self.queue = self.queue, []
        for _, delivered in queue:
            delivered(KafkaError(KafkaError._PURGE_QUEUE), None)

    def flush(self, timeout: float) -> int:
        for _, delivered in self.queue:
            delivered(None, None)
        return 0


def test_nothing_follows_an_output_that_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[FakeProducer] = []

    def make(kafka: Kafka, name: str, **settings: Any) -> FakeProducer:
        made.append(FakeProducer(settings))
        return made[-1]

    monkeypatch.setattr(publish, "producer", make)

    async def scene() -> None:
        with contextlib.closing(KafkaPublisher(Kafka(), "stage")) as publisher:
            tally = Tally()
            await publisher.send(Output("out", b"k", b"0"), tally)
            assert made[0].refused.wait(5)
            with pytest.raises(FatalError, match="nothing may follow"):
                await publisher.send(Output("out", b"k", b"1"), tally)
            with pytest.raises(BrokerUnavailable, match="not acknowledged"):
                await tally.confirmed()

    asyncio.run(scene())
    assert made[0].sent == [b"0"]
    assert made[0].settings["delivery.timeout.ms"] == 0, "an output never runs out of time: the next might not"
    assert made[0].settings["enable.gapless.guarantee"] is True


def test_a_producer_that_has_ended_loses_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real clients raise a fatal error where deliveries are served, once; `purge` settles the rest."""

    class Ending(FakeProducer):
        ended = False

        def poll(self, timeout: float) -> int:
            if self.queue and not self.ended:
                self.ended = True
                raise KafkaException(KafkaError(KafkaError._FATAL, "fenced", fatal=True))
            self.refused.wait(0.001)
            return 0

    made = Ending({})
    monkeypatch.setattr(publish, "producer", lambda *_, **__: made)

    async def scene() -> None:
        with contextlib.closing(KafkaPublisher(Kafka(), "stage")) as publisher:
            tally = Tally()
            await publisher.send(Output("out", b"k", b"0"), tally)
            with pytest.raises(BrokerUnavailable):
                async with asyncio.timeout(5):
                    await tally.confirmed()

    asyncio.run(scene())


def test_what_waits_behind_a_lost_output_is_never_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    class Queueing(FakeProducer):
        """Refuses the first record only when the second is there."""

        def poll(self, timeout: float) -> int:
            return super().poll(timeout) if len(self.sent) > 1 else 0

    made = Queueing({})
    monkeypatch.setattr(publish, "producer", lambda *_, **__: made)
    arrived: list[str | None] = []

    class Listening(Tally):
        def settle(self, error: str | None) -> None:
            arrived.append(error)
            super().settle(error)

    async def scene() -> None:
        with contextlib.closing(KafkaPublisher(Kafka(), "stage")) as publisher:
            for value in (b"0", b"1"):
                await publisher.send(Output("out", b"k", value), Listening())
            assert made.refused.wait(5)

    asyncio.run(scene())
    assert len(arrived) == 2
    assert None not in arrived, "the second has arrived without the first"

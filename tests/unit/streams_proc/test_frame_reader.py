"""A frame counts as gone by where its log begins and ends, never by an error of the client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from core import kafka as clients
from core.errors import BrokerUnavailable
from core.messages import Place
from core.settings import Kafka
from core.topics import Topics
from streams_proc.frame_reader import FrameReader

KAFKA = Kafka()
FRAMES = Topics.of(KAFKA).frames_batch


class Message:
    """A record that was read."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def error(self) -> KafkaError | None:
        return None

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes:
        return b"a frame"


class Client:
    """Of a broker that was restarted: the first made never sees the partition again, the next does."""

    made: list[Client]

    def __init__(self, code: int) -> None:
        self.code = code
        self.closed = False
        self.at = 0

    def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
        if self is self.made[0]:
            raise KafkaException(KafkaError(self.code))
        return (5, 9)

    def assign(self, places: list[TopicPartition]) -> None:
        self.at = places[0].offset

    def unassign(self) -> None: ...

    def poll(self, _: float) -> Message:
        return Message(self.at)

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    "code",
    [
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.LEADER_NOT_AVAILABLE,
    ],
)
def test_a_partition_that_the_client_does_not_see_is_asked_for_again_by_another(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    made: list[Client] = []
    monkeypatch.setattr(Client, "made", made, raising=False)

    def connect(*_: Any, **__: Any) -> Client:
        made.append(Client(code))
        return made[-1]

    monkeypatch.setattr(clients, "consumer", connect)

    async def read() -> None:
        reader = FrameReader(KAFKA)
        place = Place(FRAMES, 1, 7)
        with pytest.raises(BrokerUnavailable):
            await reader.read([place])
        assert made[0].closed
        assert await reader.read([place]) == {place: b"a frame"}
        assert await reader.read([Place(FRAMES, 1, 4), Place(FRAMES, 1, 9)]) == {}
        await reader.close()

    asyncio.run(read())
    assert len(made) == 2


class Refused(Message):
    """What a client gives in place of a record: by its account the log does not have it."""

    def error(self) -> KafkaError:
        return KafkaError(KafkaError._AUTO_OFFSET_RESET)


def test_a_record_that_the_client_says_is_gone_is_gone_by_the_logs_ends_only(monkeypatch: pytest.MonkeyPatch) -> None:
    polled: list[Message] = [Refused(7), Message(7)]
    monkeypatch.setattr(Client, "made", [None], raising=False)
    monkeypatch.setattr(Client, "poll", lambda *_: polled.pop(0))
    monkeypatch.setattr(clients, "consumer", lambda *_, **__: Client(0))

    async def read() -> None:
        reader = FrameReader(KAFKA)
        place = Place(FRAMES, 1, 7)
        with pytest.raises(BrokerUnavailable):
            await reader.read([place])
        assert await reader.read([place]) == {place: b"a frame"}
        await reader.close()

    asyncio.run(read())


def test_a_place_that_is_none_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "consumer", lambda *_, **__: pytest.fail("the broker was asked"))

    async def read() -> None:
        reader = FrameReader(KAFKA)
        assert await reader.read([Place("elsewhere", 0, 0), Place(FRAMES, KAFKA.partitions, 0)]) == {}
        await reader.close()

    asyncio.run(read())

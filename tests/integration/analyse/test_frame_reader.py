"""Frames are read again from a real broker, by their place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest
from confluent_kafka import TopicPartition

from core.errors import BrokerUnavailable
from core.kafka import admin, delete_before, producer
from core.messages import Place
from core.settings import Kafka
from core.topics import Topics
from streams_proc.attempt import attempt
from streams_proc.frame_reader import FrameReader

pytestmark = pytest.mark.kafka
BIG = 60_000


def fill(kafka: Kafka, topic: str, partition: int, count: int, first: int = 0) -> None:
    """`count` records, each of which says its offset."""
    client = producer(kafka, "test")
    for n in range(first, first + count):
        client.produce(topic, value(n), partition=partition)
    assert client.flush(30) == 0


def trim(kafka: Kafka, topic: str, first: int) -> None:
    """Let `first` be the first record that partition 0 keeps."""
    delete_before(admin(kafka), [TopicPartition(topic, 0, first)], 30.0)


def value(offset: int) -> bytes:
    return f"{offset:08d}".encode() + b"." * BIG


def read(reader: FrameReader, places: Sequence[Place]) -> Mapping[Place, bytes]:
    return asyncio.run(reader.read(places))


@pytest.fixture
def reading() -> Iterator[Callable[..., FrameReader]]:
    """Makes readers, and lets go of them."""
    made: list[FrameReader] = []

    def make(kafka: Kafka, **more: float) -> FrameReader:
        made.append(FrameReader(kafka, **{"timeout_s": 10.0, **more}))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for reader in made:
        asyncio.run(reader.close())


@pytest.fixture
def reader(kafka: Kafka, reading: Callable[..., FrameReader]) -> FrameReader:
    return reading(kafka)


def test_scattered_records_of_several_partitions_are_found(kafka: Kafka, reader: FrameReader) -> None:
    topic = Topics.of(kafka).frames_batch
    for partition in (0, 1):
        fill(kafka, topic, partition, 120)
    wanted = [Place(topic, partition, offset) for partition in (1, 0) for offset in (119, 0, 3, 4, 60, 61, 90)]
    found = read(reader, wanted)
    assert {p: v[:8] for p, v in found.items()} == {p: f"{p.offset:08d}".encode() for p in wanted}
    fill(kafka, topic, 0, 5, 120)
    assert read(reader, [Place(topic, 0, 124)])[Place(topic, 0, 124)] == value(124), "records that came later"


def test_records_that_are_gone_or_never_were_are_absent(kafka: Kafka, reader: FrameReader) -> None:
    topics = Topics.of(kafka)
    topic = topics.frames_batch
    fill(kafka, topic, 0, 50)
    assert len(read(reader, [Place(topic, 0, 10)])) == 1
    trim(kafka, topic, 20)
    started = time.monotonic()
    wanted = [
        Place(topic, 0, 5),
        Place(topic, 0, 30),
        Place(topic, 0, 50),
        Place(topic, 2, 0),
        Place(topic, 99, 0),
        Place(topics.frames_live, 0, 0),
        Place("no-such-topic", 0, 0),
    ]
    # as a stage reads: the topic is new, and its partitions may not have their leader yet
    found = asyncio.run(attempt(lambda: reader.read(wanted), "test")) or {}
    assert found == {Place(topic, 0, 30): value(30)}
    assert time.monotonic() - started < 8, "nothing is waited for"


def test_what_was_read_last_is_not_read_again(kafka: Kafka, reading: Callable[..., FrameReader]) -> None:
    topic = Topics.of(kafka).frames_batch
    fill(kafka, topic, 0, 4)
    places = [Place(topic, 0, n) for n in range(4)]
    reader = reading(kafka, cache_bytes=2 * len(value(0)))
    assert len(read(reader, places)) == 4
    trim(kafka, topic, 4)
    assert sorted(p.offset for p in read(reader, places)) == [2, 3]


def test_a_broker_that_does_not_answer_is_said_so(kafka: Kafka, reading: Callable[..., FrameReader]) -> None:
    nobody = kafka.model_copy(update={"bootstrap": "127.0.0.1:1"})
    reader = reading(nobody, timeout_s=0.5)
    with pytest.raises(BrokerUnavailable):
        read(reader, [Place(Topics.of(kafka).frames_batch, 0, 0)])

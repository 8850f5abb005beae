"""Unread bytes of a partition that streams of small and of large pictures share."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from hypothesis import given
from hypothesis import strategies as st
from ingest_fakes import FakeClock

from core import kafka as clients
from core.settings import Kafka
from ingest.backlog import REFRESH_S, Backlog, DetectLag
from ingest.record_sizes import RecordSizes, bytes_a_record

SMALL, LARGE = 10_000, 500_000
KEY = 36
KAFKA = Kafka(max_message_bytes=1024**2)


class Record:
    def __init__(self, partition: int, offset: int, size: int) -> None:
        self._partition, self._offset, self._size = partition, offset, size

    def error(self) -> None:
        return None

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes:
        return bytes(KEY)

    def value(self) -> bytes:
        return bytes(self._size - KEY)


class Broker:
    """Partitions of records of some sizes, of which some are read; counts what is fetched."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *logs: list[int]) -> None:
        self.logs = logs
        self.read = [0] * len(logs)
        self.fetched: list[tuple[int, int]] = []
        self.away = False
        monkeypatch.setattr(clients, "consumer", lambda *_, **__: Client(self))

    @property
    def unread_bytes(self) -> int:
        return sum(sum(log[read:]) for log, read in zip(self.logs, self.read, strict=True))


class Client:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._at: TopicPartition | None = None

    def committed(self, places: list[TopicPartition], **_: Any) -> list[TopicPartition]:
        return [TopicPartition(p.topic, p.partition, self._broker.read[p.partition]) for p in places]

    def get_watermark_offsets(self, place: TopicPartition, **__: Any) -> tuple[int, int]:
        return (0, len(self._broker.logs[place.partition]))

    def assign(self, places: list[TopicPartition]) -> None:
        if self._broker.away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        (self._at,) = places

    def poll(self, _: float) -> Record:
        assert self._at is not None
        partition, offset = self._at.partition, self._at.offset
        self._broker.fetched.append((partition, offset))
        return Record(partition, offset, self._broker.logs[partition][offset])

    def unassign(self) -> None:
        self._at = None

    def close(self) -> None:
        """Nothing is open."""


def looked(broker: Broker, bound: int, own: int, looks: int = 10) -> Backlog:
    """The backlog of a reader whose own records are of size `own`, after some looks."""
    clock = FakeClock()
    backlog = Backlog(DetectLag(KAFKA, "frames", tuple(range(len(broker.logs))), bound), bound, clock)
    backlog.published(own)
    for _ in range(looks):
        clock.now += REFRESH_S
        backlog.full(own)
    return backlog


@pytest.mark.parametrize("period", [2, 3, 4, 5, 10])
def test_a_reader_of_small_pictures_sees_the_large_ones_beside_it(monkeypatch: pytest.MonkeyPatch, period: int) -> None:
    broker = Broker(monkeypatch, [SMALL, *[SMALL] * (period - 2), LARGE] * (3000 // period))
    backlog = looked(broker, broker.unread_bytes - 1, SMALL)
    assert backlog.full(SMALL), "the partition is full, however small this reader's records are"


def test_large_ones_after_many_small_ones_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch, [SMALL] * 2000 + [LARGE] * 1000)
    assert looked(broker, broker.unread_bytes - 1, SMALL).full(SMALL)


def test_a_reader_of_large_pictures_alone_may_use_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch, [LARGE] * 1000)
    assert not looked(broker, broker.unread_bytes + 2 * LARGE, LARGE).full(LARGE)
    assert looked(broker, broker.unread_bytes - 1, LARGE).full(LARGE)


def test_all_partitions_of_batch_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch, [SMALL] * 500, [], [LARGE] * 500)
    assert looked(broker, broker.unread_bytes - 1, SMALL).full(SMALL)
    assert {partition for partition, _ in broker.fetched} == {0, 2}


def test_a_few_records_that_cannot_fill_it_are_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch, [LARGE] * 100)
    assert not looked(broker, 100 * KAFKA.max_message_bytes, SMALL).full(SMALL)
    assert broker.fetched == []


def test_what_has_been_read_does_not_count_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch, [LARGE] * 1000 + [SMALL] * 1000)
    sizes = RecordSizes(KAFKA, "frames")
    for _ in range(8):
        sizes.look({0: range(2000)})
    assert (sizes.estimate or 0) > (LARGE + SMALL) / 2
    sizes.forget({0: range(1000, 2000)})
    assert sizes.estimate == SMALL
    sizes.look({0: range(2000, 2000)})
    assert sizes.estimate is None
    assert all(0 <= offset < 2000 for _, offset in broker.fetched)


def test_a_broker_that_is_away_leaves_the_last_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch, [LARGE] * 1000)
    backlog = looked(broker, broker.unread_bytes - 1, SMALL)
    broker.away = True
    assert backlog.full(SMALL)
    sizes = RecordSizes(KAFKA, "frames")
    with pytest.raises(KafkaException):
        sizes.look({0: range(10)})


@given(sizes=st.lists(st.integers(1, 10**6), min_size=1, max_size=40))
def test_the_estimate_is_never_below_the_mean_nor_above_the_largest(sizes: list[int]) -> None:
    estimate = bytes_a_record(sizes)
    assert estimate is not None
    assert sum(sizes) / len(sizes) <= estimate * (1 + 1e-9)
    assert estimate <= max(sizes)

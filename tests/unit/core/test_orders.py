"""Orders of all workers: heard once, and only by those that run already."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from core import log
from core.messages import NodeStatus, Orders, encode_json
from core.orders import KEY, Obeying
from core.partitions import partition_of
from core.settings import Kafka

KAFKA = Kafka(prefix="p.", partitions=4)


@pytest.fixture
def levels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(log, "set_level", told.append)
    return told


@pytest.fixture
def restarts() -> list[int]:
    return []


@pytest.fixture
def obeying(levels: list[str], restarts: list[int]) -> Obeying:
    return Obeying(KAFKA, lambda: restarts.append(1), "info")


def order(restart_ms: int = 0, level: Any = "") -> bytes:
    return encode_json(Orders(restart_ms, level))


def test_an_order_from_before_is_not_for_a_process_that_has_just_begun(obeying: Obeying, restarts: list[int]) -> None:
    for at in (100, 200):
        obeying.take(KEY, order(at))
    obeying.found()
    assert restarts == []
    obeying.take(KEY, order(201))
    assert restarts == [1]


def test_an_order_is_obeyed_once(obeying: Obeying, restarts: list[int]) -> None:
    obeying.found()
    for at in (100, 100, 50, 100):
        obeying.take(KEY, order(at))
    assert restarts == [1]


def test_the_log_level_holds_from_the_start_and_until_it_is_taken_back(
    obeying: Obeying, levels: list[str], restarts: list[int]
) -> None:
    obeying.take(KEY, order(5, "debug"))
    obeying.found()
    obeying.take(KEY, order(5, "error"))
    obeying.take(KEY, order(5))
    assert levels == ["debug", "error", "info"]
    assert restarts == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"edge-1", order(9)),
        (None, order(9)),
        (KEY, None),
        (KEY, b"{"),
        (KEY, b'{"message":"orders","restart_ms":-1}'),
        (KEY, b'{"message":"orders","log_level":"loud"}'),
        (KEY, encode_json(NodeStatus("orders", 1, 1, "a", "CPU", 0.0, 0.0, 0.0))),
    ],
)
def test_what_is_no_order_is_passed_over(
    obeying: Obeying, levels: list[str], restarts: list[int], key: bytes | None, value: bytes | None
) -> None:
    obeying.found()
    obeying.take(key, value)
    assert (levels, restarts) == ([], [])


class Record:
    def __init__(self, value: bytes | None = None, error: int | None = None, offset: int = 0) -> None:
        self._value = value
        self._error = error
        self._offset = offset

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes:
        return KEY

    def value(self) -> bytes | None:
        return self._value

    def error(self) -> KafkaError | None:
        return None if self._error is None else KafkaError(self._error)


class Client:
    """Gives records; then nothing, and says that it has."""

    def __init__(self, *records: Record, end: int = 9) -> None:
        self.records = list(records)
        self.end = end
        self.refusals = 1
        self.assigned: list[TopicPartition] = []
        self.through = threading.Event()
        self.closed = False

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = partitions

    def get_watermark_offsets(self, _: TopicPartition, timeout: float) -> tuple[int, int]:
        if self.refusals:
            self.refusals -= 1
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return 0, self.end

    def poll(self, timeout: float) -> Record | None:
        if self.records:
            return self.records.pop(0)
        self.through.set()
        return None

    def close(self) -> None:
        self.closed = True


@pytest.mark.usefixtures("levels")
def test_orders_are_followed_from_the_begin_of_their_partition_until_the_end_of_the_block(
    restarts: list[int],
) -> None:
    end, trouble = Record(error=KafkaError._PARTITION_EOF), Record(error=KafkaError._TRANSPORT)
    client = Client(Record(order(1)), trouble, end, Record(order(2)), end, Record(order(3)))
    with Obeying(KAFKA, lambda: restarts.append(1), "info", lambda _: client):
        assert client.through.wait(10)
    assert client.closed
    assert restarts == [1, 1], "not the first, which stood there already"
    (place,) = client.assigned
    assert (place.topic, place.partition, place.offset) == ("p.nodes", partition_of(KEY, 4), OFFSET_BEGINNING)


@pytest.mark.usefixtures("levels")
@pytest.mark.parametrize(("end", "obeyed"), [(0, [1, 1]), (1, [1]), (2, [])])
def test_what_comes_right_behind_what_stood_there_is_obeyed(restarts: list[int], end: int, obeyed: list[int]) -> None:
    client = Client(Record(order(1), offset=0), Record(order(2), offset=1), end=end)
    with Obeying(KAFKA, lambda: restarts.append(1), "info", lambda _: client):
        assert client.through.wait(10)
    assert restarts == obeyed, "the end of the log was never told"

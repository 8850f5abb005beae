"""Reading ranges again, over a client that answers as told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from core import reading as module
from core.errors import BrokerUnavailable
from core.reading import Reader, reading
from core.settings import Kafka

KAFKA = Kafka(partitions=2)


class Message:
    def __init__(self, offset: int, error: KafkaError | None = None) -> None:
        self._offset, self._error = offset, error

    def offset(self) -> int:
        return self._offset

    def error(self) -> KafkaError | None:
        return self._error


class Client:
    """Gives its messages one by one, and fails as often as it is told."""

    def __init__(self, *messages: Message | None, failures: int = 0, unknown: int = 0) -> None:
        self.messages = list(messages)
        self.failures = failures
        self.unknown = unknown
        self.assigned: list[TopicPartition] = []
        self.closed = False

    def assign(self, places: list[TopicPartition]) -> None:
        self.assigned = places

    def unassign(self) -> None:
        self.assigned = []

    def poll(self, _: float) -> Any:
        return self.messages.pop(0) if self.messages else None

    def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
        self._fail()
        return 3, 9

    def committed(self, places: list[TopicPartition], **_: Any) -> list[Any]:
        self._fail()
        if self.unknown:
            self.unknown -= 1
            error = KafkaError(KafkaError.UNSTABLE_OFFSET_COMMIT)
            return [SimpleNamespace(topic="t", partition=0, offset=-1001, error=error)]
        return [TopicPartition(places[0].topic, 0, 7), TopicPartition(places[0].topic, 1, -1001)]

    def close(self) -> None:
        self.closed = True

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise KafkaException(KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION))


@pytest.fixture(autouse=True)
def _no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def step() -> float:
        now[0] += 0.01
        return now[0]

    monkeypatch.setattr(module.time, "monotonic", step)
    monkeypatch.setattr(module.time, "sleep", lambda _: None)


def offsets(client: Client, begin: int, end: int) -> list[int]:
    return [m.offset() or 0 for m in Reader(KAFKA, client, 1.0).records("t", 0, begin, end)]  # type: ignore[arg-type]


def test_a_range_is_read_to_its_last_record_and_no_further() -> None:
    client = Client(*(Message(i) for i in range(3, 9)))
    assert offsets(client, 3, 6) == [3, 4, 5]
    assert client.assigned == []
    assert len(client.messages) == 3


def test_holes_of_a_compacted_topic_are_passed_over_also_at_the_end() -> None:
    assert offsets(Client(Message(3), None, Message(8)), 3, 6) == [3]
    end = Message(0, KafkaError(KafkaError._PARTITION_EOF))
    assert offsets(Client(Message(4), end), 3, 6) == [4]


def test_an_empty_range_asks_nothing() -> None:
    assert offsets(Client(), 5, 5) == []


def test_what_does_not_come_in_time_is_a_broker_that_is_away() -> None:
    with pytest.raises(BrokerUnavailable):
        offsets(Client(Message(3), Message(0, KafkaError(KafkaError._TRANSPORT))), 3, 6)


@pytest.mark.parametrize("question", [lambda r: r.bounds("t", 0), lambda r: dict(r.committed("t"))])
def test_a_partition_that_is_new_is_asked_again_for_a_while(question: Any) -> None:
    reader = Reader(KAFKA, Client(failures=3), 1.0)  # type: ignore[arg-type]
    assert question(reader) in ((3, 9), {0: 7})
    with pytest.raises(KafkaException):
        question(Reader(KAFKA, Client(failures=10_000), 1.0))  # type: ignore[arg-type]


def test_a_committed_offset_that_is_not_known_yet_is_not_taken_for_none() -> None:
    assert Reader(KAFKA, Client(unknown=3), 1.0).committed("t") == {0: 7}  # type: ignore[arg-type]


def test_the_client_s_errors_are_of_our_tree_and_it_is_always_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(failures=10_000)
    monkeypatch.setattr(module.clients, "consumer", lambda *_, **__: client)
    with pytest.raises(BrokerUnavailable), reading(KAFKA, "x") as reader:
        reader.bounds("t", 0)
    assert client.closed

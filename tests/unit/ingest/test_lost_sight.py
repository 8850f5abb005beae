"""A client that has lost sight of a partition is replaced, because it may never see it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from core import kafka as clients
from core.errors import BrokerUnavailable
from core.settings import Kafka
from ingest.backlog import DetectLag
from ingest.progress import ProgressLog


class Client:
    """Sees the partition's ends, or never again."""

    def __init__(self, sees: bool) -> None:
        self.sees = sees
        self.closed = False

    def get_watermark_offsets(self, _: TopicPartition, **__: Any) -> tuple[int, int]:
        if not self.sees:
            raise KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION))
        return (7, 7)

    def committed(self, places: list[TopicPartition], **_: Any) -> list[TopicPartition]:
        return [TopicPartition(place.topic, place.partition, 3) for place in places]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    made: list[Client] = []

    def connect(*_: Any, **__: Any) -> Client:
        made.append(Client(sees=bool(made)))
        return made[-1]

    monkeypatch.setattr(clients, "consumer", connect)
    monkeypatch.setattr("ingest.offsets.time.sleep", lambda _: None)
    return made


def _progress() -> Callable[[], object]:
    log = ProgressLog(Kafka())
    log.hold([2])
    return lambda: log.of(2, "a stream", timeout_s=0.0)


@pytest.mark.parametrize(
    ("asking", "fails_with", "answer"),
    [
        (_progress, BrokerUnavailable, None),
        (lambda: DetectLag(Kafka(), "frames", (0,), 10**9).count, KafkaException, 0),
    ],
)
def test_the_next_question_is_asked_by_a_new_client(
    made: list[Client], asking: Callable[[], Callable[[], object]], fails_with: type[Exception], answer: object
) -> None:
    ask = asking()
    with pytest.raises(fails_with):
        ask()
    assert made[0].closed
    assert ask() == answer
    assert len(made) == 2

"""What a follower makes of a run's messages, replays and failures among them."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

import msgspec
import pytest

from core.errors import BrokerUnavailable
from core.ids import Run, Seq, StreamId, TrackId
from core.messages import (
    FrameDetections,
    FrameTracks,
    Place,
    RunBegin,
    RunEnd,
    Source,
    StreamSpec,
    StreamStatus,
    TrackedBox,
    encode_json,
)
from core.settings import Kafka
from core.topics import Topics
from query_api import following
from query_api.following import Collected, KafkaFollower
from query_api.refusals import Busy
from tests.unit.query_api.conftest import COUNTS, VIDEO
from tests.unit.query_api.test_tasks import event

ID = "557d54ec-29ad-4f3c-93b4-c9092ef12515"
STREAM = StreamId(UUID(ID))
SPEC = StreamSpec(STREAM, Run(1), "v", "batch", Source("https://v.example/v"), (), "m", 0)
NAMES = Topics.of(Kafka())
END = RunEnd(STREAM, Run(1), "done", COUNTS, 0, VIDEO)


def detections(seq: int, error: str | None = None) -> FrameDetections:
    place = Place("frames.batch", 0, seq)
    return FrameDetections(STREAM, Run(1), Seq(seq), seq, 0.0, 0, 640, 360, "m", 1, place, (), error=error)


def tracks(seq: int) -> FrameTracks:
    box = TrackedBox(TrackId(1), "car", 0.9, (0.0, 0.0, 1.0, 1.0))
    return FrameTracks(STREAM, Run(1), Seq(seq), seq, 0.0, 0, 640, 360, (box,))


def test_frames_are_counted_once() -> None:
    found = Collected()
    found.take_detections(encode_json(RunBegin(STREAM, Run(1), SPEC, VIDEO)))
    for seq in (0, 1, 1, 0, 2):
        found.take_detections(encode_json(detections(seq, "no JPEG" if seq == 2 else None)))
        found.take_tracks(encode_json(tracks(seq)))
    assert (found.counts.processed, found.counts.dead_lettered) == (2, 1)
    assert [point.seq for point in found.points] == [0, 1, 2]
    assert found.video == VIDEO


def test_the_latest_phase_of_an_event_stays() -> None:
    found = Collected()
    for number in (0, 2, 1):
        found.take_event(encode_json(msgspec.structs.replace(event(ID, 1, 1), number=number)))
    assert [one.number for one in found.events.values()] == [2]


def test_it_is_complete_when_the_run_has_passed_every_topic() -> None:
    found = Collected()
    found.take_detections(encode_json(END))
    found.take_tracks(encode_json(RunBegin(STREAM, Run(1), SPEC, VIDEO)))
    found.take_tracks(encode_json(END))
    assert not found.complete
    found.take_event(encode_json(END))
    assert found.complete
    assert found.end == END


class FakeRecord:
    def __init__(self, topic: str, value: bytes, key: bytes = ID.encode()) -> None:
        self._topic, self._value, self._key = topic, value, key

    def topic(self) -> str:
        return self._topic

    def value(self) -> bytes:
        return self._value

    def key(self) -> bytes:
        return self._key

    def error(self) -> None:
        return None


class FakeConsumer:
    def __init__(self, rounds: list[list[FakeRecord]], broken: bool = False) -> None:
        self.rounds, self.broken = rounds, broken
        self.assigned: list[Any] = []
        self.closed = False

    def get_watermark_offsets(self, partition: Any, timeout: float) -> tuple[int, int]:
        from confluent_kafka import KafkaError, KafkaException

        if self.broken:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return 0, 7

    def assign(self, partitions: list[Any]) -> None:
        self.assigned = partitions

    def consume(self, most: int, timeout: float) -> list[FakeRecord]:
        return self.rounds.pop(0) if self.rounds else []

    def close(self) -> None:
        self.closed = True


def follower(monkeypatch: pytest.MonkeyPatch, rounds: list[list[FakeRecord]], **more: Any) -> tuple[Any, FakeConsumer]:
    consumer = FakeConsumer(rounds, **more)
    monkeypatch.setattr(following.clients, "consumer", lambda *_, **__: consumer)
    ticks = iter(range(100_000))
    return KafkaFollower(Kafka(), STREAM, clock=lambda: float(next(ticks))), consumer


def test_everything_of_its_own_key_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    end = encode_json(END)
    rounds = [
        [FakeRecord(NAMES.detections, encode_json(detections(0))), FakeRecord(NAMES.detections, b"broken", b"other")],
        [FakeRecord(name, end) for name in (NAMES.detections, NAMES.tracks, NAMES.events)],
    ]
    made, consumer = follower(monkeypatch, rounds)
    assert len(consumer.assigned) == 4 * Kafka().partitions
    assert all(partition.offset == 7 for partition in consumer.assigned)
    found = made.collect(threading.Event(), 100)
    assert found.processed == 1
    made.close()
    assert consumer.closed


def test_a_run_that_never_began(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = StreamStatus(STREAM, Run(1), "failure", 0, "h", error="no such file")
    made, _ = follower(monkeypatch, [[FakeRecord(NAMES.stream_status, encode_json(failed))]])
    found = made.collect(threading.Event(), 10_000)
    assert found.failed == failed
    assert not found.complete


def test_a_heartbeat_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    going = StreamStatus(STREAM, Run(1), "in_progress", 0, "h")
    made, _ = follower(monkeypatch, [[FakeRecord(NAMES.stream_status, encode_json(going))]])
    with pytest.raises(Busy, match="deferred"):
        made.collect(threading.Event(), 50)


def test_when_cancelled_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = follower(monkeypatch, [])
    cancelled = threading.Event()
    cancelled.set()
    assert made.collect(cancelled, 100) is None


def test_a_broker_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrokerUnavailable):
        follower(monkeypatch, [], broken=True)

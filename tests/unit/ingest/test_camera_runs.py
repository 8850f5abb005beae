"""How a host sees a camera's run: definitions that change, readers that crash, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest
from ingest_fakes import STREAM, FakeClock, FakeProducer, spec
from msgspec.structs import replace

from core import kafka as clients
from core.ids import Run
from core.messages import Autorestart, StreamSpec, StreamStatus, VideoInfo, decode_status
from core.settings import Kafka, Settings
from core.topics import Topics
from ingest import host as hosts
from ingest.host import Host, Stream
from ingest.ledger import Ledger
from ingest.progress import Checkpoint
from ingest.protocol import Start
from ingest.publisher import Acknowledged, Publisher
from ingest.reader_process import Death
from ingest.reporter import Teller

TOPICS = Topics.of(Kafka())
CAMERA = spec("live", url="rtsp://camera/1", autorestart=Autorestart(attempts=2, delay_s=20.0))


class Group:
    """A client of the broker; nothing comes."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def assign(self, *_: Any) -> None: ...


class Reader:
    """Keeps what it was started with and told, and dies when it is let."""

    pid = 1

    def __init__(self, start: Start, stall_s: float) -> None:
        self.start, self.spec, self.stall_s = start, start.spec, stall_s
        self.said: list[str] = []
        self.death: Death | None = None

    def alive(self) -> None: ...

    def order(self, order: str) -> None:
        self.said.append(order)

    def define(self, spec: StreamSpec) -> None:
        self.said.append(spec.name)

    def poll(self) -> Death | None:
        return self.death


class Closing:
    """Keeps what a host says of runs that no reader speaks for."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []

    def restart(self, spec: Any, partition: int, checkpoint: Checkpoint, *, attempt: int, error: str) -> None:
        self.said.append(("restart", attempt))

    def close(self, checkpoint: Checkpoint, partition: int, spec: Any, error: str | None = None) -> None:
        self.said.append(("close", error))

    def pending(self, *_: Any) -> None: ...


class Bench:
    """A host with one stream, on a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, definition: Any = CAMERA) -> None:
        monkeypatch.setattr(clients, "consumer", Group)
        monkeypatch.setattr(clients, "producer", Group)
        monkeypatch.setattr(hosts, "prepare", lambda: None)
        self.clock = FakeClock()
        self.host = Host(Settings(), Reader, self.clock)  # type: ignore[arg-type]
        self.closing: Any = Closing()
        self.host._closer = self.closing
        self.checkpoint: Checkpoint | None = None
        monkeypatch.setattr(self.host._progress, "of", lambda *_: self.checkpoint)
        self.host._held = {2}
        self.stream = self.host._streams[b"s"] = Stream(2, b"s", definition, wanted=True)
        self.host._begin_waiting()

    @property
    def reader(self) -> Reader:
        reader: Any = self.stream.reader
        assert reader is not None
        return reader  # type: ignore[no-any-return]

    def crash(self) -> None:
        """The reader dies, and another is begun when it is time."""
        self.reader.death = Death(False, "was ended by signal 11", 7)
        self.host._look_after_readers()
        self.stream.wanted = True
        self.host._begin_waiting()


def test_a_definition_that_changes_without_a_new_run_restarts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    before = bench.stream.reader
    bench.stream.spec = replace(CAMERA, name="another", analytics=())
    assert bench.host._reconciled(bench.stream)
    assert bench.reader.said == ["another"]
    assert bench.stream.reader is before
    bench.stream.spec = replace(CAMERA, run=Run(2))
    assert bench.host._reconciled(bench.stream)
    assert bench.reader.said == ["another", "stop"]


def test_a_crash_is_an_attempt_that_is_told_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    assert (bench.reader.start.attempt, bench.reader.stall_s) == (0, 90.0)
    bench.crash()
    assert bench.closing.said == [("restart", 1)]
    assert bench.stream.reader is None, "not at once"
    bench.clock.now += 1
    bench.host._begin_waiting()
    assert bench.reader.start.attempt == 1
    bench.crash()
    assert bench.closing.said[-1] == ("restart", 2)
    bench.clock.now += 19
    bench.host._begin_waiting()
    assert bench.stream.reader is None, "the pause is the definition's"
    bench.clock.now += 1
    bench.host._begin_waiting()
    bench.crash()
    assert bench.closing.said[-1] == ("close", "the reader was ended by signal 11, 3 times near frame 7")


def test_frames_between_two_crashes_begin_the_count_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    for crashed_at in range(10, 60, 10):
        bench.checkpoint = Checkpoint(STREAM, Run(1), "live", next_seq=crashed_at)
        bench.crash()
        bench.clock.now += 60
        bench.host._begin_waiting()
        assert bench.reader.start.attempt == 1
    assert {attempt for _, attempt in bench.closing.said} == {1}


def test_without_autorestart_a_crash_is_tried_again_as_of_any_file(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, replace(CAMERA, autorestart=None))
    for _ in range(3):
        bench.crash()
        bench.clock.now += 60
        bench.host._begin_waiting()
    assert bench.closing.said == []
    bench.crash()
    assert [word for word, _ in bench.closing.said] == ["close"]


def test_what_is_said_of_a_run_is_said_on_in_its_heartbeats() -> None:
    producer, clock = FakeProducer(), FakeClock()
    publisher = Publisher(
        producer, TOPICS, stream=STREAM, partition=0, frames_topic=TOPICS.frames_live, standing=Acknowledged()
    )
    ledger = Ledger("live")
    ledger.decoded(1.5, read=True)
    teller = Teller(CAMERA, "host", publisher, ledger, clock=clock)
    teller.say("restart", attempt=2, error="it has closed the connection")
    teller.say("pending", attempt=2)
    publisher.status(teller.status(heartbeat=True))
    teller.say("in_progress", paused=(1,), video=VideoInfo(64, 48, 10.0, frames=7))
    teller.say("paused", paused=(0, 1))
    told: list[StreamStatus] = [decode_status(value) for _, value, *_ in producer.records]
    assert [(s.state, s.attempt, s.error, s.heartbeat) for s in told] == [
        ("restart", 2, "it has closed the connection", False),
        ("pending", 2, None, False),
        ("pending", 2, None, True),
        ("in_progress", 0, None, False),
        ("paused", 0, None, False),
    ]
    assert {s.counts.decoded for s in told} == {1}
    assert [s.paused for s in told[-2:]] == [(1,), (0, 1)]
    assert told[-1].video == VideoInfo(64, 48, 10.0, frames=7), "it is not forgotten meanwhile"
    assert told[-1].total_frames == 7

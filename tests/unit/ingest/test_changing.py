"""A definition whose analytics change while its run is read."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pytest
from ingest_fakes import STREAM, FakeClock, FakeLag, FakeProducer, FakeSource, spec

from core.errors import BrokerUnavailable
from core.ids import Run, Seq
from core.messages import Analytic, AnalyticsChanged, Frame, Schedule
from core.settings import Ingest, Kafka
from core.topics import Topics
from ingest.backlog import Backlog
from ingest.control import ANALYTICS, Control
from ingest.lanes import BatchLane, Lane, LiveLane, Numbering
from ingest.ledger import Ledger
from ingest.protocol import Start
from ingest.publisher import IN_FLIGHT_BYTES, Acknowledged, Publisher
from ingest.reader import lines_of
from ingest.reader_process import ReaderProcess
from ingest.reading import Reading, Resume

TOPICS = Topics.of(Kafka())
CROWD = Analytic("people_count", {"people_count__gte": 3}, ("overview",), (Schedule(begin="22:00", end="06:00"),))
FACES = Analytic("face_detection")


class Bench:
    """A lane's parts, wired to a fake producer; it has sent five frames before."""

    def __init__(self, lane: str = "live") -> None:
        self.producer = FakeProducer()
        self.leased = True
        self.ledger = Ledger(lane)  # type: ignore[arg-type]
        publisher = Publisher(
            self.producer,
            TOPICS,
            stream=STREAM,
            partition=3,
            frames_topic=TOPICS.frames_live,
            standing=Acknowledged(next_seq=5),
            leased=lambda: self.leased,
        )
        numbering = Numbering(publisher, Backlog(FakeLag(), 10**9, FakeClock()), self.ledger, 5, 10**9)
        self.lane: Lane = (
            LiveLane(numbering, self.ledger, 10**9)
            if lane == "live"
            else BatchLane(numbering, self.ledger, lambda _: True)
        )

    @property
    def told(self) -> list[tuple[str, int]]:
        return [(type(message).__name__, message.seq) for message in self.producer.frames(TOPICS.frames_live)]


def frame(index: int, size: int = 1000) -> Frame:
    return Frame(STREAM, Run(1), Seq(0), index, index / 10, 0, 64, 48, bytes(size), "m")


def change(*analytics: Analytic) -> AnalyticsChanged:
    return AnalyticsChanged(STREAM, Run(1), Seq(0), analytics)


@pytest.mark.parametrize("lane", ["live", "batch"])
def test_a_change_stands_before_the_next_frame_under_its_number(lane: str) -> None:
    bench = Bench(lane)
    bench.lane.put(frame(0))
    bench.lane.change(change(CROWD))
    bench.lane.put(frame(1))
    assert bench.told == [("Frame", 5), ("AnalyticsChanged", 6), ("Frame", 6)]
    told = bench.producer.frames(TOPICS.frames_live)[1]
    assert told.analytics == (CROWD,)  # type: ignore[union-attr]
    assert {(key, partition) for _, _, key, partition in bench.producer.records} == {(str(STREAM).encode(), 3)}


def test_what_waits_in_a_live_lane_comes_after_the_change() -> None:
    bench = Bench()
    bench.producer.answering = False
    bench.lane.put(frame(0, IN_FLIGHT_BYTES))
    bench.lane.put(frame(1))
    bench.lane.change(change(CROWD))
    bench.producer.answering = True
    bench.lane.pump()
    bench.lane.drain()
    assert bench.told == [("Frame", 5), ("AnalyticsChanged", 6), ("Frame", 6)]


def test_no_change_is_handed_over_without_a_lease() -> None:
    bench = Bench()
    bench.leased = False
    with pytest.raises(BrokerUnavailable, match="lease"):
        bench.lane.change(change(CROWD))
    assert bench.told == []


def test_the_host_tells_and_the_newest_counts() -> None:
    control = Control(FakeClock())
    assert control.changed() is None
    for analytics in ((FACES,), (CROWD, FACES)):
        control.hear([ANALYTICS + msgspec.json.encode(analytics).decode() + "\n"])
    assert control.changed() == (CROWD, FACES)
    assert control.changed() is None
    control.hear([ANALYTICS + "[]\n"])
    assert control.changed() == ()


class ListLane:
    """Takes everything; at its third frame the host tells of other analytics."""

    def __init__(self, control: Control) -> None:
        self.given: list[Frame | AnalyticsChanged] = []
        self._control = control

    def put(self, frame: Frame) -> None:
        self.given.append(frame)
        if len(self.given) == 3:
            self._control.hear([ANALYTICS + msgspec.json.encode((FACES,)).decode()])
            self._control._order = "go"  # the end of its words means that the host is gone

    def change(self, change: AnalyticsChanged) -> None:
        self.given.append(change)

    def pump(self) -> None:
        """Nothing waits."""

    def drain(self) -> None:
        """Nothing waits."""


def reading(lane: Any, control: Control, **more: Any) -> Reading:
    return Reading(
        spec(lane="live", **more),
        FakeSource(count=5),
        Ingest(),
        lane=lane,
        ledger=Ledger("live"),
        control=control,
        resume=Resume(),
    )


def test_frames_look_for_faces_from_the_change_on() -> None:
    control = Control(FakeClock(), lease_s=1e9)
    lane = ListLane(control)
    reading(lane, control).run()
    assert [getattr(given, "faces", type(given).__name__) for given in lane.given] == [
        False, False, False, "AnalyticsChanged", True, True,
    ]  # fmt: skip
    (told,) = (given for given in lane.given if isinstance(given, AnalyticsChanged))
    assert (told.stream_id, told.run, told.analytics) == (STREAM, 1, (FACES,))


def test_whoever_goes_on_with_a_run_says_its_analytics_again() -> None:
    control = Control(FakeClock(), lease_s=1e9)
    lane = ListLane(control)
    reading(lane, control, analytics=(CROWD,)).change((CROWD,))
    assert lane.given == [change(CROWD)]


def repeats_its_orders(orders: int) -> int:
    lines = lines_of(orders)
    next(lines)
    told = next(line for line in lines if line.startswith(ANALYTICS.encode()))
    decoded = len(msgspec.json.decode(told[len(ANALYTICS) :], type=tuple[Analytic, ...]))
    os.write(1, b'{"beat":1,"decoded":%d,"ended":"done"}\n' % decoded)
    return 0


def test_a_reader_hears_of_the_analytics_of_its_new_definition() -> None:
    process = ReaderProcess(Start(spec(), 0, "host", {}), 60.0, repeats_its_orders, FakeClock())
    changed = spec(analytics=(CROWD, FACES))
    process.define(changed)
    assert process.end(30).decoded == 2
    assert process.spec == changed

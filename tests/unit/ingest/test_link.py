"""Connections that are lost, attempts that are counted, and hours in which nobody looks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from ingest_fakes import FakeClock, FakeSource, spec

from core.addresses import NoAddress
from core.errors import ClientError, Forbidden, LimitExceeded, NotFound, UnsupportedMedia
from core.messages import Analytic, Autorestart, Schedule
from ingest import hours
from ingest.hours import Hours
from ingest.link import Link

CLOSED = "it has closed the connection"
NIGHT = Schedule(begin="22:00", end="06:00")
DAY = Schedule(begin="06:00", end="22:00")


@dataclass
class Camera(FakeSource):
    """A connection; `lost` says how it ended."""

    lost: str | None = CLOSED
    times: str = "live"
    closed: bool = False

    def close(self) -> None:
        self.closed = True


class Bench:
    """A link whose connections come as they are told, an exception where one fails."""

    def __init__(self, *outcomes: FakeSource | Exception, **more: Any) -> None:
        self.outcomes = list(outcomes)
        self.clock = FakeClock()
        self.waited = 0.0
        self.waits_left = 10_000
        self.asked: list[Any] = []
        self.told: list[tuple[str, int]] = []
        self.words: list[dict[str, Any]] = []
        self.problems: list[str] = []
        attempts, delay_s = more.pop("attempts", 3), more.pop("delay_s", 10.0)
        before = more.pop("before", 0)
        again = Autorestart(attempts=attempts, delay_s=delay_s) if attempts else None
        definition = spec(more.pop("lane", "live"), **{"url": "rtsp://camera/1", "autorestart": again, **more})
        self.link = Link(
            definition,
            self.connect,
            wait=self.wait,
            telling=self,
            problem=self.problems.append,
            hours=Hours(definition.analytics, self.clock),
            attempt=before,
            now=self.clock,
            chance=lambda: 0.5,
        )

    def connect(self, before: Any) -> Any:
        self.asked.append(before)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def wait(self, seconds: float) -> bool:
        assert seconds <= 1.0, "the host takes a reader that is silent for longer to be hung"
        if self.waits_left <= 0:
            return False
        self.waits_left -= seconds > 0
        self.waited += seconds
        self.clock.now += seconds
        return True

    def say(self, state: str, *, attempt: int = 0, **more: Any) -> None:
        self.told.append((state, attempt))
        self.words.append(more)


def no_answer() -> UnsupportedMedia:
    return UnsupportedMedia("nothing answers")


def test_a_lost_connection_is_made_again_behind_the_lost_one() -> None:
    one, two = Camera(), Camera()
    bench = Bench(one, two)
    assert bench.link.first() is one
    bench.clock.now += 60
    assert bench.link.again(one) is two
    assert bench.told == [("in_progress", 0), ("restart", 1), ("pending", 1), ("in_progress", 0)]
    assert bench.words[1]["error"] == CLOSED
    assert bench.problems == [CLOSED]
    assert bench.waited == pytest.approx(0.5)
    assert bench.asked == [None, one]


def test_attempts_run_out_and_the_last_reason_is_the_failure() -> None:
    one = Camera()
    bench = Bench(one, no_answer(), NoAddress("no name"), NotFound("no device"))
    bench.link.first()
    bench.clock.now += 60
    assert bench.link.again(one) is None
    assert bench.link.failure == "no device"
    assert [word for word in bench.told if word[0] == "restart"] == [("restart", 1), ("restart", 2), ("restart", 3)]
    assert bench.waited == pytest.approx(0.5 + 10 + 10)
    assert bench.outcomes == [], "three attempts, no more"


def test_the_count_begins_again_once_frames_come() -> None:
    cameras = [Camera() for _ in range(6)]
    bench = Bench(*cameras, attempts=1)
    bench.link.first()
    for camera, following in pairwise(cameras):
        bench.clock.now += 10
        assert bench.link.again(camera) is following
    assert {attempt for state, attempt in bench.told if state == "restart"} == {1}
    assert bench.waited == pytest.approx(2.5), "a camera that drops every ten seconds is missed for half a second"


def test_a_connection_that_did_not_last_is_not_made_again_at_once() -> None:
    one, two = Camera(), Camera()
    bench = Bench(one, two)
    bench.link.first()
    bench.clock.now += 1
    assert bench.link.again(one) is two
    assert bench.waited == pytest.approx(10)


def test_a_camera_that_is_not_there_at_the_beginning_is_waited_for() -> None:
    camera = Camera()
    bench = Bench(no_answer(), no_answer(), camera)
    assert bench.link.first() is camera
    assert bench.told == [("restart", 1), ("pending", 1), ("restart", 2), ("pending", 2), ("in_progress", 0)]
    assert bench.problems == [], "nothing was lost yet"


def test_without_autorestart_the_end_is_the_end() -> None:
    one = Camera()
    bench = Bench(one, attempts=0)
    bench.link.first()
    assert bench.link.again(one) is None
    assert (bench.link.failure, bench.problems, bench.told) == (None, [], [("in_progress", 0)])
    with pytest.raises(UnsupportedMedia):
        Bench(no_answer(), attempts=0).link.first()


@pytest.mark.parametrize("error", [Forbidden("loopback"), LimitExceeded("too large")])
def test_what_will_never_be_allowed_is_not_tried_again(error: ClientError) -> None:
    with pytest.raises(type(error)):
        Bench(error).link.first()
    one = Camera()
    bench = Bench(one, error)
    bench.link.first()
    assert bench.link.again(one) is None
    assert bench.link.failure == str(error)


@pytest.mark.parametrize("url", ["http://nas/clip.mp4", "file:/clip.mp4"])
def test_a_file_that_cannot_be_had_is_given_up_at_once(url: str) -> None:
    with pytest.raises(UnsupportedMedia):
        Bench(no_answer(), url=url).link.first()


@pytest.mark.parametrize("waits", [0, 1, 5])
def test_an_order_ends_the_waiting(waits: int) -> None:
    one = Camera()
    bench = Bench(one, no_answer(), no_answer(), no_answer())
    bench.link.first()
    bench.clock.now += 60
    bench.waits_left = waits
    assert bench.link.again(one) is None
    assert bench.waited <= waits


def test_readers_that_crashed_have_used_attempts_up() -> None:
    with pytest.raises(UnsupportedMedia):
        Bench(no_answer(), before=3).link.first()
    camera = Camera()
    bench = Bench(no_answer(), camera, before=2)
    assert bench.link.first() is camera
    assert bench.told[0] == ("restart", 3)


def test_a_recording_on_a_web_server_begins_again_where_it_loops() -> None:
    one, two = Camera(lost=None), Camera(lost=None)
    bench = Bench(one, two, url="http://nas/clip.mp4", loop=True)
    bench.link.first()
    assert bench.link.again(one) is two
    assert bench.told == [("in_progress", 0), ("in_progress", 0)]
    assert Bench(url="http://nas/clip.mp4").link.again(one) is None, "and is at its end where it does not"


@pytest.fixture
def opening(monkeypatch: pytest.MonkeyPatch) -> set[Schedule]:
    """Schedules that are open now."""
    found: set[Schedule] = set()
    monkeypatch.setattr(hours, "open_at", lambda schedules, _: not schedules or bool(found & set(schedules)))
    return found


def analytics(*schedules: Schedule | None) -> tuple[Analytic, ...]:
    return tuple(Analytic("people_count", schedules=() if one is None else (one,)) for one in schedules)


def opens_after(bench: Bench, waits: int, opening: set[Schedule], schedule: Schedule) -> None:
    real = bench.wait

    def wait(seconds: float) -> bool:
        went_on = real(seconds)
        if bench.waits_left <= 10_000 - waits:
            opening.add(schedule)
        return went_on

    bench.link._wait = wait


def test_a_camera_is_not_even_connected_to_outside_of_all_hours(opening: set[Schedule]) -> None:
    camera = Camera()
    bench = Bench(camera, analytics=analytics(NIGHT, NIGHT))
    opens_after(bench, 3, opening, NIGHT)
    assert bench.link.shut
    assert bench.link.first() is camera
    assert bench.told == [("paused", 0), ("in_progress", 0)]
    assert bench.words[0]["paused"] == (0, 1)
    assert bench.waited == pytest.approx(3)


def test_a_camera_is_left_when_its_hours_end_and_taken_up_when_they_begin(opening: set[Schedule]) -> None:
    one, two = Camera(), Camera()
    opening.add(DAY)
    bench = Bench(one, two, analytics=analytics(DAY))
    bench.link.first()
    opening.clear()
    bench.clock.now += 1
    assert bench.link.shut
    assert not bench.link.rest()
    opens_after(bench, 2, opening, DAY)
    assert bench.link.again(one) is two
    assert one.closed
    assert bench.told == [("in_progress", 0), ("paused", 0), ("in_progress", 0)]
    assert bench.problems == [], "it was not lost"


def test_a_file_waits_where_it_is(opening: set[Schedule]) -> None:
    one = FakeSource()
    opening.add(DAY)
    bench = Bench(one, analytics=analytics(DAY), url="file:/clip.mp4")
    bench.link.first()
    opening.clear()
    bench.clock.now += 1
    opens_after(bench, 2, opening, DAY)
    assert bench.link.rest()
    assert bench.told == [("in_progress", 0), ("paused", 0), ("in_progress", 0)]


def test_some_analytics_may_be_paused_while_others_work(opening: set[Schedule]) -> None:
    opening.add(DAY)
    bench = Bench(Camera(), analytics=analytics(DAY, NIGHT, None))
    bench.link.first()
    assert bench.words[-1]["paused"] == (1,)
    bench.link.came()
    assert len(bench.told) == 1, "it is said when it changes"
    opening.clear()
    bench.clock.now += 1
    bench.link.came()
    assert bench.words[-1]["paused"] == (0, 1)
    assert not bench.link.shut
    assert {state for state, _ in bench.told} == {"in_progress"}


def test_a_stream_without_analytics_is_watched_at_all_hours() -> None:
    bench = Bench(Camera(), analytics=())
    bench.link.first()
    assert not bench.link.shut

"""A backlog that a thread of its own looks at: nobody waits for the broker."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from confluent_kafka import KafkaException
from ingest_fakes import FakeClock, FakeLag

from core.errors import FatalError
from ingest import backlog as looking
from ingest.backlog import REFRESH_S, Backlog

SOON_S = 10.0
"""For what another thread does at once."""


class SlowLag(FakeLag):
    """Answers the first look at once, and the others when it is let to."""

    def __init__(self, records: int, then: Callable[[], int]) -> None:
        super().__init__(records)
        self.asked = threading.Event()
        self.answer = threading.Event()
        self.left = threading.Event()
        self.askers: list[threading.Thread] = []
        self._first = True
        self._then = then

    def count(self) -> int:
        self.askers.append(threading.current_thread())
        if self._first:
            self._first = False
            return self.records
        self.asked.set()
        self.answer.wait(SOON_S)
        return self._then()

    def close(self) -> None:
        self.left.set()


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "REFRESH_S", 0.001)


def fails() -> int:
    raise KafkaException("no answer")


def test_a_watched_backlog_answers_while_a_look_waits_for_the_broker() -> None:
    lag, clock = SlowLag(0, lambda: 0), FakeClock()
    with Backlog(lag, 1000, clock, watched=True) as backlog:
        assert lag.asked.wait(SOON_S)
        clock.now += 10 * REFRESH_S
        backlog.published(600)
        assert not backlog.full(400), "answered by what was known, and what was published since"
        assert backlog.full(401)
        assert lag.askers.count(threading.current_thread()) == 1, "only the first, before there is a camera"
        lag.answer.set()
    assert lag.left.wait(SOON_S), "the thread ends with its reader, and leaves the broker"


def test_a_watched_backlog_sees_what_others_have_left_unread() -> None:
    seen = threading.Event()

    def many() -> int:
        seen.set()
        return 10

    lag = SlowLag(0, many)
    lag.answer.set()
    with Backlog(lag, 1000, FakeClock(), watched=True) as backlog:
        backlog.published(200)
        seen.clear()
        assert seen.wait(SOON_S)
        seen.clear()
        assert seen.wait(SOON_S), "the look before this one is done"
        assert backlog.full(1)


def test_a_broker_that_does_not_answer_leaves_the_last_answer() -> None:
    lag = SlowLag(10, fails)
    lag.answer.set()
    with Backlog(lag, 4_400, FakeClock(), watched=True) as backlog:
        assert lag.asked.wait(SOON_S)
        assert not backlog.full(400), "ten unread, taken to be as large as this one"
        backlog.published(1)
        assert backlog.full(400)


def test_what_ends_the_looks_is_raised_where_the_lane_asks() -> None:
    def breaks() -> int:
        raise FatalError("broken")

    lag = SlowLag(0, breaks)
    with Backlog(lag, 1000, FakeClock(), watched=True) as backlog:
        lag.answer.set()
        assert lag.left.wait(SOON_S)
        with pytest.raises(FatalError, match="broken"):
            backlog.full(1)


def test_a_look_that_took_long_is_not_made_again_at_once() -> None:
    clock = FakeClock()

    class Long(FakeLag):
        looks = 0

        def count(self) -> int:
            self.looks += 1
            clock.now += 10 * REFRESH_S
            raise KafkaException("no answer")

    lag = Long()
    with Backlog(lag, 1000, clock) as backlog:
        assert not backlog.full(1)
        assert not backlog.full(1)
        assert lag.looks == 1
    assert lag.closed

"""When it is said of a stream that its ingest host is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from core.ids import Run, StreamId
from core.messages import IngestCounts, StreamStatus, decode_status
from streams_proc.lost_hosts import EVERY_S, GAP_S, LOST_S, LostHosts
from tests.unit.streams_proc.stage_fakes import FakePublisher
from warehouse.control.rows import RunRow

STREAM = StreamId(UUID(int=1))
COUNTS = IngestCounts(decoded=7)
LATE_MS = 10**13


def run(host: str = "a", updated_ms: int = LATE_MS) -> RunRow:
    return RunRow(STREAM, Run(2), "in_progress", 0, updated_ms, host=host, counts=COUNTS, attempt=3, paused=(1,))


class World:
    """Hosts, their runs, a broker and a clock, all of which stand still unless they are moved."""

    def __init__(self) -> None:
        self.heard: dict[str, float] = {}
        self.held = [run()]
        self.now = 1_000_000.0
        self.answering = True
        self.publisher = FakePublisher()
        self._lost = LostHosts(
            self, self.publisher, "stream-status", self.heard_s, lambda: self.answering, steady_s=lambda: self.now
        )
        self.look()

    def heard_s(self, host: str) -> float:
        return self.heard.get(host, 0.0)

    def held_runs(self) -> Sequence[RunRow]:
        return self.held

    def look(self) -> list[StreamStatus]:
        """What has been told by now."""
        asyncio.run(self._lost.once())
        return [decode_status(value) for value in self.publisher.values("stream-status")]

    def after(self, seconds: float, *speaking: str) -> list[StreamStatus]:
        """What has been told by then, while these hosts speak all the time."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + EVERY_S)
            self.heard |= dict.fromkeys(speaking, self.now)
            told = self.look()
        return told


def test_a_silent_host_s_runs_are_lost_once_and_keep_what_is_known() -> None:
    world = World()
    assert world.after(LOST_S - 1, "b") == []
    (told,) = world.after(1, "b")
    assert world.after(LOST_S, "b") == [told], "said once, though nobody has written it down yet"
    assert (told.stream_id, told.run, told.state, told.host) == (STREAM, 2, "handler_lost", "a")
    assert (told.counts, told.attempt, told.paused) == (COUNTS, 3, (1,))
    assert told.ts_ms > LATE_MS, "later than all that is known, whatever this machine's clock says"
    assert told.error == "the ingest host a is gone, and no other has taken the stream over"


def test_a_host_that_speaks_has_its_runs() -> None:
    assert World().after(5 * LOST_S, "a") == []


def test_a_run_that_another_host_has_taken_over_is_not_lost_with_the_first() -> None:
    world = World()
    world.after(LOST_S - 1, "b")
    world.held = [run("b")]
    assert world.after(5 * LOST_S, "b") == []
    assert len(world.after(LOST_S)) == 1, "until that one is silent, too"


def test_a_run_that_speaks_is_there_whatever_its_host_does() -> None:
    world = World()
    for beat in range(1, 10):
        world.held = [run(updated_ms=LATE_MS + beat)]
        assert world.after(LOST_S / 2) == []
    assert len(world.after(LOST_S)) == 1


def test_a_run_that_was_taken_up_again_can_be_lost_again() -> None:
    world = World()
    assert len(world.after(LOST_S)) == 1
    world.held = [run(updated_ms=LATE_MS + 9)]
    assert len(world.after(LOST_S - 1)) == 1
    assert len(world.after(2 * EVERY_S)) == 2


def test_while_the_broker_is_away_nobody_is_silent() -> None:
    world = World()
    world.after(LOST_S - 1)
    world.answering = False
    assert world.after(10 * LOST_S) == []
    world.answering = True
    assert world.after(LOST_S) == []
    assert len(world.after(EVERY_S)) == 1


def test_who_was_held_up_itself_counts_anew() -> None:
    world = World()
    world.after(LOST_S - 1)
    world.now += GAP_S + 1
    assert world.look() == []
    assert world.after(LOST_S - 1) == []
    assert len(world.after(1)) == 1

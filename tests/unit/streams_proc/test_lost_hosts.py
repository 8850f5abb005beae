"""When it is said of a stream that its ingest host is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from core.ids import Run, StreamId
from core.messages import IngestCounts, NodeStatus, StreamStatus, decode_status
from streams_proc.lost_hosts import LOST_S, LostHosts
from tests.unit.streams_proc.stage_fakes import FakePublisher
from warehouse.control.nodes import NodeRow
from warehouse.control.rows import RunRow

STREAM = StreamId(UUID(int=1))
COUNTS = IngestCounts(decoded=7)


class World:
    """Hosts, their runs, a broker and a clock, all of which stand still unless they are moved."""

    def __init__(self) -> None:
        self.heard = {"a": 1, "b": 1}
        self.held = [RunRow(STREAM, Run(2), "in_progress", 0, 10**13, host="a", counts=COUNTS, attempt=3, paused=(1,))]
        self.now = 100.0
        self.answering = True
        self.publisher = FakePublisher()
        self._lost = LostHosts(self, self.publisher, "stream-status", lambda: self.answering, lambda: self.now)

    def nodes(self) -> Sequence[NodeRow]:
        return [
            NodeRow(number, 0, heard, NodeStatus(host, heard, 0, "10.0.0.1", "CPU", 1.0, 2.0, 0.0))
            for number, (host, heard) in enumerate(self.heard.items())
        ]

    def held_runs(self) -> Sequence[RunRow]:
        return self.held

    def after(self, seconds: float, **heard: int) -> list[StreamStatus]:
        """What has been told by then."""
        self.now += seconds
        self.heard |= heard
        asyncio.run(self._lost.once())
        return [status for value in self.publisher.values("stream-status") if (status := decode_status(value))]


def test_a_silent_host_s_runs_are_lost_once_and_keep_what_is_known() -> None:
    world = World()
    assert world.after(0) == []
    assert world.after(LOST_S - 1, b=2) == []
    (told,) = world.after(1, b=3)
    assert world.after(1) == [told], "said once, though nobody has written it down yet"
    assert (told.stream_id, told.run, told.state, told.host) == (STREAM, 2, "handler_lost", "a")
    assert (told.counts, told.attempt, told.paused) == (COUNTS, 3, (1,))
    assert told.ts_ms > 10**13, "later than all that is known, whatever this machine's clock says"
    assert told.error == "the ingest host a is gone, and no other has taken the stream over"


def test_a_host_that_speaks_or_whose_runs_another_has_is_not_lost() -> None:
    world = World()
    world.after(0)
    for beat in range(2, 20):
        assert world.after(LOST_S / 2, a=beat, b=beat) == []
    world.held = [RunRow(STREAM, Run(2), "in_progress", 0, 1, host="b")]
    world.after(0, b=20)
    assert world.after(LOST_S - 1) == []


def test_a_run_that_was_taken_up_again_can_be_lost_again() -> None:
    world = World()
    world.after(0)
    world.after(LOST_S)
    world.held = [RunRow(STREAM, Run(2), "in_progress", 0, 10**13 + 9, host="a")]
    assert len(world.after(1, a=2)) == 1
    assert len(world.after(LOST_S)) == 2


def test_while_the_broker_is_away_nobody_is_silent() -> None:
    world = World()
    world.after(0)
    world.answering = False
    assert world.after(10 * LOST_S) == []
    world.answering = True
    assert world.after(0) == []
    assert world.after(LOST_S - 1) == []
    assert len(world.after(1)) == 1


def test_nothing_is_said_right_after_the_begin() -> None:
    world = World()
    world.now = 10**6
    assert world.after(0) == []
    assert world.after(LOST_S - 1) == []

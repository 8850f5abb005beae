"""Ends of tasks, from the control database to their topic."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from core.errors import NotFound, StoreUnavailable
from core.ids import Run, StreamId
from core.messages import decode_task_end
from streams_proc.task_ends import TaskEnds
from tests.unit.streams_proc.stage_fakes import FakePublisher, settle
from tests.unit.streams_proc.test_control import Enough, turns
from warehouse.control.rows import RunRow, TaskProgress, TaskState

A, B, C, D = (StreamId(UUID(int=n)) for n in range(1, 5))


class FakeTasks:
    def __init__(self, **states: TaskState) -> None:
        self.states = {StreamId(UUID(int=int(name[1:]))): state for name, state in states.items()}
        self.taken_by_others: set[StreamId] = set()
        self.waiting = list(self.states)
        self.failures = 0

    def ended_tasks(self, limit: int) -> Sequence[StreamId]:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("not now")
        return self.waiting[:limit]

    def task_state(self, stream_id: StreamId) -> TaskProgress:
        if stream_id == D:
            raise NotFound("deleted")
        state = self.states[stream_id]
        run = RunRow(
            stream_id,
            Run(2),
            "failure" if state == "failed" else "done",
            1,
            1,
            error="why" if state == "failed" else None,
        )
        return TaskProgress(state, run, ended_ms=None if state == "cancelled" else 77)

    def take_task_end(self, stream_id: StreamId) -> bool:
        return stream_id not in self.taken_by_others

    def forget_task_ends(self, streams: Sequence[StreamId]) -> None:
        self.waiting = [stream for stream in self.waiting if stream not in streams]


def test_the_end_of_each_task_is_published_once() -> None:
    tasks, publisher = FakeTasks(t1="done", t2="failed", t3="cancelled"), FakePublisher()
    tasks.failures = 1
    with pytest.raises(Enough):
        asyncio.run(TaskEnds(tasks, publisher, "ends", lambda: 5.0).run(turns(3)))
    told = {end.stream_id: end for end in map(decode_task_end, publisher.values("ends"))}
    assert {stream: (end.state, end.ts_ms, end.error, end.run) for stream, end in told.items()} == {
        A: ("done", 77, None, 2),
        B: ("failed", 77, "why", 2),
        C: ("cancelled", 5000, None, 2),
    }
    assert len(publisher.sent) == 3
    assert {output.key for output in publisher.sent} == {str(each).encode() for each in (A, B, C)}
    assert tasks.waiting == []


def test_what_is_not_over_is_deleted_or_is_told_by_another_process_is_left_alone() -> None:
    tasks, publisher = FakeTasks(t1="collecting", t2="done", t4="done"), FakePublisher()
    tasks.taken_by_others = {B}
    assert asyncio.run(TaskEnds(tasks, publisher, "ends").once()) == 0
    assert publisher.sent == []
    assert tasks.waiting == [A, B, D]


def test_an_end_is_kept_until_the_broker_has_it() -> None:
    async def scene() -> None:
        tasks, publisher = FakeTasks(t1="done"), FakePublisher(confirm=False)
        work = asyncio.create_task(TaskEnds(tasks, publisher, "ends").once())
        await settle()
        assert len(publisher.sent) == 1
        assert tasks.waiting == [A]
        publisher.release()
        assert await work == 1
        assert tasks.waiting == []

    asyncio.run(scene())

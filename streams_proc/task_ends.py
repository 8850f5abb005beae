"""Ends of deferred tasks, from the control database to the topic `task-ends`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from core.clock import Clock, now_ms, wall_clock
from core.errors import NotFound
from core.ids import StreamId
from core.messages import TaskEnd, encode_json
from streams_proc.attempt import Backoff, attempt
from streams_proc.publish import Publisher, Tally
from streams_proc.stage import Output
from warehouse.control.rows import TaskProgress

EVERY_S = 1.0
AT_ONCE = 100


class Tasks(Protocol):
    """The part of the control store that knows tasks. Blocking."""

    def ended_tasks(self, limit: int) -> Sequence[StreamId]:
        """Tasks that are over, and whose end is not published yet."""
        ...

    def task_state(self, stream_id: StreamId) -> TaskProgress:
        """How far a task is. Raises NotFound."""
        ...

    def take_task_end(self, stream_id: StreamId) -> bool:
        """Whether the caller is to publish it; for some seconds nobody else is."""
        ...

    def forget_task_ends(self, streams: Sequence[StreamId]) -> None:
        """They are published."""
        ...


class TaskEnds:
    """Publishes the end of each task once; a process that dies in between, or is slow, publishes it again.

    A task that is deleted before is not published.
    """

    def __init__(self, tasks: Tasks, publisher: Publisher, topic: str, clock: Clock = wall_clock) -> None:
        self._tasks = tasks
        self._publisher = publisher
        self._topic = topic
        self._clock = clock

    async def once(self) -> int:
        """Publish what is due, at most 100; returns how many."""
        ends = await asyncio.to_thread(self._take)
        if not ends:
            return 0
        tally = Tally()
        for end in ends:
            key = str(end.stream_id).encode()
            await self._publisher.send(Output(self._topic, key, encode_json(end)), tally)
        await tally.confirmed()
        await asyncio.to_thread(self._tasks.forget_task_ends, [end.stream_id for end in ends])
        return len(ends)

    async def run(self, backoff: Backoff) -> None:
        """Publish for ever; a store or broker that does not answer is waited for."""
        while True:
            if not await attempt(self.once, "control", backoff=backoff):
                await backoff.sleep(EVERY_S)

    def _take(self) -> list[TaskEnd]:
        found = []
        for stream in self._tasks.ended_tasks(AT_ONCE):
            try:
                far = self._tasks.task_state(stream)
            except NotFound:  # deleted since
                continue
            match far.state:
                case ("done" | "failed" | "cancelled") as state if self._tasks.take_task_end(stream):
                    ended = now_ms(self._clock) if far.ended_ms is None else far.ended_ms
                    found.append(TaskEnd(stream, far.run.run, state, ended, far.run.error))
        return found

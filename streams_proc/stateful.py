"""The line of a stage with state: one handler for each partition, restored from its newest snapshot."""

from __future__ import annotations

import asyncio
import uuid
from functools import partial

from core import log
from core.errors import SnapshotError
from core.metrics import counter, gauge
from streams_proc import snapshots
from streams_proc.attempt import attempt
from streams_proc.gather import Gather, Held
from streams_proc.line import Means, Progress, outcomes_of, publish, start_of
from streams_proc.pressure import Pressure
from streams_proc.publish import Tally
from streams_proc.stage import Output, Record, StatefulHandler, StatefulStage, TopicPartition

_log = log.get(__name__)


class StatefulLine:
    """Gives each partition of each generation a worker of its own."""

    def __init__(self, stage: StatefulStage, means: Means, pressure: Pressure) -> None:
        self._stage = stage
        self._means = means
        self._pressure = pressure
        self._writer = uuid.uuid4().hex[:12]
        self._workers: dict[TopicPartition, PartitionWorker] = {}
        self._arrived: asyncio.Queue[PartitionWorker | None] = asyncio.Queue()
        self._stopped = False

    def offer(self, generation: int, record: Record) -> None:
        """A record has been delivered."""
        if self._stopped or generation != self._means.group.generation:
            return
        worker = self._workers.get(record.tp)
        if worker is None or worker.generation != generation:
            worker = PartitionWorker(
                self._stage, self._means, self._pressure, tp=record.tp, generation=generation, writer=self._writer
            )
            self._workers[record.tp] = worker
            self._arrived.put_nowait(worker)
        worker.put(record)

    def stop(self) -> None:
        """Begin nothing more; `run` returns after what is begun has been finished and committed."""
        self._stopped = True
        self._arrived.put_nowait(None)
        for worker in self._workers.values():
            worker.stop()

    async def run(self) -> None:
        """Work until `stop`. Raises what ended the line, in an exception group."""
        running: dict[TopicPartition, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while (worker := await self._arrived.get()) is not None:
                if worker.tp in running:
                    running[worker.tp].cancel()  # of a generation that has ended: its state is forgotten
                running[worker.tp] = task = tasks.create_task(worker.run())
                task.add_done_callback(partial(_end, worker))


def _end(worker: PartitionWorker, _: asyncio.Task[None]) -> None:
    worker.end()


class PartitionWorker:
    """One partition in one generation: its state, its records in order, its cuts."""

    def __init__(
        self,
        stage: StatefulStage,
        means: Means,
        pressure: Pressure,
        *,
        tp: TopicPartition,
        generation: int,
        writer: str,
    ) -> None:
        self.tp = tp
        self.generation = generation
        self._stage = stage
        self._means = means
        self._key = snapshots.key_of(tp.partition, generation, writer)
        self._gather = Gather(pressure)
        self._tally = Tally()
        self._old_keys: tuple[bytes, ...] = ()
        self._since_cut = 0
        self._cutting: asyncio.Task[None] | None = None

    def put(self, record: Record) -> None:
        """A record has been delivered."""
        self._gather.put(Held(self.generation, record))

    def stop(self) -> None:
        """Begin nothing more."""
        self._gather.close()

    def end(self) -> None:
        """Forget what waits, and a cut that nobody waits for."""
        self._gather.drop()
        if self._cutting is not None:
            self._cutting.cancel()

    async def run(self) -> None:
        """Restore, then work until `stop` or the generation's end."""
        handler = self._stage.make()
        progress = await self._restore(handler)
        loop = asyncio.get_running_loop()
        due = loop.time() + self._means.cut_s
        while self._current():
            held = await self._gather.take(self._means.cut_messages, wait_s=max(0.0, due - loop.time()))
            if held is None:
                break
            records = [record for _, record in held if progress.admits(record, self._stage.name)]
            if records and not await self._work(handler, records, progress):
                return
            if self._since_cut >= self._means.cut_messages or loop.time() >= due:
                await self._cut(handler, progress)
                due = loop.time() + self._means.cut_s
        await self._cut(handler, progress)
        await self._settled()

    def _current(self) -> bool:
        return self._means.group.generation == self.generation

    async def _restore(self, handler: StatefulHandler) -> Progress:
        committed, start = await start_of(self._means, self.tp, self._stage.name)
        found = await attempt(
            lambda: asyncio.to_thread(self._means.origin.snapshot, self._stage.snapshots, self.tp.partition),
            self._stage.name,
            backoff=self._means.backoff,
        )
        assert found is not None
        newest, self._old_keys = found
        if newest is None and committed is None:
            return Progress.begin(self.tp, self.generation, start)
        if newest is None or newest.next < (committed or 0):
            raise SnapshotError(
                f"{self.tp.topic}/{self.tp.partition} is committed up to {committed} and its newest snapshot stands "
                f"at {None if newest is None else newest.next}"
            )
        if newest.data is not None:
            handler.restore(newest.data)
        _log.info("state restored", topic=self.tp.topic, partition=self.tp.partition, next=newest.next, start=start)
        progress = Progress.begin(self.tp, self.generation, max(start, newest.next))
        # who died between snapshot and commit leaves the commit to us, even when no record follows
        progress.cut = committed or 0
        return progress

    async def _work(self, handler: StatefulHandler, records: list[Record], progress: Progress) -> bool:
        outcomes = await outcomes_of(self._means, handler, records, self._stage.name, self.generation)
        if outcomes is None:
            return False
        for record, outcome in zip(records, outcomes, strict=True):
            await publish(self._means, record, outcome, self._tally)
        progress.done = records[-1].offset + 1
        self._since_cut += len(records)
        return True

    async def _settled(self) -> None:
        if self._cutting is not None:
            await self._cutting

    async def _cut(self, handler: StatefulHandler, progress: Progress) -> None:
        await self._settled()
        if progress.done == progress.cut or not self._current():
            return
        # one cut: no await until everything of it is taken
        self._since_cut = 0
        tally, self._tally = self._tally, Tally()
        progress.cut = progress.done
        snapshot = snapshots.encode(progress.done, handler.snapshot())
        self._cutting = asyncio.create_task(self._confirm(tally, snapshot, progress.done))

    async def _confirm(self, outputs: Tally, snapshot: bytes, next_offset: int) -> None:
        """Outputs, then snapshot, then commit; after each the generation is looked at again."""
        await outputs.confirmed()
        if not self._current():
            return
        await self._write(self._key, snapshot)
        gauge("sightline_stage_snapshot_bytes").labels(self._stage.name).set(len(snapshot))
        if not self._current() or not await self._means.group.commit({self.tp: next_offset}):
            return
        counter("sightline_stage_commits_total").labels(self._stage.name).inc()
        old, self._old_keys = self._old_keys, ()
        for key in old:
            if key != self._key:
                await self._write(key, None)

    async def _write(self, key: bytes, value: bytes | None) -> None:
        tally = Tally()
        await self._means.publisher.send(Output(self._stage.snapshots, key, value), tally, self.tp.partition)
        await tally.confirmed()

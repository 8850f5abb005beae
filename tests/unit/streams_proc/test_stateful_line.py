from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from core.errors import GapError, ModelUnavailable, SnapshotError
from core.metrics import counter
from streams_proc import snapshots
from streams_proc.stage import Outcome, Output, Record, StatefulStage, TopicPartition
from streams_proc.stateful import StatefulLine
from tests.unit.streams_proc.stage_fakes import FakeGroup, FakeOrigin, FakePublisher, means, no_pressure, record, settle

IN = TopicPartition("in", 0)


class Sum:
    """Its state is every offset it has seen; its outputs are their number."""

    made: list[Sum]

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.failures = 0
        self.busy = False

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        assert not self.busy, "called before it has answered"
        self.busy = True
        await asyncio.sleep(0)
        self.busy = False
        if self.failures:
            self.failures -= 1
            raise ModelUnavailable("shedding")
        outcomes: list[Outcome] = []
        for each in records:
            self.seen.append(each.offset)
            outcomes.append((Output("out", b"k", str(len(self.seen)).encode()),))
        return outcomes

    def snapshot(self) -> bytes | None:
        return ",".join(map(str, self.seen)).encode() if self.seen else None

    def restore(self, data: bytes) -> None:
        self.seen = [int(text) for text in data.decode().split(",")]


class Bench:
    def __init__(
        self,
        *,
        origin: FakeOrigin | None = None,
        confirm: bool = True,
        cut_messages: int = 2,
        cut_s: float = 3600.0,
        failures: int = 0,
    ) -> None:
        self.group = FakeGroup()
        self.publisher = FakePublisher(confirm)
        self.origin = origin or FakeOrigin()
        self.handlers: list[Sum] = []
        self.failures = failures
        self.line = StatefulLine(
            StatefulStage("stage", "in", "snaps", self._make),
            means(self.group, self.publisher, self.origin, cut_messages=cut_messages, cut_s=cut_s),
            no_pressure(),
        )

    def _make(self) -> Sum:
        handler = Sum()
        handler.failures = self.failures
        self.handlers.append(handler)
        return handler

    def offer(self, *offsets: int, generation: int = 1, partition: int = 0) -> None:
        for offset in offsets:
            self.line.offer(generation, record(offset, partition))

    def run(self, scene: Callable[[Bench], Awaitable[None]]) -> None:
        async def both() -> None:
            working = asyncio.create_task(self.line.run())
            try:
                await scene(self)
            except BaseException:
                working.cancel()
                raise
            self.line.stop()
            self.line.offer(1, record(10_000))
            await working

        try:
            asyncio.run(both())
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from group

    def snapshots(self) -> list[snapshots.Snapshot]:
        return [
            snapshots.decode(output.key, output.value)
            for output in self.publisher.sent
            if output.topic == "snaps" and output.value is not None
        ]


def test_every_partition_has_a_handler_and_each_cut_a_snapshot_with_what_is_committed() -> None:
    bench = Bench()

    async def scene(b: Bench) -> None:
        b.offer(0, 1)
        b.offer(0, partition=1)
        await settle()
        b.offer(2)
        await settle()

    bench.run(scene)
    assert [handler.seen for handler in bench.handlers] == [[0, 1, 2], [0]]
    assert bench.group.position == {IN: 3, TopicPartition("in", 1): 1}
    assert {(s.key.split(b"/")[0], s.next, s.data) for s in bench.snapshots()} == {
        (b"0", 2, b"0,1"),
        (b"0", 3, b"0,1,2"),
        (b"1", 1, b"0"),
    }
    assert {p for p, o in zip(bench.publisher.partitions, bench.publisher.sent, strict=True) if o.topic == "snaps"} == {
        0,
        1,
    }


def test_the_order_is_outputs_then_snapshot_then_commit() -> None:
    bench = Bench(confirm=False)

    async def scene(b: Bench) -> None:
        b.offer(0, 1)
        await settle()
        assert (len(b.publisher.values("out")), len(b.snapshots()), b.group.committed) == (2, 0, [])
        b.publisher.release()
        await settle()
        assert (len(b.snapshots()), b.group.committed) == (1, [])
        b.publisher.release()
        await settle()
        assert b.group.position == {IN: 2}

    bench.run(scene)


@pytest.mark.parametrize("steps", [0, 1])
def test_a_generation_that_ends_between_the_steps_goes_no_further(steps: int) -> None:
    bench = Bench(confirm=False)

    async def scene(b: Bench) -> None:
        b.offer(0, 1)
        await settle()
        for _ in range(steps):
            b.publisher.release()
            await settle()
        b.group.generation = 2
        b.publisher.release()
        await settle()
        assert len(b.snapshots()) == steps

    bench.run(scene)
    assert bench.group.committed == []


def snapshot_record(generation: int, next_offset: int, state: bytes | None) -> tuple[bytes, bytes]:
    return snapshots.key_of(0, generation, "w"), snapshots.encode(next_offset, state)


def test_a_new_generation_forgets_and_restores_the_newest_snapshot_and_removes_the_old_keys() -> None:
    origin = FakeOrigin(committed=2)
    origin.records = [snapshot_record(5, 3, b"0,1,2"), snapshot_record(4, 2, b"0,1")]
    bench = Bench(origin=origin)

    async def scene(b: Bench) -> None:
        b.offer(2, 3, 4)
        await settle()

    bench.run(scene)
    assert bench.handlers[0].seen == [0, 1, 2, 3, 4]
    assert bench.publisher.values("out") == [b"4", b"5"]
    removed = {output.key for output in bench.publisher.sent if output.topic == "snaps" and output.value is None}
    assert removed == {origin.records[0][0], origin.records[1][0]}


@pytest.mark.parametrize("committed", [None, 1])
def test_what_was_snapshot_and_not_committed_is_committed_though_no_record_follows(committed: int | None) -> None:
    origin = FakeOrigin(committed=committed)
    origin.records = [snapshot_record(4, 3, b"0,1,2")]
    bench = Bench(origin=origin)

    async def scene(b: Bench) -> None:
        b.offer(*range(committed or 0, 3))
        await settle()

    bench.run(scene)
    assert bench.handlers[0].seen == [0, 1, 2]
    assert bench.publisher.values("out") == []
    assert bench.group.position == {IN: 3}


def test_the_state_of_an_ended_generation_is_not_used_again() -> None:
    bench = Bench(cut_messages=2)

    async def scene(b: Bench) -> None:
        b.offer(0, 1, 2)
        await settle()
        sent = [o for o in b.publisher.sent if o.topic == "snaps" and o.value is not None]
        b.origin.records = [(o.key, o.value) for o in sent[:1]]
        b.origin.committed = 2
        b.group.generation = 2
        b.offer(3, generation=1)
        b.offer(2, 3, generation=2)
        await settle()

    bench.run(scene)
    assert [handler.seen for handler in bench.handlers][1] == [0, 1, 2, 3]
    assert bench.group.position == {IN: 4}


def test_a_record_that_an_ended_generation_left_over_disturbs_nobody() -> None:
    bench = Bench()

    async def scene(b: Bench) -> None:
        b.group.generation = 2
        b.offer(0, 1, generation=2)
        await settle()
        b.offer(9, generation=1)
        b.offer(2, 3, generation=2)
        await settle()

    bench.run(scene)
    assert [handler.seen for handler in bench.handlers] == [[0, 1, 2, 3]]
    assert bench.group.position == {IN: 4}


def test_a_cut_waits_for_the_one_before_it() -> None:
    bench = Bench(confirm=False)

    async def scene(b: Bench) -> None:
        b.offer(0, 1)
        await settle()
        first = len(b.publisher._open)
        b.offer(2, 3)
        await settle()
        for _ in range(3):  # whatever comes after the first cut's outputs is confirmed, and they are not
            later = b.publisher._open[first:]
            del b.publisher._open[first:]
            for tally in later:
                tally.settle(None)
            await settle()
        assert b.group.committed == []
        assert b.snapshots() == []
        for _ in range(6):
            b.publisher.release()
            await settle()
        assert b.group.committed == [{IN: 2}, {IN: 4}]

    bench.run(scene)


@pytest.mark.parametrize("records", [[], [snapshot_record(1, 3, b"0,1,2")]])
def test_a_commit_ahead_of_every_snapshot_stops_the_line(records: list[tuple[bytes, bytes | None]]) -> None:
    origin = FakeOrigin(committed=5)
    origin.records = records
    bench = Bench(origin=origin)

    async def scene(b: Bench) -> None:
        b.offer(5)
        await settle()

    with pytest.raises(SnapshotError, match="committed up to 5"):
        bench.run(scene)


def test_an_empty_state_is_restored_as_such() -> None:
    origin = FakeOrigin(committed=4)
    origin.records = [snapshot_record(1, 4, None)]
    bench = Bench(origin=origin)

    async def scene(b: Bench) -> None:
        b.offer(4)
        await settle()

    bench.run(scene)
    assert bench.handlers[0].seen == [4]


def test_what_was_deleted_unread_is_counted_and_reading_goes_on_with_what_is_kept() -> None:
    origin = FakeOrigin(committed=3, low=7)
    origin.records = [snapshot_record(1, 3, b"0,1,2")]
    bench = Bench(origin=origin)
    expired = counter("sightline_stage_messages_total").labels("stage", "expired")
    before = expired._value.get()

    async def scene(b: Bench) -> None:
        b.offer(7, 8)
        await settle()

    bench.run(scene)
    assert bench.handlers[0].seen == [0, 1, 2, 7, 8]
    assert expired._value.get() - before == 4


def test_a_gap_ends_the_line() -> None:
    bench = Bench()

    async def scene(b: Bench) -> None:
        b.offer(0, 2)
        await settle()

    with pytest.raises(GapError):
        bench.run(scene)


def test_a_chunk_that_fails_for_now_is_given_again() -> None:
    bench = Bench(failures=3)

    async def scene(b: Bench) -> None:
        b.offer(0, 1)
        await settle()

    bench.run(scene)
    assert bench.handlers[0].seen == [0, 1]
    assert bench.group.position == {IN: 2}


def test_a_chunk_whose_generation_ends_is_given_up() -> None:
    bench = Bench(failures=1_000_000)

    async def scene(b: Bench) -> None:
        b.offer(0, 1)
        await settle()
        b.group.generation = 2
        await settle()

    bench.run(scene)
    assert bench.group.committed == []


def test_what_is_done_is_cut_by_time_too() -> None:
    bench = Bench(cut_messages=1000, cut_s=0.001)

    async def scene(b: Bench) -> None:
        b.offer(0)
        while not b.group.committed:
            await settle()

    bench.run(scene)
    assert bench.group.position == {IN: 1}


def test_an_output_that_is_given_up_ends_the_line() -> None:
    bench = Bench(confirm=False, cut_s=0.001)

    async def scene(b: Bench) -> None:
        b.offer(0, 1)
        await settle()
        b.publisher.release("timed out")
        await settle()

    with pytest.raises(Exception, match="timed out"):
        bench.run(scene)
    assert bench.group.committed == []

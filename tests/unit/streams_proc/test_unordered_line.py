"""The line that finishes records in any order: what is committed, what is held, and who waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from core.errors import BadImage, FatalError, ModelUnavailable
from streams_proc import unordered
from streams_proc.pressure import Pressure
from streams_proc.stage import Outcome, Output, Poison, Record, StatelessStage, TopicPartition
from streams_proc.unordered import UnorderedLine
from tests.unit.streams_proc.stage_fakes import FakeGroup, FakeOrigin, FakePublisher, means, no_pressure, record
from tests.unit.streams_proc.stepping import SteppedLoop

A, B = TopicPartition("in", 0), TopicPartition("in", 1)
Place = tuple[int, int]


class Waiting:
    """Answers a record when it is told to."""

    def __init__(self, loop: SteppedLoop) -> None:
        self._loop = loop
        self.calls: dict[Place, asyncio.Future[Outcome]] = {}
        self.begun: list[Place] = []

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        (one,) = records
        place = (one.partition, one.offset)
        self.begun.append(place)
        self.calls[place] = self._loop.create_future()
        return [await self.calls[place]]


class Bench:
    def __init__(self, *, in_flight: int = 100, pressure: Pressure | None = None, confirm: bool = True) -> None:
        self.loop = SteppedLoop()
        self.group, self.publisher = FakeGroup(), FakePublisher(confirm)
        self.handler = Waiting(self.loop)
        stage = StatelessStage("stage", ("in",), self.handler, batch=1, in_flight=in_flight, ordered=False)
        shared = means(self.group, self.publisher, FakeOrigin(), cut_s=1.0)
        self.line = UnorderedLine(stage, shared, pressure or no_pressure())
        self.task = self.loop.create_task(self.line.run())

    def offer(self, *offsets: int, partition: int = 0, generation: int = 1) -> None:
        for offset in offsets:
            self.line.offer(generation, record(offset, partition))
        self.loop.settle()

    def answer(self, *offsets: int, partition: int = 0, outcome: Outcome = ()) -> None:
        for offset in offsets:
            self.handler.calls.pop((partition, offset)).set_result(outcome)
        self.loop.pass_time(1.0)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.loop.end()


def test_what_is_committed_goes_up_to_the_oldest_that_is_not_finished(bench: Bench) -> None:
    bench.offer(*range(5))
    bench.answer(1, 2, 4)
    assert bench.group.position == {}
    bench.answer(0)
    assert bench.group.position == {A: 3}
    bench.answer(3)
    assert bench.group.position == {A: 5}


def test_a_record_that_takes_long_holds_up_neither_its_partition_nor_another(bench: Bench) -> None:
    bench.offer(0, 1, 2)
    bench.offer(0, 1, partition=1)
    assert len(bench.handler.begun) == 5, "all are begun"
    bench.answer(1, 2, outcome=(Output("out", b"k", b"v"),))
    bench.answer(0, 1, partition=1)
    assert len(bench.publisher.values("out")) == 2, "what is finished is published"
    assert bench.group.position == {B: 2}
    bench.offer(3)
    assert (0, 3) in bench.handler.begun, "and what comes is begun"


def test_nothing_is_committed_before_its_outputs_are_confirmed() -> None:
    bench = Bench(confirm=False)
    bench.offer(0, 1)
    bench.answer(0, 1, outcome=(Output("out", b"k", b"v"),))
    assert bench.group.position == {}
    bench.publisher.release()
    bench.loop.pass_time(1.0)
    assert bench.group.position == {A: 2}
    bench.loop.end()


def test_poison_is_a_dead_letter_in_its_own_time(bench: Bench) -> None:
    bench.offer(0, 1)
    bench.answer(1, outcome=Poison(BadImage("no")))
    assert len(bench.publisher.values("dead")) == 1
    bench.answer(0)
    assert bench.group.position == {A: 2}


def test_it_begins_no_more_at_once_than_it_may() -> None:
    few = Bench(in_flight=2)
    few.offer(0, 1, 2)
    assert few.handler.begun == [(0, 0), (0, 1)]
    few.answer(1)
    assert few.handler.begun == [(0, 0), (0, 1), (0, 2)]
    few.loop.end()


def test_a_record_counts_against_the_bound_on_bytes_until_it_is_finished() -> None:
    paused: list[TopicPartition] = []
    resumed: list[TopicPartition] = []
    size = record(0).size
    bench = Bench(pressure=Pressure(paused.append, resumed.append, most_bytes=3 * size))
    bench.offer(0, 1)
    assert (paused, len(bench.handler.begun)) == ([], 2)
    bench.offer(2)
    assert paused == [A], "though all three are begun"
    bench.answer(1)
    assert resumed == [A]
    bench.loop.end()


def test_offsets_that_are_ahead_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unordered, "MOST_AHEAD", 2)
    bench = Bench()
    bench.offer(0, 1, 2)
    bench.answer(1, 2)
    bench.offer(3)
    bench.answer(*([3] if (0, 3) in bench.handler.calls else []))  # one may have been begun before
    bench.offer(4)
    assert (0, 4) not in bench.handler.begun
    bench.answer(0)
    assert (0, 4) in bench.handler.begun
    bench.loop.end()


def test_what_an_ended_generation_has_begun_is_begun_again_and_disturbs_nobody(bench: Bench) -> None:
    bench.offer(0, 1)
    old = dict(bench.handler.calls)
    bench.group.generation = 2
    bench.offer(0, generation=2)
    assert bench.handler.begun == [(0, 0), (0, 1), (0, 0)]
    for call in old.values():
        call.set_result((Output("out", b"k", b"old"),))
    bench.loop.pass_time(1.0)
    assert bench.publisher.values("out") == []
    assert bench.group.position == {}
    bench.answer(0)
    assert bench.group.position == {A: 1}


def test_a_call_that_fails_for_now_is_made_again(bench: Bench) -> None:
    bench.offer(0)
    bench.handler.calls.pop((0, 0)).set_exception(ModelUnavailable("not now"))
    bench.loop.settle()
    assert bench.handler.begun == [(0, 0), (0, 0)]
    bench.answer(0)
    assert bench.group.position == {A: 1}


def test_any_other_error_ends_the_line_and_commits_nothing_of_it(bench: Bench) -> None:
    bench.offer(0, 1)
    bench.answer(0)
    bench.handler.calls.pop((0, 1)).set_exception(FatalError("a bug"))
    bench.loop.settle()
    with pytest.raises(ExceptionGroup):
        bench.task.result()
    assert bench.group.position == {A: 1}


def test_it_ends_when_what_is_begun_is_finished_and_committed(bench: Bench) -> None:
    bench.offer(0, 1)
    bench.line.stop()
    bench.loop.pass_time(5.0)
    assert not bench.task.done()
    bench.answer(0, 1)
    assert bench.task.done()
    assert bench.group.position == {A: 2}

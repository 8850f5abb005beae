"""Analyse's memory of runs against one undisturbed pass: replays, restarts anywhere, changes of run, frames gone.

The records of two streams lie in one partition, as producers wrote them: with repeats of a stretch
after a restart of ingest or detect, elder runs cut short, runs without an end, frames of the live
lane that expired. However analyse is interrupted, what it publishes for the first time is what one
pass over the same records publishes.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.errors import GapError, ModelUnavailable
from core.messages import Analytic, FrameDetections, RunEnd, decode_detections
from streams_proc.stage import Output, Poison, Record
from tests.unit.analyse.scenes import OBJECTS, OTHER, STREAM, Bench, Message, at, begin, end, frame, records

PEOPLE = Analytic("people_count", {"people_count_threshold": 0}, ("overview", "coordinates"))
STREAMS = (STREAM, OTHER)
LANES = ("batch", "live")
rows = st.lists(
    st.tuples(
        st.sampled_from(["person", "car"]),
        st.sampled_from([0.2, 0.5, 0.9]),
        st.builds(at, st.sampled_from([0.1, 0.12, 0.14, 0.6])),
    ),
    max_size=2,
)
streams = st.integers(0, 1)


class Runs(RuleBasedStateMachine):
    """Stream 0 is a batch, which loses no frame; stream 1 is live, which may."""

    @initialize()
    def start(self) -> None:
        self.log: list[Record] = []
        self.run = [0, 0]
        self.seq = [0, 0]
        self.open = [False, False]
        self.since: list[list[Message]] = [[], []]
        self.bench = Bench()
        self.read = 0
        self.snapshot: tuple[int, bytes | None] = (0, None)
        self.got: dict[int, list[Output] | str] = {}
        for stream in (0, 1):
            self.begin_run(stream)

    # --- what lies in the partition

    def _append(self, *messages: Message) -> None:
        self.log += records(messages, first=len(self.log))

    @rule(stream=streams)
    def begin_run(self, stream: int) -> None:
        """A newer run; the elder may not have ended."""
        self.run[stream] += 1
        self.seq[stream] = 0
        self.open[stream] = True
        told = begin(OBJECTS, PEOPLE, stream=STREAMS[stream], run=self.run[stream], lane=LANES[stream])
        self.since[stream] = [told]
        self._append(told)

    @rule(stream=streams, some=st.lists(rows, min_size=1, max_size=8), lost=st.integers(0, 2))
    def frames(self, stream: int, some: list[Any], lost: int) -> None:
        if not self.open[stream]:
            return
        if LANES[stream] == "live":
            self.seq[stream] += lost
        for row in some:
            one = frame(self.seq[stream], row, stream=STREAMS[stream], run=self.run[stream])
            self.seq[stream] += 1
            self.since[stream].append(one)
            self._append(one)

    @rule(stream=streams, back=st.integers(1, 12))
    def come_again(self, stream: int, back: int) -> None:
        """What detect had published and not committed, a second time."""
        self._append(*self.since[stream][-back:])

    @rule(stream=streams)
    def end_run(self, stream: int) -> None:
        if self.open[stream]:
            self.open[stream] = False
            told = end(STREAMS[stream], self.run[stream])
            self.since[stream].append(told)
            self._append(told)

    # --- what analyse does

    def _unread(self) -> bool:
        return self.read < len(self.log)

    @precondition(_unread)
    @rule(count=st.integers(1, 20))
    def handle(self, count: int) -> None:
        chunk = self.log[self.read : self.read + count]
        for record, outcome in zip(chunk, asyncio.run(self.bench.handler.handle(chunk)), strict=True):
            found = str(outcome.error) if isinstance(outcome, Poison) else list(outcome)
            if record.offset in self.got:
                assert found == self.got[record.offset], "a record gives something else the second time"
            self.got[record.offset] = found
        self.read += len(chunk)

    @precondition(_unread)
    @rule(count=st.integers(1, 20), views=st.booleans())
    def fail_for_now(self, count: int, views: bool) -> None:
        """A view cannot be had: the chunk comes again, and nothing has changed."""
        failing = self.bench.frames.failing if views else self.bench.embedder.failing
        failing.append(ModelUnavailable("not now"))
        before = self._standing()
        try:
            self.handle(count)
        except ModelUnavailable:
            assert self._standing() == before
        finally:
            failing.clear()

    @rule()
    def cut(self) -> None:
        self.snapshot = (self.read, self.bench.handler.snapshot())

    @rule()
    def restart(self) -> None:
        """The process dies: back to the last snapshot, and the records after it come again."""
        self.read, data = self.snapshot
        self.bench.handler = self.bench.new_handler()
        if data is not None:
            self.bench.handler.restore(data)

    def _standing(self) -> dict[Any, tuple[int, int]]:
        return {s: (r.begin.run, r.next_seq) for s, r in self.bench.handler._memory._runs.items()}

    @invariant()
    def a_run_stands_behind_the_last_frame_that_was_read(self) -> None:
        expected: dict[Any, tuple[int, int]] = {}
        over: dict[Any, int] = {}
        for record in self.log[: self.read]:
            message = decode_detections(record.value)
            stream, run = message.stream_id, message.run
            known, at_seq = expected.get(stream, (0, 0))
            if run <= over.get(stream, 0) or run < known:
                continue
            if isinstance(message, RunEnd):
                expected.pop(stream, None)
                over[stream] = run
            elif run > known:
                expected[stream] = (run, 0)
            elif isinstance(message, FrameDetections):
                expected[stream] = (run, max(at_seq, message.seq + 1))
        assert self._standing() == expected

    def teardown(self) -> None:
        while self._unread():
            self.handle(7)
        alone = Bench()
        whole = asyncio.run(alone.handler.handle(self.log))
        for record, outcome in zip(self.log, whole, strict=True):
            found = str(outcome.error) if isinstance(outcome, Poison) else list(outcome)
            assert self.got[record.offset] == found
        everything = [o for outputs in self.got.values() if isinstance(outputs, list) for o in outputs]
        ids = [o.headers["ce_id"] for o in everything if o.headers]
        assert len(ids) == len(set(ids)), "an event's phase is published twice"


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=20, stateful_step_count=25, phases=(Phase.explicit, Phase.generate))


def test_a_gap_of_a_batch_is_an_error_from_any_state() -> None:
    bench = Bench()
    bench.give([begin(), frame(0), frame(1)])
    snapshot = bench.handler.snapshot()
    assert snapshot is not None
    for _ in range(2):
        with pytest.raises(GapError):
            bench.give([frame(3)])
        bench.handler = bench.new_handler()
        bench.handler.restore(snapshot)

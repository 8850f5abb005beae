"""Runs as they are told of, in whatever order, and what that says of a task."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from core.ids import Run
from core.messages import IngestCounts, StreamProblem, StreamStatus, VideoInfo
from tests.integration.warehouse.samples import spec, stream_id
from warehouse.control import ControlStore
from warehouse.control.receipts import EXPECTED
from warehouse.control.rows import RunRow

A, RUN = stream_id(1), Run(1)
BEGUN = StreamStatus(A, RUN, "in_progress", 10, "host-1", total_frames=100, video=VideoInfo(640, 480, 25.0))
BEAT = StreamStatus(A, RUN, "in_progress", 20, "host-1", IngestCounts(decoded=50, read=50), heartbeat=True)
DONE = StreamStatus(
    A, RUN, "done", 30, "host-1", IngestCounts(decoded=99, read=99), problems=(StreamProblem(5, 0.2, "damaged"),)
)


@pytest.fixture(autouse=True)
def _a_stream(control: ControlStore) -> None:
    control.create_stream(spec(A))


def test_the_newest_status_stands(control: ControlStore) -> None:
    assert control.record_status(BEGUN)
    assert control.record_status(BEAT)
    run = control.run(A, RUN)
    assert (run.state, run.started_ms, run.updated_ms, run.ended_ms) == ("in_progress", 10, 20, None)
    assert (run.counts.decoded, run.total_frames, run.video, run.host) == (50, 100, VideoInfo(640, 480, 25.0), "host-1")
    assert control.stream(A).current == run


@pytest.mark.parametrize("order", list(permutations([BEGUN, BEAT, DONE])))
def test_an_end_stays_whatever_comes_after(control: ControlStore, order: tuple[StreamStatus, ...]) -> None:
    for status in (*order, *order):
        control.record_status(status)
    run = control.run(A, RUN)
    assert (run.state, run.ended_ms, run.ended, run.counts.decoded) == ("done", 30, True, 99)
    assert run.problems == DONE.problems


def test_an_older_heartbeat_is_no_news(control: ControlStore) -> None:
    assert control.record_status(BEAT)
    assert not control.record_status(BEGUN)
    assert control.run(A, RUN).updated_ms == 20


def test_a_clock_that_is_set_back_does_not_hide_how_far_a_run_is(control: ControlStore) -> None:
    further = StreamStatus(A, RUN, "in_progress", 5, "host-1", IngestCounts(decoded=60, read=60), heartbeat=True)
    assert control.record_status(BEAT)
    assert control.record_status(further)
    assert (control.run(A, RUN).counts.decoded, control.run(A, RUN).updated_ms) == (60, 5)
    assert control.record_status(DONE)


def test_an_end_counts_even_by_a_clock_that_is_behind(control: ControlStore) -> None:
    late = StreamStatus(A, RUN, "failure", 5, "host-2", error="connection lost", last_media_s=3.5)
    control.record_status(BEAT)
    assert control.record_status(late)
    run = control.run(A, RUN)
    assert (run.state, run.error, run.last_media_s, run.host) == ("failure", "connection lost", 3.5, "host-2")


def test_many_at_once(control: ControlStore) -> None:
    other = stream_id(2)
    control.create_stream(spec(other))
    statuses = [DONE, BEGUN, StreamStatus(other, RUN, "in_progress", 1, "h"), BEAT]
    assert control.record_statuses(statuses) == 2
    assert control.run(other, RUN).state == "in_progress"
    assert control.run(A, RUN).state == "done"
    assert control.record_statuses([]) == 0


def test_a_run_that_was_not_known_is_written_down(control: ControlStore) -> None:
    assert control.record_status(StreamStatus(A, Run(3), "in_progress", 10, "h"))
    assert [run.run for run in control.runs(A)] == [1, 3]


def test_receipts_are_counted_once_and_without_prefix(control: ControlStore) -> None:
    for topic in ("tracks", "sightline.tracks", "tracks"):
        control.record_receipt(A, RUN, "sink-media", topic)
    control.record_receipt(A, Run(2), "sink-media", "tracks")
    assert control.receipts(A, RUN) == {("sink-media", "tracks")}


def test_a_task_from_its_begin_to_its_result(control: ControlStore) -> None:
    task = control.task_state(A)
    assert (task.state, task.read_fraction, task.missing) == ("pending", None, EXPECTED)
    control.record_status(BEGUN)
    control.record_status(BEAT)
    task = control.task_state(A)
    assert (task.state, task.read_fraction, task.run.counts.decoded) == ("in_progress", 0.5, 50)
    control.record_status(DONE)
    for sink, topic in sorted(EXPECTED):
        task = control.task_state(A)
        assert (task.state, task.read_fraction, task.ended_ms) == ("collecting", 1.0, None)
        assert (sink, topic) in task.missing
        control.record_receipt(A, RUN, sink, topic)
    task = control.task_state(A)
    assert (task.state, task.missing) == ("done", frozenset())
    assert task.ended_ms is not None
    assert task.ended_ms > control.stream(A).created_ms  # the last receipt's time, not the end of reading


@pytest.mark.parametrize(
    ("state", "expected"), [("failure", "failed"), ("stop", "cancelled"), ("restart", "in_progress")]
)
def test_a_task_that_ends_otherwise(control: ControlStore, state: str, expected: str) -> None:
    control.record_status(StreamStatus(A, RUN, state, 10, "h"))
    assert control.task_state(A).state == expected


def test_a_task_that_was_cancelled_before_it_began(control: ControlStore) -> None:
    control.set_desired(A, "stop")
    assert control.task_state(A).state == "cancelled"


def test_a_file_longer_than_it_said_is_never_more_than_whole(control: ControlStore) -> None:
    control.record_status(BEGUN)
    control.record_status(StreamStatus(A, RUN, "in_progress", 20, "h", IngestCounts(decoded=500)))
    assert control.task_state(A).read_fraction == 1.0


def test_a_row_before_its_first_status_is_as_old_as_the_run(control: ControlStore) -> None:
    run: RunRow = control.run(A, RUN)
    assert run.updated_ms == run.created_ms


def test_what_a_host_has_in_hand_is_the_current_run_that_has_begun_and_not_ended(control: ControlStore) -> None:
    control.record_status(BEGUN)
    assert control.held_runs() == [], "a task waits its turn"
    watched = stream_id(2)
    control.create_stream(spec(watched, task=False))
    assert control.held_runs() == [], "nobody has begun it"

    def says(state: Any, ts_ms: int, host: str, run: int = 1, **more: Any) -> None:
        control.record_status(StreamStatus(watched, Run(run), state, ts_ms, host, **more))

    says("in_progress", 10, "host-1")
    assert [(row.stream_id, row.host, row.state) for row in control.held_runs()] == [(watched, "host-1", "in_progress")]
    says("handler_lost", 25, "host-1", error="gone")
    assert control.held_runs() == []
    says("restart", 27, "host-2")
    assert [row.host for row in control.held_runs()] == ["host-2"]
    says("pending", 27, "host-2", attempt=1)
    assert [row.state for row in control.held_runs()] == ["pending"], "it is connected to again"
    says("in_progress", 28, "host-2", run=3)
    assert [row.run for row in control.held_runs()] == [RUN], "another run than the stream's own is nobody's concern"
    says("done", 30, "host-2")
    assert control.held_runs() == []

"""Which tasks' ends are still to be told, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.ids import Run
from core.messages import IngestCounts, StreamStatus
from tests.integration.warehouse.conftest import Ticking
from tests.integration.warehouse.samples import spec, stream_id
from warehouse.control import ControlStore
from warehouse.control.receipts import EXPECTED
from warehouse.control.rows import TaskState

COUNTS = IngestCounts(decoded=9, read=9, published=9)


def begin(control: ControlStore, number: int, *, task: bool = True, ephemeral: bool = False) -> None:
    from msgspec.structs import replace

    control.create_stream(replace(spec(stream_id(number)), task=task, ephemeral=ephemeral))


def tell(control: ControlStore, number: int, state: str) -> None:
    control.record_status(StreamStatus(stream_id(number), Run(1), state, 30, "host", COUNTS))  # type: ignore[arg-type]


def receipt_all(control: ControlStore, number: int, receipts: int = len(EXPECTED)) -> None:
    for sink, topic in sorted(EXPECTED)[:receipts]:
        control.record_receipt(stream_id(number), Run(1), sink, topic)


def over(control: ControlStore) -> list[int]:
    return [stream.int & 0xFF for stream in control.ended_tasks(100)]


def test_a_task_is_over_when_its_state_says_so(control: ControlStore) -> None:
    expected: dict[int, TaskState] = {}
    for number, state, receipts, stop, shown in (
        (1, None, 0, False, "pending"),
        (2, "in_progress", 0, False, "in_progress"),
        (3, "in_progress", 0, True, "in_progress"),
        (4, "done", 0, False, "collecting"),
        (5, "done", len(EXPECTED) - 1, False, "collecting"),
        (6, "done", len(EXPECTED), False, "done"),
        (7, "done", 0, True, "cancelled"),
        (8, "failure", 0, False, "failed"),
        (9, "stop", 0, True, "cancelled"),
        (10, None, 0, True, "cancelled"),
    ):
        begin(control, number)
        if state is not None:
            tell(control, number, state)
        receipt_all(control, number, receipts)
        if stop:
            control.set_desired(stream_id(number), "stop")
        expected[number] = shown  # type: ignore[assignment]
    assert {number: control.task_state(stream_id(number)).state for number in expected} == expected
    ended = [number for number, state in expected.items() if state in {"done", "failed", "cancelled"}]
    assert sorted(over(control)) == ended, "what is asked in SQL is what is told of a single task"


def test_the_eldest_go_first(control: ControlStore) -> None:
    for number in (3, 1, 2):
        begin(control, number)
        tell(control, number, "failure")
    assert over(control) == [3, 1, 2]
    assert [stream.int & 0xFF for stream in control.ended_tasks(2)] == [3, 1]


@pytest.mark.parametrize(("task", "ephemeral"), [(False, False), (True, True)])
def test_streams_and_immediate_analyses_are_nobody_s_tasks(control: ControlStore, task: bool, ephemeral: bool) -> None:
    begin(control, 1, task=task, ephemeral=ephemeral)
    tell(control, 1, "failure")
    assert over(control) == []


def test_an_end_is_told_by_one_process_at_a_time_and_by_another_when_that_dies(
    open_control: Callable[[], ControlStore], clock: Ticking
) -> None:
    one, other = open_control(), open_control()
    begin(one, 1)
    tell(one, 1, "failure")
    assert one.take_task_end(stream_id(1))
    assert not other.take_task_end(stream_id(1))
    assert over(other) == []
    clock.now += 11.0
    assert over(other) == [1]
    assert other.take_task_end(stream_id(1))


def test_what_is_told_is_forgotten_and_what_is_deleted_too(control: ControlStore) -> None:
    for number in (1, 2):
        begin(control, number)
        tell(control, number, "failure")
    control.forget_task_ends([stream_id(1)])
    assert over(control) == [2]
    control.delete_stream(stream_id(2))
    assert over(control) == []
    assert not control.take_task_end(stream_id(2))
    control.forget_task_ends([])

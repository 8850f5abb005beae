"""Nodes, configuration, limits and check-in in the control database (SQLite; PostgreSQL in the integration tests)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from core.errors import Conflict, InvalidInput, NotFound
from core.ids import Run, StreamId
from core.messages import Analytic, NodeStatus, Orders, Source, StreamSpec
from core.secrets import hash_secret
from core.settings import Query, Settings
from warehouse.control import ControlStore
from warehouse.control.checkin import Checkin
from warehouse.control.configuration import Keeping, Platform, Retention
from warehouse.control.nodes import ONLINE_MS
from warehouse.control.rows import StreamFilter, StreamRow

A, B, C = (StreamId(UUID(int=n)) for n in (1, 2, 3))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(folder: Path, clock: Clock, **seats: int) -> ControlStore:
    return ControlStore.connect(Settings(data_dir=folder, query=Query(seats=seats)), clock=clock)


@pytest.fixture
def control(tmp_path: Path, clock: Clock) -> Iterator[ControlStore]:
    store = opened(tmp_path, clock)
    store.migrate()
    yield store
    store.close()


def host(name: str, started_ms: int = 0, **more: Any) -> NodeStatus:
    return NodeStatus(name, 0, started_ms, "10.0.0.1", "CPU", 0.0, 0.0, 0.0, **more)


def spec(stream: StreamId, *analytics: str, **more: Any) -> StreamSpec:
    return StreamSpec(
        stream_id=stream,
        run=Run(1),
        name="camera",
        lane="live",
        source=Source("rtsp://camera.example/1"),
        analytics=tuple(Analytic(name) for name in analytics),
        model="m",
        started_ms=0,
        **more,
    )


# nodes


def test_nodes_are_numbered_as_they_are_first_heard_of(control: ControlStore) -> None:
    assert control.nodes() == []
    assert [control.record_node(host(name), 10) for name in ("a", "b", "a", "c", "b")] == [0, 1, 0, 2, 1]
    assert [(row.node_num, row.status.host) for row in control.nodes()] == [(0, "a"), (1, "b"), (2, "c")]


def test_the_newest_state_stays_and_the_first_hearing(control: ControlStore) -> None:
    control.record_node(host("a"), 10)
    control.record_node(host("a", started_ms=5, ended=True), 20)
    (row,) = control.nodes()
    assert (row.first_ms, row.heard_ms) == (10, 20)
    assert row.status == host("a", started_ms=5, ended=True)


def test_a_node_is_online_while_it_is_heard_of(control: ControlStore) -> None:
    control.record_node(host("a"), 1000)
    (row,) = control.nodes()
    assert row.online(1000 + ONLINE_MS)
    assert not row.online(1001 + ONLINE_MS)
    assert row.online(0), "a clock may be set back"
    control.record_node(host("a", ended=True), 1000)
    assert not control.nodes()[0].online(1000)


def test_two_processes_give_different_numbers(control: ControlStore, tmp_path: Path, clock: Clock) -> None:
    other = opened(tmp_path, clock)
    numbers = [(control, other)[n % 2].record_node(host(f"host-{n}"), 1) for n in range(6)]
    assert numbers == list(range(6))
    other.close()


def test_a_stream_stays_at_the_node_where_it_was_registered(control: ControlStore) -> None:
    control.create_stream(spec(A))
    control.create_stream(spec(B), node_num=3)
    assert (control.stream(A).node_num, control.stream(B).node_num) == (0, 3)
    control.set_extra(B, {"a": 1})
    control.update_stream(spec(B))
    assert control.stream(B).node_num == 3
    assert [row.stream_id for row in control.streams(StreamFilter(node_num=3)).items] == [B]
    assert control.count_streams(StreamFilter(node_num=0)) == 1


# changes


def test_a_change_within_the_run_is_told_and_begins_none(control: ControlStore) -> None:
    control.create_stream(spec(A))
    changed = control.change_stream(A, lambda old: (replace(old.spec, name="gate"), {"a": 1}))
    assert (changed.spec.name, changed.spec.run, changed.extra, changed.version) == ("gate", 1, {"a": 1}, 2)
    assert len(control.take_outbox(10)) == 2
    assert len(control.runs(A)) == 1


def test_what_changes_nothing_is_no_change(control: ControlStore) -> None:
    made = control.create_stream(spec(A), {"a": 1})
    assert control.change_stream(A, lambda old: (old.spec, dict(old.extra))) == made
    assert len(control.take_outbox(10)) == 1


def test_a_change_of_what_is_kept_beside_is_not_told(control: ControlStore) -> None:
    control.create_stream(spec(A))
    control.change_stream(A, lambda old: (old.spec, {"a": 1}))
    assert len(control.take_outbox(10)) == 1


def test_a_change_that_fails_leaves_all_as_it_was(control: ControlStore) -> None:
    made = control.create_stream(spec(A))

    def refused(_: StreamRow) -> tuple[StreamSpec, dict[str, Any]]:
        raise Conflict("not now")

    with pytest.raises(Conflict, match="not now"):
        control.change_stream(A, refused)
    with pytest.raises(InvalidInput):
        control.change_stream(A, lambda old: (replace(old.spec, model="no/name", run=Run(2)), {}))
    with pytest.raises(NotFound):
        control.change_stream(B, lambda old: (old.spec, {}))
    assert control.stream(A) == made
    assert len(control.runs(A)) == 1


def test_a_change_may_begin_the_next_run(control: ControlStore) -> None:
    control.create_stream(spec(A))
    changed = control.change_stream(A, lambda old: (replace(old.spec, run=Run(2)), old.extra))
    assert (changed.spec.run, changed.current.run, changed.current.state) == (2, 2, "pending")


# limits


def test_a_node_is_full_at_its_limit(control: ControlStore) -> None:
    control.change_platform(max_streams_per_node=1)
    control.create_stream(spec(A))
    with pytest.raises(Conflict, match="node 0 has 1 streams"):
        control.create_stream(spec(B))
    control.create_stream(spec(B), node_num=1)
    control.create_stream(spec(C, task=True))
    control.delete_stream(A)
    control.create_stream(spec(StreamId(UUID(int=4))))


def test_seats_are_taken_by_streams_alone(control: ControlStore, tmp_path: Path, clock: Clock) -> None:
    limited = opened(tmp_path, clock, counting=1)
    limited.create_stream(spec(C, "counting", task=True))
    limited.create_stream(spec(A, "counting", "other"))
    for refused in (
        lambda: limited.create_stream(spec(B, "counting")),
        lambda: limited.change_stream(A, lambda old: (replace(old.spec, analytics=old.spec.analytics * 2), {})),
        lambda: limited.update_stream(spec(A, "counting", "counting")),
    ):
        with pytest.raises(Conflict, match="1 of 1 seats of counting"):
            refused()
    limited.create_stream(spec(B, "other"))
    limited.update_stream(spec(A, "other"))
    limited.change_stream(B, lambda old: (replace(old.spec, analytics=(Analytic("counting"),)), {}))
    limited.close()


def test_an_analytic_without_seats_runs_nowhere(control: ControlStore, tmp_path: Path, clock: Clock) -> None:
    limited = opened(tmp_path, clock, counting=0)
    with pytest.raises(Conflict, match="0 of 0 seats"):
        limited.create_stream(spec(A, "counting"))
    limited.close()


# configuration


def test_what_is_configured_is_kept(control: ControlStore, tmp_path: Path, clock: Clock) -> None:
    assert (control.platform(), control.keeping()) == (Platform(), Keeping())
    assert control.change_platform(event_retention_days=7) == Platform(event_retention_days=7)
    control.change_platform(enable_cors=True, log_level="debug")
    control.change_keeping(retention_days=30, max_events_per_stream=9)
    other = opened(tmp_path, clock)
    assert other.platform() == Platform(event_retention_days=7, enable_cors=True, log_level="debug")
    assert other.retention() == Retention(days=30, event_days=7, most_events=9)
    assert other.orders() == Orders(0, "debug")
    other.close()


def test_every_restart_is_an_order_of_its_own(control: ControlStore, clock: Clock) -> None:
    assert control.request_restart() == 1_000_000
    assert control.request_restart() == 1_000_001
    clock.now = 10.0
    assert control.request_restart() == 1_000_002, "also when the clock was set back"
    assert control.orders() == Orders(1_000_002)


def test_retention_is_of_streams_and_not_of_tasks(control: ControlStore) -> None:
    control.create_stream(spec(A))
    control.create_stream(spec(B, task=True))
    assert control.retained_streams() == [A]


# check-in


def test_a_key_pair_that_was_issued(control: ControlStore, clock: Clock) -> None:
    assert (control.checkin(), control.deployment_key()) == (Checkin(), "")
    control.add_checkin_key("AKID", hash_secret("sk"))
    for pair in (("AKID", "other"), ("other", "sk"), ("AKID", ""), ("", ""), ("AKID", hash_secret("sk"))):
        assert control.check_in(*pair) is None
    assert control.deployment_key() == ""
    made = control.check_in("AKID", "sk")
    assert made == control.checkin() == Checkin("AKID", 1_000_000, 1_000_000 + 365 * 86_400_000)
    key = control.deployment_key()
    assert key
    control.clear_checkin()
    assert control.checkin() == Checkin()
    assert control.check_in("AKID", "sk") is not None
    assert control.deployment_key() == key


def test_an_access_key_is_issued_once(control: ControlStore) -> None:
    control.add_checkin_key("AKID", hash_secret("sk"))
    with pytest.raises(Conflict):
        control.add_checkin_key("AKID", hash_secret("other"))
    assert control.check_in("AKID", "sk") is not None

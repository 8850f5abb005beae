"""Streams and tasks: what is changed is told, and what was deleted stays deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text

from core.errors import ConfigError, Conflict, InvalidInput, NotFound, SetupError
from core.ids import Run, StreamId, engine_stream_id
from core.messages import StreamSpec, StreamStatus
from core.settings import Settings
from tests.integration.warehouse.samples import spec, stream_id
from warehouse.control import ControlStore
from warehouse.control.codec import STREAMS
from warehouse.control.database import open_engine
from warehouse.control.models import Base
from warehouse.control.rows import StreamFilter

A, B = stream_id(1), stream_id(2)


def told(control: ControlStore) -> list[tuple[str, StreamSpec | None]]:
    rows = control.take_outbox(100)
    return [(r.key, None if r.value is None else msgspec.json.decode(r.value, type=StreamSpec)) for r in rows]


def test_a_stream_is_read_as_it_was_created(control: ControlStore) -> None:
    created = control.create_stream(spec(A), {"description": "ünï ☃", "nested": {"a": [1]}})
    assert control.stream(A) == created
    assert control.stream_by_engine_id(engine_stream_id(A)) == created
    assert (created.spec, created.extra, created.version) == (
        spec(A),
        {"description": "ünï ☃", "nested": {"a": [1]}},
        1,
    )
    assert (created.current.run, created.current.state, created.current.ended) == (1, "pending", False)
    assert told(control) == [(str(A), spec(A))]


def test_ids_are_used_once(control: ControlStore) -> None:
    control.create_stream(spec(A))
    with pytest.raises(Conflict):
        control.create_stream(spec(A))
    twin = StreamId(type(A)(int=A.int + (1 << 100)))
    assert engine_stream_id(twin) == engine_stream_id(A)
    with pytest.raises(Conflict, match="16 digits"):
        control.create_stream(spec(twin))
    assert control.delete_stream(A)
    with pytest.raises(Conflict, match="deleted"):
        control.create_stream(spec(A))


def test_what_is_not_there(control: ControlStore) -> None:
    for ask in (
        lambda: control.stream(A),
        lambda: control.stream_by_engine_id("0" * 16),
        lambda: control.run(A, Run(1)),
        lambda: control.task_state(A),
        lambda: control.set_desired(A, "stop"),
        lambda: control.set_extra(A, {}),
        lambda: control.update_stream(spec(A)),
    ):
        with pytest.raises(NotFound):
            ask()
    assert control.runs(A) == []
    assert control.delete_stream(A) is False
    assert control.tombstones() == frozenset()
    assert told(control) == []


def test_stopping_and_running_again_is_a_new_run(control: ControlStore) -> None:
    control.create_stream(spec(A, task=False))
    stopped = control.set_desired(A, "stop")
    assert (stopped.spec.desired, stopped.spec.run, stopped.version) == ("stop", 1, 2)
    assert control.set_desired(A, "stop") == stopped
    again = control.set_desired(A, "run")
    assert (again.spec.desired, again.spec.run, again.current.run, again.current.state) == ("run", 2, 2, "pending")
    assert stopped.updated_ms < again.spec.started_ms <= again.updated_ms
    assert [run.run for run in control.runs(A)] == [1, 2]
    assert [(s.run, s.desired) for _, s in told(control)] == [(1, "run"), (1, "stop"), (2, "run")]


def test_redefining_is_a_new_run_of_the_expected_version(control: ControlStore) -> None:
    control.create_stream(spec(A), {"kept": 1})
    changed = control.update_stream(spec(A, name="another", run=77), version=1)
    assert (changed.spec.name, changed.spec.run, changed.extra, changed.version) == ("another", 2, {"kept": 1}, 2)
    with pytest.raises(Conflict, match="version 2"):
        control.update_stream(spec(A), version=1)
    assert control.update_stream(spec(A), {"new": 1}).extra == {"new": 1}


def test_what_surfaces_keep_does_not_restart_a_stream(control: ControlStore) -> None:
    control.create_stream(spec(A))
    changed = control.set_extra(A, {"x": 1})
    assert (changed.extra, changed.spec.run, changed.version) == ({"x": 1}, 1, 2)
    assert len(told(control)) == 1


def test_a_deleted_stream_is_gone_and_stays_gone(control: ControlStore) -> None:
    for stream in (A, B):
        control.create_stream(spec(stream))
        control.record_receipt(stream, Run(1), "sink-media", "tracks")
    assert control.delete_stream(A) is True
    assert control.delete_stream(A) is False
    with pytest.raises(NotFound):
        control.stream(A)
    assert (control.runs(A), control.receipts(A, Run(1))) == ([], frozenset())
    assert control.record_status(StreamStatus(A, Run(1), "in_progress", 5, "h")) is False
    control.record_receipt(A, Run(1), "sink-media", "events")
    assert (control.runs(A), control.receipts(A, Run(1))) == ([], frozenset())
    assert control.tombstones() == {A}
    assert control.tombstones(among=[B]) == frozenset()
    assert control.tombstones(among=[A, B]) == {A}
    assert told(control)[-1] == (str(A), None)
    assert control.receipts(B, Run(1)) == {("sink-media", "tracks")}


def test_an_immediate_analysis_leaves_no_tombstone(control: ControlStore) -> None:
    control.create_stream(spec(A, ephemeral=True))
    assert control.streams().items == ()
    assert len(control.streams(StreamFilter(ephemeral=None)).items) == 1
    assert control.delete_stream(A) is True
    assert control.tombstones() == frozenset()


def test_tombstones_are_swept_later_and_then_forgotten(control: ControlStore) -> None:
    for stream in (A, B):
        control.create_stream(spec(stream))
        control.delete_stream(stream)
    first, second = control.unswept(10**15)
    assert [first.stream_id, second.stream_id] == [A, B]
    assert [t.stream_id for t in control.unswept(second.deleted_ms)] == [A]
    assert len(control.unswept(10**15, limit=1)) == 1
    control.mark_swept(A, first.deleted_ms)
    assert [t.stream_id for t in control.unswept(10**15)] == [B]
    assert control.forget_tombstones(10**15) == 1
    assert control.tombstones() == {B}


def test_a_stream_that_something_came_of_after_its_sweep_is_swept_again(control: ControlStore) -> None:
    for stream in (A, B):
        control.create_stream(spec(stream))
        control.delete_stream(stream)
    first, second = control.unswept(10**15)
    for tombstone in (first, second):
        control.mark_swept(tombstone.stream_id, tombstone.deleted_ms)
    control.sweep_again({A})
    (again,) = control.unswept(10**15)
    assert again.stream_id == A
    control.mark_swept(A, again.deleted_ms - 1)  # by a sweep that began before
    assert control.unswept(10**15) == [again]


def test_streams_are_listed_by_filter_and_page(control: ControlStore) -> None:
    ids = [stream_id(n) for n in range(20)]
    for n, stream in enumerate(ids):
        control.create_stream(
            spec(stream, task=n % 2 == 0, name=f"n{n % 3}", account_id=f"a{n % 4}", desired="stop" if n == 5 else "run")
        )
    control.record_status(StreamStatus(ids[3], Run(1), "done", 5, "h"))
    every = control.streams(limit=100)
    assert [row.stream_id for row in every.items] == ids[::-1]
    assert every.next_cursor is None

    def listed(filter_: StreamFilter) -> set[int]:
        rows = control.streams(filter_, limit=100).items
        assert control.count_streams(filter_) == len(rows)
        return {ids.index(row.stream_id) for row in rows}

    assert listed(StreamFilter(task=True)) == set(range(0, 20, 2))
    assert listed(StreamFilter(account_id="a1")) == set(range(1, 20, 4))
    assert listed(StreamFilter(names=("n0", "n1"))) == {n for n in range(20) if n % 3 < 2}
    assert listed(StreamFilter(stream_ids=(ids[4], ids[5], A))) == {1, 4, 5}
    assert listed(StreamFilter(stream_ids=())) == set()
    assert listed(StreamFilter(desired="stop")) == {5}
    assert listed(StreamFilter(states=("done", "stop"))) == {3}
    middle = control.stream(ids[10]).created_ms
    assert listed(StreamFilter(created_from_ms=middle)) == set(range(10, 20))
    assert listed(StreamFilter(created_to_ms=middle)) == set(range(10))

    found, cursor = [], None
    while True:
        page = control.streams(limit=6, cursor=cursor)
        found += [row.stream_id for row in page.items]
        control.create_stream(spec(stream_id(1000 + len(found))))  # newer ones do not disturb
        if (cursor := page.next_cursor) is None:
            break
    assert found == ids[::-1]


def test_streams_of_one_moment_are_paged_too(control: ControlStore, clock) -> None:
    control._clock = lambda: 7.0
    ids = [stream_id(n) for n in range(10)]
    for stream in ids:
        control.create_stream(spec(stream))
    first = control.streams(limit=4)
    second = control.streams(limit=100, cursor=first.next_cursor)
    assert [r.stream_id for r in (*first.items, *second.items)] == ids[::-1]


def test_wrong_pages_are_refused(control: ControlStore) -> None:
    for wrong in ({"limit": 0}, {"limit": 10**6}, {"cursor": "x"}):
        with pytest.raises(InvalidInput):
            control.streams(**wrong)
        with pytest.raises(InvalidInput):
            control.uploads(**wrong)


def test_migrating_again_changes_nothing(control: ControlStore, open_control: Callable[[], ControlStore]) -> None:
    control.create_stream(spec(A))
    control.migrate()
    open_control().migrate()
    assert control.stream(A).spec == spec(A)


def test_the_migrations_give_the_tables_of_the_models(control_settings: Settings, control: ControlStore) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = open_engine(control_settings.control_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_a_newer_database_is_refused(control_settings: Settings, control: ControlStore) -> None:
    engine = open_engine(control_settings.control_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(ConfigError, match="newer"):
        control.migrate()


def test_without_schema_the_command_is_named(control_settings: Settings) -> None:
    store = ControlStore.connect(control_settings)
    assert store.ready()
    with pytest.raises(SetupError, match="sightline migrate"):
        store.streams()
    store.close()


def test_the_media_an_analysis_reads_is_known(control_settings: Settings, control: ControlStore) -> None:
    control.create_stream(spec(A, url="media:uploads/x.mp4"))
    control.create_stream(spec(B, url="file:///x.mp4"))
    engine = open_engine(control_settings.control_url)
    with engine.connect() as connection:
        assert [r.media_key for r in connection.execute(STREAMS.select().order_by(STREAMS.c.created_ms))] == [
            "uploads/x.mp4",
            None,
        ]
    engine.dispose()


def test_sqlite_makes_its_folder(tmp_path: Path) -> None:
    store = ControlStore.connect(Settings(data_dir=tmp_path / "a" / "b"))
    store.migrate()
    store.close()
    assert (tmp_path / "a" / "b" / "control.db").is_file()

"""The log of streams, what is refused, and lists in any order; on SQLite and PostgreSQL alike."""

from __future__ import annotations

from typing import Any

import pytest
from alembic import command
from alembic.config import Config

from core.ids import Run, StreamId
from core.messages import Analytic, IngestCounts, StreamStatus
from core.settings import Settings
from tests.integration.warehouse.samples import START_MS, spec, stream_id
from warehouse.control import ControlStore, schema
from warehouse.control.database import open_engine
from warehouse.control.rows import LogFilter, StreamFilter, StreamLogRow
from warehouse.control.stream_logs import EVERY_ENTRY
from warehouse.control.streams import EVERYTHING

A, B, C = (stream_id(number) for number in (1, 2, 3))
TWO = (Analytic("object_detection"), Analytic("people_count"))


def report(control: ControlStore, state: Any, ts_ms: int, stream: StreamId = A, run: int = 1, **more: Any) -> bool:
    return control.record_status(StreamStatus(stream, Run(run), state, ts_ms, "host", **more))


def statuses(control: ControlStore, filter_: LogFilter = EVERY_ENTRY) -> list[str]:
    return [row.status for row in control.stream_logs(filter_, limit=100)]


def test_every_change_is_written_with_it(control: ControlStore) -> None:
    created = control.create_stream(spec(A, task=False))
    assert report(control, "in_progress", 10)
    assert report(control, "in_progress", 20, counts=IngestCounts(decoded=5, read=5), heartbeat=True)
    assert report(control, "restart", 30, error="silence", attempt=1)
    assert report(control, "pending", 40, attempt=1)
    assert report(control, "in_progress", 50)
    stopped = control.set_desired(A, "stop")
    assert report(control, "stop", 60)
    again = control.set_desired(A, "run")
    assert control.stream_logs(limit=100) == [
        StreamLogRow(A, "pending", again.updated_ms, analytic_index=0),
        StreamLogRow(A, "stop", stopped.updated_ms, frame_ms=20, analytic_index=0),
        StreamLogRow(A, "in_progress", 50, frame_ms=20, analytic_index=0),
        StreamLogRow(A, "pending", 40, frame_ms=20, analytic_index=0),
        StreamLogRow(A, "restart", 30, "silence", frame_ms=20, analytic_index=0),
        StreamLogRow(A, "in_progress", 10, analytic_index=0),
        StreamLogRow(A, "pending", created.created_ms, analytic_index=0),
    ]


def test_a_replay_writes_nothing_again(control: ControlStore) -> None:
    control.create_stream(spec(A, task=False))
    history = (("in_progress", 10, None), ("restart", 20, "silence"), ("in_progress", 30, None), ("done", 40, None))
    for _ in range(2):
        for state, ts_ms, error in history:
            report(control, state, ts_ms, error=error)
    assert statuses(control) == ["done", "in_progress", "restart", "in_progress", "pending"]


def test_what_contradicts_an_end_is_refused_and_what_is_late_is_passed_over(control: ControlStore) -> None:
    control.create_stream(spec(A, task=False))
    report(control, "in_progress", 10, counts=IngestCounts(decoded=5, read=5))
    assert report(control, "failure", 30, error="gone")
    for state, ts_ms in (("in_progress", 20), ("in_progress", 40), ("done", 50), ("failure", 60)):
        assert not report(control, state, ts_ms)
    run = control.run(A, Run(1))
    assert (run.state, run.error, run.ended_ms, run.counts.decoded) == ("failure", "gone", 30, 5)
    assert statuses(control) == ["failure", "in_progress", "pending"]


def test_what_is_read_does_not_go_back_to_waiting_by_itself(control: ControlStore) -> None:
    control.create_stream(spec(A, task=False))
    report(control, "in_progress", 10)
    assert not report(control, "pending", 20)
    assert control.stream(A).shown == "in_progress"
    assert report(control, "handler_lost", 30)
    assert report(control, "pending", 40)
    assert statuses(control) == ["pending", "handler_lost", "in_progress", "pending"]


def test_another_runs_states_are_not_the_streams(control: ControlStore) -> None:
    control.create_stream(spec(A, task=False))
    control.update_stream(spec(A, task=False, name="another"))
    assert report(control, "stop", 10, run=1)
    assert control.stream(A).shown == "pending"
    assert statuses(control) == ["pending"], "it was pending before, and still is"


def test_analytics_outside_of_their_hours(control: ControlStore) -> None:
    control.create_stream(spec(A, task=False, analytics=TWO))
    seen = []
    for at, paused in enumerate(((), (1,), (1, 0), (0,)), start=10):
        report(control, "in_progress", at, paused=paused)
        row = control.stream(A)
        seen.append((row.shown, *row.items.values()))
        assert control.count_states() == {row.shown: 1}
        assert control.count_streams(StreamFilter(shown=(row.shown,))) == 1
    assert seen == [
        ("in_progress", "in_progress", "in_progress"),
        ("unknown", "in_progress", "paused"),
        ("paused", "paused", "paused"),
        ("unknown", "paused", "in_progress"),
    ]
    by_analytic = [statuses(control, LogFilter(analytic_indexes=(place,))) for place in (0, 1)]
    assert by_analytic == [["paused", "in_progress", "pending"], ["in_progress", "paused", "in_progress", "pending"]]


def test_a_stream_without_analytics_has_a_log_too(control: ControlStore) -> None:
    control.create_stream(spec(A, task=False, analytics=()))
    report(control, "in_progress", 10)
    assert [(row.status, row.analytic_index) for row in control.stream_logs(limit=9)] == [
        ("in_progress", None),
        ("pending", None),
    ]


def test_the_last_frame_of_a_file_is_where_it_was_reached(control: ControlStore) -> None:
    control.create_stream(spec(A, task=False, lane="batch"))
    report(control, "in_progress", 10)
    report(control, "done", 20, counts=IngestCounts(decoded=50, read=50), last_media_s=2.5)
    newest, before, _ = control.stream_logs(limit=100)
    assert (newest.frame_ms, before.frame_ms) == (START_MS + 2500, None)


def test_tasks_have_no_log_and_a_removed_stream_takes_its_own_along(control: ControlStore) -> None:
    control.create_stream(spec(A))
    report(control, "in_progress", 10)
    control.create_stream(spec(B, task=False))
    assert [row.stream_id for row in control.stream_logs(limit=9)] == [B]
    control.delete_stream(B)
    assert control.stream_logs(limit=9) == []


def test_clearing_keeps_each_streams_last_entry(control: ControlStore) -> None:
    for stream in (A, B):
        control.create_stream(spec(stream, task=False, analytics=()))
    for at, state in ((10, "in_progress"), (20, "restart"), (30, "in_progress"), (40, "done")):
        report(control, state, at, stream=A)
    assert control.clear_stream_logs(10) == 0
    assert control.clear_stream_logs(30) == 2
    assert statuses(control, LogFilter(stream_ids=(A,))) == ["done", "in_progress", "pending"]
    assert control.clear_stream_logs() == 2
    assert statuses(control, LogFilter(stream_ids=(A,))) == ["done"]
    assert statuses(control, LogFilter(stream_ids=(B,))) == ["pending"]
    assert control.clear_stream_logs() == 0


def test_entries_are_found_by_owner_time_and_page(control: ControlStore) -> None:
    for stream, owner in ((A, "one"), (B, "two")):
        control.create_stream(spec(stream, task=False, account_id=owner, analytics=()))
        report(control, "in_progress", 100 if stream == A else 200, stream=stream)
    assert statuses(control) == ["in_progress", "pending"] * 2
    owned = control.stream_logs(LogFilter(account_id="two"), limit=9)
    assert [(row.stream_id, row.status) for row in owned] == [(B, "in_progress"), (B, "pending")]
    assert [row.log_ms for row in control.stream_logs(LogFilter(from_ms=100, to_ms=200), limit=9)] == [100]
    assert [row.log_ms for row in control.stream_logs(LogFilter(statuses=("in_progress",)), limit=1, offset=1)] == [100]
    assert control.stream_logs(LogFilter(stream_ids=()), limit=9) == []
    assert control.stream_logs(limit=9, offset=10**12) == []


def test_restarts_are_kept_with_the_run(control: ControlStore) -> None:
    control.create_stream(spec(A, task=False))
    for ts_ms, attempt in ((10, 1), (20, 2)):
        report(control, "restart", ts_ms, attempt=attempt)
    assert (control.run(A, Run(1)).attempt, control.run(A, Run(1)).attempt_ms) == (2, 20)
    report(control, "in_progress", 30)
    assert (control.run(A, Run(1)).attempt, control.run(A, Run(1)).attempt_ms) == (0, 20)


def test_a_stream_is_stopped_and_resumed_where_that_suits(control: ControlStore) -> None:
    control.create_stream(spec(A, task=False))
    assert not control.patch_stream(A, "resume")
    assert control.patch_stream(A, "stop")
    assert not control.patch_stream(A, "stop")
    assert control.patch_stream(A, "resume")
    assert (control.stream(A).spec.run, control.stream(A).shown) == (2, "pending")
    report(control, "failure", 10, run=2, error="gone")
    assert not control.patch_stream(A, "stop")
    assert control.patch_stream(A, "resume")
    assert (control.stream(A).spec.run, control.stream(A).shown) == (3, "pending")


def test_streams_are_listed_in_any_order(control: ControlStore) -> None:
    for stream, name, kept in ((B, "y", {"source": "cam"}), (C, "x", {"event_source_group": "g"}), (A, "z", {})):
        control.create_stream(spec(stream, task=False, name=name, url=f"rtsp://{name}/"), kept)

    def names(filter_: StreamFilter = EVERYTHING, **order: Any) -> str:
        return "".join(row.spec.name for row in control.list_streams(filter_, **{"limit": 9, **order}))

    assert (names(), names(descending=False)) == ("zxy", "yxz")
    assert (names(by="name"), names(by="name", descending=False)) == ("zyx", "xyz")
    assert (names(by="id"), names(by="id", descending=False)) == ("xyz", "zyx")
    assert names(by="name", descending=False, limit=1, offset=1) == "y"
    assert names(offset=10**12) == ""
    assert names(StreamFilter(stream_id_from=B)) == "xy"
    assert names(StreamFilter(stream_id_to=B)) == "z"
    assert names(StreamFilter(stream_id_from=B, stream_id_to=C)) == "y"
    assert names(StreamFilter(sources=("cam", "other"))) == "y"
    assert names(StreamFilter(event_source_groups=("g",))) == "x"
    assert names(StreamFilter(references=("rtsp://x/", "rtsp://z/"))) == "zx"
    control.set_desired(A, "stop")
    assert names(StreamFilter(shown=("stop",))) == "z"
    assert control.count_states(StreamFilter(task=False)) == {"stop": 1, "pending": 2}


def test_a_reference_is_found_as_it_was_given(control: ControlStore) -> None:
    control.create_stream(spec(A, task=False), {"reference": "http://here/query/v1/videos/1"})
    assert len(control.list_streams(StreamFilter(references=("http://here/query/v1/videos/1",)), limit=9)) == 1
    assert control.list_streams(StreamFilter(references=("media:uploads/a.mp4",)), limit=9) == []


def test_the_installation_has_an_id(control: ControlStore) -> None:
    assert control.agent_id() == control.agent_id()
    control.migrate()
    assert control.agent_id().version == 4


@pytest.mark.parametrize("back_to", ["0002"])
def test_streams_from_before_are_found_by_their_address(
    control_settings: Settings, control: ControlStore, back_to: str
) -> None:
    control.create_stream(spec(A, task=False, url="rtsp://old/"))
    engine = open_engine(control_settings.control_url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(schema.__file__).replace("schema.py", "migrations"))
        config.attributes["connection"] = connection
        command.downgrade(config, back_to)
    engine.dispose()
    control.migrate()
    assert len(control.list_streams(StreamFilter(references=("rtsp://old/",)), limit=9)) == 1
    assert control.stream(A).current.paused == ()
    assert control.stream_logs(limit=9) == []

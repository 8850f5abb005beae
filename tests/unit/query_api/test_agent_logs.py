"""The log of streams over HTTP: an entry at each change, by filter and page, and clearing."""

from __future__ import annotations

import itertools
from typing import Any
from uuid import UUID

import pytest
from falcon import testing

from core.ids import Run, StreamId
from core.messages import IngestCounts, StreamStatus
from tests.unit.query_api.cameras import OWNER, camera, created, everything
from tests.unit.query_api.conftest import NOW
from tests.unit.query_api.fakes import Parts

BEGAN = int(NOW * 1000)
OTHER = "68b363eb-600a-4e72-afb3-8c4196e385ce"
ERROR = {"error_code", "desc", "detail", "link"}


@pytest.fixture(autouse=True)
def _clock(parts: Parts) -> None:
    """Each change of a stream by a user comes a minute after the one before."""
    minutes = itertools.count(int(NOW), 60)
    parts.control._clock = lambda: float(next(minutes))


def report(parts: Parts, stream_id: str, state: Any, after_ms: int, **more: Any) -> None:
    status = StreamStatus(StreamId(UUID(stream_id)), Run(1), state, BEGAN + after_ms, "h", **more)
    parts.control.record_status(status)


def logs(client: testing.TestClient, **params: Any) -> list[dict[str, Any]]:
    answer = client.simulate_get("/2/streams/logs", params=params)
    assert answer.status_code == 200, answer.text
    assert set(answer.json) == {"logs"}
    found: list[dict[str, Any]] = answer.json["logs"]
    return found


def statuses(client: testing.TestClient, **params: Any) -> list[int]:
    return [entry["status"] for entry in logs(client, **params)]


def test_every_change_is_an_entry_the_newest_first(client: testing.TestClient, parts: Parts) -> None:
    stream_id = created(client)
    report(parts, stream_id, "in_progress", 1000)
    report(parts, stream_id, "in_progress", 2000, counts=IngestCounts(decoded=9, read=9), heartbeat=True)
    report(parts, stream_id, "restart", 3000, error="rtsp://u:p4ss@camera.example/1: silence", attempt=1)
    report(parts, stream_id, "in_progress", 4000)
    client.simulate_patch(f"/2/streams/{stream_id}", params={"action": "stop"})
    report(parts, stream_id, "stop", 5000)
    client.simulate_patch(f"/2/streams/{stream_id}", params={"action": "resume"})
    found = logs(client)
    assert [entry["status"] for entry in found] == [0, 5, 1, 3, 1, 0]
    assert {entry["stream_id"] for entry in found} == {stream_id}
    assert {entry["analytic_index"] for entry in found} == {0}
    assert [entry["error"] for entry in found] == [None, None, None, "rtsp://***@camera.example/1: silence", None, None]
    restarted, begun = found[3], found[4]
    assert restarted["log_time"] == "2027-01-15T08:00:03.000Z"
    assert restarted["last_processed_frame_time"] == "2027-01-15T08:00:02.000Z"
    assert begun["last_processed_frame_time"] is None


def test_each_analytic_has_its_own_entries(client: testing.TestClient, parts: Parts) -> None:
    stream_id = created(client, everything())
    report(parts, stream_id, "in_progress", 1000)
    report(parts, stream_id, "in_progress", 2000, paused=(1,))
    report(parts, stream_id, "in_progress", 3000, paused=(0, 1))
    assert [(entry["analytic_index"], entry["status"]) for entry in logs(client)][:2] == [(0, 8), (1, 8)]
    assert statuses(client, analytic_indexes="0") == [8, 1, 0]
    assert statuses(client, analytic_indexes="1") == [8, 1, 0]
    assert len(statuses(client, analytic_indexes="0,1")) == 6
    assert statuses(client, analytic_indexes="2") == []


def test_the_same_error_is_told_once_in_five_seconds(client: testing.TestClient, parts: Parts) -> None:
    stream_id = created(client)
    report(parts, stream_id, "in_progress", 0)
    for after_ms in (1000, 2000, 5999, 6000, 6001):
        report(parts, stream_id, "in_progress", after_ms, error="decoding error")
    report(parts, stream_id, "in_progress", 6002, error="another")
    told = [entry for entry in logs(client) if entry["error"]]
    assert [(entry["error"], entry["log_time"][17:23]) for entry in told] == [
        ("another", "06.002"), ("decoding error", "06.000"), ("decoding error", "01.000"),
    ]  # fmt: skip
    report(parts, stream_id, "restart", 7000, error="decoding error")
    assert (logs(client)[0]["status"], logs(client)[0]["error"]) == (3, None), "the change is told all the same"


def test_tasks_have_no_log(client: testing.TestClient, parts: Parts, task: Any) -> None:
    report(parts, task(), "in_progress", 1000)
    assert logs(client) == []


def test_a_refused_change_is_no_entry(client: testing.TestClient, parts: Parts) -> None:
    stream_id = created(client)
    report(parts, stream_id, "failure", 1000, error="gone")
    report(parts, stream_id, "in_progress", 2000)
    assert statuses(client) == [4, 0]
    metrics = client.simulate_get("/metrics").text
    assert 'sightline_run_transitions_refused_total{after="in_progress",before="failure"}' in metrics


def test_entries_are_found_by_filter_and_page(client: testing.TestClient, parts: Parts) -> None:
    first, second = created(client), created(client, camera(name="b"), owner=OTHER)
    report(parts, first, "in_progress", 1000)
    report(parts, second, "failure", 2000, error="gone")
    for params, found in (
        ({}, [4, 1, 0, 0]),
        ({"account_id": OWNER}, [1, 0]),
        ({"account_id": OTHER}, [4, 0]),
        ({"stream_ids": second}, [4, 0]),
        ({"stream_ids": f"{first},{second}", "statuses": "1,4"}, [4, 1]),
        ({"statuses": "8"}, []),
        ({"log_time__gte": "2027-01-15T08:00:02Z", "stream_ids": second, "statuses": "4"}, [4]),
        ({"log_time__lt": "2027-01-15T08:00:02Z", "statuses": "1,4"}, [1]),
        ({"page_size": 3}, [4, 1, 0]),
        ({"page_size": 3, "page": 2}, [0]),
        ({"page": 2**31 - 1, "page_size": 1000}, []),
    ):
        assert statuses(client, **params) == found, params
    assert logs(client, targets="status,error", page_size=1) == [{"status": 4, "error": "gone"}]
    assert logs(client, targets=["status", "analytic_index"], page_size=1) == [{"status": 4, "analytic_index": 0}]


def cleared(client: testing.TestClient, **params: Any) -> int:
    answer = client.simulate_delete("/2/streams/logs", params=params)
    assert (answer.status_code, set(answer.json)) == (200, {"deleted_count"}), answer.text
    return int(answer.json["deleted_count"])


def test_old_entries_are_removed_but_for_each_streams_last(client: testing.TestClient, parts: Parts) -> None:
    first, second = created(client), created(client)
    for after_ms, state in ((1000, "in_progress"), (2000, "restart"), (3000, "in_progress")):
        report(parts, first, state, after_ms)
    assert cleared(client, log_time__lt="2027-01-15T08:00:00Z") == 0
    assert cleared(client, log_time__lt="2027-01-15T08:00:02Z") == 2
    assert statuses(client, stream_ids=first) == [1, 3]
    assert cleared(client, log_time__lt="2030-01-01T00:00:00Z") == 1
    assert (statuses(client, stream_ids=first), statuses(client, stream_ids=second)) == ([1], [0])
    report(parts, second, "in_progress", 9000)
    assert cleared(client) == 1, "without a time everything but the last"
    assert (statuses(client, stream_ids=first), statuses(client, stream_ids=second)) == ([1], [1])


@pytest.mark.parametrize(
    ("params", "field", "code"),
    [
        ({"page": 0}, "page", 400),
        ({"page_size": 1001}, "page_size", 400),
        ({"statuses": "9"}, "statuses.0", 44002),
        ({"targets": "colour"}, "targets.0", 400),
        ({"account_id": "me"}, "account_id", 400),
        ({"stream_ids": "x"}, "stream_ids.0", 400),
        ({"analytic_indexes": "-1"}, "analytic_indexes.0", 400),
        ({"analytic_indexes": "0,a"}, "analytic_indexes.1", 400),
        ({"log_time__gte": "noon"}, "log_time__gte", 400),
        ({"order": "asc"}, "order", 400),
    ],
)
def test_wrong_parameters(client: testing.TestClient, params: Any, field: str, code: int) -> None:
    answer = client.simulate_get("/2/streams/logs", params=params)
    assert (answer.status_code, set(answer.json)) == (400, ERROR), answer.text
    assert answer.json["error_code"] == code
    assert answer.json["detail"].startswith(f"{field}: "), answer.json["detail"]


@pytest.mark.parametrize("params", [{"log_time__lt": "noon"}, {"stream_ids": OTHER}])
def test_wrong_clearing(client: testing.TestClient, params: Any) -> None:
    answer = client.simulate_delete("/2/streams/logs", params=params)
    assert (answer.status_code, set(answer.json)) == (400, ERROR)

"""Events, tracks, detections, counts, ledgers and pictures: filters, pages and formats."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from falcon import testing

from core.ids import Run, Seq, StreamId, TrackId
from core.messages import FAITHFUL, Autorestart, Gate, IngestCounts
from core.settings import Settings
from query_api.services.ledger import balance
from tests.unit.query_api.conftest import finish
from tests.unit.query_api.fakes import Parts, batch
from tests.unit.query_api.test_tasks import event
from warehouse.page import Page
from warehouse.rows import DetectionRow, FrameCounts, StatisticsRow, TrackRow

ID = "557d54ec-29ad-4f3c-93b4-c9092ef12515"
STREAM = StreamId(UUID(ID))
CSV, ARROW = "text/csv", "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"


def read(answer: testing.Result) -> Any:
    media = answer.headers["Content-Type"]
    source = io.BytesIO(answer.content)
    if media.startswith(CSV):
        return pa.csv.read_csv(source)
    return pa.ipc.open_stream(source).read_all() if media == ARROW else pa.parquet.read_table(source)


def test_events(client: testing.TestClient, parts: Parts) -> None:
    parts.analytics.pages["events"] = Page((event(ID, 1, 7, end_ms=None, end_s=None, phase="update"),), "next")
    params = {
        "stream_ids": f"{ID},{ID}", "run": 2, "from": "2026-01-31T12:00:00+01:00", "to": 1_800_000_000_000,
        "labels": "car,bus", "min_score": 0.5, "area": "0,0,0.5,1", "track_id": 7, "event_ids": ID,
        "types": "object_detection", "event_types": "object", "phases": "begin,end", "limit": 5, "order": "desc",
    }  # fmt: skip
    answer = client.simulate_get("/query/v1/events", params=params)
    assert answer.status_code == 200, answer.text
    ((name, asked, options),) = parts.analytics.asked
    assert name == "events"
    assert asked.stream_ids == (STREAM, STREAM)
    assert (asked.run, asked.from_ms, asked.to_ms) == (2, 1_769_857_200_000, 1_800_000_000_000)
    assert (asked.labels, asked.min_score, asked.area) == (("car", "bus"), 0.5, (0.0, 0.0, 0.5, 1.0))
    assert (asked.track_id, asked.types, asked.phases) == (7, ("object_detection",), ("begin", "end"))
    assert options == {"limit": 5, "cursor": None, "descending": True}
    (item,) = answer.json["items"]
    assert (item["event_id"], item["end"], item["begin"]) == (item["event_id"], None, "1970-01-01T00:00:01.000Z")
    assert answer.json["next_cursor"] == "next"


def test_tracks_and_detections(client: testing.TestClient, parts: Parts) -> None:
    box = (0.1, 0.2, 0.3, 0.4)
    track = TrackRow(
        STREAM, Run(1), TrackId(3), "object", "car", 0.9, 5, 0, 100, 0.0, 0.1, Seq(0), Seq(4), 0, 12, "k/a.jpg"
    )
    found = DetectionRow(STREAM, Run(1), Seq(4), "face", 0, 12, 0.1, 100, "face", 0.8, box, ((0.1, 0.1),))
    parts.analytics.pages = {"tracks": Page((track,)), "detections": Page((found,))}
    (shown,) = client.simulate_get("/query/v1/tracks", params={"kind": "object"}).json["items"]
    assert (shown["first_frame"], shown["last_frame"], shown["image"]) == (0, 12, "k/a.jpg")
    (shown,) = client.simulate_get("/query/v1/detections", params={"labels": ["a", "b"]}).json["items"]
    assert (shown["frame"], shown["box"], shown["landmarks"]) == (12, list(box), [[0.1, 0.1]])
    assert parts.analytics.asked[1][1].labels == ("a", "b")


@pytest.mark.parametrize(
    ("name", "params", "field"),
    [
        ("events", {"min_score": 2}, "min_score"),
        ("events", {"min_score": "nan"}, "min_score"),
        ("events", {"area": "0,0,1"}, "area"),
        ("events", {"area": "0.5,0,0.5,1"}, "area"),
        ("events", {"from": 5, "to": 4}, "to"),
        ("events", {"from": "yesterday"}, "from"),
        ("events", {"from": "9" * 40}, "from"),
        ("events", {"stream_ids": "1,2"}, "stream_ids.0"),
        ("events", {"order": "up"}, "order"),
        ("events", {"kind": "face"}, "kind"),
        ("events", {"run": ["1", "2"]}, "run"),
        ("tracks", {"types": "a"}, "types"),
        ("detections", {"track_id": 1}, "track_id"),
        ("statistics", {"bucket": "week"}, "bucket"),
        ("statistics", {"group_by": "label,colour"}, "group_by.1"),
        ("statistics", {"metric": "love"}, "metric"),
    ],
)
def test_wrong_filters_name_the_field(
    client: testing.TestClient, name: str, params: dict[str, Any], field: str
) -> None:
    answer = client.simulate_get(f"/query/v1/{name}", params=params, params_csv=False)
    assert answer.status_code == 400, answer.text
    assert answer.json["field"].replace("...", "0") == field


def test_a_word_that_is_none_of_those_it_can_be_is_told_them(client: testing.TestClient) -> None:
    asked = {"phases": "begin,middle", "order": "asc"}
    answer = client.simulate_get("/query/v1/events", params=asked, params_csv=False)
    assert (answer.status_code, answer.json["field"]) == (400, "phases.1")
    assert all(word in answer.json["detail"] for word in ("'middle'", "begin", "update", "end"))


def test_a_query_that_is_no_text(client: testing.TestClient) -> None:
    assert client.simulate_get("/query/v1/events", query_string="labels=%ff").status_code == 400


def test_another_type_cannot_be_given(client: testing.TestClient) -> None:
    for accept in ("image/png", "nonsense"):
        answer = client.simulate_get("/query/v1/events", headers={"Accept": accept})
        assert answer.status_code == 406
        assert CSV in answer.json["detail"]


@pytest.mark.parametrize("media", [CSV, ARROW, PARQUET])
def test_tables(client: testing.TestClient, parts: Parts, media: str) -> None:
    parts.analytics.batches = [
        batch(label=["car", "bus"], score=[0.5, 0.25], box=[[0.0, 1.0], None]),
        batch(label=["car"], score=[0.75], box=[[0.5, 0.5]]),
    ]
    whole = read(client.simulate_get("/query/v1/detections", headers={"Accept": media}))
    assert whole.column("label").to_pylist() == ["car", "bus", "car"]
    assert whole.column("score").to_pylist() == [0.5, 0.25, 0.75]
    assert whole.column("box").to_pylist()[0] == ("[0.0,1.0]" if media == CSV else [0.0, 1.0])
    first = read(client.simulate_get("/query/v1/detections", headers={"Accept": media}, params={"limit": 1}))
    assert first.num_rows == 1
    assert client.simulate_get("/query/v1/events", headers={"Accept": media}, params={"cursor": "x"}).status_code == 400
    parts.analytics.batches = []
    assert client.simulate_get("/query/v1/detections", headers={"Accept": media}).status_code == 404


def test_a_table_of_no_rows_has_its_columns(client: testing.TestClient, parts: Parts) -> None:
    parts.analytics.batches = [batch(label=["x"]).slice(0, 0)]
    answer = client.simulate_get("/query/v1/events", headers={"Accept": PARQUET})
    assert read(answer).column_names == ["label"]


def test_a_store_that_is_down(client: testing.TestClient, parts: Parts) -> None:
    parts.analytics.down = True
    for accept in ("application/json", CSV):
        answer = client.simulate_get("/query/v1/events", headers={"Accept": accept})
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert "secret" not in answer.text
        assert "***@store" in answer.json["detail"]


@pytest.mark.parametrize("media", ["application/json", CSV, ARROW, PARQUET])
def test_statistics(client: testing.TestClient, parts: Parts, media: str) -> None:
    parts.analytics.groups = [StatisticsRow(4, 60_000, "car", STREAM), StatisticsRow(1, 120_000, "bus", STREAM)]
    params = {"metric": "visits", "bucket": "minute", "group_by": "label,stream,label", "labels": "car,bus"}
    answer = client.simulate_get("/query/v1/statistics", params=params, headers={"Accept": media})
    assert answer.status_code == 200, answer.text
    rows = answer.json["items"] if media == "application/json" else read(answer).to_pylist()
    assert [(row["value"], row["label"], row["stream_id"]) for row in rows] == [(4, "car", ID), (1, "bus", ID)]
    assert rows[0]["bucket_ms"] == 60_000
    options = parts.analytics.asked[0][2]
    assert options == {"metric": "visits", "bucket": "minute", "group_by": ("label", "stream")}


@pytest.mark.parametrize("media", ["application/json", CSV, ARROW, PARQUET])
def test_the_ledger(client: testing.TestClient, parts: Parts, task: Callable[..., str], media: str) -> None:
    done, other = task(), task()
    finish(parts, done)
    parts.analytics.counts = FrameCounts(19, 1)
    answer = client.simulate_get("/query/v1/ledger", params={"stream_ids": done}, headers={"Accept": media})
    (row,) = answer.json["items"] if media == "application/json" else read(answer).to_pylist()
    assert (row["stream_id"], row["run"], row["state"]) == (done, 1, "done")
    assert (row["decoded"], row["sampled_out"], row["read"], row["processed"]) == (50, 30, 20, 19)
    assert (row["dead_lettered"], row["in_flight"]) == (1, 0)
    assert client.simulate_get("/query/v1/ledger", params={"run": 2}).json["items"] == []
    paged = client.simulate_get("/query/v1/ledger", params={"limit": 1}, headers={"Accept": media})
    cursor = paged.json["next_cursor"] if media == "application/json" else paged.headers["Next-Cursor"]
    rest = client.simulate_get("/query/v1/ledger", params={"limit": 1, "cursor": cursor}).json["items"]
    assert {row["stream_id"] for row in rest} <= {done, other}


@pytest.mark.parametrize(
    ("counts", "stored"),
    [
        (IngestCounts(), FrameCounts(0, 0)),
        (IngestCounts(100, 50, 50, gated=5, dropped={"backlog": 2}), FrameCounts(40, 1)),
        (IngestCounts(10, 8, 2), FrameCounts(9, 0)),
        (IngestCounts(10, 0, 10, dropped={"b": 1, "a": 1}), FrameCounts(8, 0)),
    ],
)
def test_a_ledger_always_sums(counts: IngestCounts, stored: FrameCounts) -> None:
    ledger = balance(counts, stored)
    assert ledger.decoded == ledger.sampled_out + ledger.read
    settled = ledger.processed + ledger.gated + sum(ledger.dropped.values()) + ledger.dead_lettered
    assert ledger.read == settled + ledger.in_flight
    assert min(ledger.decoded, ledger.sampled_out, ledger.read, ledger.in_flight) >= 0
    assert list(ledger.dropped) == sorted(ledger.dropped)


def test_pictures(client: testing.TestClient, parts: Parts) -> None:
    parts.collaborators.media.put(f"{ID}/1/a.jpg", b"0123456789")
    path = f"/query/v1/media/{ID}/1/a.jpg"
    answer = client.simulate_get(path)
    assert (answer.content, answer.headers["Content-Type"]) == (b"0123456789", "image/jpeg")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert client.simulate_get(path, headers={"Range": "bytes=2-3"}).content == b"23"
    assert client.simulate_get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize(
    "key", ["a/b.jpg", "../control.db", "a/../../control.db", "uploads/x.mp4", "%2e%2e/control.db", "a//b", ".hidden"]
)
def test_nothing_else_is_given(client: testing.TestClient, parts: Parts, key: str) -> None:
    parts.collaborators.media.put("uploads/x.mp4", b"private")
    answer = client.simulate_get(f"/query/v1/media/{key}")
    assert answer.status_code == 404
    assert answer.json["title"] == "Object not found"


def test_streams(client: testing.TestClient, parts: Parts, settings: Settings) -> None:
    made = client.simulate_post(
        "/query/v1/streams", json={"url": "rtsp://user:pass@camera.example/1", "name": "Gate", "fps": 5}
    )
    assert made.status_code == 201, made.text
    stream = made.json
    assert made.headers["Location"].endswith(f"/query/v1/streams/{stream['stream_id']}")
    assert stream["url"] == "rtsp://***@camera.example/1"
    assert (stream["lane"], stream["state"], stream["fps"], stream["realtime"]) == ("live", "pending", 5.0, False)
    spec = parts.control.stream(StreamId(UUID(stream["stream_id"]))).spec
    assert spec.source.url == "rtsp://user:pass@camera.example/1"
    path = f"/query/v1/streams/{stream['stream_id']}"
    assert client.simulate_get(path).json == stream
    assert client.simulate_get("/query/v1/streams", params={"names": "Gate"}).json["items"] == [stream]
    table = read(client.simulate_get("/query/v1/streams", headers={"Accept": CSV}))
    assert table.column("name").to_pylist() == ["Gate"]
    assert "pass" not in client.simulate_get("/query/v1/streams", headers={"Accept": CSV}).text
    assert client.simulate_delete(path).status_code == 204
    assert client.simulate_get(path).status_code == 404
    assert client.simulate_delete(path).status_code == 404


@pytest.mark.parametrize(("asked", "wanted"), [({}, FAITHFUL), ({"reconnect": False}, None)])
def test_a_camera_is_not_given_up_unless_it_is_to_be(
    client: testing.TestClient, parts: Parts, asked: dict[str, bool], wanted: Autorestart | None
) -> None:
    made = client.simulate_post("/query/v1/streams", json={"url": "rtsp://camera.example/1", **asked}).json
    assert parts.control.stream(StreamId(UUID(made["stream_id"]))).spec.autorestart == wanted


def test_a_file_is_played_at_its_own_pace(client: testing.TestClient, parts: Parts) -> None:
    video = client.simulate_post("/query/v1/videos", params={"name": "a.mp4"}, body=b"x" * 10).json
    made = client.simulate_post("/query/v1/streams", json={"url": video["url"], "loop": True}).json
    assert (made["realtime"], made["loop"]) == (True, True)
    assert made["url"] == f"media:uploads/{video['video_id']}.mp4"
    assert made["analytics"][0]["name"] == "object_detection"
    client.simulate_delete(f"/query/v1/streams/{made['stream_id']}")
    assert client.simulate_head(f"/query/v1/videos/{video['video_id']}").status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "url"),
        ({"url": "rtsp://camera.example/1", "name": ""}, 400, "name"),
        ({"url": "rtsp://nowhere.example/1"}, 400, "url"),
        ({"url": "rtsp://127.0.0.1/1"}, 403, None),
        ({"url": "gopher://camera.example/1"}, 403, None),
        ({"url": "rtsp://camera.example/1", "analytics": [{"name": "fire"}]}, 422, "analytics.0.name"),
        ({"url": "rtsp://camera.example/1", "gate": 5}, 400, "gate"),
        ({"url": "rtsp://camera.example/1", "gate": {"threshold": 0}}, 400, "gate.threshold"),
        ({"url": "rtsp://camera.example/1", "gate": {"size": 1}}, 400, "gate.size"),
        ({"url": "rtsp://camera.example/1", "gate": {"masks": [[[0, 0], [1, 1]]]}}, 400, "gate.masks.0"),
        ({"url": "rtsp://camera.example/1", "gate": {"masks": [[[0, 0], [1, 1], [2, 0]]]}}, 400, "gate.masks.0.2.0"),
        (
            {"url": "rtsp://camera.example/1", "analytics": [{"name": "people_count", "parameters": {"rate": 1}}]},
            400,
            "analytics.0.parameters.rate",
        ),
    ],
)
def test_streams_that_cannot_be(client: testing.TestClient, body: Any, status: int, field: str | None) -> None:
    answer = client.simulate_post("/query/v1/streams", json=body)
    assert answer.status_code == status, answer.text
    assert answer.json.get("field") == field


def test_a_private_camera_may_be_watched(client: testing.TestClient) -> None:
    assert client.simulate_post("/query/v1/streams", json={"url": "rtsp://private.example/1"}).status_code == 201


@pytest.mark.parametrize(
    ("asked", "gate"),
    [
        ({}, Gate()),
        ({"gate": True}, Gate()),
        ({"gate": {}}, Gate()),
        ({"gate": False}, None),
        ({"gate": None}, None),
        (
            {"gate": {"threshold": 20, "min_area": 0.01, "recheck_s": 60, "masks": [[[0, 0], [1, 0], [1, 0.5]]]}},
            Gate(20.0, 0.01, 60.0, (((0.0, 0.0), (1.0, 0.0), (1.0, 0.5)),)),
        ),
    ],
)
def test_a_stream_has_a_motion_gate_unless_it_is_to_have_none(
    client: testing.TestClient, parts: Parts, asked: Any, gate: Gate | None
) -> None:
    made = client.simulate_post("/query/v1/streams", json={"url": "rtsp://camera.example/1", **asked})
    assert made.status_code == 201, made.text
    assert parts.control.stream(StreamId(UUID(made.json["stream_id"]))).spec.gate == gate
    shown = made.json["gate"]
    assert shown is None if gate is None else msgspec.convert(shown, Gate) == gate


def test_a_task_has_no_motion_gate(task: Callable[..., str], parts: Parts) -> None:
    assert parts.control.stream(StreamId(UUID(task()))).spec.gate is None

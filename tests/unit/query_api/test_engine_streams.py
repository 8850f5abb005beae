"""Streams and pipelines of the engine surface: one domain with the others, and no restart where there need be none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from falcon import testing

from core.ids import Run
from core.messages import FAITHFUL, Gate, StreamStatus, VideoInfo
from core.profile import AnalyticProfile, HttpCallback, StreamProfile, extra_of, profile_of
from core.settings import Settings
from core.states import ENGINE
from query_api.app import create_app
from tests.unit.query_api.conftest import NOW
from tests.unit.query_api.fakes import Parts
from tests.unit.query_api.test_engine_contract import node
from warehouse.control import ControlStore
from warehouse.control.rows import StreamRow

ADDRESS = "rtsp://user:pass@camera.example/VOD/stream.mp4"
SHOWN = "rtsp://***@camera.example/VOD/stream.mp4"
NOW_MS = int(NOW * 1000)
NOBODY = "0" * 16


def create(client: testing.TestClient, **changes: Any) -> str:
    answer = client.simulate_post("/streams/0", json={"stream_address": ADDRESS, "stream_name": "Gate", **changes})
    assert answer.status_code == 200, answer.text
    return str(answer.json["stream_id"])


def row_of(parts: Parts, engine_id: str) -> StreamRow:
    return parts.control.stream_by_engine_id(engine_id)


def said(parts: Parts) -> int:
    return len(parts.control.take_outbox(1000))


def test_a_stream_is_made_at_a_node_that_nobody_knows_yet(client: testing.TestClient, parts: Parts) -> None:
    answer = client.simulate_post("/streams/0", json={"stream_address": ADDRESS, "stream_name": "Command Center"})
    assert answer.status_code == 200
    engine_id = answer.json["stream_id"]
    assert answer.json == {
        "code": 200,
        "ok": True,
        "message": "stream successfully created",
        "node_num": 0,
        "stream_id": engine_id,
        "stream_address": SHOWN,
        "stream_name": "Command Center",
    }
    row = row_of(parts, engine_id)
    assert (row.spec.analytics, row.spec.lane, row.spec.account_id) == ((), "live", "")
    assert (row.spec.gate, row.spec.autorestart) == (Gate(), FAITHFUL)
    assert client.simulate_get(f"/query/v1/streams/{row.stream_id}").json["url"] == SHOWN, "one domain"


def test_a_stream_is_shown(client: testing.TestClient) -> None:
    engine_id = create(client, stream_latitude=-6.2, stream_longitude=106.8, stream_custom_data={"floor": 3})
    brief = {
        "stream_id": engine_id,
        "stream_name": "Gate",
        "stream_address": SHOWN,
        "stream_node_num": 0,
        "stream_latitude": -6.2,
        "stream_longitude": 106.8,
        "stream_custom_data": {"floor": 3},
    }
    assert client.simulate_get("/streams").json == {"stream_number": 1, "streams": [brief]}
    assert client.simulate_get("/streams/0").json == {"stream_number": 1, "streams": [brief]}
    assert client.simulate_get(f"/streams/0/{engine_id}").json == {
        **brief,
        "pipelines": [],
        "seats": [],
        "stream_stats": {
            "fps": 0.0,
            "frame_width": 0,
            "frame_height": 0,
            "state": "PENDING",
            "last_error_msg": "Stream is waiting to begin",
            "host_node_num": None,
        },
    }
    assert client.simulate_get(f"/streams/0/{engine_id.upper()}").status_code == 200


def test_what_is_not_given_is_as_the_surface_s_users_know_it(client: testing.TestClient) -> None:
    made = client.simulate_post("/streams/0", json={"stream_address": ADDRESS}).json
    shown = client.simulate_get(f"/streams/0/{made['stream_id']}").json
    assert (shown["stream_name"], shown["stream_latitude"], shown["stream_longitude"]) == ("stream.mp4", 0.0, 0.0)
    assert shown["stream_custom_data"] == {}


def test_tasks_are_no_streams(client: testing.TestClient, parts: Parts, task: Callable[..., str]) -> None:
    engine_id = task().replace("-", "")[-16:]
    assert client.simulate_get("/streams").json == {"stream_number": 0, "streams": []}
    answer = client.simulate_get(f"/streams/0/{engine_id}")
    assert (answer.status_code, answer.json) == (404, {"code": 404, "message": "stream not found"})


def test_every_stream_is_listed_however_many(client: testing.TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("query_api.services.registry.PAGE", 2)
    made = [create(client) for _ in range(5)]
    listed = client.simulate_get("/streams").json
    assert listed["stream_number"] == 5
    assert {one["stream_id"] for one in listed["streams"]} == set(made)


# bad input


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"stream_address": "no address"}, "Invalid stream_address: "),
        ({"stream_address": "ftp://a.example/1"}, "Invalid stream_address: ftp:"),
        ({"stream_address": "rtsp://127.0.0.1/1"}, "Invalid stream_address: the host 127.0.0.1 is this machine"),
        ({"stream_address": "rtsp://nowhere.example/1"}, "Invalid stream_address: the host nowhere.example"),
        ({"stream_address": "http://["}, "Invalid stream_address: "),
        ({"stream_address": "file:/etc/passwd"}, "Invalid stream_address: "),
        ({"stream_address": "/etc/passwd"}, "Invalid stream_address: "),
        ({"stream_address": "media:uploads/a.mp4"}, "Invalid stream_address: "),
        ({"stream_address": ""}, "stream_address: "),
        ({"stream_address": 7}, "stream_address: "),
        ({"stream_name": "Gate"}, "stream_address: it is required"),
        ({"stream_address": ADDRESS, "stream_name": "a\x00b"}, "stream_name: "),
        ({"stream_address": ADDRESS, "stream_latitude": 91}, "stream_latitude: "),
        ({"stream_address": ADDRESS, "stream_longitude": "east"}, "stream_longitude: "),
        ({"stream_address": ADDRESS, "stream_custom_data": []}, "stream_custom_data: "),
        ({"stream_address": ADDRESS, "stream_custom_data": {"a": "x" * 70_000}}, "stream_custom_data: it has"),
        ({"stream_address": ADDRESS, "url": "x"}, "url: there is no such field"),
    ],
)
def test_streams_that_cannot_be(client: testing.TestClient, parts: Parts, body: Any, says: str) -> None:
    answer = client.simulate_post("/streams/0", json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json["code"] == 400
    assert answer.json["message"].startswith(says), answer.json
    assert "pass" not in answer.text.replace("passwd", "")
    assert said(parts) == 0


@pytest.mark.parametrize("node_num", [1, -1, 10**30])
def test_a_node_that_is_not_there(client: testing.TestClient, node_num: int) -> None:
    engine_id = create(client)
    for method, path, body in (
        ("GET", "", None),
        ("POST", "", {"stream_address": ADDRESS}),
        ("GET", f"/{engine_id}", None),
        ("PUT", f"/{engine_id}", {}),
        ("DELETE", f"/{engine_id}", None),
    ):
        answer = client.simulate_request(method, f"/streams/{node_num}{path}", json=body)
        assert (answer.status_code, answer.json) == (404, {"code": 404, "message": "node not found"}), path


@pytest.mark.parametrize("engine_id", [NOBODY, "x", "0" * 15, "%00", "0123456789abcde%20"])
def test_a_stream_that_is_not_there(client: testing.TestClient, engine_id: str) -> None:
    for method, body in (("GET", None), ("PUT", {"stream_name": "a"}), ("DELETE", None)):
        answer = client.simulate_request(method, f"/streams/0/{engine_id}", json=body)
        assert (answer.status_code, answer.json) == (404, {"code": 404, "message": "stream not found"})


def test_a_stream_is_found_at_its_own_node_only(client: testing.TestClient, parts: Parts) -> None:
    for number, host in enumerate(("a", "b")):
        parts.control.record_node(node(host, number), NOW_MS)
    made = client.simulate_post("/streams/1", json={"stream_address": ADDRESS}).json
    assert made["node_num"] == 1
    assert client.simulate_get(f"/streams/0/{made['stream_id']}").json["message"] == "stream not found"
    shown = client.simulate_get(f"/streams/1/{made['stream_id']}").json
    assert shown["stream_node_num"] == 1
    assert client.simulate_get("/streams/0").json["stream_number"] == 0
    assert client.simulate_get("/streams/1").json["stream_number"] == 1


# changes


def test_a_change_of_what_is_said_of_a_stream_restarts_nothing(client: testing.TestClient, parts: Parts) -> None:
    engine_id = create(client, stream_latitude=1.0, stream_custom_data={"a": 1})
    change = {"stream_name": "Updated", "stream_longitude": 2.0, "stream_custom_data": {"b": [2]}}
    answer = client.simulate_put(f"/streams/0/{engine_id}", json=change)
    assert answer.json == {
        "code": 200,
        "message": "stream successfully updated",
        "node_num": 0,
        "stream_id": engine_id,
        "stream_address": SHOWN,
        "stream_name": "Updated",
    }
    shown = client.simulate_get(f"/streams/0/{engine_id}").json
    assert (shown["stream_latitude"], shown["stream_longitude"]) == (1.0, 2.0)
    assert shown["stream_custom_data"] == {"b": [2]}
    assert row_of(parts, engine_id).spec.run == 1


def test_custom_data_can_be_emptied(client: testing.TestClient) -> None:
    engine_id = create(client, stream_custom_data={"a": 1})
    client.simulate_put(f"/streams/0/{engine_id}", json={"stream_custom_data": {}})
    assert client.simulate_get(f"/streams/0/{engine_id}").json["stream_custom_data"] == {}


def test_another_address_begins_a_new_run(client: testing.TestClient, parts: Parts) -> None:
    engine_id = create(client)
    change = {"stream_address": "rtsp://camera.example/other"}
    assert (
        client.simulate_put(f"/streams/0/{engine_id}", json=change).json["stream_address"] == change["stream_address"]
    )
    row = row_of(parts, engine_id)
    assert (row.spec.run, row.spec.source.url, row.current.state) == (2, change["stream_address"], "pending")


@pytest.mark.parametrize("address", [ADDRESS, SHOWN, None])
def test_the_same_address_is_no_change_also_as_it_is_shown(
    client: testing.TestClient, parts: Parts, address: str | None
) -> None:
    engine_id = create(client)
    before = row_of(parts, engine_id)
    told = said(parts)
    assert client.simulate_put(f"/streams/0/{engine_id}", json={"stream_address": address}).status_code == 200
    assert row_of(parts, engine_id) == before
    assert said(parts) == told


@pytest.mark.parametrize(
    "change", [{"stream_address": "ftp://a.example/1"}, {"stream_latitude": 100}, {"stream_name": ""}, {"more": 1}]
)
def test_a_change_that_cannot_be(client: testing.TestClient, parts: Parts, change: dict[str, Any]) -> None:
    engine_id = create(client)
    before = row_of(parts, engine_id)
    answer = client.simulate_put(f"/streams/0/{engine_id}", json=change)
    assert (answer.status_code, answer.json["code"]) == (400, 400)
    assert row_of(parts, engine_id) == before


def test_what_other_surfaces_keep_stays(client: testing.TestClient, parts: Parts) -> None:
    engine_id = create(client)
    row = row_of(parts, engine_id)
    profile = StreamProfile(description="yard", notifications=(HttpCallback("https://told.example/"),))
    parts.control.set_extra(row.stream_id, {**extra_of(profile), "of_another": 1})
    client.simulate_put(f"/streams/0/{engine_id}", json={"stream_latitude": 5.0})
    extra = row_of(parts, engine_id).extra
    assert extra["of_another"] == 1
    kept = profile_of(extra)
    assert (kept.description, kept.notifications) == ("yard", profile.notifications)
    assert kept.location is not None
    assert kept.location.latitude == 5.0


def test_a_deleted_stream_is_gone_everywhere(client: testing.TestClient, parts: Parts) -> None:
    engine_id = create(client)
    stream = row_of(parts, engine_id).stream_id
    assert client.simulate_delete(f"/streams/0/{engine_id}").json == {
        "code": 200,
        "message": "stream successfully deleted",
        "node_num": 0,
        "stream_id": engine_id,
    }
    assert parts.analytics.deleted == parts.embeddings.deleted == [stream]
    assert client.simulate_get(f"/streams/0/{engine_id}").status_code == 404
    assert client.simulate_get(f"/query/v1/streams/{stream}").status_code == 404


def test_a_file_is_named_by_its_path(
    settings: Settings, parts: Parts, tmp_path: Path, client_of: Callable[[Settings], testing.TestClient]
) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "a clip.mp4").write_bytes(b"video")
    allowed = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"file_roots": (folder,)})})
    client = client_of(allowed)
    made = client.simulate_post("/streams/0", json={"stream_address": str(folder / "a clip.mp4")})
    assert made.status_code == 200, made.text
    source = row_of(parts, made.json["stream_id"]).spec.source
    assert source.url == f"file:{folder}/a%20clip.mp4"
    assert (source.realtime, source.loop) == (True, False)
    assert made.json["stream_name"] == "a clip.mp4"


def test_a_camera_of_this_machine_is_named_by_its_file(
    settings: Settings, parts: Parts, client_of: Callable[[Settings], testing.TestClient]
) -> None:
    ingest = settings.ingest.model_copy(update={"devices": (Path("/dev/video7"),)})
    client = client_of(settings.model_copy(update={"ingest": ingest}))
    made = client.simulate_post("/streams/0", json={"stream_address": "/dev/video7"})
    assert made.status_code == 200, made.text
    assert row_of(parts, made.json["stream_id"]).spec.source.url == "v4l2:/dev/video7"
    refused = client.simulate_post("/streams/0", json={"stream_address": "/dev/video8"})
    assert "ingest.devices" in refused.json["message"]


# how it runs


@pytest.mark.parametrize(("state", "name"), ENGINE.items())
def test_the_state_of_a_stream_by_the_surface_s_names(
    client: testing.TestClient, parts: Parts, state: Any, name: str
) -> None:
    engine_id = create(client)
    parts.control.record_node(node("edge-1-1", 0), NOW_MS)
    video = VideoInfo(width=1280, height=720, fps=29.97003)
    stream = row_of(parts, engine_id).stream_id
    error = "cannot open rtsp://user:pass@camera.example/1"
    parts.control.record_status(StreamStatus(stream, Run(1), state, NOW_MS, "edge-1-1", video=video, error=error))
    stats = client.simulate_get(f"/streams/0/{engine_id}").json["stream_stats"]
    assert (stats["state"], stats["host_node_num"]) == (name, 0)
    assert (stats["fps"], stats["frame_width"], stats["frame_height"]) == (29.97, 1280, 720)
    failed = name in {"FAILED", "RESTARTING", "LOST", "UNKNOWN"}
    assert stats["last_error_msg"].startswith("cannot open rtsp://***@" if failed else "Stream")


def test_every_state_of_a_run_has_a_name() -> None:
    from typing import get_args

    from warehouse.control.rows import RunState

    assert set(ENGINE) == set(get_args(RunState))


# pipelines


def test_a_pipeline_is_attached_and_removed_while_the_run_goes_on(client: testing.TestClient, parts: Parts) -> None:
    engine_id = create(client)
    path = f"/pipeline/0/{engine_id}"
    assert client.simulate_post(f"{path}/people_count", json={"people_count_threshold": 3}).status_code == 200
    assert client.simulate_post(f"{path}/face_detection", json={}).status_code == 200
    shown = client.simulate_get(f"/streams/0/{engine_id}").json
    assert shown["pipelines"] == ["people_count", "face_detection"]
    assert shown["seats"] == [
        {"analytic_id": "people_count", "serial_number": "people_count-UNLIMITED"},
        {"analytic_id": "face_detection", "serial_number": "face_detection-UNLIMITED"},
    ]
    counting = row_of(parts, engine_id).spec.analytics[0]
    assert counting.parameters["people_count_threshold"] == 3
    assert counting.parameters["probe_count"] == 3, "with its defaults"
    assert client.simulate_delete(f"{path}/people_count").status_code == 200
    row = row_of(parts, engine_id)
    assert ([a.name for a in row.spec.analytics], row.spec.run) == (["face_detection"], 1)
    told = [r.value for r in parts.control.take_outbox(100)]
    assert len(told) == 4, "each change was told"


def test_a_second_pipeline_of_one_analytic_is_refused(client: testing.TestClient, parts: Parts) -> None:
    engine_id = create(client)
    path = f"/pipeline/0/{engine_id}/people_count"
    client.simulate_post(path, json={})
    before = row_of(parts, engine_id)
    answer = client.simulate_post(path, json={"people_count_threshold": 3})
    assert (answer.status_code, answer.json["code"]) == (409, 409)
    assert "pipeline already exists" in answer.json["message"]
    assert row_of(parts, engine_id) == before


@pytest.mark.parametrize(
    ("configuration", "says"),
    [
        ({"people_count_threshold": -1}, "people_count_threshold: "),
        ({"thresh": 1}, "Additional properties"),
        ({"roi": {"width": 5}}, "roi"),
        ({"people_count_threshold": 1, "people_count__lte": 1}, "people_count_threshold may not stand beside"),
        ({"event_policy": {"x": "y" * 300_000}}, "it has"),
        ({"event_policy": {"triger": "end"}}, "event_policy: Additional properties"),
        ({"image_retain_policy": {"size": 640}}, "image_retain_policy: Additional properties"),
    ],
)
def test_a_wrong_configuration_is_refused_by_name(
    client: testing.TestClient, parts: Parts, configuration: dict[str, Any], says: str
) -> None:
    engine_id = create(client)
    answer = client.simulate_post(f"/pipeline/0/{engine_id}/people_count", json=configuration)
    assert (answer.status_code, answer.json["code"]) == (400, 400)
    assert answer.json["message"].startswith(says), answer.json
    assert row_of(parts, engine_id).spec.analytics == ()


def test_a_configuration_is_a_json_object(client: testing.TestClient) -> None:
    path = f"/pipeline/0/{create(client)}/people_count"
    for body in ("[]", "{", "7", ""):
        answer = client.simulate_post(path, body=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, body
    assert client.simulate_post(path, body="{}", headers={"Content-Type": "text/plain"}).status_code == 415


def test_pipelines_that_are_not_there(client: testing.TestClient) -> None:
    engine_id = create(client)
    for method, path, says in (
        ("POST", f"/pipeline/0/{engine_id}/fire", "analytic not found"),
        ("POST", f"/pipeline/0/{NOBODY}/people_count", "stream not found"),
        ("POST", f"/pipeline/7/{engine_id}/people_count", "node not found"),
        ("DELETE", f"/pipeline/0/{engine_id}/people_count", "pipeline not found"),
        ("DELETE", f"/pipeline/0/{NOBODY}/people_count", "stream not found"),
        ("DELETE", f"/pipeline/7/{engine_id}/people_count", "node not found"),
    ):
        answer = client.simulate_request(method, path, json={} if method == "POST" else None)
        assert (answer.status_code, answer.json) == (404, {"code": 404, "message": says})


def test_what_is_kept_with_an_analytic_stays_with_it(client: testing.TestClient, parts: Parts) -> None:
    engine_id = create(client)
    for analytic in ("people_count", "face_detection"):
        client.simulate_post(f"/pipeline/0/{engine_id}/{analytic}", json={})
    row = row_of(parts, engine_id)
    kept = (AnalyticProfile("first"), AnalyticProfile("second"))
    parts.control.set_extra(row.stream_id, extra_of(StreamProfile(analytics=kept)))
    client.simulate_post(f"/pipeline/0/{engine_id}/object_detection", json={})
    assert profile_of(row_of(parts, engine_id).extra).analytics == (*kept, AnalyticProfile())
    client.simulate_delete(f"/pipeline/0/{engine_id}/people_count")
    assert profile_of(row_of(parts, engine_id).extra).analytics == (kept[1], AnalyticProfile())


# limits


def test_a_full_node_takes_no_more_streams_but_tasks(
    client: testing.TestClient, parts: Parts, task: Callable[..., str]
) -> None:
    parts.control.change_platform(max_streams_per_node=2)
    parts.control.record_node(node("a", 0), NOW_MS)
    parts.control.record_node(node("b", 1), NOW_MS)
    task()
    create(client)
    engine_id = create(client)
    answer = client.simulate_post("/streams/0", json={"stream_address": ADDRESS})
    assert answer.status_code == 400
    assert answer.json["message"] == "node 0 has 2 streams, which are the most (max_streams_per_node)"
    assert client.simulate_post("/query/v1/streams", json={"url": "rtsp://camera.example/1"}).status_code == 409
    assert client.simulate_post("/streams/1", json={"stream_address": ADDRESS}).status_code == 200
    task()
    client.simulate_delete(f"/streams/0/{engine_id}")
    create(client)


@pytest.fixture
def seated(settings: Settings, parts: Parts) -> testing.TestClient:
    """The service of a deployment with two seats for counting."""
    limited = settings.model_copy(update={"query": settings.query.model_copy(update={"seats": {"people_count": 2}})})
    parts.control = ControlStore.connect(limited, clock=lambda: NOW)
    object.__setattr__(parts.collaborators, "control", parts.control)
    return testing.TestClient(create_app(limited, parts.collaborators))


def test_seats_are_limited_by_the_setting(seated: testing.TestClient, parts: Parts) -> None:
    streams = [create(seated) for _ in range(3)]
    paths = [f"/pipeline/0/{engine_id}/people_count" for engine_id in streams]
    assert [seated.simulate_post(path, json={}).status_code for path in paths[:2]] == [200, 200]
    answer = seated.simulate_post(paths[2], json={})
    assert answer.status_code == 409
    assert answer.json["message"] == "2 of 2 seats of people_count are taken, and 1 more are needed"
    assert seated.simulate_post(f"/pipeline/0/{streams[2]}/face_detection", json={}).status_code == 200
    analytics = {one["id"]: one["seats"] for one in seated.simulate_get("/analytic_list").json["analytics"]}
    assert [seat["serial_number"] for seat in analytics["people_count"]] == ["people_count-0001", "people_count-0002"]
    assert [seat["serial_number"] for seat in analytics["face_detection"]] == ["face_detection-UNLIMITED"]
    shown = [seated.simulate_get(f"/streams/0/{engine_id}").json["seats"] for engine_id in streams[:2]]
    assert {seats[0]["serial_number"] for seats in shown} == {"people_count-0001", "people_count-0002"}
    seated.simulate_delete(paths[0])
    assert seated.simulate_post(paths[2], json={}).status_code == 200
    parts.control.close()

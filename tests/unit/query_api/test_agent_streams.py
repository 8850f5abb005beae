"""Streams of the agent surface: what is stored of a request, how it is shown, and what is refused."""

from __future__ import annotations

import itertools
from typing import Any
from uuid import UUID, uuid4

import pytest
from falcon import testing

from core.ids import Run, StreamId
from core.messages import Autorestart, Gate, IngestCounts, Schedule, Source, StreamSpec, StreamStatus
from core.profile import EventPolicy, HttpCallback, KafkaCallback, StreamProfile, profile_of
from tests.unit.query_api.cameras import HEADERS, OWNER, SECRETS, camera, created, everything, shown
from tests.unit.query_api.conftest import NOW, VIDEO
from tests.unit.query_api.fakes import Parts
from warehouse.control.rows import StreamRow

OTHER = "68b363eb-600a-4e72-afb3-8c4196e385ce"
ERROR = {"error_code", "desc", "detail", "link"}
NOWHERE = "/2/streams/00000000-0000-4000-8000-000000000000"


def row_of(parts: Parts, stream_id: str) -> StreamRow:
    return parts.control.stream(StreamId(UUID(stream_id)))


def spec_of(parts: Parts, stream_id: str) -> StreamSpec:
    return row_of(parts, stream_id).spec


def profile(parts: Parts, stream_id: str) -> StreamProfile:
    return profile_of(row_of(parts, stream_id).extra)


def with_data(**changes: Any) -> dict[str, Any]:
    return camera(data={"reference": "rtsp://camera.example/1", **changes})


def with_analytic(**changes: Any) -> dict[str, Any]:
    return camera(analytics=[{"analytic_name": "people_count", **changes}])


def with_callback(**callback: Any) -> dict[str, Any]:
    return with_analytic(parameters={"callbacks": [callback]})


def report(parts: Parts, stream_id: str, state: Any, run: int = 1, **more: Any) -> None:
    given = {"ts_ms": int(NOW * 1000) + 1, "host": "h", "video": VIDEO, **more}
    parts.control.record_status(StreamStatus(StreamId(UUID(stream_id)), Run(run), state, **given))


def listed(client: testing.TestClient, **params: Any) -> list[str]:
    answer = client.simulate_get("/2/streams", params=params)
    assert answer.status_code == 200, answer.text
    return [stream["name"] for stream in answer.json["streams"]]


def test_a_stream_is_created_and_told_to_the_ingest_hosts(client: testing.TestClient, parts: Parts) -> None:
    answer = client.simulate_post("/2/streams", json=camera(), headers=HEADERS)
    assert answer.status_code == 201, answer.text
    stream_id = answer.json["stream_id"]
    assert answer.json == {"stream_id": stream_id, "url": f"/2/streams/{stream_id}"}
    assert answer.headers["Location"].endswith(f"://falconframework.org/2/streams/{stream_id}")
    spec = spec_of(parts, stream_id)
    assert (spec.name, spec.lane, spec.task, spec.account_id, spec.run) == ("stream", "live", False, OWNER, 1)
    assert spec.source == Source("rtsp://camera.example/1", fps=10.0, rotation=0, timeout_s=3.0)
    assert (spec.gate, spec.autorestart) == (Gate(), Autorestart())
    assert spec.analytics[0].parameters["min_boxes"] == 3, "defaults are filled in"
    assert spec.request_id == answer.headers["Luna-Request-Id"]
    (told,) = parts.control.take_outbox(10)
    assert told.key == stream_id


def test_everything_that_was_given_is_stored(client: testing.TestClient, parts: Parts) -> None:
    stream_id = created(client, everything())
    spec, kept = spec_of(parts, stream_id), profile(parts, stream_id)
    assert spec.source == Source(
        "rtsp://u:p4ss@camera.example/1?token=t0ken", fps=5.0, start_s=1.5, rotation=90, transport="udp",
        timeout_s=2.5, timestamps="server",
    )  # fmt: skip
    assert spec.gate == Gate(20.0, 0.01, 5.0, (((0.0, 0.0), (0.5, 0.0), (0.0, 0.5)),))
    assert spec.autorestart == Autorestart(True, 500, 30.0)
    assert spec.analytics[0].schedules == (Schedule(("monday",), "22:00", "06:00", "Europe/Berlin"),)
    assert "event_policy" not in spec.analytics[0].parameters, "whom events are told is no part of the definition"
    counting, objects = kept.analytics
    http, kafka, _ = counting.callbacks
    assert isinstance(http, HttpCallback)
    assert (http.authorization.password, http.secret, http.timeout_s) == ("s3cret", "k3y", 5.0)
    assert isinstance(kafka, KafkaCallback)
    assert (kafka.enable, kafka.password, kafka.conditions[0].is_) == (False, "s3cret", "in")
    assert counting.event_policy == EventPolicy("period", 2.0, 0.5)
    assert (counting.label, objects.callbacks, len(kept.notifications)) == ("queue", (), 1)
    assert (kept.source, kept.event_source_group, kept.location.latitude) == ("3rd Avenue", "group-123", 48.4)
    (told,) = parts.control.take_outbox(10)
    assert b"s3cret" not in told.value, "callbacks travel on no topic"


def test_a_stream_is_shown_as_it_was_given_but_for_its_secrets(client: testing.TestClient) -> None:
    given = everything()
    stream_id = created(client, given)
    answer = client.simulate_get(f"/2/streams/{stream_id}")
    assert not [secret for secret in SECRETS if secret in answer.text]
    found = answer.json
    for field in ("name", "description", "location", "event_source_group", "source"):
        assert found[field] == given[field]
    assert found["data"] == {**given["data"], "reference": "rtsp://***@camera.example/1?token=***"}
    assert (found["stream_id"], found["account_id"], found["version"]) == (stream_id, OWNER, 1)
    assert (found["status"], found["last_error"], found["groups"], found["splittable"]) == (0, None, [], 0)
    assert found["create_time"] == "2027-01-15T08:00:00.000Z"
    counting, objects = found["analytics"]
    asked = given["analytics"][0]
    assert (counting["label"], counting["schedules"]) == ("queue", asked["schedules"])
    assert counting["parameters"]["targets"] == ["coordinates"]
    assert counting["parameters"]["parameters"]["event_policy"] == asked["parameters"]["parameters"]["event_policy"]
    http, kafka, listener = counting["parameters"]["callbacks"]
    assert http["url"] == "https://callbacks.example/here?token=***&place=***&***"
    assert http["authorization"] == {"type": "basic", "login": "me", "password": "***"}
    assert http["params"]["headers"] == {"X-Api-Key": "***", "X-Place": "***"}
    assert http["conditions"] == asked["parameters"]["callbacks"][0]["conditions"]
    assert kafka == {**asked["parameters"]["callbacks"][1], "password": "***"}
    assert listener == asked["parameters"]["callbacks"][2]
    assert (objects["analytic_name"], objects["label"], objects["schedules"]) == ("object_detection", "", [])
    assert found["notification_policy"]["callbacks"][0]["secret"] == "***"


@pytest.mark.parametrize(
    ("data", "source"),
    [
        ({}, {"rotation": 0, "timeout_s": 3.0}),
        ({"orientation_strategy": "video_info"}, {"rotation": None, "timeout_s": 3.0}),
        ({"rotation": 270}, {"rotation": 270, "timeout_s": 3.0}),
        ({"reference": "http://camera.example/live.m3u8"}, {"rotation": 0, "timeout_s": None}),
        ({"fps": 0, "timeout": 500}, {"rotation": 0, "fps": 0.0, "timeout_s": 0.5}),
    ],
)
def test_how_a_source_is_read(
    client: testing.TestClient, parts: Parts, data: dict[str, Any], source: dict[str, Any]
) -> None:
    spec = spec_of(parts, created(client, with_data(**data)))
    assert {name: getattr(spec.source, name) for name in source} == source


def test_the_motion_gate_can_be_switched_off(client: testing.TestClient, parts: Parts) -> None:
    stream_id = created(client, with_data(motion_gate={"enable": 0}))
    assert spec_of(parts, stream_id).gate is None
    assert shown(client, stream_id)["data"]["motion_gate"]["enable"] == 0


def test_a_video_file_is_read_like_a_task_and_an_endless_one_like_a_camera(
    client: testing.TestClient, parts: Parts
) -> None:
    remote = with_data(reference="https://videos.example/a.mp4", type="videofile", downloadable=True)
    stream_id = created(client, remote)
    spec = spec_of(parts, stream_id)
    assert (spec.lane, spec.source.realtime, spec.source.timeout_s, spec.task) == ("batch", False, None, False)
    assert shown(client, stream_id)["data"]["downloadable"] is True
    upload = client.simulate_post("/query/v1/videos", params={"name": "a.mp4"}, body=b"x" * 10).json
    endless = created(client, with_data(reference=upload["url"], type="videofile", endless=True))
    spec = spec_of(parts, endless)
    assert (spec.lane, spec.source.realtime, spec.source.loop) == ("live", True, True)
    assert spec.source.url.startswith("media:")
    data = shown(client, endless)["data"]
    assert (data["type"], data["reference"], data["endless"]) == ("videofile", upload["url"], True)
    assert len(client.simulate_get("/2/streams", params={"reference": upload["url"]}).json["streams"]) == 1
    assert client.simulate_delete(f"/2/streams/{endless}").status_code == 204
    assert client.simulate_head(f"/query/v1/videos/{upload['video_id']}").status_code == 404


def test_another_address_by_the_engine_surface_is_no_longer_what_the_agent_s_was_called(
    client: testing.TestClient,
) -> None:
    upload = client.simulate_post("/query/v1/videos", params={"name": "a.mp4"}, body=b"x" * 10).json
    endless = created(client, with_data(reference=upload["url"], type="videofile", endless=True))
    once = created(client, with_data(reference="https://videos.example/a.mp4", type="videofile"))

    def moved(stream_id: str) -> Any:
        short = stream_id.replace("-", "")[-16:]
        return client.simulate_put(f"/streams/0/{short}", json={"stream_address": "rtsp://camera.example/2"})

    assert moved(endless).status_code == 200
    data = shown(client, endless)["data"]
    assert (data["type"], data["reference"], data["endless"]) == ("stream", "rtsp://camera.example/2", False)
    assert moved(once).status_code == 400
    assert "no other after it" in moved(once).json["message"]


@pytest.mark.parametrize("owner", [None, "", "me", OWNER.upper(), OWNER.replace("-", "")])
def test_the_owner_is_required(client: testing.TestClient, owner: str | None) -> None:
    headers = {} if owner is None else {"Luna-Account-Id": owner}
    answer = client.simulate_post("/2/streams", json=camera(), headers=headers)
    assert answer.status_code == 400
    assert set(answer.json) == ERROR
    assert answer.json["detail"].startswith("Luna-Account-Id: ")
    assert answer.json["link"].endswith("/docs/spec#error-400")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "data"),
        ({"data": {"reference": "rtsp://camera.example/1"}}, "analytics"),
        (camera(analytics=[]), "analytics"),
        (camera(analytics=[{}]), "analytics.0.analytic_name"),
        (camera(splittable=1), "splittable"),
        (camera(name="a\x00b"), "name"),
        (camera(event_source_group="a group"), "event_source_group"),
        (camera(location={"planet": "Mars"}), "location.planet"),
        (camera(location={"geo_position": {"longitude": 181, "latitude": 0}}), "location.geo_position.longitude"),
        (camera(autorestart={"restart": 2}), "autorestart.restart"),
        (camera(autorestart={"attempt_count": -1}), "autorestart.attempt_count"),
        (camera(notification_policy={"callbacks": [{"type": "pigeon"}]}), "notification_policy.callbacks.0.type"),
        (camera(data={}), "data.reference"),
        (with_data(reference="x" * 2084), "data.reference"),
        (with_data(reference="no url"), "data.reference"),
        (with_data(reference="rtsp://nowhere.example/1"), "data.reference"),
        (with_data(type="images"), "data.type"),
        (with_data(orientation_strategy="sideways"), "data.orientation_strategy"),
        (with_data(rotation=45), "data.rotation"),
        (with_data(rotation=90, orientation_strategy="video_info"), "data.rotation"),
        (with_data(timestamp_source="sun"), "data.timestamp_source"),
        (with_data(pts={"start_time": -1}), "data.pts.start_time"),
        (with_data(timeout=0), "data.timeout"),
        (with_data(fps=-1), "data.fps"),
        (with_data(downloadable=True), "data.downloadable"),
        (with_data(endless=True), "data.endless"),
        (with_data(motion_gate={"threshold": 0}), "data.motion_gate.threshold"),
        (with_data(motion_gate={"masks": [[[0, 0], [1, 1]]]}), "data.motion_gate.masks.0"),
        (with_data(motion_gate={"masks": [[[0, 0], [1, 1], [0, 2]]]}), "data.motion_gate.masks.0.2.1"),
        (with_analytic(schedules=[{"days": ["someday"]}]), "analytics.0.schedules.0.days.0"),
        (with_analytic(schedules=[{"begin": "24:00"}]), "analytics.0.schedules.0.begin"),
        (with_analytic(schedules=[{"end": "7 pm"}]), "analytics.0.schedules.0.end"),
        (with_analytic(schedules=[{"time_zone": "../etc"}]), "analytics.0.schedules.0.time_zone"),
        (with_analytic(parameters={"targets": ["faces"]}), "analytics.0.parameters.targets"),
        (with_analytic(parameters={"parameters": {"rate": 1}}), "analytics.0.parameters.parameters.rate"),
        (
            with_analytic(parameters={"parameters": {"event_policy": {"trigger": "never"}}}),
            "analytics.0.parameters.parameters.event_policy.trigger",
        ),
        (with_analytic(parameters={"callbacks": [{"type": "luna-ws-notification"}] * 11}), "analytics.0.parameters"),
        (with_callback(type="http", url="no url"), "analytics.0.parameters.callbacks.0.url"),
        (with_callback(type="http", url="http://nowhere.example/"), "analytics.0.parameters.callbacks.0.url"),
        (
            with_callback(type="http", url="http://a.example/", params={"headers": {"A": "b\r\nC: d"}}),
            "analytics.0.parameters.callbacks.0.params.headers",
        ),
        (
            with_callback(type="http", url="http://a.example/", conditions=[{"field": "a", "is": "in", "value": 1}]),
            "analytics.0.parameters.callbacks.0.conditions.0.value",
        ),
        (with_callback(type="luna-kafka", servers="nowhere", topic="t"), "analytics.0.parameters.callbacks.0.servers"),
        (with_callback(type="luna-kafka", servers="a:1", topic="a b"), "analytics.0.parameters.callbacks.0.topic"),
    ],
)
def test_a_wrong_field_is_named(client: testing.TestClient, parts: Parts, body: Any, field: str) -> None:
    answer = client.simulate_post("/2/streams", json=body, headers=HEADERS)
    assert answer.status_code == 400, answer.text
    assert set(answer.json) == ERROR
    assert answer.json["detail"].startswith(field), answer.json["detail"]
    assert parts.control.count_streams() == 0


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (with_data(reference="rtsp://127.0.0.1/1"), 403, 403),
        (with_data(reference="gopher://camera.example/1"), 403, 403),
        (with_data(reference="file:/etc/passwd"), 403, 403),
        (with_data(reference="https://private.example/a.mp4", type="videofile"), 403, 403),
        (with_data(reference=f"/query/v1/videos/{OWNER}"), 404, 44001),
        (with_callback(type="http", url="http://127.0.0.1/"), 403, 403),
        (with_callback(type="http", url="http://private.example/"), 403, 403),
        (camera(analytics=[{"analytic_name": "fire"}]), 422, 44014),
    ],
)
def test_what_may_not_be_watched_or_told(client: testing.TestClient, body: Any, status: int, code: int) -> None:
    answer = client.simulate_post("/2/streams", json=body, headers=HEADERS)
    assert (answer.status_code, answer.json["error_code"]) == (status, code), answer.text
    assert set(answer.json) == ERROR


def test_a_private_camera_may_be_watched(client: testing.TestClient) -> None:
    created(client, with_data(reference="rtsp://private.example/1"))


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded"])
def test_only_json_is_read(client: testing.TestClient, media: str) -> None:
    answer = client.simulate_post("/2/streams", body=b"{}", headers={**HEADERS, "Content-Type": media})
    assert answer.status_code == 415
    assert set(answer.json) == ERROR


def test_a_profile_that_is_too_large_is_refused(client: testing.TestClient) -> None:
    condition = {"field": "a", "value": "x" * 1024**2}
    body = with_callback(type="luna-ws-notification", conditions=[condition])
    answer = client.simulate_post("/2/streams", json=body, headers=HEADERS)
    assert answer.status_code == 400
    assert "1048576 are the most" in answer.json["detail"]


def test_fields_are_chosen(client: testing.TestClient) -> None:
    stream_id = created(client)
    assert set(shown(client, stream_id, targets="status,name")) == {"status", "name"}
    assert shown(client, stream_id, targets=["stream_id"]) == {"stream_id": stream_id}
    answer = client.simulate_get("/2/streams", params={"targets": "status"})
    assert answer.json == {"streams": [{"status": 0}]}
    wrong = client.simulate_get(f"/2/streams/{stream_id}", params={"targets": "status,colour"})
    assert (wrong.status_code, set(wrong.json)) == (400, ERROR)
    assert wrong.json["detail"].startswith("targets.1: ")


def test_streams_of_other_surfaces_are_shown_too(client: testing.TestClient) -> None:
    made = client.simulate_post("/query/v1/streams", json={"url": "rtsp://u:p4ss@camera.example/2", "name": "Yard"})
    found = shown(client, made.json["stream_id"])
    assert (found["name"], found["account_id"]) == ("Yard", "00000000-0000-0000-0000-000000000000")
    assert found["data"]["reference"] == "rtsp://***@camera.example/2"
    assert "rotation" not in found["data"]
    nobody = {"account_id": "00000000-0000-0000-0000-000000000000"}
    assert listed(client, **nobody) == ["Yard"]
    assert client.simulate_get(f"/2/streams/{made.json['stream_id']}", params={"account_id": OWNER}).status_code == 404


def test_streams_are_listed_by_filter(client: testing.TestClient, parts: Parts) -> None:
    a = created(client, camera(name="a", source="cam1", event_source_group="g1"))
    b = created(client, camera(name="b", source="cam2"), owner=OTHER)
    c = created(client, camera(name="c", data={"reference": "rtsp://camera.example/3"}, event_source_group="g2"))
    report(parts, b, "in_progress")
    for params, found in (
        ({}, {"a", "b", "c"}),
        ({"account_id": OWNER}, {"a", "c"}),
        ({"stream_ids": f"{a},{b}"}, {"a", "b"}),
        ({"stream_ids": str(uuid4())}, set()),
        ({"names": "a,c,d"}, {"a", "c"}),
        ({"reference": "rtsp://camera.example/3"}, {"c"}),
        ({"reference": "rtsp://camera.example/"}, set()),
        ({"statuses": "1"}, {"b"}),
        ({"statuses": "0,5"}, {"a", "c"}),
        ({"sources": "cam1,cam2"}, {"a", "b"}),
        ({"event_source_groups": "g2,g3"}, {"c"}),
        ({"create_time__gte": "2027-01-15T08:00:00Z"}, {"a", "b", "c"}),
        ({"create_time__lt": "2027-01-15T08:00:00Z"}, set()),
        ({"create_time__gte": "2027-01-15T08:00:00.001Z"}, set()),
        ({"stream_id__gte": c}, {name for name, i in zip("abc", (a, b, c), strict=True) if i >= c}),
        ({"stream_id__lt": c}, {name for name, i in zip("abc", (a, b, c), strict=True) if i < c}),
        ({"names": "a,b", "account_id": OTHER}, {"b"}),
    ):
        assert set(listed(client, **params)) == found, params


def test_streams_are_ordered_and_paged(client: testing.TestClient, parts: Parts) -> None:
    ticks = itertools.count(int(NOW))
    parts.control._clock = lambda: float(next(ticks))
    ids = {name: created(client, camera(name=name)) for name in ("b", "c", "a", "e", "d")}
    assert listed(client) == ["d", "e", "a", "c", "b"], "the newest first"
    assert listed(client, order="asc") == ["b", "c", "a", "e", "d"]
    assert listed(client, order="asc", order_column="create_time") == ["b", "c", "a", "e", "d"]
    assert listed(client, order_column="name") == ["e", "d", "c", "b", "a"]
    assert listed(client, order_column="name", order="asc", page_size=2) == ["a", "b"]
    assert listed(client, order_column="name", order="asc", page_size=2, page=3) == ["e"]
    assert listed(client, page=4, page_size=2) == []
    assert listed(client, page=2**31 - 1, page_size=1000) == []
    by_id = sorted(ids, key=lambda name: ids[name])
    low = "00000000-0000-0000-0000-000000000000"
    assert listed(client, stream_id__gte=low, order="asc", order_column="name") == by_id, "a range of ids sorts by id"


def test_a_page_has_ten_streams(client: testing.TestClient) -> None:
    for number in range(11):
        created(client, camera(name=str(number)))
    assert len(listed(client)) == 10
    assert len(listed(client, page=2)) == 1


@pytest.mark.parametrize(
    ("params", "field", "code"),
    [
        ({"page": 0}, "page", 400),
        ({"page": -1}, "page", 400),
        ({"page": 2**31}, "page", 400),
        ({"page": "one"}, "page", 400),
        ({"page_size": 0}, "page_size", 400),
        ({"page_size": 1001}, "page_size", 400),
        ({"statuses": "9"}, "statuses.0", 44002),
        ({"statuses": "1,running"}, "statuses.1", 44002),
        ({"account_id": "me"}, "account_id", 400),
        ({"stream_ids": f"{OWNER},x"}, "stream_ids.1", 400),
        ({"stream_id__gte": "x"}, "stream_id__gte", 400),
        ({"order": "up"}, "order", 400),
        ({"order_column": "status"}, "order_column", 400),
        ({"create_time__gte": "yesterday"}, "create_time__gte", 400),
        ({"create_time__lt": "2027-01-15T08:00:00"}, "create_time__lt", 400),
        ({"reference": "x" * 2084}, "reference", 400),
        ({"names": "x" * 129}, "names.0", 400),
        ({"targets": "all"}, "targets.0", 400),
        ({"enriched": 0}, "enriched", 400),
    ],
)
def test_wrong_parameters_of_a_list(client: testing.TestClient, params: Any, field: str, code: int) -> None:
    answer = client.simulate_get("/2/streams", params=params)
    assert (answer.status_code, set(answer.json)) == (400, ERROR), answer.text
    assert answer.json["error_code"] == code
    assert answer.json["detail"].startswith(f"{field}: "), answer.json["detail"]


@pytest.mark.parametrize("path", [NOWHERE, "/2/streams/no-uuid", f"/2/streams/{OWNER}x"])
@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH"])
def test_an_unknown_stream(client: testing.TestClient, method: str, path: str) -> None:
    params = {"action": "stop"} if method == "PATCH" else {}
    answer = client.simulate_request(method, path, params=params)
    assert answer.status_code == 404
    assert set(answer.json) == ERROR
    assert answer.json["error_code"] == 44001


def test_a_task_is_no_stream(client: testing.TestClient, task: Any) -> None:
    path = f"/2/streams/{task()}"
    assert client.simulate_get(path).status_code == 404
    assert client.simulate_delete(path).status_code == 404
    assert client.simulate_patch(path, params={"action": "stop"}).status_code == 404
    assert listed(client) == []


def test_a_stream_is_another_accounts(client: testing.TestClient) -> None:
    path = f"/2/streams/{created(client)}"
    for account, status in ((OTHER, 404), (OWNER, 200)):
        assert client.simulate_get(path, params={"account_id": account}).status_code == status
    for account, status in ((OTHER, 404), (OWNER, 204), (OWNER, 404)):
        assert client.simulate_delete(path, params={"account_id": account}).status_code == status


def test_a_removed_stream_is_gone_from_every_store(client: testing.TestClient, parts: Parts) -> None:
    stream_id = created(client)
    parts.collaborators.media.put(f"{stream_id}/1/a.jpg", b"picture")
    answer = client.simulate_delete(f"/2/streams/{stream_id}")
    assert (answer.status_code, answer.text) == (204, "")
    assert parts.analytics.deleted == parts.embeddings.deleted == [StreamId(UUID(stream_id))]
    assert not parts.collaborators.media.exists(f"{stream_id}/1/a.jpg")
    assert client.simulate_get("/2/streams/logs").json == {"logs": []}
    assert client.simulate_get(f"/2/streams/{stream_id}").status_code == 404


def patched(client: testing.TestClient, stream_id: str, action: str) -> int:
    answer = client.simulate_patch(f"/2/streams/{stream_id}", params={"action": action})
    assert answer.status_code == 200, answer.text
    return int(answer.json["patched_count"])


def test_a_stream_is_stopped_and_resumed_as_a_new_run(client: testing.TestClient, parts: Parts) -> None:
    stream_id = created(client)
    report(parts, stream_id, "in_progress")
    assert patched(client, stream_id, "resume") == 0, "it goes on"
    assert patched(client, stream_id, "stop") == 1
    assert shown(client, stream_id)["status"] == 5, "at once, whatever the host still does"
    assert [one["status"] for one in shown(client, stream_id)["analytics"]] == [5]
    assert listed(client, statuses="5") == ["stream"]
    assert patched(client, stream_id, "stop") == 0
    assert patched(client, stream_id, "resume") == 1
    assert shown(client, stream_id)["status"] == 0
    assert (spec_of(parts, stream_id).run, spec_of(parts, stream_id).desired) == (2, "run")
    report(parts, stream_id, "stop")
    assert shown(client, stream_id)["status"] == 0, "the end of the run before is not the stream's"


@pytest.mark.parametrize(("state", "number"), [("done", 2), ("failure", 4)])
def test_a_stream_that_ended_by_itself_is_resumed_and_not_stopped(
    client: testing.TestClient, parts: Parts, state: str, number: int
) -> None:
    stream_id = created(client)
    report(parts, stream_id, state)
    assert patched(client, stream_id, "stop") == 0
    assert shown(client, stream_id)["status"] == number
    assert patched(client, stream_id, "resume") == 1
    assert shown(client, stream_id)["status"] == 0
    assert spec_of(parts, stream_id).run == 2


@pytest.mark.parametrize("params", [{}, {"action": "pause"}, {"action": "stop", "more": 1}])
def test_a_wrong_action(client: testing.TestClient, params: Any) -> None:
    answer = client.simulate_patch(f"/2/streams/{created(client)}", params=params)
    assert (answer.status_code, set(answer.json)) == (400, ERROR)


def test_an_analytic_outside_of_its_hours_is_paused(client: testing.TestClient, parts: Parts) -> None:
    stream_id = created(client, everything())
    for paused, status, each in (((), 1, [1, 1]), ((0,), 7, [8, 1]), ((0, 1), 8, [8, 8]), ((1,), 7, [1, 8])):
        report(parts, stream_id, "in_progress", paused=paused)
        found = shown(client, stream_id)
        assert found["status"] == status
        assert [one["status"] for one in found["analytics"]] == each
        assert listed(client, statuses=str(status)) == ["Gate"]
        assert listed(client, statuses=",".join(str(other) for other in range(9) if other != status)) == []


def test_restarts_are_counted(client: testing.TestClient, parts: Parts) -> None:
    stream_id = created(client, camera(autorestart={"restart": 1, "attempt_count": 2, "delay": 30}))

    def restarts() -> dict[str, Any]:
        found: dict[str, Any] = shown(client, stream_id)["analytics"][0]["autorestart"]
        return found

    base = {"restart": 1, "attempt_count": 2, "delay": 30}
    assert restarts() == {**base, "current_attempt": 0, "last_attempt_time": None, "status": "enabled"}
    report(parts, stream_id, "restart", attempt=2, error="rtsp://u:p4ss@camera.example/1: silence")
    assert restarts() == {
        **base, "current_attempt": 2, "last_attempt_time": "2027-01-15T08:00:00.001Z", "status": "in_progress",
    }  # fmt: skip
    assert shown(client, stream_id)["status"] == 3
    assert shown(client, stream_id)["last_error"] == "rtsp://***@camera.example/1: silence"
    report(parts, stream_id, "in_progress", counts=IngestCounts(decoded=1, read=1))
    assert (restarts()["current_attempt"], restarts()["status"]) == (0, "enabled")
    report(parts, stream_id, "failure", attempt=2, error="gone")
    assert restarts()["status"] == "failed"
    denied = created(client)
    report(parts, denied, "failure", error="no such file")
    assert shown(client, denied)["analytics"][0]["autorestart"]["status"] == "denied"


def test_a_page_beyond_all_numbers_is_refused(client: testing.TestClient) -> None:
    for path in ("/2/streams", "/2/streams/logs"):
        for params in ({"page": 10**30}, {"page_size": 10**30}):
            answer = client.simulate_get(path, params=params)
            assert (answer.status_code, set(answer.json)) == (400, ERROR), params


@pytest.mark.parametrize(
    ("callback", "status"),
    [
        ({"type": "http", "url": "https://u:p@callbacks.example/"}, 400),
        ({"type": "http", "url": "https://callbacks.example/", "params": {"headers": {"Host": "other"}}}, 400),
        ({"type": "luna-kafka", "servers": "127.0.0.1:9092", "topic": "t"}, 403),
        ({"type": "luna-kafka", "servers": "kafka.example:9092", "topic": "t", "protocol": "SASL_SSL"}, 400),
    ],
)
def test_a_callback_is_judged_as_on_every_surface(client: Any, callback: dict[str, Any], status: int) -> None:
    body = camera()
    body["analytics"][0]["parameters"] = {"callbacks": [callback]}
    answer = client.simulate_post("/2/streams", json=body, headers=HEADERS)
    assert answer.status_code == status, answer.text
    assert "analytics.0.parameters.callbacks.0" in answer.json["detail"]

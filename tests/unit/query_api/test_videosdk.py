"""Video analysis: what is refused and why, what is stored for a task, and what an immediate one leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from falcon import testing

from core.ids import Run, Seq, StreamId, TrackId, event_id
from core.messages import Event, RunEnd, StreamSpec, StreamStatus, TrackedBox
from core.settings import Settings
from query_api.app import create_app
from query_api.following import Collected
from query_api.refusals import Busy
from tests.unit.query_api.conftest import COUNTS, NOW, TEST_HOSTS, VIDEO, deferred
from tests.unit.query_api.fakes import Parts
from warehouse.control.rows import StreamFilter
from warehouse.rows import RunTrackPoint

STREAM = StreamId(UUID("557d54ec-29ad-4f3c-93b4-c9092ef12515"))


def spec_of(parts: Parts, task_id: str) -> StreamSpec:
    return parts.control.stream(StreamId(UUID(task_id))).spec


def body(**changes: Any) -> dict[str, Any]:
    return {**deferred(), **changes}


def test_a_deferred_task_is_stored_and_told_to_the_pipeline(client: testing.TestClient, parts: Parts) -> None:
    answer = client.simulate_post("/1/videosdk", json=deferred(fps=0), headers={"Luna-Account-Id": str(STREAM)})
    assert answer.status_code == 202
    assert set(answer.json) == {"task_id", "url"}
    assert answer.headers["Location"] == answer.json["url"]
    assert answer.json["url"].endswith(f"/1/video/tasks/{answer.json['task_id']}")
    spec = spec_of(parts, answer.json["task_id"])
    assert (spec.lane, spec.task, spec.ephemeral, spec.run) == ("batch", True, False, 1)
    assert spec.source.url == "https://videos.example/street.mp4"
    assert (spec.source.fps, spec.source.rotation, spec.source.on_error) == (0, None, "continue")
    assert spec.name == "street.mp4"
    assert spec.account_id == str(STREAM)
    assert spec.started_ms == int(NOW * 1000)
    assert spec.request_id == answer.headers["Luna-Request-Id"]
    assert spec.analytics[0].parameters["min_boxes"] == 3, "defaults are filled in"
    (told,) = parts.control.take_outbox(10)
    assert told.key == answer.json["task_id"]


def test_everything_of_the_document_is_understood(client: testing.TestClient, parts: Parts) -> None:
    request = {
        "deferred_task": {
            "enable": 1,
            "storage_policy": {"storage_type": "luna_image_store", "ttl": -1},
            "notification_callbacks": {
                "enable": 0,
                "task_callbacks": [
                    {
                        "type": "http",
                        "enable": 1,
                        "url": "http://callbacks.example/",
                        "authorization": {"type": "basic", "login": "me", "password": "secret"},
                        "params": {"timeout": 60, "content_type": "application/json", "headers": {}},
                    },
                    {"type": "telegram", "enable": 1, "token": "t", "chat_id": "1", "params": {"timeout": 60}},
                ],
            },
        },
        "video": {
            "url": "https://videos.example/a%20b.mp4?token=abc",
            "orientation": {"orientation_strategy": "static", "angle": -90},
            "pts": {"start_time": 1.5},
            "timestamp_source": "auto",
            "error_handling": {"action": "fail"},
            "recorded_at": "2026-01-31T12:00:00Z",
        },
        "analytics": [
            {
                "analytic_name": "people_count",
                "parameters": {
                    "targets": ["coordinates"],
                    "callbacks": [{"type": "http", "enable": 0, "url": "http://x.example"}],
                    "parameters": {"people_count_threshold": 2, "roi": {"width": 50, "height": 50, "mode": "percent"}},
                },
            }
        ],
    }
    answer = client.simulate_post("/1/videosdk", json=request)
    assert answer.status_code == 202, answer.text
    spec = spec_of(parts, answer.json["task_id"])
    assert (spec.source.rotation, spec.source.start_s, spec.source.on_error) == (270, 1.5, "fail")
    assert spec.source.fps == 10.0
    assert spec.started_ms == 1_769_860_800_000
    assert spec.name == "a b.mp4"
    assert spec.analytics[0].targets == ("coordinates",)


@pytest.mark.parametrize("source", ["auto", "pts", "dts", "frame_rate"])
def test_timestamps_are_those_that_were_asked_for(task: Callable[..., str], parts: Parts, source: str) -> None:
    assert spec_of(parts, task(timestamp_source=source)).source.timestamps == source


@pytest.mark.parametrize(
    ("strategy", "rotation"),
    [
        (None, None),
        ({"orientation_strategy": "video_info"}, None),
        ({"angle": 0}, 0),
        ({"angle": 180}, 180),
        ({"angle": -180}, 180),
    ],
)
def test_orientation(task: Callable[..., str], parts: Parts, strategy: Any, rotation: int | None) -> None:
    video = {} if strategy is None else {"orientation": strategy}
    assert spec_of(parts, task(**video)).source.rotation == rotation


@pytest.mark.parametrize(
    ("request_body", "field"),
    [
        ({}, "video"),
        ({"video": {}}, "video.url"),
        ({"video": {"url": "https://a.example/v"}}, "analytics"),
        (body(analytics=[]), "analytics"),
        (body(analytics=[{}]), "analytics.0.analytic_name"),
        (body(analytics="all"), "analytics"),
        (body(more=1), "more"),
        (body(deferred_task={"enable": 2}), "deferred_task.enable"),
        (body(deferred_task={"enable": 1, "storage_policy": {"ttl": -2}}), "deferred_task.storage_policy.ttl"),
        (deferred(fps=-1), "video.fps"),
        (deferred(fps="fast"), "video.fps"),
        (deferred(orientation={"angle": 45}), "video.orientation.angle"),
        (deferred(pts={"start_time": -1}), "video.pts.start_time"),
        (deferred(error_handling={"action": "ignore"}), "video.error_handling.action"),
        (deferred(timestamp_source="sun"), "video.timestamp_source"),
        (deferred(recorded_at="2026-01-31T12:00:00"), "video.recorded_at"),
        (deferred(url=""), "video.url"),
        (deferred(url="no url"), "video.url"),
        (deferred(url="https://nowhere.example/v.mp4"), "video.url"),
        (deferred(url="media:uploads/x.mp4"), "video.url"),
        (
            body(analytics=[{"analytic_name": "object_detection", "parameters": {"parameters": {"max_gap_s": -1}}}]),
            "analytics.0.parameters.parameters.max_gap_s",
        ),
        (
            body(analytics=[{"analytic_name": "people_count", "parameters": {"targets": ["faces"]}}]),
            "analytics.0.parameters.targets",
        ),
    ],
)
def test_bad_input_names_the_field(client: testing.TestClient, parts: Parts, request_body: Any, field: str) -> None:
    answer = client.simulate_post("/1/videosdk", json=request_body)
    assert answer.status_code == 400, answer.text
    assert answer.json["detail"].startswith(f"{field}: "), answer.json
    assert answer.json["error_code"] == 400
    assert answer.json["desc"] == "Bad input data"
    assert answer.json["link"].endswith("/docs/spec#error-400")
    assert parts.control.count_streams(StreamFilter(ephemeral=None)) == 0


@pytest.mark.parametrize(
    ("request_body", "field"),
    [
        (body(analytics=[{"analytic_name": "fights_analytics"}]), "analytics.0.analytic_name"),
        (deferred(timestamp_source="server"), "video.timestamp_source"),
        (body(model="yolo"), "model"),
        (body(deferred_task={"enable": 1, "storage_policy": {"ttl": 60}}), "deferred_task.storage_policy.ttl"),
        (
            body(
                deferred_task={
                    "enable": 0,
                    "notification_callbacks": {
                        "enable": 1,
                        "task_callbacks": [{"type": "http", "url": "http://callbacks.example"}],
                    },
                }
            ),
            "deferred_task.notification_callbacks.task_callbacks",
        ),
        (
            body(analytics=[{"analytic_name": "people_count", "parameters": {"callbacks": [{"type": "luna-event"}]}}]),
            "analytics.0.parameters.callbacks.0.type",
        ),
        (
            body(
                deferred_task={"enable": 0},
                analytics=[{"analytic_name": "people_count", "parameters": {"callbacks": [{"type": "http"}]}}],
            ),
            "analytics.0.parameters.callbacks",
        ),
    ],
)
def test_what_nothing_here_can_do_is_refused(client: testing.TestClient, request_body: Any, field: str) -> None:
    answer = client.simulate_post("/1/videosdk", json=request_body)
    assert answer.status_code == 422, answer.text
    assert answer.json["error_code"] == 44014
    assert answer.json["desc"] == "Unprocessable content"
    assert answer.json["detail"].startswith(f"{field}: ")


def test_a_model_is_a_detector_of_the_zoo(client: testing.TestClient, parts: Parts, settings: Settings) -> None:
    for name, kind in (("small", "detector"), ("faces", "embedder")):
        card = {"name": name, "version": 1, "kind": kind, "input_size": 256, "licence": "MIT", "source": "here"}
        folder = settings.models_dir / name
        folder.mkdir(parents=True)
        (folder / "card.json").write_text(json.dumps(card))
    answer = client.simulate_post("/1/videosdk", json=body(model="small"))
    assert spec_of(parts, answer.json["task_id"]).model == "small"
    answer = client.simulate_post("/1/videosdk", json=body(model="faces"))
    assert answer.status_code == 422
    assert "embedder" in answer.json["detail"]


@pytest.mark.parametrize(
    ("labels", "outcome"),
    [
        (["car", "bus"], ["car", "bus"]),
        ("any", "any"),
        (["any"], "any"),
        (["any", "car"], {"stands alone"}),
        (["cars"], {"'car' perhaps"}),
        (["weasel"], {"car, bus"}),
    ],
)
def test_labels_are_the_models(
    client: testing.TestClient, parts: Parts, settings: Settings, labels: Any, outcome: Any
) -> None:
    card = {"name": "small", "version": 1, "kind": "detector", "input_size": 256, "licence": "MIT", "source": "here"}
    folder = settings.models_dir / "small"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(json.dumps({**card, "labels": ["car", "bus"]}))
    asked = {"analytic_name": "object_detection", "parameters": {"parameters": {"labels": labels}}}
    answer = client.simulate_post("/1/videosdk", json=body(model="small", analytics=[asked]))
    if not isinstance(outcome, set):
        assert spec_of(parts, answer.json["task_id"]).analytics[0].parameters["labels"] == outcome
    else:
        assert answer.status_code == 400
        assert answer.json["detail"].startswith("analytics.0.parameters.parameters.labels: ")
        assert all(said in answer.json["detail"] for said in outcome)


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://127.0.0.1:9999/v.mp4", 403),
        ("http://private.example/v.mp4", 403),
        ("ftp://videos.example/v.mp4", 403),
        ("file:/etc/passwd", 403),
        ("http://127.0.0.1:4004/query/v1/videos/557d54ec-29ad-4f3c-93b4-c9092ef12515", 404),
        ("/query/v1/videos/557d54ec-29ad-4f3c-93b4-c9092ef12515", 404),
        ("/query/v1/videos/------------------------------------", 400),
    ],
)
def test_videos_that_may_not_be_read(client: testing.TestClient, url: str, status: int) -> None:
    answer = client.simulate_post("/1/videosdk", json=deferred(url=url))
    assert answer.status_code == status, answer.text
    assert answer.json["detail"]


@pytest.mark.parametrize(("headers", "data"), [({"Content-Type": "text/plain"}, b"{}"), ({}, b"{}")])
def test_another_content_type_is_refused(client: testing.TestClient, headers: dict[str, str], data: bytes) -> None:
    answer = client.simulate_post("/1/videosdk", body=data, headers=headers)
    assert answer.status_code == 415
    assert "application/json" in answer.json["detail"]


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_json(client: testing.TestClient, data: bytes) -> None:
    answer = client.simulate_post("/1/videosdk", body=data, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


def test_a_body_that_is_too_large(settings: Settings, client_of: Callable[[Settings], testing.TestClient]) -> None:
    small = client_of(settings.model_copy(update={"query": settings.query.model_copy(update={"max_body_bytes": 10})}))
    answer = small.simulate_post("/1/videosdk", json=deferred())
    assert answer.status_code == 413
    assert set(answer.json) == {"error_code", "desc", "detail", "link"}


def test_too_many_tasks(settings: Settings, client_of: Callable[[Settings], testing.TestClient]) -> None:
    few = client_of(settings.model_copy(update={"query": settings.query.model_copy(update={"max_active_tasks": 1})}))
    assert few.simulate_post("/1/videosdk", json=deferred()).status_code == 202
    answer = few.simulate_post("/1/videosdk", json=deferred())
    assert answer.status_code == 429
    assert answer.headers["Retry-After"]


def collected(**end: Any) -> Collected:
    """A run in which one car was seen in two frames."""
    ended = {"state": "done", "counts": COUNTS, "ts_ms": 0, "video": VIDEO, **end}
    found = Collected(video=VIDEO, processed=20, ended={"detections", "tracks", "events"})
    found.end = RunEnd(stream_id=STREAM, run=Run(1), **ended)
    for seq in (0, 1):
        box = TrackedBox(TrackId(1), "car", 0.9, (0.1, 0.1, 0.2, 0.2))
        found.points.append(RunTrackPoint(Seq(seq), seq * 3, seq * 0.12, 0, box))
    one = Event(
        event_id=event_id(STREAM, Run(1), 0, 1), stream_id=STREAM, run=Run(1), analytic_index=0,
        type="object_detection", event_type="object", phase="end", number=1, seq=Seq(1), ts_ms=0, begin_ms=0,
        begin_s=0.0, begin_seq=Seq(0), end_ms=120, end_s=0.12, end_seq=Seq(1), label="car", track_id=TrackId(1),
        score=0.9, image="not/stored.jpg", box=(0.1, 0.1, 0.2, 0.2),
    )  # fmt: skip
    found.events[one.event_id] = one
    return found


def now(**video: Any) -> dict[str, Any]:
    return body(deferred_task={"enable": 0}, video={"url": "https://videos.example/street.mp4", **video})


def ask(settings: Settings, parts: Parts) -> httpx.Response:
    """An immediate analysis by an asker who waits; Falcon's own test client hangs up at once."""

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(app=create_app(settings, parts.collaborators))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{TEST_HOSTS[0]}") as asker:
            return await asker.post("/1/videosdk", json=now())

    return asyncio.run(post())


def test_an_immediate_analysis_answers_and_leaves_nothing(settings: Settings, parts: Parts) -> None:
    parts.followers.outcome = collected()
    answer = ask(settings, parts)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["video_data"] == {
        "frame_count": 50, "frame_rate": 25.0, "duration": 2.0, "width": 640, "height": 360, "rotation": 0,
        "error_count": 0, "processed_parts": 1,
    }  # fmt: skip
    (analytic,) = found["analytics"]
    assert analytic["analytic_name"] == "object_detection"
    (event,) = analytic["events"]
    assert event["video_segment"] == {"start_time_offset": 0.0, "end_time_offset": 0.12}
    assert (event["label"], event["track_id"], event["image"]) == ("car", 1, None)
    ((stream, follower),) = parts.followers.opened
    assert follower.closed
    assert parts.control.count_streams(StreamFilter(ephemeral=None)) == 0
    assert [row.value is None for row in parts.control.take_outbox(10) if row.key == str(stream)] == [False, True]


@pytest.mark.parametrize(
    ("outcome", "status", "says"),
    [
        (collected(state="failure", error="no video stream"), 400, "no video stream"),
        (
            Collected(failed=StreamStatus(STREAM, Run(1), "failure", 0, "h", error="moov atom not found")),
            400,
            "moov atom not found",
        ),
        (Busy("the analysis was not done within 600 s"), 503, "not done"),
    ],
)
def test_an_immediate_analysis_that_fails(
    settings: Settings, parts: Parts, outcome: Any, status: int, says: str
) -> None:
    parts.followers.outcome = outcome
    answer = ask(settings, parts)
    assert answer.status_code == status
    assert says in answer.json()["detail"]
    assert answer.json()["error_code"] == (43004 if status == 400 else 503)
    assert parts.control.count_streams(StreamFilter(ephemeral=None)) == 0


def test_without_a_broker_nothing_is_begun(client: testing.TestClient, parts: Parts) -> None:
    parts.followers.down = True
    answer = client.simulate_post("/1/videosdk", json=now())
    assert answer.status_code == 503
    assert parts.control.take_outbox(10) == []


def test_when_the_asker_goes_the_analysis_is_ended(settings: Settings, parts: Parts) -> None:
    """Driven as the server drives it: the body, and then a disconnect instead of patience."""
    app = create_app(settings, parts.collaborators)
    sent: list[Any] = []

    async def run() -> None:
        events = [{"type": "http.request", "body": json.dumps(now()).encode(), "more_body": False}]

        async def receive() -> Any:
            if events:
                return events.pop(0)
            while not parts.control.count_streams(StreamFilter(ephemeral=True)):  # noqa: ASYNC110  # it does not tell
                await asyncio.sleep(0.01)
            return {"type": "http.disconnect"}

        async def send(event: Any) -> None:
            sent.append(event)

        scope = testing.create_scope(
            "/1/videosdk", method="POST", headers={"Content-Type": "application/json"}
        )  # fmt: skip
        await app(scope, receive, send)

    asyncio.run(asyncio.wait_for(run(), 15))
    ((_, follower),) = parts.followers.opened
    assert follower.was_cancelled
    assert follower.closed
    assert parts.control.count_streams(StreamFilter(ephemeral=None)) == 0


def test_what_a_killed_service_left_is_removed(client: testing.TestClient, parts: Parts, task: Any) -> None:
    spec = spec_of(parts, task())
    from msgspec.structs import replace

    left = replace(spec, stream_id=STREAM, ephemeral=True)
    parts.control._clock = lambda: NOW - 10_000
    parts.control.create_stream(left)
    parts.control._clock = lambda: NOW
    parts.followers.outcome = collected()
    client.simulate_post("/1/videosdk", json=now())
    assert parts.control.count_streams(StreamFilter(ephemeral=True)) == 0

"""Tasks: how far they are, what they found, cancelling, and removing all they left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from falcon import testing

from core.ids import Run, Seq, StreamId, TrackId, ViewId, event_id
from core.messages import Event, IngestCounts, StreamProblem, StreamStatus, TrackedBox
from query_api.types.agent import VideoSdkAnswer
from tests.unit.query_api.conftest import NOW, VIDEO, finish
from tests.unit.query_api.fakes import Parts
from warehouse.control.receipts import EXPECTED
from warehouse.rows import FrameCounts, RunTrackPoint, TrackView

Task = Callable[..., str]


def report(parts: Parts, task_id: str, state: Any, **more: Any) -> None:
    status = {"ts_ms": int(NOW * 1000), "host": "h", "video": VIDEO, **more}
    parts.control.record_status(StreamStatus(StreamId(UUID(task_id)), Run(1), state, **status))


def agent(client: testing.TestClient, task_id: str) -> Any:
    answer = client.simulate_get(f"/1/video/tasks/{task_id}")
    assert answer.status_code == 200
    return answer.json


def point(track: int, seq: int, label: str = "car", score: float = 0.5, kind: Any = "object") -> RunTrackPoint:
    box = TrackedBox(TrackId(track), label, score, (0.1, 0.2, 0.30000049, 0.4), kind)
    return RunTrackPoint(Seq(seq), seq * 2, seq * 0.08, 0, box)


def event(stream: str, number: int, track: int, **more: Any) -> Event:
    given = {
        "event_id": event_id(StreamId(UUID(stream)), Run(1), 0, number),
        "stream_id": StreamId(UUID(stream)),
        "run": Run(1), "analytic_index": 0, "type": "object_detection", "event_type": "object", "phase": "end",
        "number": 1, "seq": Seq(9), "ts_ms": 0, "begin_ms": 1000, "begin_s": 0.0, "begin_seq": Seq(number),
        "end_ms": 2000, "end_s": 1.0, "end_seq": Seq(9), "label": "car", "track_id": TrackId(track), "score": 0.9,
        "image": f"{stream}/1/a.jpg", **more,
    }  # fmt: skip
    return Event(**given)


def test_status_goes_from_pending_to_done(client: testing.TestClient, parts: Parts, task: Task) -> None:
    task_id = task()
    assert agent(client, task_id) == {
        "task_id": task_id,
        "status": 0,
        "progress": 0.0,
        "result_url": f"http://falconframework.org/query/v1/tasks/{task_id}/result",
    }
    parts.analytics.counts = FrameCounts(5, 0)
    report(parts, task_id, "in_progress", counts=IngestCounts(decoded=25, read=10, sampled_out=15), total_frames=50)
    assert (agent(client, task_id)["status"], agent(client, task_id)["progress"]) == (1, 0.25)
    report(parts, task_id, "done", ts_ms=int(NOW * 1000) + 1, counts=IngestCounts(50, 30, 20))
    assert (agent(client, task_id)["status"], agent(client, task_id)["progress"]) == (1, 0.25), (
        "frames are on their way"
    )
    parts.analytics.counts = FrameCounts(20, 0)
    assert (agent(client, task_id)["status"], agent(client, task_id)["progress"]) == (4, 0.99)
    waiting = client.simulate_get(f"/query/v1/tasks/{task_id}").json
    assert waiting["state"] == "collecting"
    assert len(waiting["waiting_for"]) == len(EXPECTED)
    assert client.simulate_get(f"/query/v1/tasks/{task_id}/result").status_code == 409
    finish(parts, task_id)
    assert (agent(client, task_id)["status"], agent(client, task_id)["progress"]) == (5, 1.0)


def test_a_task_whose_video_has_been_read_can_be_cancelled(
    client: testing.TestClient, parts: Parts, task: Task
) -> None:
    task_id = task()
    report(parts, task_id, "done", counts=IngestCounts(50, 30, 20))
    parts.analytics.counts = FrameCounts(5, 0, cancelled=2)
    cancelled = client.simulate_post(f"/query/v1/tasks/{task_id}/cancel")
    assert (cancelled.status_code, cancelled.json["state"]) == (202, "cancelled")
    assert cancelled.json["ledger"]["dropped"] == {"cancelled": 2}
    assert cancelled.json["ledger"]["in_flight"] == 13
    assert agent(client, task_id)["status"] == 2
    finish(parts, task_id)
    assert agent(client, task_id)["status"] == 2, "it stays so when the rest has been passed over"
    assert client.simulate_post(f"/query/v1/tasks/{task_id}/cancel").status_code == 409


def test_a_task_that_fails_while_it_is_asked_about_is_shown_as_one_moment(
    client: testing.TestClient, parts: Parts, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = task()
    asked = parts.control.task_state

    def meanwhile(stream_id: StreamId) -> Any:
        report(parts, task_id, "failure", error="moov atom not found")
        return asked(stream_id)

    monkeypatch.setattr(parts.control, "task_state", meanwhile)
    told = client.simulate_get(f"/query/v1/tasks/{task_id}").json
    assert (told["state"], told["error"]) == ("failed", "moov atom not found")


@pytest.mark.parametrize("ending", [("failure", 3, "failed"), ("stop", 2, "cancelled")])
def test_tasks_without_a_result(client: testing.TestClient, parts: Parts, task: Task, ending: Any) -> None:
    state, number, name = ending
    task_id = task()
    report(parts, task_id, state, error="moov atom not found")
    assert agent(client, task_id)["status"] == number
    refused = client.simulate_get(f"/query/v1/tasks/{task_id}/result")
    assert refused.status_code == 409
    assert name in refused.json["detail"]
    assert "moov atom" in refused.json["detail"]
    assert client.simulate_post(f"/query/v1/tasks/{task_id}/cancel").status_code == 409
    detail = client.simulate_get(f"/query/v1/tasks/{task_id}").json
    assert (detail["state"], detail["error"], detail["eta_s"]) == (name, "moov atom not found", None)


def test_a_task_in_detail(client: testing.TestClient, parts: Parts, task: Task) -> None:
    task_id = task()
    report(parts, task_id, "in_progress", ts_ms=int(NOW * 1000) - 4000, total_frames=100)
    counts = IngestCounts(decoded=50, sampled_out=25, read=25, gated=2, dropped={"backlog": 3})
    problems = (StreamProblem(7, 0.28, "damaged packet"),)
    report(parts, task_id, "in_progress", counts=counts, heartbeat=True, problems=problems, total_frames=100)
    parts.analytics.counts = FrameCounts(14, 1)
    detail = client.simulate_get(f"/query/v1/tasks/{task_id}").json
    assert detail["ledger"] == {
        "decoded": 50, "sampled_out": 25, "read": 25, "processed": 14, "gated": 2, "dropped": {"backlog": 3},
        "dead_lettered": 1, "in_flight": 5,
    }  # fmt: skip
    assert detail["progress"] == 0.4
    assert detail["frames_per_s"] == 3.5
    assert detail["eta_s"] == 6.0
    assert detail["errors"] == [{"at_frame": 7, "at_s": 0.28, "reason": "damaged packet"}]
    assert detail["video"] == {
        "name": "street.mp4", "frames": 50, "width": 640, "height": 360, "fps": 25.0, "duration_s": 2.0, "rotation": 0
    }  # fmt: skip
    assert detail["analytics"][0]["name"] == "object_detection"
    assert detail["model"] == "centernet-512"


def test_the_result_has_everything(client: testing.TestClient, parts: Parts, task: Task) -> None:
    task_id = task()
    parts.analytics.counts = FrameCounts(20, 0)
    parts.analytics.points = [
        point(2, 4, "bus", 0.6), point(1, 0), point(1, 1, "truck", 0.9), point(1, 2), point(2, 2, "bus"),
        point(3, 2, "face", 0.8, "face"),
    ]  # fmt: skip
    parts.analytics.found = [event(task_id, 2, 2, label="bus", end_s=None), event(task_id, 1, 1)]
    parts.analytics.views = [
        TrackView(TrackId(1), Seq(0), "appearance", "k/worse.jpg", 0.5, 0.1, (0, 0, 1, 1)),
        TrackView(TrackId(1), Seq(1), "appearance", "k/best.jpg", 0.5, 0.3, (0, 0, 1, 1)),
        TrackView(TrackId(1), Seq(2), "appearance", "k/later.jpg", 0.5, 0.2, (0, 0, 1, 1)),
    ]
    finish(parts, task_id, problems=(StreamProblem(30, 1.2, "damaged packet"),))
    answer = client.simulate_get(f"/query/v1/tasks/{task_id}/result")
    assert answer.status_code == 200, answer.text
    result = answer.json
    assert result["task_id"] == task_id
    assert result["errors"] == [{"at_frame": 30, "at_s": 1.2, "reason": "damaged packet"}]
    assert result["objects"] == {
        "bus": {"visits": 1, "frames": 2, "most_at_once": 1},
        "car": {"visits": 1, "frames": 3, "most_at_once": 1},
        "face": {"visits": 1, "frames": 1, "most_at_once": 1},
    }
    first, second, third = result["tracks"]
    assert (first["track_id"], first["label"], first["score"]) == (1, "car", 0.9), "the event's label"
    assert (first["first_frame"], first["last_frame"], first["last_s"]) == (0, 4, 0.16)
    assert [box["frame"] for box in first["boxes"]] == [0, 2, 4]
    assert first["boxes"][0]["box"] == [0.1, 0.2, 0.3, 0.4]
    assert (first["image"], second["image"]) == ("k/best.jpg", None)
    assert third["kind"] == "face"
    assert [found["label"] for found in result["events"]] == ["car", "bus"]
    assert result["events"][0]["image"] == f"{task_id}/1/a.jpg"
    assert result["events"][1]["end_s"] is None
    assert result["ledger"]["in_flight"] == 0
    assert result["speed"]["frames"] == 20
    assert result["video_data"]["processed_parts"] == 2
    assert result["video_data"]["error_count"] == 1
    assert set(VideoSdkAnswer.__struct_fields__) <= set(result), "all that an immediate analysis answers"
    (analytic,) = result["analytics"]
    assert analytic["events"][1]["video_segment"] == {"start_time_offset": 0.0, "end_time_offset": None}


def test_cancelling(client: testing.TestClient, parts: Parts, task: Task) -> None:
    task_id = task()
    answer = client.simulate_post(f"/query/v1/tasks/{task_id}/cancel")
    assert answer.status_code == 202
    assert parts.control.stream(StreamId(UUID(task_id))).spec.desired == "stop"
    assert agent(client, task_id)["status"] == 2
    assert client.simulate_post(f"/query/v1/tasks/{task_id}/cancel").status_code == 409


def test_deleting_removes_everything(client: testing.TestClient, parts: Parts, task: Task) -> None:
    task_id = task()
    stream = StreamId(UUID(task_id))
    media = parts.collaborators.media
    media.put(f"{task_id}/1/{ViewId(uuid4())}.jpg", b"picture")
    assert client.simulate_delete(f"/query/v1/tasks/{task_id}").status_code == 204
    assert list(media.keys(task_id)) == []
    assert parts.analytics.deleted == [stream]
    assert parts.embeddings.deleted == [stream]
    assert parts.control.tombstones() == {stream}
    for path in (f"/query/v1/tasks/{task_id}", f"/query/v1/tasks/{task_id}/result", f"/1/video/tasks/{task_id}"):
        assert client.simulate_get(path).status_code == 404
    assert client.simulate_delete(f"/query/v1/tasks/{task_id}").status_code == 404


def test_a_stream_is_no_task_and_a_task_no_stream(client: testing.TestClient, task: Task) -> None:
    stream = client.simulate_post("/query/v1/streams", json={"url": "rtsp://camera.example/1"}).json["stream_id"]
    assert client.simulate_get(f"/query/v1/tasks/{stream}").status_code == 404
    assert client.simulate_get(f"/1/video/tasks/{stream}").json["error_code"] == 44001
    assert client.simulate_get(f"/query/v1/streams/{task()}").status_code == 404


def test_the_list_goes_page_by_page(client: testing.TestClient, parts: Parts, task: Task) -> None:
    made = [task() for _ in range(5)]
    seen, cursor = [], None
    for _ in range(3):
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = client.simulate_get("/query/v1/tasks", params=params).json
        seen += [item["task_id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert sorted(seen) == sorted(made)
    assert cursor is None
    assert client.simulate_get("/query/v1/tasks", params={"names": "street.mp4,other"}).json["items"]
    assert client.simulate_get("/query/v1/tasks", params={"names": "other"}).json["items"] == []


@pytest.mark.parametrize(
    ("params", "field"),
    [({"limit": 0}, "limit"), ({"limit": 1001}, "limit"), ({"limit": "x"}, "limit"), ({"cursor": "x"}, "cursor"),
     ({"more": 1}, "more")],
)  # fmt: skip
def test_wrong_pages(client: testing.TestClient, params: dict[str, Any], field: str) -> None:
    answer = client.simulate_get("/query/v1/tasks", params=params)
    assert answer.status_code == 400
    assert answer.json["field"] == field
    assert answer.json["request_id"] == answer.headers["Luna-Request-Id"]
    assert answer.headers["Content-Type"] == "application/problem+json"

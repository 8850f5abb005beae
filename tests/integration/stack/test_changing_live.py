"""What changes while a camera is watched: analytics that come and go, hours, a gate of one's own, and who is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.settings import Settings
from infra.stack.places import Places
from infra.stack.supervisor import Supervisor
from tests.integration.stack.command import RunningStack
from tests.integration.stack.test_watching_live import CLIP, Camera, looping, message

pytestmark = pytest.mark.stack

OWNER = {"Luna-Account-Id": "557d54ec-29ad-4f3c-93b4-c9092ef12515"}
LISTENERS = [{"type": "luna-ws-notification"}]
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@pytest.fixture
def http(stack: RunningStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as client:
        yield client


def uploaded(http: httpx.Client, file: Path) -> str:
    """Its address."""
    kind = {"Content-Type": "application/octet-stream"}
    answer = http.post("/query/v1/videos", params={"name": file.name}, content=file.read_bytes(), headers=kind)
    return str(answer.raise_for_status().json()["url"])


def ledger(http: httpx.Client, stream: str) -> dict[str, Any]:
    found: dict[str, Any] = http.get(f"/query/v1/ledger/{stream}").raise_for_status().json()
    return found


def test_a_pipeline_comes_and_goes_while_the_camera_runs(stack: RunningStack, http: httpx.Client, shared: Path) -> None:
    with looping(stack, shared / CLIP) as camera, camera.socket(camera.path("event_channel")) as events:

        def until(analytic: str, after_ms: int = 0) -> list[dict[str, Any]]:
            told: list[dict[str, Any]] = []
            while not told or (told[-1]["analytic_id"], told[-1]["pipeline_data"]["timestamp_ms"] > after_ms) != (
                analytic,
                True,
            ):
                told.append(message(events))
            return told

        place = f"/pipeline/0/{camera.short}/line_crossing"
        until("object_detection")
        made = http.post(place, json={"labels": "any", "embeddings": False})
        assert made.status_code == 200, made.text
        assert http.post(place, json={"labels": "any"}).status_code == 409, "it runs there already"
        until("line_crossing")
        gone = http.delete(place)
        assert gone.status_code == 200, gone.text
        removed_ms = int(time.time() * 1000) + 5_000  # by then its last frames have come through
        later = [m for m in until("object_detection", removed_ms) if m["pipeline_data"]["timestamp_ms"] > removed_ms]
        assert {m["analytic_id"] for m in later} == {"object_detection"}
        stream = http.get(f"/query/v1/streams/{camera.id}").json()
        assert (stream["run"], stream["state"]) == (1, "in_progress"), "the run went on all the while"
        assert [analytic["name"] for analytic in stream["analytics"]] == ["object_detection"]


def test_an_analytic_outside_of_its_hours_is_paused_and_says_nothing(
    stack: RunningStack, http: httpx.Client, shared: Path
) -> None:
    another_day = DAYS[(datetime.now(UTC) + timedelta(days=3)).weekday()]
    anything = {"parameters": {"labels": "any", "embeddings": False}}
    made = http.post(
        "/2/streams",
        headers=OWNER,
        json={
            "data": {"type": "videofile", "reference": uploaded(http, shared / CLIP), "endless": True, "fps": 5},
            "analytics": [
                {"analytic_name": "object_detection", "parameters": {**anything, "callbacks": LISTENERS}},
                {
                    "analytic_name": "line_crossing",
                    "parameters": anything,
                    "schedules": [{"days": [another_day], "begin": "00:00", "end": "24:00", "time_zone": "UTC"}],
                },
            ],
            "notification_policy": {"callbacks": LISTENERS},
        },
    )
    assert made.status_code == 201, made.text
    camera = Camera(stack, made.json()["stream_id"])
    try:
        told = []
        with (
            camera.socket(f"/2/ws?stream_id={camera.id}&analytic_index=1") as paused,
            camera.socket(camera.path("event_channel")) as events,
        ):
            states = [message(paused)["stream_status"]]
            while states[-1] != "paused":
                states.append(message(paused)["stream_status"])
            end = time.monotonic() + 40  # the clip, which cars go through both ways, and more
            while time.monotonic() < end:
                told.append(message(events)["analytic_id"])
        assert set(told) == {"object_detection"}
        shown = http.get(f"/2/streams/{camera.id}", headers=OWNER).json()
        assert shown["status"] == 7, "unknown: its analytics stand differently"
        (log,) = [
            entry
            for entry in http.get("/2/streams/logs", params={"stream_ids": camera.id}, headers=OWNER).json()["logs"]
            if entry.get("analytic_index") == 1 and entry["status"] == 8
        ]
        assert log["error"] in {None, ""}
        with camera.socket(f"/query/v1/notifications?stream_id={camera.id}&from=earliest") as told_of:
            notices = [message(told_of)]
            while {notice["kind"] for notice in notices} != {"event", "stream_status"}:
                notices.append(message(told_of))
        states = [notice["body"]["status_name"] for notice in notices if notice["kind"] == "stream_status"]
        assert states[0] == "pending", states
        (found,) = [notice["body"] for notice in notices if notice["kind"] == "event"][:1]
        assert (found["event"]["stream_id"], found["event"]["analytic_name"]) == (camera.id, "object_detection")
    finally:
        http.delete(f"/2/streams/{camera.id}", headers=OWNER)


def test_a_gate_is_as_it_was_asked_for(stack: RunningStack, http: httpx.Client, shared: Path) -> None:
    def begun(gate: Any) -> str:
        url = uploaded(http, shared / CLIP)  # it goes with its stream
        made = http.post("/query/v1/streams", json={"url": url, "name": "cars", "fps": 5, "gate": gate})
        return str(made.raise_for_status().json()["stream_id"])

    def over(stream: str) -> dict[str, Any]:
        end = time.monotonic() + 120
        while not (found := ledger(http, stream))["finished"]:
            assert time.monotonic() < end, found
            time.sleep(1.0)
        http.delete(f"/query/v1/streams/{stream}")
        assert found["imbalance"] == 0, found
        return found

    gates: list[Any] = [{"min_area": 1.0, "recheck_s": 600}, {"min_area": 1.0, "recheck_s": 2}, False]
    closed, again, everything = map(over, [begun(gate) for gate in gates])
    assert closed["processed"] + closed["gated"] == closed["read"], closed
    assert closed["processed"] <= 15 < closed["gated"], "nothing fills the whole picture; it closes after some seconds"
    assert 8 <= again["processed"] - closed["processed"] <= 14, "every two seconds of a clip of 25"
    assert (everything["gated"], everything["processed"]) == (0, everything["read"])


def test_of_more_events_than_are_to_be_kept_the_oldest_go(
    stack: RunningStack, http: httpx.Client, shared: Path
) -> None:
    anything = {"name": "object_detection", "parameters": {"labels": "any", "embeddings": False}}
    url = uploaded(http, shared / CLIP)
    asked = {"url": url, "name": "cars", "fps": 5, "gate": False, "analytics": [anything]}
    stream = str(http.post("/query/v1/streams", json=asked).raise_for_status().json()["stream_id"])

    def events() -> dict[str, int]:
        found = http.get("/query/v1/events", params={"stream_ids": stream}).raise_for_status().json()["items"]
        return {event["event_id"]: event["begin_ms"] for event in found if event["phase"] == "end"}

    def until(count: int) -> dict[str, int]:
        end = time.monotonic() + 120
        while len(found := events()) != count:
            assert time.monotonic() < end, found
            time.sleep(1.0)
        return found

    before = http.get("/config/database").raise_for_status().json()["config"]["max_events_per_stream"]
    try:
        every = until(4)
        http.put("/config/database", json={"max_events_per_stream": 1}).raise_for_status()
        assert list(until(1)) == [max(every, key=lambda event: every[event])]
    finally:
        http.put("/config/database", json={"max_events_per_stream": before}).raise_for_status()
        http.delete(f"/query/v1/streams/{stream}")


def test_a_restart_that_is_ordered_begins_every_worker_again_and_the_camera_goes_on(
    stack: RunningStack, http: httpx.Client, shared: Path
) -> None:
    supervisor = Supervisor(Places.of(Settings(data_dir=Path(stack.env["SIGHTLINE_DATA_DIR"]))))
    workers = {"control", "detect", "analyse", "sink-clickhouse", "sink-lancedb", "sink-media", "notify", "ingest"}

    def running() -> dict[str, int]:
        return {name: found.pid for name, found in supervisor.processes().items() if found.pid}

    with looping(stack, shared / CLIP) as camera:

        def analysed() -> int:
            return int(ledger(http, camera.id)["processed"])

        def until(condition: Callable[[], bool], what: str) -> None:
            end = time.monotonic() + 120
            while not condition():
                assert time.monotonic() < end, what
                time.sleep(1.0)

        until(lambda: analysed() > 0, "frames before")
        before = running()
        http.post("/system/restart").raise_for_status()
        until(lambda: all(running().get(name, before[name]) != before[name] for name in workers), "every worker again")
        then = analysed()
        until(lambda: analysed() > then, "frames after")
        after = running()
        assert {name for name in before if after[name] != before[name]} == workers, "nothing else was restarted"
        stream = http.get(f"/query/v1/streams/{camera.id}").json()
        assert (stream["run"], stream["state"]) == (1, "in_progress")
        found = ledger(http, camera.id)
        assert found["imbalance"] == 0, found
